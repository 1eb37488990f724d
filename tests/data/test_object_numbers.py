"""Numbers of objects from a folder instances/ or from the masks, and which of them count."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from tests.data.folders import folder, mask, save
from unetsearch.data.load import load_data
from unetsearch.data.objects import connected
from unetsearch.data.separation import objects_of, separated
from unetsearch.errors import DataError
from unetsearch.space.settings import DataSettings


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
    assert "objects are numbered in instances/" in data.notes
    assert data.masks[0].max() == 1
    assert data.fingerprint == plain.fingerprint, "a study of the same images and masks goes on"
    save(tmp_path, "instances/00.png", np.zeros((3, 4), np.uint16))
    without = load_data(settings)
    assert [each is None for each in without.objects] == [True] + [False] * 9
    rest = (
        "1 image has no numbers of objects, e.g. images/00.png: there the connected parts of the foreground are taken "
    )
    assert {"objects are numbered in instances/ for 9 of 10 images", rest + "for the objects"} <= set(without.notes)
    note = "objects have no numbers, the file of an image in instances/ has another size: 1 image, e.g. images/00.png"
    assert note in without.notes
    save(tmp_path, "instances/00.png", (mask(values=(0, 1)) == 0).astype(np.uint16))
    assert load_data(settings).objects[0] is None, "no object in the foreground"
    save(tmp_path, "instances/00.png", mask(values=(0, 1)).astype(np.uint16) + 1)
    assert np.array_equal(objects_of(load_data(settings), 0) > 0, data.masks[0] > 0), "and none outside"
    save(tmp_path, "instances/00.png", np.random.default_rng(0).integers(0, 255, (40, 48, 3)).astype(np.uint8))
    assert any("the file of an image in instances/ is coloured" in note for note in load_data(settings).notes)


def test_numbers_that_are_not_those_of_the_masks_are_told_of(tmp_path):
    settings = folder(tmp_path)
    images = [f"{number:02}.png" for number in range(10)]
    own = [mask(values=(0, 1)).astype(np.uint16) for _ in images]
    for name, numbers in zip(images, own, strict=True):
        save(tmp_path, f"instances/{name}", numbers)
    assert not any("less than half" in note for note in load_data(settings).notes)
    save(tmp_path, "instances/03.png", np.roll(own[3], 10, 1))
    told = (
        "of 1 image less than half of what is numbered in instances/ lies in the foreground, e.g. images/03.png: see "
        "whether these are files of the same images"
    )
    assert told in load_data(settings).notes
    for name in images:
        save(tmp_path, f"instances/{name}", np.zeros_like(own[0]))
    data = load_data(settings)
    assert any(note.startswith("10 images have no numbers of objects, e.g. images/00.png") for note in data.notes)
    assert np.array_equal(objects_of(data, 0), connected(data.masks[0] > 0))


def test_objects_may_be_numbered_in_one_part_only(tmp_path):
    """The map of weights asks for those of the training images; the others' are connected parts."""
    for part in ("train", "val", "test"):
        folder(tmp_path / part, count=3)
    touching = mask(values=(0, 1)).astype(np.uint16)
    touching[:, 10:] *= 2
    for index in range(3):
        save(tmp_path, f"train/instances/{index:02}.png", touching)
    data = load_data(DataSettings(path=str(tmp_path)))
    assert [each is not None for each in data.objects] == [index in data.split.train for index in range(9)]
    assert "objects are numbered in instances/ for 3 of 9 images" in data.notes
    assert any(note.startswith("6 images have no numbers of objects, e.g. test/images/00.png") for note in data.notes)
    targets = zip(data.split.train, separated(data).masks, strict=True)
    assert all((apart < data.masks[index]).any() for index, apart in targets)
    assert {objects_of(data, index).max() for index in data.split.train} == {2}
    assert {objects_of(data, index).max() for index in (*data.split.validation, *data.split.test)} == {1}


def test_numbers_of_their_own_come_before_those_of_masks(tmp_path):
    """And a mask of one value in several pieces does not number objects where others do."""
    numbers = np.zeros((40, 48), np.uint16)
    for number in range(12):
        row, column = 6 * (number // 2) + 1, 20 * (number % 2) + 4
        numbers[row : row + 4, column : column + 5] = number + 1
    settings = folder(tmp_path)
    for index in range(10):
        save(tmp_path, f"masks/{index:02}.png", numbers if index % 2 else np.where(numbers, 255, 0).astype(np.uint8))
    for threshold in (None, 0):
        by_masks = load_data(replace(settings, threshold=threshold))
        assert [each is not None for each in by_masks.objects] == [False, True] * 5
        assert {int(objects_of(by_masks, index).max()) for index in range(10)} == {12}
        assert any(note.startswith("5 images have no numbers of objects") for note in by_masks.notes)
    alone = np.zeros_like(numbers)
    alone[4:9, 4:9], alone[30, 30] = 7, 7  # with a stray pixel
    save(tmp_path, "masks/01.png", alone)
    assert set(np.unique(objects_of(load_data(settings), 1))) == {0, 7}
    for index in range(10):
        save(tmp_path, f"instances/{index:02}.png", np.where(numbers > 6, 1, 0).astype(np.uint16))
    settings = replace(settings, threshold=0)
    assert load_data(settings).objects[1] is None, "its file has none in the foreground"
    save(tmp_path, "masks/01.png", numbers)
    data = load_data(settings)
    assert {int(each.max()) for each in data.objects} == {1}
    assert "objects are numbered in instances/, and not by their masks" in data.notes


def test_great_numbers_in_masks_are_refused_as_what_is_ignored_would_be_lost(tmp_path):
    settings = folder(tmp_path)
    (tmp_path / "masks").rename(tmp_path / "instances")
    tifffile.imwrite(tmp_path / "instances/00.tif", 70000 * (mask() > 0).astype(np.int32))
    (tmp_path / "instances/00.png").unlink()
    with pytest.raises(DataError, match=r"00\.tif: has values from 0 to 70000: a mask has a number from -1 to 65535"):
        load_data(replace(settings, ignore=255))
