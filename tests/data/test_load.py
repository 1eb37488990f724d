from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
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
    assert data.notes[0] == (
        "of the two mask values the rarer is the foreground: 255 (3.5 % of the pixels); "
        "`classes: {background: 255, foreground: 0}` turns them round"
    )
    assert data.notes[1].startswith("split at random with seed 0 (")
    assert len(data.notes) == 2


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
    assert data.notes[:2] == (
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
    assert data.notes[0] == (
        "masks number their objects (up to 3 in one image): any value above 0 is foreground (10.6 % of the pixels)"
    )


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
        "x: its name does not match `groups: ^[01]`",
        EXPECTED,
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
        f"6 of 6 masks are smoothed (masks/00.jpg has {count} values, most of them along outlines): "
        "save masks as PNG without smoothing, or set `data: {threshold: 127}`",
    ]
    data = load_data(replace(settings, threshold=127))
    assert (data.masks[0] == (mask() > 0)).mean() > 0.99


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


def test_too_few_images(tmp_path):
    assert refused(folder(tmp_path, 3)) == [
        f"data folder {tmp_path}: 1 problem",
        "3 images cannot be split into training (at least 2 images) and validation (1) and test (1): "
        "add images, or set `split: {test: 0}`",
    ]


def test_the_embedded_cells():
    data = load_data(DataSettings())
    assert (data.name, len(data.images), data.in_channels, data.out_channels) == ("cells", 60, 1, 1)
    assert data.split.by == "random"
    assert [len(part) for part in (data.split.train, data.split.validation, data.split.test)] == [38, 10, 12]
    np.testing.assert_array_less(0.1, np.mean([array.mean() for array in data.masks]))


def items(count=10):
    return [(image().reshape(1, 40, 48), mask()) for _ in range(count)]


def test_a_data_set_in_memory():
    import torch

    class Tensors(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            pixels = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(index), requires_grad=True)
            return pixels, torch.from_numpy(mask()).long()[None], index // 2

    data = from_dataset(Tensors(), "mine", DataSettings())
    assert (data.name, data.in_channels, data.classes) == ("mine", 3, ("background", "foreground"))
    assert data.images[0].dtype == np.float32
    assert data.groups == tuple(str(index // 2) for index in range(10))
    assert data.split.by == "groups"
    np.testing.assert_array_equal(data.masks[0], mask() > 0)


def test_a_data_set_without_groups():
    data = from_dataset([(pixels[0], labels > 0) for pixels, labels in items()], "mine", DataSettings())
    assert data.images[0].shape == (1, 40, 48)
    assert data.stems == tuple(str(index) for index in range(10))


def test_every_problem_of_a_data_set_is_said_at_once():
    bad = items(13)
    bad[1] = (image(channels=(3,)), mask())
    bad[2] = (image(), mask(20, 20))
    bad[3] = (np.full((1, 40, 48), np.nan), mask())
    bad[4] = (image(), mask() / 7)
    bad[5] = image()
    bad[6] = (image(), mask(), "group")
    bad[7] = (np.zeros(3), mask())
    bad[8] = (image(), mask().astype(str))
    with pytest.raises(DataError) as error:
        from_dataset(bad, "mine", DataSettings())
    assert list(error.value.problems) == [
        "data set mine: 8 problems",
        "item 1: has an image of shape (40, 48, 3), channels last: give (channels, height, width)",
        "item 3: has an image with NaN or infinite pixels: replace them",
        "item 4: its mask has fractions as values: save it with whole numbers, one for each class",
        "item 5: is not (image, mask) or (image, mask, group)",
        "item 7: has an image of shape (3,): give (channels, height, width)",
        "item 8: has a mask of <U3: give whole numbers",
        "item 0: has no group, but others have: give all of them one, or none",
        "item 2: its mask is 20x20, but its image is 48x40: export both at the same size",
    ]


def test_an_empty_data_set():
    with pytest.raises(DataError) as error:
        from_dataset([], "mine", DataSettings())
    assert list(error.value.problems) == ["data set mine: 1 problem", "there are no images in it"]
