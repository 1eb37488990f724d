import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from unetsearch.data.dataset import IGNORE
from unetsearch.data.layouts import EXPECTED
from unetsearch.data.load import from_dataset, load_data
from unetsearch.errors import DataError
from unetsearch.space.settings import DataSettings, SplitSettings

RNG = np.random.default_rng(0)


def image(height=40, width=48, channels=()):
    return RNG.integers(0, 256, (height, width, *channels), dtype=np.uint8)


def mask(height=40, width=48, values=(0, 255)):
    array = np.full((height, width), values[0], np.uint8)
    for number, value in enumerate(values[1:]):
        array[2 + 5 * number : 6 + 5 * number, 3:20] = value
    return array


def save(root: Path, name: str, array) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def folder(root: Path, count=10, channels=(), values=(0, 255)) -> DataSettings:
    for index in range(count):
        save(root, f"images/{index:02}.png", image(channels=channels))
        save(root, f"masks/{index:02}.png", mask(values=values))
    return DataSettings(path=str(root))


def refused(settings: DataSettings) -> list[str]:
    with pytest.raises(DataError) as error:
        load_data(settings)
    assert str(error.value) == "\n".join(error.value.problems)
    return list(error.value.problems)


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


def test_numbered_objects_from_the_instances_folder(tmp_path):
    settings = folder(tmp_path, values=(0, 1, 2, 3))
    (tmp_path / "masks").rename(tmp_path / "instances")
    data = load_data(settings)
    assert data.out_channels == 1
    assert [int(each.max()) for each in data.objects] == [3] * len(data.masks)
    assert all(np.array_equal(each > 0, mask == 1) for each, mask in zip(data.objects, data.masks, strict=True))
    assert data.notes[1] == (
        "masks number their objects (up to 3 in one image): any value above 0 is foreground (10.6 % of the pixels)"
    )


def test_objects_that_are_numbered_beside_the_masks(tmp_path):
    settings = folder(tmp_path)
    plain = load_data(settings)
    assert plain.objects is None
    for path in (tmp_path / "masks").iterdir():
        save(tmp_path, f"instances/{path.name}", 300 * mask(values=(0, 1)).astype(np.uint16))
    data = load_data(settings)
    assert {int(each.max()) for each in data.objects} == {300}
    assert data.masks[0].max() == 1
    assert data.fingerprint == plain.fingerprint, "a study of the same images and masks goes on"
    save(tmp_path, "instances/00.png", np.zeros((3, 4), np.uint16))
    without = load_data(settings)
    assert without.objects is None
    note = "objects have no numbers, the file of an image in instances/ has another size: 1 image, e.g. images/00.png"
    assert note in without.notes
    save(tmp_path, "instances/00.png", np.random.default_rng(0).integers(0, 255, (40, 48, 3)).astype(np.uint8))
    assert any("the file of an image in instances/ is coloured" in note for note in load_data(settings).notes)


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


def test_every_problem_is_said_at_once(tmp_path):
    settings = folder(tmp_path)
    save(tmp_path, "images/17.png", image(256, 256))
    save(tmp_path, "masks/17.png", mask(250, 256))
    save(tmp_path, "images/18.png", image())
    save(tmp_path, "masks/19.png", mask())
    (tmp_path / "images/03.png").write_bytes((tmp_path / "images/03.png").read_bytes()[:200])
    save(tmp_path, "masks/04.png", np.dstack([mask(), mask() // 2, mask()]))
    save(tmp_path, "images/05.png", image(channels=(3,)))
    (tmp_path / "images/06.png").write_bytes(b"")
    save(tmp_path, "masks/07.png", mask(values=(0, 255, 9)))
    settings = replace(settings, classes={"background": 0, "cell": 255}, split=SplitSettings(groups="^[01]"))
    save(tmp_path, "images/x.png", image())
    save(tmp_path, "masks/x.png", mask())
    assert refused(settings) == [
        f"data folder {tmp_path}: 9 problems",
        "images/18.png: has no mask",
        "masks/19.png: has no image",
        "images/03.png: is damaged or cut off: copy or export it again",
        "masks/04.png: is coloured: save it with one channel, a number for each class",
        "images/06.png: is not a PNG, JPEG, TIFF or BMP image: export it again",
        "masks/17.png: 256x250, but its image is 256x256: export both at the same size",
        "images/00.png is grey and images/05.png is coloured: save all images as RGB, or all as grey",
        "masks/07.png: value 9 of no class (classes: background 0, cell 255)",
        "x: its name does not match `data: {split: {groups: '^[01]'}}`",
        EXPECTED,
        "Values of no class: add them to `data: {classes: {...}}`, or leave out the pixels of one by "
        "`data: {ignore: ...}`; if smoothing made them, export the masks again without (nearest-neighbour).",
    ]


def test_many_problems_of_one_kind_are_counted(tmp_path):
    settings = folder(tmp_path, 60)
    for index in range(57):
        save(tmp_path, f"masks/{index:02}.png", mask(30, 30))
    lines = refused(settings)
    assert len(lines) == 22
    assert lines[0] == f"data folder {tmp_path}: 57 problems"
    assert lines[20] == "masks/19.png: 30x30, but its image is 48x40: export both at the same size"
    assert lines[21] == "... and 37 more"


def test_jpeg_masks_are_refused_but_read_with_a_threshold(tmp_path):
    settings = folder(tmp_path, 6)
    for index in range(6):
        (tmp_path / f"masks/{index:02}.png").unlink()
        save(tmp_path, f"masks/{index:02}.jpg", mask())
    with Image.open(tmp_path / "masks/00.jpg") as file:
        count = len(np.unique(np.asarray(file)))
    assert refused(settings) == [
        f"data folder {tmp_path}: 1 problem",
        f"6 of 6 masks are JPEG files, which do not keep values (masks/00.jpg has {count}): "
        "save masks as PNG, or, for two classes, set `data: {threshold: 127}`",
    ]
    data = load_data(replace(settings, threshold=127))
    assert (data.masks[0] == (mask() > 0)).mean() > 0.99


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


def test_validation_without_foreground_is_refused(tmp_path):
    settings = folder(tmp_path)
    for index in load_data(settings).split.validation:
        save(tmp_path, f"masks/{index:02}.png", mask(values=(0,)))
    assert refused(settings) == [
        f"data folder {tmp_path}: 1 problem",
        "no validation image has any foreground, so Dice would say nothing: "
        "set `data: {split: {seed: 1}}`, or split another way by `data: {split: {by: ...}}`",
    ]
    load_data(replace(settings, split=SplitSettings(seed=1)))


def test_images_that_are_left_out_are_noted(tmp_path):
    settings = folder(tmp_path)
    save(tmp_path, "images/more/x.png", image())
    assert load_data(settings).notes[1] == (
        "images/more/: 1 file is left out: only the files in images/ itself are read"
    )


def test_large_images_are_read_without_a_warning(tmp_path, monkeypatch):
    settings = folder(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 48 // 2 - 1)
    assert refused(settings)[1] == "images/00.png: has more pixels than fit: cut it into tiles"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 48 - 1)
    load_data(settings)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nowhere", "there is no such folder: check `data: {path: ...}`"),
        ("file.txt", "this is a file, not a folder: give the folder that holds the images and masks"),
        ("empty", "no PNG, JPEG, TIFF or BMP files in it"),
    ],
)
def test_paths_that_hold_no_data(tmp_path, name, line):
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    path = tmp_path / name
    assert refused(DataSettings(path=str(path))) == [f"data folder {path}: 1 problem", line, EXPECTED]


@pytest.mark.parametrize("path", ["", "  "])
def test_no_path(path):
    assert refused(DataSettings(path=path)) == [
        "data: 1 problem",
        "no folder given: name one by `data: {path: ...}`",
        EXPECTED,
    ]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    folder(tmp_path / "set")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_data(DataSettings(path="~/set")).name == "set"


@pytest.mark.skipif(sys.platform == "win32", reason="any name is a user's there")
def test_the_home_folder_of_nobody():
    path = "~nobody-of-this-name/set"
    assert refused(DataSettings(path=path)) == [
        f"data folder {path}: 1 problem",
        "the home folder ~nobody-of-this-name is not known: write the whole path",
        EXPECTED,
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_keeps_its_name_and_a_broken_one_is_refused(tmp_path):
    folder(tmp_path / "v7")
    (tmp_path / "current").symlink_to("v7")
    assert load_data(DataSettings(path=str(tmp_path / "current"))).name == "current"
    assert load_data(DataSettings(path=str(tmp_path / "current" / ".." / "v7" / "."))).name == "v7"
    (tmp_path / "v7/images/00.png").unlink()
    (tmp_path / "v7/images/00.png").symlink_to("nowhere.png")
    (tmp_path / "v7/masks/01.png").unlink()
    (tmp_path / "v7/masks/01.png").symlink_to("01.png")
    assert refused(DataSettings(path=str(tmp_path / "v7"))) == [
        f"data folder {tmp_path / 'v7'}: 2 problems",
        "images/00.png: cannot be opened (No such file or directory)",
        "masks/01.png: cannot be opened (Too many levels of symbolic links)",
    ]
    (tmp_path / "loop").symlink_to("loop")
    assert refused(DataSettings(path=str(tmp_path / "loop"))) == [
        f"data folder {tmp_path / 'loop'}: 1 problem",
        "cannot be opened (Too many levels of symbolic links): check the path and its permissions",
        EXPECTED,
    ]


def test_too_few_images(tmp_path):
    assert refused(folder(tmp_path, 3)) == [
        f"data folder {tmp_path}: 1 problem",
        "3 images cannot be split into training (at least 2 images) and validation (1) and test (1): "
        "add images, or set `data: {split: {test: 0}}`",
    ]


def test_the_embedded_cells():
    data = load_data(DataSettings())
    assert (data.name, len(data.images), data.in_channels, data.out_channels) == ("cells", 60, 1, 1)
    assert data.notes[0] == "the embedded synthetic cells: 60 images of 96x96, 1 channel, 8 bit"
    assert data.split.by == "random"
    assert [len(part) for part in (data.split.train, data.split.validation, data.split.test)] == [38, 10, 12]
    np.testing.assert_array_less(0.1, np.mean([array.mean() for array in data.masks]))
