"""Masks whose values smoothing or JPEG made: refused, and read with a threshold."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.data.codings import AUTO, decided, disc, masks, refused
from unetsearch.data.classes import Coding, decide_classes, encode
from unetsearch.space.settings import DataSettings


def test_smoothed_masks_are_refused():
    smooth = ndimage.gaussian_filter(disc(), 1.0)
    count = len(np.unique(smooth))
    assert count > 32
    assert refused(smooth, disc()) == (
        f"1 of 2 masks are smoothed (masks/0.png has {count} values, most of them along outlines): "
        "save masks as PNG without smoothing, or set `data: {threshold: 127}`",
    )


def lines(width: int, side: int = 256):
    """Slanted lines of 255 on 0, `width` px wide."""
    rows, columns = np.mgrid[:side, :side]
    return ((rows * 3 + columns) % 50 < width * 3).astype(np.uint8) * 255


def half(pixels):
    """Half the size, by the mean of 2x2 px."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX))


@pytest.mark.parametrize("width", [1, 2])
def test_smoothed_lines_are_refused(width):
    smooth = half(lines(width))
    high = int(smooth.max())
    between = [str(value) for value in np.unique(smooth)[1:-1]]
    assert len(between) in (1, 3)
    listed = " and ".join([", ".join(between[:-1]), between[-1]]) if len(between) > 1 else between[0]
    assert refused(smooth, smooth[::-1]) == (
        f"2 of 2 masks are smoothed (masks/0.png has {len(between) + 2} values, {listed} only along outlines): save "
        f"masks as PNG without smoothing, or set `data: {{threshold: {high // 2}}}`; "
        "if each value is a class, name it by `data: {classes: {...}}`",
    )


def test_a_shift_by_half_a_pixel_is_smoothing():
    thin = lines(2)
    shifted = (thin // 2 + np.roll(thin, 1, axis=1) // 2).astype(np.uint8)
    shifted[shifted == 254] = 255
    assert np.unique(shifted).tolist() == [0, 127, 255]
    assert refused(shifted) == (
        "1 of 1 masks are smoothed (masks/0.png has 3 values, 127 only along outlines): save masks as PNG without "
        "smoothing, or set `data: {threshold: 127}`; if each value is a class, name it by `data: {classes: {...}}`",
    )
    named = DataSettings(classes={"background": 0, "rim": 127, "cell": 255})
    assert decided(shifted, settings=named).names == ("background", "rim", "cell")


def test_three_smoothed_classes_are_refused():
    cell = np.maximum(disc(128) // 255 * 128, np.roll(disc(64), 9, axis=0).repeat(2, axis=0).repeat(2, axis=1) // 2)
    cell[40:80, 40:80] = 255
    smooth = half(cell)
    count = len(np.unique(smooth))
    assert 3 < count < 32
    way_out = "save masks as PNG without smoothing, i.e. with nearest-neighbour, or, for two classes, set"
    assert way_out in refused(smooth)[0]


@pytest.mark.parametrize("ignore", [None, 200, -1])
def test_the_ignore_value_takes_no_part_in_smoothing(ignore):
    mask = disc().astype(np.int32)
    if ignore is not None:
        mask[5:9, 5:9] = ignore
    settings = DataSettings(ignore=ignore)
    assert decided(mask, settings=settings).names == ("background", "foreground")
    smooth = half(lines(2)).astype(np.int32)
    if ignore is not None:
        smooth[:, 60:64] = ignore
    assert "(masks/0.png has 5 values, 64, 128 and 192 only along outlines)" in refused(smooth, settings=settings)[0]


def test_a_class_along_outlines_is_a_class_where_labels_are_small():
    mask = disc() // 255 * 2
    border = ndimage.binary_dilation(mask > 0) & (mask == 0)
    assert decided(np.where(border, 1, mask).astype(np.uint8)).names == ("0", "1", "2")
    with_ignore = np.where(border, 1, mask)
    with_ignore[:3, :3] = 255
    assert decided(with_ignore.astype(np.uint8)).names == ("0", "1", "2", "255")
    assert "128 only along outlines" in refused(np.where(border, 128, disc()).astype(np.uint8))[0]


def jpeg(pixels, quality=75):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("settings", [AUTO, DataSettings(classes={"a": 0, "b": 1, "c": 2})])
@pytest.mark.parametrize(("white", "threshold"), [(1, 0), (255, 127)])
def test_jpeg_masks_of_more_than_two_values_are_refused(white, threshold, settings):
    clean = disc() // 255 * np.uint8(white)
    lossy = jpeg(clean)
    count = len(np.unique(lossy))
    assert count > 2
    assert refused(lossy, clean, settings=settings, suffix="JPG") == (
        f"2 of 2 masks are JPEG files, which do not keep values (masks/0.JPG has {count}): save masks as PNG, or, "
        f"for two classes, set `data: {{threshold: {threshold}}}`",
    )
    coding = decided(lossy, settings=DataSettings(threshold=threshold))
    assert ((encode(lossy, coding) > 0) == (clean > 0)).mean() > 0.95


def test_jpeg_masks_of_two_values_are_read():
    coding = decide_classes(masks(disc(), suffix="jpg"), AUTO, instances=False)
    assert isinstance(coding, Coding)
    assert coding.index == {0: 0, 255: 1}


def test_a_threshold_makes_two_classes():
    smooth = ndimage.gaussian_filter(disc(), 1.0)
    coding = decided(smooth, settings=DataSettings(threshold=127))
    np.testing.assert_array_equal(encode(smooth, coding), smooth > 127)
    share = 100 * (smooth > 127).mean()
    assert coding.notes == (f"mask values above 127 are foreground ({share:.1f} % of the pixels)",)


def test_a_threshold_with_nothing_on_one_side():
    assert refused([[0, 100]], settings=DataSettings(threshold=127)) == (
        "data.threshold: every mask value (0 to 100) is at or below 127: choose one in between",
    )
