import numpy as np
import pytest
from scipy import ndimage

from tests.data.codings import blobs, decided, refused
from unetsearch.data.classes import encode
from unetsearch.data.dataset import IGNORE
from unetsearch.space.settings import DataSettings


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
    np.testing.assert_array_equal(encode(mask.astype(np.int32), coding), [[0, 0, 0, 1, IGNORE, IGNORE]])


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


def test_numbers_stay_where_all_above_0_are_foreground():
    """Also such as leave many out between them, which by themselves are taken for classes."""
    zero, sparse = DataSettings(threshold=0), [1000 * blobs(*range(1, 21)).astype(np.uint16)]
    assert decided(*sparse).notes[-1] == "if these values number objects, set `data: {threshold: 0}`"
    for masks in (sparse, [blobs(*range(1, 41))]):
        coding = decided(*masks, settings=zero)
        assert coding.numbered
        assert coding.notes[0].startswith("mask values above 0 are foreground and number objects (")
    assert decided(blobs(1, 2, 3), instances=True, settings=zero).numbered
    few = decided(blobs(1, 2, 3), settings=zero)
    assert not few.numbered
    assert few.notes[-1] == (
        "its values are not taken for numbers of objects: if they are, name the folder of these masks instances/"
    )
    assert len(decided(blobs(255), settings=zero).notes) == 1, "one value needs no word"
    assert not decided(*sparse, settings=DataSettings(threshold=5000)).numbered
    pieces = blobs(*range(1, 13), *range(1, 13))
    assert not decided(pieces, settings=zero).numbered
    specks = np.zeros((20, 20), np.uint8)
    specks[::2, ::2] = np.arange(1, 101).reshape(10, 10)
    assert "are smoothed" in refused(specks)[0], "too small for objects"
    away = np.hypot(*np.mgrid[-40:40, -40:40])
    assert not decided(np.maximum(40 - away, 0).astype(np.uint8), settings=zero).numbered, (
        "distances, as some mark them"
    )


def test_nothing_but_ignored_pixels_is_told_with_a_threshold_too():
    message = ("no mask has a pixel that is not ignored: there is nothing to learn",)
    assert refused([[5, 5]], settings=DataSettings(ignore=5, threshold=0)) == message


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
