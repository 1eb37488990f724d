from dataclasses import replace
from math import inf
from time import perf_counter

import pytest

from unetsearch.graph.build import build_graph, prune
from unetsearch.graph.receptive import receptive_fields
from unetsearch.graph.references import reference


def fields(name, **values):
    return receptive_fields(build_graph(reference(name, **values)))


def test_the_encoder_of_the_unet():
    """By hand: two 3x3 convolutions add 4 steps of 2^level px, a pooling before them one step of the level above."""
    expected = [5]
    for level in range(1, 5):
        expected.append(expected[-1] + 2 ** (level - 1) + 4 * 2**level)
    seen = fields("unet")
    assert [seen[f"X[{level},0]"] for level in range(5)] == expected == [5, 14, 32, 68, 140]
    assert {name: seen[name] for name in fields("unet-2015")} == fields("unet-2015"), "padding moves, widens nothing"


def test_one_level_by_hand():
    """X[0,1] reads 5 px of its level; up by 2 these are at most 3 of X[1,0], which sees 14 px, each 2 px further on."""
    assert fields("unet", depth=1) == {"X[0,0]": 5, "X[1,0]": 14, "X[0,1]": 14 + 2 * 2}
    assert fields("unet", depth=1, up="bilinear")["X[0,1]"] == 14 + 2 * 3, "interpolated, at most 4 of them"


def test_the_fields_of_a_backbones_stages_are_handed_in():
    graph = build_graph(reference("mobile-unet", depth=2, stem="plain"))
    unknown = receptive_fields(graph)
    assert unknown == {"X[0,0]": 5, "X[1,0]": None, "X[2,0]": None, "X[1,1]": None, "X[0,2]": None}
    known = receptive_fields(graph, [(-3, 3), (-9, 9)])
    assert (known["X[1,0]"], known["X[2,0]"]) == (7, 19)
    assert known["X[1,1]"] == 19 + 2 * 4, "5 px of level 1 are up to 3 px of level 2"
    assert receptive_fields(graph, [(-3, 3), None])["X[0,2]"] == inf
    assert receptive_fields(graph, [(-3, 3), None])["X[1,0]"] == 7


def test_squeeze_and_excitation_sees_the_whole_image():
    seen = fields("unet", depth=2, encoder="efficient")
    assert set(seen.values()) == {inf}
    stem = build_graph(reference("unet", depth=2, encoder="efficient"))
    first = replace(stem.nodes[0], block=replace(stem.nodes[0].block, kind="plain"))
    mixed = receptive_fields(replace(stem, nodes=(first, *stem.nodes[1:])))
    assert mixed["X[0,0]"] == 5
    assert mixed["X[1,1]"] == inf


def test_a_nested_network_sees_what_it_saw_in_the_whole_one():
    graph = build_graph(reference("unet++"))
    whole = receptive_fields(graph)
    for depth in range(1, 4):
        nested = receptive_fields(prune(graph, depth))
        assert nested.items() <= whole.items()


@pytest.mark.parametrize("name", ["unet++", "unet3+"])
def test_the_deepest_networks_take_no_time(name):
    graph = build_graph(reference(name, depth=7))
    started = perf_counter()
    seen = receptive_fields(graph)
    assert perf_counter() - started < 1, "0.02 s on a quiet machine"
    assert seen["X[7,0]"] == 5 + sum(2 ** (level - 1) + 4 * 2**level for level in range(1, 8))
