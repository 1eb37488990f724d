"""Folders that are no data set: every problem is said, and what to do."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.data.folders import folder, image, mask, refused, save
from unetsearch.data.layouts import EXPECTED
from unetsearch.data.load import load_data
from unetsearch.space.settings import DataSettings, SplitSettings


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


def test_large_images_are_read_without_a_warning(tmp_path, monkeypatch):
    settings = folder(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 48 // 2 - 1)
    assert refused(settings)[1] == (
        "images/00.png: has more pixels than this format is read with: save it as TIFF, or cut it into tiles"
    )
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
