import json

import pytest

from unetsearch.errors import ArchitectureError
from unetsearch.graph.references import REFERENCES, reference
from unetsearch.space.architecture import Architecture, Skip, channels_by_level


@pytest.mark.parametrize(
    ("width", "growth", "channels"),
    [
        (64, 2.0, (64, 128, 256, 512, 1024)),
        (16, 1.0, (16, 16, 16, 16, 16)),
        (8, 1.5, (8, 12, 20, 28, 40)),  # 8, 12, 18 (a tie goes up), 27, 40.5
        (4, 0.5, (4, 4, 4, 4, 4)),
    ],
)
def test_channels_a_level(width, growth, channels):
    assert channels_by_level(width, growth, 4) == channels


@pytest.mark.parametrize("name", REFERENCES)
def test_an_architecture_survives_json(name):
    architecture = reference(
        name, in_channels=3, out_channels=4, dropout=0.25, norm="group", guidance=name != "unet-2015"
    )
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": (8,)}, "depth: expected 1 to 7, got 0"),
        ({"channels": (8, 0)}, "channels of level 1: expected a whole number from 1 to 65,536, got 0"),
        ({"in_channels": 0}, "in_channels: expected a whole number from 1 to 65,536, got 0"),
        ({"norm": "layer"}, "norm: expected one of batch, group, none, got 'layer'"),
        ({"dropout": 1.0}, "dropout: expected at least 0 and below 1, got 1.0"),
        (
            {"norm": "group", "channels": (8, 10)},
            "norm group: needs channels that are multiples of 4 (groups of 4), got (8, 10) and None an edge",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ArchitectureError) as caught:
        Architecture(**{"in_channels": 1, "out_channels": 1, "channels": (8, 16), **values})
    assert str(caught.value) == message


def test_skips_know_whether_they_need_channels():
    for rule, channels in (("full_scale", None), ("plain", 8)):
        with pytest.raises(ArchitectureError, match=f"skip {rule}: channels={channels}; full_scale skips need"):
            Skip(rule=rule, channels=channels)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "in_channels: is missing"),
        ({"depht": 3}, "depht: unknown key; expected one of in_channels, out_channels, channels, "),
        (
            {"in_channels": 1, "out_channels": 1, "channels": 8},
            "expected a list of channels, one a level, and skip as ",
        ),
        ({"in_channels": 1, "out_channels": 1, "channels": [8, 8], "skip": "plain"}, "expected a list of channels, "),
        ({"in_channels": 1, "out_channels": 1, "channels": [8, 8], "skip": {"rul": "plain"}}, "skip.rul: unknown key"),
        ({"in_channels": True, "out_channels": 1, "channels": [8, 8]}, "in_channels: expected a whole number from 1"),
        ({"in_channels": 1, "out_channels": 1, "channels": [8, "8"]}, "channels of level 1: expected a whole number"),
        ({"in_channels": 1, "out_channels": 1, "channels": [8, 8], "bias": 1}, "bias: expected true or false, got 1"),
        ({"in_channels": 1, "out_channels": 1, "channels": [8, 8], "norm": []}, "norm: expected one of batch, group"),
        ({"architecture": {}}, "a search space, not an architecture; `unetsearch space` describes it"),
    ],
)
def test_what_is_no_architecture(document, message):
    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_dict(document)
    assert str(caught.value).startswith(message)
