import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.data.splits import (
    fold,
    folds,
    hold_out,
    join_groups,
    outer_folds,
    paired_sides,
    pattern_groups,
    too_few,
)
from unetsearch.space.settings import SplitSettings

ORDERS = st.sampled_from(["blocks", "random"])
SETTINGS = st.builds(
    SplitSettings,
    test=st.sampled_from([0.0, 0.1, 0.2, 0.5]),
    folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
GROUPS = st.lists(st.integers(0, 12).map(str), min_size=4, max_size=40).filter(lambda groups: len(set(groups)) >= 3)


def splits(groups, order, settings) -> tuple[Split, ...]:
    kept, test = hold_out(groups, range(len(groups)), order, settings)
    return fold(groups, kept, test, order, settings, by=order)


@given(GROUPS, ORDERS, SETTINGS)
def test_every_image_is_in_one_part_and_no_group_in_two(groups, order, settings):
    found = splits(groups, order, settings)
    assert found == splits(groups, order, settings)
    for split in found:
        parts = (split.train, split.validation, split.test)
        assert sorted(index for part in parts for index in part) == list(range(len(groups)))
        assert split.train
        assert split.validation
        assert bool(split.test) == (settings.test > 0)
        names = [{groups[index] for index in part} for part in parts]
        assert not names[0] & names[1]
        assert not (names[0] | names[1]) & names[2]


@given(GROUPS, ORDERS, SETTINGS)
def test_each_image_beside_the_test_validates_once(groups, order, settings):
    found = splits(groups, order, settings)
    assert len({split.test for split in found}) == 1
    validated = [index for split in found for index in split.validation]
    assert sorted([*validated, *found[0].test]) == list(range(len(groups)))
    kept = {groups[index] for index in validated}
    assert len(found) == min(settings.folds, len(kept))


@given(st.integers(5, 60), ORDERS, SETTINGS)
def test_parts_have_their_shares(count, order, settings):
    found = splits([str(index) for index in range(count)], order, settings)
    if settings.test:
        assert abs(len(found[0].test) - settings.test * count) <= 0.5 or len(found[0].test) == 1
    sizes = [len(split.validation) for split in found]
    assert max(sizes) - min(sizes) <= 1


def test_blocks_are_runs_in_the_order_of_the_images():
    split = splits([str(index) for index in range(30)], "blocks", SplitSettings())[0]
    assert split == Split(
        train=tuple(range(19)), validation=tuple(range(19, 24)), test=tuple(range(24, 30)), by="blocks"
    )


def test_another_seed_is_another_random_split():
    groups = [str(index) for index in range(30)]
    assert splits(groups, "random", SplitSettings(seed=0)) != splits(groups, "random", SplitSettings(seed=1))


def test_the_match_of_a_pattern_is_the_group():
    assert pattern_groups(["p1_a", "p1_b", "x"], r"p\d") == ("p1", "p1", None)
    assert pattern_groups(["p1_a_3", "p1_b_3"], r"(p\d)_._(\d)") == ("p1_3", "p1_3")


@pytest.mark.parametrize(
    ("stems", "groups"),
    [
        (["Image_01L", "Image_01R", "Image_02L", "Image_02R"], ("Image_01", "Image_01", "Image_02", "Image_02")),
        (["7_left", "7_right"], ("7", "7")),
        (["7-OD", "7-OS"], ("7", "7")),
        (["7_l", "7_r"], ("7", "7")),
        (["1L", "1R", "2L", "2R", "3L"], ("1", "1", "2", "2", "3")),
        (["1L", "1R", "2L", "3R"], None),
        (["cell", "tower"], None),
        (["1a", "1b"], None),
        (["1L", "2L"], None),
        ([], None),
    ],
)
def test_left_and_right_of_a_subject(stems, groups):
    assert paired_sides(stems) == groups


def test_equal_images_join_their_groups():
    assert join_groups(["a", "b", "c", "d", "b"], [(1, 3), (0, 3)]) == ("a", "a", "c", "a", "a")


@pytest.mark.parametrize(
    ("images", "groups", "parts", "grouped", "problem"),
    [
        (4, 4, ("validation", "test"), False, None),
        (
            3,
            3,
            ("validation", "test"),
            False,
            "3 images cannot be split into training (at least 2 images) and validation (1) and test (1): "
            "add images, or set `data: {split: {test: 0}}`",
        ),
        (
            2,
            2,
            ("validation",),
            False,
            "2 images cannot be split into training (at least 2 images) and validation (1): add images",
        ),
        (
            9,
            1,
            ("validation",),
            True,
            "9 images in 1 group cannot be split into training (at least 2 images) and validation (1): "
            "add images of other groups",
        ),
        (
            1,
            1,
            ("validation", "test"),
            False,
            "1 image cannot be split into training (at least 2 images) and validation (1) and test (1): add images",
        ),
        (
            6,
            2,
            ("validation", "test"),
            False,
            "2 different images among 6 (images that are the same count once) cannot be split into "
            "training (at least 2 images) and validation (1) and test (1): add images, or set "
            "`data: {split: {test: 0}}`",
        ),
    ],
)
def test_too_few(images, groups, parts, grouped, problem):
    assert too_few(images, groups, parts, grouped=grouped) == problem


def data_of(groups, split) -> SegmentationData:
    return SegmentationData(
        name="",
        images=(np.zeros((1, 4, 4), np.uint8),) * len(groups),
        masks=(np.zeros((4, 4), np.uint8),) * len(groups),
        stems=tuple(str(index) for index in range(len(groups))),
        groups=tuple(groups),
        classes=("background", "foreground"),
        split=split,
        notes=(),
        fingerprint="",
    )


@pytest.mark.parametrize("order", ["blocks", "random"])
def test_the_folds_of_a_data_set_begin_with_its_split(order):
    settings = SplitSettings(seed=3)
    groups = tuple(str(index // 2) for index in range(40))
    found = splits(groups, order, settings)
    assert folds(data_of(groups, found[0]), settings) == found
    assert len(found) == 5


@given(GROUPS, ORDERS, SETTINGS, st.integers(2, 8))
def test_in_outer_folds_every_image_is_tested_once_and_no_group_is_cut(groups, order, settings, count):
    found = outer_folds(data_of(groups, splits(groups, order, settings)[0]), settings, count)
    assert len(found) == min(count, len(set(groups)))
    assert sorted(index for split in found for index in split.test) == list(range(len(groups)))
    for split in found:
        parts = (split.train, split.validation, split.test)
        assert sorted(index for part in parts for index in part) == list(range(len(groups)))
        names = [{groups[index] for index in part} for part in parts]
        assert names[2]
        assert all(names) or len(names[0] | names[1]) == 1, "of one group, nothing validates"
        assert not names[0] & names[1]
        assert not (names[0] | names[1]) & names[2]


def test_the_rest_of_an_outer_fold_is_cut_as_a_search_cuts_its_images():
    """Of two outer folds, each leaves 20 images, a fifth of which validates."""
    groups = [str(index) for index in range(40)]
    settings = SplitSettings(folds=5)
    for split in outer_folds(data_of(groups, splits(groups, "random", settings)[0]), settings, 2):
        assert [len(part) for part in (split.train, split.validation, split.test)] == [16, 4, 20]


def test_outer_folds_in_blocks_are_runs_of_neighbours():
    groups = [str(index) for index in range(30)]
    found = outer_folds(data_of(groups, splits(groups, "blocks", SplitSettings())[0]), SplitSettings(), 3)
    assert [split.test for split in found] == [tuple(range(20, 30)), tuple(range(10, 20)), tuple(range(10))]
    assert {split.by for split in found} == {"blocks"}
    assert found[1].validation == (26, 27, 28, 29), "a run as well, at an end of what is left"
