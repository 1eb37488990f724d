import numpy as np
import pytest
from scipy import ndimage

from unetsearch.data.objects import (
    connected,
    matches,
    object_f1,
    separation_weights,
    told_apart,
    touching,
    within,
)


def tiles(side=24, seed=0):
    """Touching objects of all shapes: the nearest of some points, with background between some."""
    random = np.random.default_rng(seed)
    points = random.uniform(0, side, (9, 2))
    rows, columns = np.mgrid[:side, :side]
    distance = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    objects = np.where(distance.min(-1) < 40, distance.argmin(-1) + 1, 0)
    return objects.astype(np.int32)


@pytest.mark.parametrize("seed", range(5))
def test_touching_objects_come_apart_by_a_ridge_of_one_pixel(seed):
    objects = tiles(seed=seed)
    assert touching(objects)
    apart = told_apart(objects)
    assert not touching(apart)
    parts, count = ndimage.label(apart, np.ones((3, 3)))
    for part in range(1, count + 1):
        assert len(np.unique(apart[parts == part])) == 1
    ridge = (objects > 0) & (apart == 0)
    borders = ndimage.maximum_filter(objects, 3) != ndimage.minimum_filter(np.where(objects == 0, 99, objects), 3)
    assert not (ridge & ~borders).any(), "nothing is taken from where two do not meet"
    two = np.zeros((6, 7), np.int32)
    two[:, :3], two[:, 3:6] = 1, 2
    assert (told_apart(two) == 0).sum(1).tolist() == [2] * 6, "one pixel a row, beside the background's"


def test_which_objects_touch():
    objects = np.array([[1, 1, 0, 0], [0, 0, 2, 0], [3, 0, 2, 2], [0, 0, 0, 4]], np.int32)
    assert touching(objects) == {(1, 2), (2, 4)}
    assert touching(np.zeros((3, 3), np.int32)) == set()


@pytest.mark.parametrize("seed", range(3))
def test_the_weight_map_is_that_of_the_paper(seed):
    """Against the distance of every pixel to every object."""
    objects = told_apart(tiles(40, seed))
    places = {number: np.argwhere(objects == number) for number in np.unique(objects[objects > 0])}
    expected = np.zeros(objects.shape)
    for row, column in np.argwhere(objects == 0):
        first, second = sorted(np.sqrt(((own - (row, column)) ** 2).sum(1).min()) for own in places.values())[:2]
        expected[row, column] = 10 * np.exp(-((first + second) ** 2) / (2 * 5**2))
    np.testing.assert_allclose(separation_weights(objects), expected, rtol=1e-4, atol=1e-6)


def test_fewer_than_two_objects_weigh_nothing():
    one = np.zeros((9, 9), np.int32)
    assert not separation_weights(one).any()
    one[3:5, 3:5] = 7
    assert not separation_weights(one).any()


def test_f1_of_objects_by_hand():
    truth = np.zeros((10, 12), np.int32)
    truth[1:5, 1:5], truth[1:5, 7:11], truth[7:9, 1:3] = 1, 5, 9
    found = np.zeros_like(truth)
    found[1:5, 1:4] = 2  # 12 of 16 pixels: a match
    found[1:3, 7:11] = 3  # 8 of 16: just none
    found[6, 6] = 4  # nothing there
    assert matches(truth, found) == {1: 2}
    assert object_f1(truth, found) == pytest.approx(2 / (2 + 2 + 2))
    assert object_f1(truth, truth) == 1
    merged = np.where(truth > 0, 1, 0).astype(np.int32)
    assert object_f1(truth, merged) == 0, "no part of one found object is a match for two"
    empty = np.zeros_like(truth)
    assert object_f1(empty, empty) == 1
    assert object_f1(truth, empty) == object_f1(empty, truth) == 0


def test_what_is_not_numbered_is_an_object_only_by_itself():
    foreground = np.array([[1, 1, 1, 0, 1], [0, 0, 0, 0, 1], [1, 0, 1, 1, 0]], bool)
    numbers = np.array([[7, 7, 0, 7, 0], [9, 0, 0, 0, 0], [0, 0, 0, 2, 0]], np.int32)
    assert within(foreground, numbers).tolist() == [[7, 7, 0, 0, 9], [0, 0, 0, 0, 9], [10, 0, 0, 2, 0]]
    assert np.array_equal(within(foreground, np.zeros_like(numbers)), connected(foreground))
    assert not within(np.zeros((2, 3), bool), np.ones((2, 3), np.int32)).any()


def test_connected_parts_meet_over_edges():
    mask = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]], bool)
    assert connected(mask).tolist() == [[1, 1, 0], [0, 0, 2], [3, 0, 2]]
