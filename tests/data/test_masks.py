import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from unetsearch.data.masks import as_mask, number_objects, strewn_values, without


def mask(pixels, name="a.png"):
    return as_mask(name, np.asarray(pixels))


def disc(side: int = 64, radius: float = 20):
    rows, columns = np.mgrid[:side, :side]
    return (np.hypot(rows - side / 2, columns - side / 2) < radius).astype(np.uint8) * 255


def between(*masks) -> set[int]:
    values = {value for mask in masks for value in mask.counts}
    return values - {min(values), max(values)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_counted(dtype):
    assert mask(np.array([[0, 7, 7]], dtype)).counts == {0: 1, 7: 2}


def test_a_value_to_ignore_is_not_counted():
    given = mask(np.array([[0, 7, 7, -1]], np.int32))
    assert without(given, -1).counts == {0: 1, 7: 2}
    assert without(given, None) == given


def test_jpeg_masks_are_known_by_their_names():
    assert [mask([[0]], name).is_jpeg for name in ("a.JPG", "a.jpeg", "a.png", "jpg", "item 3")] == [True, True] + [
        False
    ] * 3


@pytest.mark.parametrize("sigma", [0.5, 1, 2, 4, 8])
@pytest.mark.parametrize("side", [64, 256])
def test_smoothing_strews_values_however_strong_it_is(sigma, side):
    smooth = mask(ndimage.gaussian_filter(disc(side, side / 3), sigma))
    strewn = strewn_values([smooth], between(smooth))
    assert len(strewn) > 0.95 * len(between(smooth))


def test_values_of_three_smoothed_classes_are_strewn_but_for_the_class_between():
    cell = np.maximum(disc(96, 30) // 255 * 128, disc(96, 15))
    small = mask(np.asarray(Image.fromarray(cell).resize((48, 48), Image.Resampling.BOX)))
    assert between(small) - strewn_values([small], between(small)) == {128}


def test_classes_that_fill_areas_are_not_strewn():
    cell = mask(np.maximum(disc(96, 30) // 255 * 128, disc(96, 15)))
    assert strewn_values([cell], {128}) == set()


def test_one_mask_with_little_of_a_class_does_not_decide():
    cell = mask(np.maximum(disc(96, 30) // 255 * 128, disc(96, 15)))
    sliver = np.array(disc(96))
    sliver[0, :30] = 128
    sliver[95, 95] = 1
    found = [mask(sliver), cell, cell]
    assert strewn_values(found, {1, 128}) == set()
    assert strewn_values(found[:1], {1, 128}) == {1, 128}


def test_numbered_objects():
    blobs = np.zeros((40, 40), np.uint16)
    for number in range(16):
        row, column = divmod(number, 4)
        blobs[10 * row : 10 * row + 4, 10 * column : 10 * column + 4] = number + 1
    assert number_objects([mask(blobs)])
    assert number_objects([mask(np.where(blobs == 0, 0, blobs).astype(np.int32))])
    assert not number_objects([mask(np.tile(blobs, 2))]), "each number in two pieces"
    assert not number_objects([mask(np.minimum(blobs, 7))]), "few values"
    assert not number_objects([mask(blobs * np.uint16(9))]), "numbers far apart"
