import numpy as np
import pytest

from unetsearch.data.checks import (
    absent_classes,
    check_depth,
    constant_images,
    description,
    refusal,
    same_channels,
    size_mismatch,
    without_foreground,
)
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.errors import DataError


def data(*sizes: tuple[int, int], masks=None, classes=("background", "cell"), by="random") -> SegmentationData:
    return SegmentationData(
        name="set",
        images=tuple(np.zeros((1, height, width), np.uint8) for width, height in sizes),
        masks=masks or tuple(np.zeros((height, width), np.uint8) for width, height in sizes),
        stems=tuple(f"{index:03}" for index in range(len(sizes))),
        groups=tuple(f"{index:03}" for index in range(len(sizes))),
        classes=classes,
        split=Split(train=(0,), validation=(1,), test=(), by=by),
        notes=(),
        fingerprint="",
    )


def test_a_refusal_says_everything_but_no_more_than_twenty_lines_of_a_kind():
    error = refusal("data folder x", [tuple(f"a{index}" for index in range(23)), (), ("b",)], ["Do this.", "Or that."])
    assert str(error) == "\n".join(
        [
            "data folder x: 24 problems",
            *(f"a{index}" for index in range(20)),
            "... and 3 more",
            "b",
            "Do this.",
            "Or that.",
        ]
    )
    assert refusal("data folder x", [("a",)]).problems == ("data folder x: 1 problem", "a")


def test_a_mask_of_another_size():
    image, mask = np.zeros((3, 256, 200)), np.zeros((250, 200))
    assert size_mismatch(image, mask, "images/017.png", "masks/017.png") == (
        "masks/017.png: 200x250, but its image is 200x256: export both at the same size"
    )
    assert (
        size_mismatch(image, mask, "item 3", "item 3")
        == "item 3: its mask is 200x250, but its image is 200x256: export both at the same size"
    )
    assert size_mismatch(image, np.zeros((256, 200)), "a", "b") is None


def test_colour_stays_and_grey_rgb_becomes_one_channel():
    rng = np.random.default_rng(0)
    colour, grey = rng.integers(0, 9, (3, 4, 4)), np.stack([rng.integers(0, 9, (4, 4))] * 3)
    images, problems, notes = same_channels([colour, grey], ["a", "b"])
    assert ([len(image) for image in images], problems, notes) == ([3, 3], (), ())
    images, problems, notes = same_channels([grey[:1], grey], ["a", "b"])
    assert ([len(image) for image in images], problems) == ([1, 1], ())
    assert notes == ("1 RGB image is grey in every pixel: read as one channel",)
    np.testing.assert_array_equal(images[1], grey[:1])
    assert same_channels([grey, grey], ["a", "b"])[2] == ("2 RGB images are grey in every pixel: read as one channel",)


def test_grey_and_coloured_images_do_not_mix():
    colour = np.random.default_rng(0).integers(0, 9, (3, 4, 4))
    assert same_channels([colour, colour[:1]], ["a.png", "b.png"])[1] == (
        "b.png is grey and a.png is coloured: save all images as RGB, or all as grey",
    )
    assert same_channels([colour, colour[:2]], ["a.png", "b.png"])[1] == (
        "images differ in their number of channels: b.png has 2, a.png has 3: save all with the same",
    )


def test_images_without_contrast_are_noted():
    flat, image = np.full((1, 2, 2), 7), np.arange(4).reshape(1, 2, 2)
    assert constant_images([flat, image, flat], "abc") == ("2 images without any contrast, e.g. a",)
    assert constant_images([image], "a") == ()


def test_absent_classes_are_noted():
    with_cell, without = np.array([[0, 1]], np.uint8), np.array([[0, 255]], np.uint8)
    assert absent_classes(data((2, 1), (2, 1), masks=(with_cell, with_cell))) == ()
    assert absent_classes(data((2, 1), (2, 1), masks=(with_cell, without))) == (
        "class 'cell' does not occur in the validation images",
    )


@pytest.mark.parametrize(("side", "deepest"), [(64, 5), (127, 5), (128, 6), (4, 1), (3, 0)])
def test_the_depth_that_fits(side, deepest):
    check_depth(data((side, side), (200, 200)), {"depth": deepest}, crop=512)
    advice = f"take a depth of at most {deepest}" if deepest else "leave such images out"
    with pytest.raises(DataError, match=f"{advice}$"):
        check_depth(data((side, side), (200, 200)), {"depth": deepest + 1}, crop=512)


def test_a_depth_that_fits_neither_images_nor_crop():
    with pytest.raises(DataError) as error:
        check_depth(data((120, 120), (88, 97)), {"depth 6": 6}, crop=96)
    assert str(error.value) == (
        "depth 6 needs a training crop of at least 128 px, but the crop is 96 px: "
        "take a depth of at most 5, or a larger crop\n"
        "depth 6 needs images of at least 128 px, but set has images of 88 px (001 is 88x97): take a depth of at most 5"
    )


def test_images_smaller_than_the_crop_are_fine():
    check_depth(data((88, 97), (88, 97)), {"depth 5": 5}, crop=128)


def test_everything_that_needs_another_depth_is_said():
    depths = {"depth 3": 3, "depth 4": 4, "the baseline unet of depth 4": 4}
    with pytest.raises(DataError) as error:
        check_depth(data((20, 24), (88, 97)), depths, crop=128)
    rest = "needs images of at least 32 px, but set has images of 20 px (000 is 20x24): take a depth of at most 3"
    assert error.value.problems == (f"depth 4 {rest}", f"the baseline unet of depth 4 {rest}")


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ([np.zeros((1, 256, 256), np.uint8)] * 240, "240 images of 256x256, 1 channel, 8 bit"),
        ([np.zeros((3, 40, 48), np.uint16)], "1 image of 48x40, 3 channels, 16 bit"),
        (
            [np.zeros((3, height, width), np.float32) for height, width in ((20, 30), (97, 88), (20, 30), (10, 99))],
            "4 images of 3 sizes from 30x20 to 88x97, 3 channels, 32-bit float",
        ),
        (
            [np.zeros((1, 8, 8), dtype) for dtype in (np.uint16, np.uint8)],
            "2 images of 8x8, 1 channel, 8 bit and 16 bit",
        ),
    ],
)
def test_the_images_are_described(images, text):
    assert description(images) == text


EMPTY = np.zeros((1, 2), np.uint8)
CELL = np.array([[0, 1]], np.uint8)


@pytest.mark.parametrize(
    ("by", "advice"),
    [
        ("random", "set `data: {split: {seed: 4}}`, or split another way by `data: {split: {by: ...}}`"),
        ("folders and groups", "set `data: {split: {seed: 4}}`, or split another way by `data: {split: {by: ...}}`"),
        ("blocks", "set other `data: {split: {folds: ...}}`, or split another way by `data: {split: {by: ...}}`"),
        ("folders", "move some that have into its folder, or set `data: {split: {by: random}}`"),
    ],
)
def test_parts_without_any_foreground_are_problems(by, advice):
    def lines(*masks, classes=("background", "cell")):
        return without_foreground(data((2, 1), (2, 1), masks=masks, classes=classes, by=by), seed=3)

    validation = f"no validation image has any foreground, so Dice would say nothing: {advice}"
    training = f"no training image has any foreground, so there is nothing to learn: {advice}"
    assert lines(CELL, CELL) == ()
    assert lines(CELL, EMPTY) == (validation,)
    assert lines(CELL, EMPTY + 255) == (validation,), "what is ignored is no foreground"
    assert lines(EMPTY, CELL) == (training,)
    assert lines(CELL, CELL * 2, classes=("background", "cell", "nucleus")) == ()
    assert lines(CELL, EMPTY, classes=("background", "cell", "nucleus")) == (validation,)
