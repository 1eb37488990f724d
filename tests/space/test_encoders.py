import pytest

from unetsearch.errors import ArchitectureError, SpaceError
from unetsearch.graph.references import REFERENCES, published
from unetsearch.space.backbone import Backbone
from unetsearch.space.document import parse_space
from unetsearch.space.resolved import dump_space
from unetsearch.space.settings import Baseline

KNOWN = {
    "timm/two": Backbone(name="two", reductions=(2, 4, 8), channels=(4, 8, 16)),
    "timm/four": Backbone(name="four", reductions=(4, 8), channels=(8, 16)),
}


def describe(name):
    if name not in KNOWN:
        raise ArchitectureError(f"{name}: there is no such model")
    return KNOWN[name]


def parse(text, look_up=describe):
    return parse_space(text, "x.yaml", describe=look_up)


def problems(text, look_up=describe):
    with pytest.raises(SpaceError) as caught:
        parse(text, look_up)
    return list(caught.value.problems)


def test_backbones_beside_families_with_choices_of_their_own():
    space = parse(
        """
architecture:
  depth: [2, 3]
  encoder: [plain, mobile, timm/two: {pretrained: [true, false], stem: [plain, none]}, timm/four]
"""
    )
    # timm/four has no third stage
    assert problems("architecture: {depth: [2, 3, 4], encoder: timm/four}") == [
        "x.yaml:1  architecture.encoder: depth 4: timm/four has stages of the levels 2 to 3, so take a depth of 2 to 3"
    ]
    assert space.size == 2 * (1 + 1 + 4 + 1)
    assert set(space.backbones) == {"timm/two", "timm/four"}
    architectures = [point.architecture for point in space.enumerate()]
    assert {a.encoder_name for a in architectures} == {"plain", "mobile", "timm/two", "timm/four"}
    backbones = [
        (a.encoder.name, a.encoder.pretrained, a.stem) for a in architectures if isinstance(a.encoder, Backbone)
    ]
    assert len(set(backbones)) == 5
    again = parse_space(dump_space(space), "again.yaml", describe=describe)
    assert again == space


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "architecture:\n  depth: 2\n  encoder: [plain, timm/tow]",
            "x.yaml:3  architecture.encoder[1]: timm/tow: there is no such model",
        ),
        (
            "architecture: {depth: [1, 2], encoder: {timm/four: {stem: none}}}",
            "x.yaml:1  architecture.encoder: depth 1: timm/four has stages of the levels 2 to 3, "
            "so take a depth of 2 to 3",
        ),
        (
            "architecture: {depth: 2}\nbaselines: [unet: {encoder: timm/two, depth: 4}]",
            "x.yaml:2  baselines[0].unet.encoder: depth 4: timm/two has stages of the levels 1 to 3, "
            "so take a depth of 1 to 3",
        ),
        (
            "architecture: {depth: 2, encoder: {timm/two: {stem: no}}}",
            "x.yaml:1  architecture.encoder.timm/two.stem: expected one of plain, none, got 'no'; did you mean 'none'?",
        ),
        (
            "architecture: {depth: 2, encoder: [plian]}",
            "x.yaml:1  architecture.encoder[0]: expected one of plain, residual, mobile, efficient, or timm/ with the "
            "name of a backbone, got 'plian'; did you mean 'plain'?",
        ),
        (
            "architecture: {depth: 2, encoder: timm/}",
            "x.yaml:1  architecture.encoder: expected one of plain, residual, mobile, efficient, or timm/ with the "
            "name of a backbone, got 'timm/'",
        ),
    ],
)
def test_one_problem_one_sentence(text, message):
    assert problems(text) == [message]


def test_channels_that_groups_do_not_divide():
    odd = {"timm/odd": Backbone(name="odd", reductions=(2, 4), channels=(6, 8))}
    text = "architecture: {depth: 2, encoder: [plain, timm/odd], norm: [batch, group], decoder: [plain, residual]}"
    (problem,) = problems(text, odd.__getitem__)
    assert problem.startswith(
        "x.yaml:1  architecture: timm/odd: norm group with residual decoders needs stages of multiples"
    )
    parse(text.replace("[batch, group]", "batch"), odd.__getitem__)


def test_two_wrong_backbones_are_told_at_once():
    assert len(problems("architecture: {depth: 2, encoder: [timm/a, plain, timm/b: {stem: none}]}")) == 2


def test_without_a_look_up():
    assert problems("architecture: {depth: 2, encoder: timm/two}", None) == [
        "x.yaml:1  architecture.encoder: timm/two: backbones are looked up by unetsearch.load_space"
    ]


@pytest.mark.parametrize("name", REFERENCES)
def test_a_baselines_depth_is_that_of_the_published_network(name):
    assert Baseline(name=name).depth == published(name)["depth"]
    assert Baseline(name=name, values={"depth": 2}).depth == 2


@pytest.mark.parametrize(
    ("reductions", "channels", "message"),
    [
        ((8, 16), (4, 8), "timm/x: its stages reduce by 8, 16; levels need reductions that double from 2 or from 4"),
        ((2, 4, 16), (4, 8, 8), "timm/x: its stages reduce by 2, 4, 16; levels need"),
        ((2, 4), (4,), "timm/x: expected channels for 2 stages"),
        ((2, 4), (4, 0), "encoder.channels of level 2: expected a whole number"),
    ],
)
def test_what_is_no_backbone(reductions, channels, message):
    with pytest.raises(ArchitectureError) as caught:
        Backbone(name="x", reductions=reductions, channels=channels)
    assert str(caught.value).startswith(message)
