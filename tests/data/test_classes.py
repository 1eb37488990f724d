import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from unetsearch.data.classes import Coding, Refusal, decide_classes, encode
from unetsearch.data.dataset import IGNORE
from unetsearch.data.masks import Mask, as_mask
from unetsearch.space.settings import DataSettings

AUTO = DataSettings()


def masks(*arrays, suffix="png") -> list[Mask]:
    return [as_mask(f"masks/{number}.{suffix}", np.asarray(array)) for number, array in enumerate(arrays)]


def decided(*arrays, settings=AUTO, instances=False) -> Coding:
    coding = decide_classes(masks(*arrays), settings, instances=instances)
    assert isinstance(coding, Coding), coding
    return coding


def refused(*arrays, settings=AUTO, suffix="png") -> tuple[str, ...]:
    refusal = decide_classes(masks(*arrays, suffix=suffix), settings, instances=False)
    assert isinstance(refusal, Refusal), refusal
    return (*refusal.problems, *refusal.advice)


def blobs(*values: int, side: int = 40, dtype=np.uint16):
    """Squares of 4x4 px, one for each value, on 0."""
    mask = np.zeros((side, side), dtype)
    for number, value in enumerate(values):
        row, column = divmod(number, side // 5)
        mask[5 * row : 5 * row + 4, 5 * column : 5 * column + 4] = value
    return mask


def disc(side: int = 64):
    rows, columns = np.mgrid[:side, :side]
    return (np.hypot(rows - side / 2, columns - side / 2) < side / 3).astype(np.uint8) * 255


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (3, 7)])
def test_of_two_values_the_rarer_is_the_foreground(values):
    common, rare = values
    mask = np.array([[common, common, rare, common]], np.uint8)
    for background, foreground, array in ((common, rare, mask), (rare, common, common + rare - mask)):
        coding = decided(array)
        assert coding.names == ("background", "foreground")
        assert coding.index == {background: 0, foreground: 1}
        assert coding.notes == (
            f"of the two mask values the rarer is the foreground: {foreground} (25.0 % of the pixels); "
            f"`data: {{classes: {{background: {foreground}, foreground: {background}}}}}` turns them round",
        )


def test_the_rarer_value_is_counted_over_all_masks():
    assert decided([[0, 255, 255]], [[0, 0, 0]]).index == {0: 0, 255: 1}
    assert decided([[0, 255]], [[255, 0]]).index == {0: 0, 255: 1}, "the higher value of two equally frequent ones"


def test_more_values_are_one_class_each():
    coding = decided(blobs(*[128] * 10, *[255] * 20))
    assert coding.names == ("0", "128", "255")
    assert coding.index == {0: 0, 128: 1, 255: 2}
    assert coding.notes == (
        "one class for each mask value, the most frequent as background: 0 (70.0 %), 128 (10.0 %), 255 (20.0 %)",
    )


def test_the_most_frequent_value_is_the_background():
    assert decided([[0, 1, 2, 2, 2]]).names == ("2", "0", "1")


def test_an_undeclared_ignore_value_is_pointed_out():
    assert decided([[0, 0, 1, 2, 255]]).notes[1] == (
        "255 is read as a class; if it marks pixels to leave out, set `data: {ignore: 255}`"
    )
    assert decided(np.array([[0, 0, 1, 2, -1]], np.int32)).notes[1] == (
        "-1 is read as a class; if it marks pixels to leave out, set `data: {ignore: -1}`"
    )
    assert len(decided(blobs(*[128] * 9, *[255] * 9)).notes) == 1


@pytest.mark.parametrize("ignore", [255, 11, -1])
def test_the_ignore_value_is_no_class(ignore):
    mask = np.array([[0, 0, 0, 1, ignore, ignore]])
    coding = decided(mask.astype(np.int32), settings=DataSettings(ignore=ignore))
    assert coding.names == ("background", "foreground")
    assert coding.notes[-1] == f"`data: {{ignore: {ignore}}}` marks 33.3 % of all pixels"
    np.testing.assert_array_equal(encode(as_mask("a", mask.astype(np.int32)), coding), [[0, 0, 0, 1, IGNORE, IGNORE]])


def test_an_ignore_value_that_never_occurs_is_noted():
    assert decided([[0, 0, 1]], settings=DataSettings(ignore=9)).notes[-1] == ("`data: {ignore: 9}` occurs in no mask")


def test_one_value_is_nothing_to_learn():
    assert refused([[0, 0]], [[0, 0]]) == ("every pixel of every mask is 0: there is nothing to learn",)
    assert refused([[5, 5]], settings=DataSettings(ignore=5)) == (
        "no mask has a pixel that is not ignored: there is nothing to learn",
    )


def test_masks_with_two_conventions_are_refused():
    assert refused([[0, 1]], [[0, 255]]) == (
        "some masks use 0 and 1 (masks/0.png), others 0 and 255 (masks/1.png): "
        "set `data: {threshold: 0}` if 1 and 255 mean the same",
    )


def test_numbered_objects_are_foreground():
    coding = decided(blobs(*range(1, 41)), blobs(*range(1, 12)), blobs())
    assert coding.names == ("background", "foreground")
    assert {coding.index[value] for value in range(1, 41)} == {1}
    assert coding.notes == (
        "masks number their objects (up to 40 in one image): any value above 0 is foreground (17.0 % of the pixels)",
    )


def test_touching_objects_of_all_sizes_are_still_objects():
    seeds = np.random.default_rng(0).permutation(40 * 40)[:50]
    ids = np.zeros(40 * 40, int)
    ids[seeds] = np.arange(1, 51)
    nearest = ndimage.distance_transform_edt(ids.reshape(40, 40) == 0, return_indices=True, return_distances=False)
    cells = ids.reshape(40, 40)[tuple(nearest)].astype(np.uint16)
    cells[:, :5] = 0
    assert decided(cells).names == ("background", "foreground")


def test_few_numbered_objects_are_objects_where_the_folder_says_so():
    few = blobs(1, 2, 3)
    assert decided(few).names == ("0", "1", "2", "3")
    assert decided(few, instances=True).names == ("background", "foreground")


def test_many_classes_in_several_pieces_are_classes():
    coding = decided(blobs(*range(1, 13), *range(1, 13)))
    assert coding.names == tuple(str(value) for value in range(13))


def test_too_many_classes_are_refused():
    assert refused(blobs(*range(1, 26), *range(1, 26)), blobs(*range(20, 41), *range(20, 41))) == (
        "41 mask values (masks/0.png alone has 26), and at most 32 are read as classes: if they number objects, set "
        "`data: {threshold: 0}`; if smoothing made them, export the masks again without (nearest-neighbour); else name "
        "them by `data: {classes: {...}}`",
    )


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
    assert ((encode(as_mask("", lossy), coding) > 0) == (clean > 0)).mean() > 0.95


def test_jpeg_masks_of_two_values_are_read():
    coding = decide_classes(masks(disc(), suffix="jpg"), AUTO, instances=False)
    assert isinstance(coding, Coding)
    assert coding.index == {0: 0, 255: 1}


def test_a_threshold_makes_two_classes():
    smooth = ndimage.gaussian_filter(disc(), 1.0)
    coding = decided(smooth, settings=DataSettings(threshold=127))
    np.testing.assert_array_equal(encode(as_mask("a", smooth), coding), smooth > 127)
    share = 100 * (smooth > 127).mean()
    assert coding.notes == (f"mask values above 127 are foreground ({share:.1f} % of the pixels)",)


def test_a_threshold_with_nothing_on_one_side():
    assert refused([[0, 100]], settings=DataSettings(threshold=127)) == (
        "data.threshold: every mask value (0 to 100) is at or below 127: choose one in between",
    )


def test_named_classes_keep_their_order():
    settings = DataSettings(classes={"cell": 255, "membrane": 0})
    coding = decided([[0, 0, 0, 255]], settings=settings)
    assert coding.names == ("cell", "membrane")
    assert coding.index == {255: 0, 0: 1}
    assert coding.notes == ("classes: cell 25.0 %, membrane 75.0 %",)


def test_values_of_no_class_and_absent_classes():
    settings = DataSettings(classes={"background": 0, "cell": 1, "nucleus": 2}, ignore=255)
    assert refused([[0, 1, 255]], [[0, 7]], [[3, 4, 5]], settings=settings) == (
        "data.classes: 'nucleus' (value 2) occurs in no mask: correct its value or leave it out",
        "masks/1.png: value 7 of no class (classes: background 0, cell 1, nucleus 2)",
        "masks/2.png: values 3, 4 and 5 of no class (classes: background 0, cell 1, nucleus 2)",
        "Values of no class: add them to `data: {classes: {...}}`, or leave out the pixels of one by "
        "`data: {ignore: ...}`; if smoothing made them, export the masks again without (nearest-neighbour).",
    )
    assert refused([[0, 1]], settings=settings) == (
        "data.classes: 'nucleus' (value 2) occurs in no mask: correct its value or leave it out",
    )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            DataSettings(classes={"a": 0, "b": 1}, threshold=3),
            "data.threshold makes two classes by itself: leave out either data.classes or data.threshold",
        ),
        (
            DataSettings(classes={"a": 0}),
            "data.classes: 1 mask value given: a background and at least one more class are needed",
        ),
        (DataSettings(classes={"a": 0, "b": 1, "c": 1}), "data.classes: 'b' and 'c' have the same mask value 1"),
        (
            DataSettings(classes={"a": 0, "b": 1}, ignore=1),
            "data.classes: 'b' has the mask value 1, which is also data.ignore: change one of the two",
        ),
    ],
)
def test_settings_that_contradict_themselves(settings, problem):
    assert refused([[0, 1]], settings=settings) == (problem,)
