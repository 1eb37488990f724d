import time

import numpy as np
import pytest
from scipy import ndimage

from unetsearch.data.cells import make_cells


def test_cells_are_made_quickly():
    start = time.perf_counter()
    images, masks, instances = make_cells()
    assert time.perf_counter() - start < 2
    assert len(images) == len(masks) == len(instances) == 60
    assert {(image.shape, image.dtype.name) for image in images} == {((96, 96), "uint8")}
    assert 0.1 < np.mean(masks) < 0.3


def test_masks_hold_the_instances():
    _, masks, instances = make_cells(10)
    for mask, numbered in zip(masks, instances, strict=True):
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, numbered > 0)
        assert set(np.unique(numbered)) == set(range(numbered.max() + 1))


def test_some_cells_touch():
    _, masks, instances = make_cells(20)
    pieces = sum(ndimage.label(ndimage.binary_dilation(mask))[1] for mask in masks)
    assert pieces < 0.9 * sum(int(numbered.max()) for numbered in instances)


def test_grey_alone_does_not_tell_cells():
    images, masks, _ = make_cells(20)
    best = 0.0
    for quantile in np.linspace(0.5, 0.95, 19):
        found = [image > np.quantile(image, quantile) for image in images]
        dice = [
            2 * (guess & (mask > 0)).sum() / (guess.sum() + mask.sum())
            for guess, mask in zip(found, masks, strict=True)
        ]
        best = max(best, float(np.mean(dice)))
    assert 0.2 < best < 0.65


def test_a_seed_makes_the_same_cells_and_another_makes_others():
    first, again, other = make_cells(3), make_cells(3), make_cells(3, seed=1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[2], again[2])
    assert not np.array_equal(first[0], other[0])


def test_more_images_begin_with_the_same_ones():
    np.testing.assert_array_equal(make_cells(2)[0], make_cells(4)[0][:2])


@pytest.mark.parametrize("size", [48, 128])
def test_other_sizes(size):
    images, masks, _ = make_cells(4, size=size)
    assert images[0].shape == masks[0].shape == (size, size)
    assert np.mean(masks) > 0.05


def test_empty_images():
    images, masks, _ = make_cells(8, empty=0.25)
    assert [bool(mask.any()) for mask in masks] == [True] * 6 + [False] * 2
    assert all(np.ptp(image) > 30 for image in images)
