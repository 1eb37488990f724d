from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsearch.space.document import load_space
from unetsearch.space.settings import ranked_by
from unetsearch.space.space import SearchSpace, random_pick
from unetsearch.space.starters import find_space
from unetsearch.space.values import Choice, Option, Range, fixed

SKIP = Choice((Option("plain"), Option("dense", {"deep_supervision": Choice((Option(True), Option(False)))})))


def space(**architecture):
    return SearchSpace(name="x", architecture={"depth": fixed(2), **architecture})


def test_parents_are_asked_first_and_children_only_where_they_were_picked():
    asked = []

    def pick(name, value):
        asked.append(name)
        return value.options[-1].value

    point = space(skip=SKIP).draw(pick)
    assert asked == ["skip", "skip.dense.deep_supervision"]
    assert point.values == {"skip": "dense", "skip.dense.deep_supervision": False}
    assert point.architecture.skip.rule == "dense"
    asked.clear()
    space(skip=SKIP).draw(lambda name, value: asked.append(name) or value.options[0].value)
    assert asked == ["skip"]


def test_what_is_fixed_is_not_asked():
    point = space(skip=Choice((Option("full_scale", {"channels": fixed(12)}),))).draw(None)
    assert point.values == {}
    assert point.architecture.skip.channels == 12


def test_edge_channels_follow_the_width_where_none_are_given():
    point = space(skip=Choice((Option("full_scale"),)), width=fixed(20)).draw(None)
    assert point.architecture.skip.channels == 20


def test_true_and_one_are_two_options():
    picked = space(growth=Choice((Option(1), Option(2)))).draw(lambda *_: 2).architecture.channels
    assert picked == (16, 32, 64)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_size_is_the_number_of_points_and_all_are_different(depths, widths, with_skip):
    values = {
        "depth": Choice(tuple(Option(depth) for depth in depths)),
        "width": Range(8, 8 + 4 * widths, step=4, integer=True),
    }
    if with_skip:
        values["skip"] = SKIP
    some = SearchSpace(name="x", architecture=values)
    points = [tuple(sorted(point.values.items())) for point in some.enumerate()]
    assert some.size == len(points) == len(set(points)) == len(depths) * (widths + 1) * (3 if with_skip else 1)


def test_sizes_without_listing():
    vast = space(**{name: Range(4, 4 + 4 * 10**6, step=4, integer=True) for name in ("width", "a", "b", "c", "d")})
    assert vast.size == (10**6 + 1) ** 5
    continuous = space(growth=Range(1, 2))
    assert continuous.size is None
    with pytest.raises(ValueError, match="x has a continuous range, its points cannot be listed"):
        next(continuous.enumerate())


def test_samples_are_reproducible_and_cover_the_space():
    family = load_space(find_space("unet-family"))
    assert family.sample(3) == family.sample(3)
    points = [family.sample(seed) for seed in range(300)]
    assert {point.architecture.depth for point in points} == {1, 2, 3, 4, 5}
    assert {point.architecture.skip.rule for point in points} == {"plain", "dense", "full_scale"}
    assert {point.architecture.channels[0] for point in points} == {8, 16, 24, 32}


@pytest.mark.parametrize("log", [False, True])
def test_random_numbers_stay_in_their_range(log):
    value = Range(1e-3, 1.0, log=log)
    drawn = [random_pick(Random(seed))("x", value) for seed in range(400)]
    assert 1e-3 <= min(drawn) < max(drawn) <= 1.0
    below = sum(number < 10**-1.5 for number in drawn) / len(drawn)
    assert (0.4 < below < 0.6) == log


def test_a_step_leaves_no_rounding_noise():
    values = {space(growth=Range(1, 2, step=0.1)).sample(seed).values["growth"] for seed in range(100)}
    assert values == {1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2}


def test_logarithmic_whole_numbers_land_on_their_steps():
    some = SearchSpace(name="x", training={"batch_size": Range(1, 64, step=1, log=True, integer=True)})
    assert {type(some.sample(seed).recipe.batch_size) for seed in range(50)} == {int}


def test_for_data_and_extremes():
    family = load_space(find_space("unet-family"))
    assert (family.max_depth, family.min_width) == (5, 8)
    architecture = family.for_data(3, 4).sample(0).architecture
    assert (architecture.in_channels, architecture.out_channels) == (3, 4)


@pytest.mark.parametrize(
    ("objectives", "score"),
    [
        (("dice", "params"), "dice"),
        (("params", "iou", "dice"), "iou"),
        (("object_f1", "params", "dice"), "object_f1"),
        (("params", "macs"), "dice"),
    ],
)
def test_networks_are_ranked_by_the_first_objective_that_is_maximised(objectives, score):
    assert ranked_by(objectives) == score
