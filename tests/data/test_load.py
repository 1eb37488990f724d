from dataclasses import replace

import numpy as np
import pytest
import tifffile

from tests.data.folders import folder, image, mask, save
from unetsearch.data.dataset import IGNORE
from unetsearch.data.load import from_dataset, load_data
from unetsearch.errors import DataError
from unetsearch.space.settings import DataSettings, SplitSettings


def test_a_folder_becomes_checked_data(tmp_path):
    data = load_data(folder(tmp_path / "nuclei", channels=(3,)))
    assert data.name == "nuclei"
    assert data.stems == data.groups == tuple(f"{index:02}" for index in range(10))
    assert {(array.shape, array.dtype.name, array.flags.c_contiguous) for array in data.images} == {
        ((3, 40, 48), "uint8", True)
    }
    assert {(array.shape, array.dtype.name) for array in data.masks} == {((40, 48), "uint8")}
    np.testing.assert_array_equal(data.masks[0], mask() > 0)
    assert (data.in_channels, data.out_channels, data.min_side) == (3, 1, 40)
    assert data.classes == ("background", "foreground")
    assert data.notes[:2] == (
        "10 images of 48x40, 3 channels, 8 bit",
        "of the two mask values the rarer is the foreground: 255 (3.5 % of the pixels); "
        "`data: {classes: {background: 255, foreground: 0}}` turns them round",
    )
    assert data.notes[2].startswith("split at random with seed 0 (")
    assert len(data.notes) == 3


def test_images_of_different_sizes(tmp_path):
    settings = folder(tmp_path)
    save(tmp_path, "images/90.png", image(33, 80))
    save(tmp_path, "masks/90.png", mask(33, 80))
    data = load_data(settings)
    assert (data.images[-1].shape, data.min_side) == ((1, 33, 80), 33)


def test_three_classes_and_an_ignore_value(tmp_path):
    data = load_data(replace(folder(tmp_path, values=(0, 1, 2, 255)), ignore=255))
    assert (data.classes, data.out_channels) == (("0", "1", "2"), 3)
    assert set(np.unique(data.masks[0])) == {0, 1, 2, IGNORE}


def test_sixteen_bit_images_stay(tmp_path):
    settings = folder(tmp_path)
    for index in range(10):
        save(tmp_path, f"images/{index:02}.png", image().astype(np.uint16) * 200)
    assert {array.dtype.name for array in load_data(settings).images} == {"uint16"}


def test_grey_and_alpha_are_noted(tmp_path):
    settings = folder(tmp_path)
    grey = image()
    save(tmp_path, "images/03.png", np.dstack([grey] * 4))
    data = load_data(settings)
    assert data.in_channels == 1
    np.testing.assert_array_equal(data.images[3], grey[None])
    assert data.notes[1:3] == (
        "alpha channel left out: 1 image, e.g. images/03.png",
        "1 RGB image is grey in every pixel: read as one channel",
    )


def test_the_folders_of_a_split(tmp_path):
    for part, count in (("train", 4), ("val", 2), ("test", 2)):
        folder(tmp_path / part, count)
    data = load_data(DataSettings(path=str(tmp_path)))
    assert [data.stems[index] for index in data.split.validation] == ["val/00", "val/01"]
    assert [data.stems[index] for index in data.split.test] == ["test/00", "test/01"]


def test_equal_images_stay_together(tmp_path):
    settings = folder(tmp_path)
    for index in (2, 7):
        save(tmp_path, f"images/{index:02}.png", np.full((40, 48), 9, np.uint8))
    assert len(set(load_data(settings).groups)) == 10, "images without contrast are equal by chance"
    twin = image()
    for index in (2, 7):
        save(tmp_path, f"images/{index:02}.png", twin)
    data = load_data(settings)
    assert data.groups[2] == data.groups[7] == "02"
    assert "02 and 07 are the same image: kept on one side of the split" in data.notes


def test_a_part_without_any_label_is_refused(tmp_path):
    for part in ("train", "val"):
        folder(tmp_path / part, count=3, values=(0, 1))
    settings = DataSettings(path=str(tmp_path), ignore=9)
    for index in range(2):
        save(tmp_path, f"val/masks/{index:02}.png", np.full((40, 48), 9, np.uint8))
    assert load_data(settings).stems[-1] == "val/02"
    save(tmp_path, "val/masks/02.png", np.full((40, 48), 9, np.uint8))
    with pytest.raises(DataError, match="no validation image has any foreground"):
        load_data(settings)
    at_random = load_data(replace(settings, split=replace(settings.split, by="random", test=0)))
    assert at_random.stems == ("train/00", "train/01", "train/02")
    assert "3 images have no labelled pixel and are left out, e.g. val/images/00.png" in at_random.notes
    save(tmp_path, "val/masks/02.png", np.zeros((40, 48), np.uint8))
    left = (
        r"no validation image has any foreground(.|\n)*\n2 images have no labelled pixel and are left out, e\.g\. val"
    )
    with pytest.raises(DataError, match=left):
        load_data(settings)


def test_images_to_test_on_without_any_label_are_left_out(tmp_path):
    """As where those of a challenge are kept back: they would have a Dice of 1."""
    for part in ("train", "val", "test"):
        folder(tmp_path / part, count=3, values=(0, 1))
    for index in range(3):
        save(tmp_path, f"test/masks/{index:02}.png", np.full((40, 48), 9, np.uint8))
    data = load_data(DataSettings(path=str(tmp_path), ignore=9))
    assert data.stems == ("train/00", "train/01", "train/02", "val/00", "val/01", "val/02")
    assert any("3 validation and 1 test images" in note for note in data.notes), data.notes
    assert "3 images have no labelled pixel and are left out, e.g. test/images/00.png" in data.notes


def test_a_mask_of_another_size_is_told_of_though_it_has_no_label(tmp_path):
    settings = replace(folder(tmp_path, values=(0, 1)), ignore=9)
    save(tmp_path, "masks/00.png", np.full((4, 4), 9, np.uint8))
    with pytest.raises(DataError, match=r"masks/00\.png: 4x4, but its image is"):
        load_data(settings)


def test_images_without_a_labelled_pixel_are_left_out(tmp_path):
    """Any prediction of them would be right."""
    settings = replace(folder(tmp_path, values=(0, 1, 9)), ignore=9)
    whole = load_data(settings)
    for name in ("10", "3"):
        save(tmp_path, f"images/{name}.png", image())
        save(tmp_path, f"masks/{name}.png", np.full((40, 48), 9, np.uint8))
    data = load_data(settings)
    assert "2 images have no labelled pixel and are left out, e.g. images/3.png" in data.notes
    assert (data.stems, data.fingerprint) == (whole.stems, whole.fingerprint)
    blank = [(image(), np.full((40, 48), 9, np.uint8)) for _ in range(2)]
    items = [(image(), mask(values=(0, 1))) for _ in range(5)]
    some = from_dataset([*blank[:1], *items], "d", DataSettings(ignore=9))
    assert some.stems == ("1", "2", "3", "4", "5")
    assert "1 image has no labelled pixel and is left out, e.g. item 0" in some.notes
    with pytest.raises(DataError, match=r"2 images have no labelled pixel and are left out, e\.g\. item 0$"):
        from_dataset([*blank, *items[:1]], "d", DataSettings(ignore=9))
    with pytest.raises(DataError, match="no mask has a pixel that is not ignored"):
        from_dataset(blank, "d", DataSettings(ignore=9))


def test_the_fingerprint_tells_content_and_split(tmp_path):
    settings = folder(tmp_path)
    first = load_data(settings).fingerprint
    assert load_data(settings).fingerprint == first
    assert load_data(replace(settings, split=SplitSettings(seed=1))).fingerprint != first
    assert load_data(replace(settings, classes={"a": 0, "b": 255})).fingerprint != first
    changed = mask()
    changed[0, 0] = 255
    save(tmp_path, "masks/05.png", changed)
    assert load_data(settings).fingerprint != first


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("background", "foreground")),
        ({"classes": {"background": -1, "cell": 0}}, ("background", "cell")),
        ({"ignore": -1, "classes": {"background": 0, "cell": 3}}, ("background", "cell")),
    ],
)
def test_masks_with_minus_one(tmp_path, settings, names):
    classes = folder(tmp_path)
    ignored = "ignore" in settings
    for index in range(10):
        values = (mask() > 0).astype(np.int16) - 1
        if ignored:
            values[20:30, 20:30] = 3
        (tmp_path / f"masks/{index:02}.png").unlink()
        tifffile.imwrite(tmp_path / f"masks/{index:02}.tif", values)
    data = load_data(replace(classes, **settings))
    assert data.classes == names
    expected = np.where(values < 0, IGNORE, values > 0) if ignored else values + 1
    for given in (
        data,
        from_dataset([(image(), values.astype(np.int64)) for _ in range(4)], "mine", replace(classes, **settings)),
    ):
        np.testing.assert_array_equal(given.masks[0], expected)


def test_images_that_are_left_out_are_noted(tmp_path):
    settings = folder(tmp_path)
    save(tmp_path, "images/more/x.png", image())
    assert load_data(settings).notes[1] == (
        "images/more/: 1 file is left out: only the files in images/ itself are read"
    )


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    folder(tmp_path / "set")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_data(DataSettings(path="~/set")).name == "set"


def test_the_embedded_cells():
    data = load_data(DataSettings())
    assert (data.name, len(data.images), data.in_channels, data.out_channels) == ("cells", 60, 1, 1)
    assert data.notes[0] == "the embedded synthetic cells: 60 images of 96x96, 1 channel, 8 bit"
    assert data.split.by == "random"
    assert [len(part) for part in (data.split.train, data.split.validation, data.split.test)] == [38, 10, 12]
    np.testing.assert_array_less(0.1, np.mean([array.mean() for array in data.masks]))
