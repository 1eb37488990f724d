import sys
from pathlib import Path

import pytest

from unetsearch.data.layouts import find_layout, natural_key


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(root: Path) -> list[tuple[str, str, str]]:
    layout = find_layout(root)
    assert not any(layout.problems)
    return [
        (pair.stem, pair.image.relative_to(root).as_posix(), pair.mask.relative_to(root).as_posix())
        for pair in layout.pairs
    ]


def problems(root: Path) -> list[str]:
    return [line for kind in find_layout(root).problems for line in kind]


def test_names_sort_by_their_numbers():
    assert sorted(["s10", "S2", "s1b", "3"], key=natural_key) == ["3", "s1b", "S2", "s10"]


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images", "masks"), ("Image", "Labels"), ("imgs", "gt"), ("IMG", "annotations"), ("images", "ground_truth")],
)
def test_two_folders_are_paired_by_stem(tmp_path, images, masks):
    touch(tmp_path, f"{images}/10.jpg", f"{images}/2.jpg", f"{masks}/10.png", f"{masks}/2.png")
    assert found(tmp_path) == [
        ("2", f"{images}/2.jpg", f"{masks}/2.png"),
        ("10", f"{images}/10.jpg", f"{masks}/10.png"),
    ]


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_gt", "_seg", "_segmentation", "_MASK"])
def test_a_mask_stem_may_carry_a_suffix(tmp_path, suffix):
    touch(tmp_path, "images/a.png", f"masks/a{suffix}.tif")
    assert found(tmp_path) == [("a", "images/a.png", f"masks/a{suffix}.tif")]


def test_a_whole_stem_goes_before_its_suffix(tmp_path):
    touch(tmp_path, "images/a_seg.png", "images/a.png", "masks/a_seg.png", "masks/a.png")
    assert found(tmp_path) == [
        ("a", "images/a.png", "masks/a.png"),
        ("a_seg", "images/a_seg.png", "masks/a_seg.png"),
    ]


def test_one_flat_folder(tmp_path):
    touch(tmp_path, "a.png", "a_mask.png", "b.jpg", "b_mask.png")
    assert found(tmp_path) == [("a", "a.png", "a_mask.png"), ("b", "b.jpg", "b_mask.png")]


def test_folders_of_the_split(tmp_path):
    for part in ("train", "valid", "Test"):
        touch(tmp_path, f"{part}/images/1.png", f"{part}/masks/1.png")
    layout = find_layout(tmp_path)
    assert {(pair.stem, pair.role) for pair in layout.pairs} == {
        ("train/1", "train"),
        ("valid/1", "validation"),
        ("Test/1", "test"),
    }


def test_flat_folders_inside_the_folders_of_the_split(tmp_path):
    touch(tmp_path, "train/a.png", "train/a_mask.png", "test/b.png", "test/b_mask.png")
    assert [(pair.stem, pair.role) for pair in find_layout(tmp_path).pairs] == [
        ("test/b", "test"),
        ("train/a", "train"),
    ]


def test_instances_are_the_masks_where_there_are_none_and_number_the_objects_else(tmp_path):
    touch(tmp_path, "images/a.png", "instances/a.png")
    assert find_layout(tmp_path).pairs[0].objects == find_layout(tmp_path).pairs[0].mask
    touch(tmp_path, "masks/a.png", "masks_2ndHO/a.png")
    assert found(tmp_path) == [("a", "images/a.png", "masks/a.png")]
    (pair,) = find_layout(tmp_path).pairs
    assert pair.objects == tmp_path / "instances" / "a.png"
    touch(tmp_path, "images/b.png", "masks/b.png")
    layout = find_layout(tmp_path)
    assert [pair.objects for pair in layout.pairs] == [tmp_path / "instances" / "a.png", None]
    assert layout.notes[-1] == "instances/: 1 image has no file in it, e.g. b"
    touch(tmp_path, "instances/b_label.png")
    assert [pair.objects.name for pair in find_layout(tmp_path).pairs] == ["a.png", "b_label.png"]
    touch(tmp_path, "instances/b.tif")
    double = "instances/b.tif and instances/b_label.png: two files for one name: keep one"
    assert [line for kind in find_layout(tmp_path).problems for line in kind] == [double]


def test_what_is_no_image_is_skipped(tmp_path):
    touch(tmp_path, "SOURCE.md", ".DS_Store", "images/a.png", "masks/a.png", "images/Thumbs.db", "images/.b.png")
    touch(tmp_path, "masks/notes.txt", "images/.hidden/c.png")
    assert found(tmp_path) == [("a", "images/a.png", "masks/a.png")]


def test_images_and_masks_without_a_partner(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/c.png")
    assert problems(tmp_path) == ["images/b.png: has no mask", "masks/c.png: has no image"]


def test_two_files_for_one_name(tmp_path):
    touch(tmp_path, "images/a.png", "images/a.jpg", "images/b.png", "masks/a.png", "masks/b.png", "masks/b_mask.png")
    assert problems(tmp_path) == [
        "images/a.jpg and images/a.png: two images for one name: keep one",
        "masks/b.png and masks/b_mask.png: two masks for one name: keep one",
    ]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (
            ["images/a/1.png", "images/b/2.png", "images/x.txt", "masks/1.png"],
            "images/: no PNG, JPEG, TIFF or BMP files in it (found 1 .txt), but in a/ and b/ inside it",
        ),
        (
            ["pictures/1.png", "truth/1.png"],
            "no PNG, JPEG, TIFF or BMP files in it, but in pictures/ and truth/ inside it",
        ),
        (["images/a.png", "masks/a.gif"], "masks/: no PNG, JPEG, TIFF or BMP files in it (found 1 .gif)"),
        (["images/a.png"], "./: there is no masks/ folder beside images/"),
        (["test/images/a.png", "train/masks/a.png"], "train/: there is no images/ folder beside masks/"),
        (
            ["images/a.png", "masks/a.png", "gt/a.png"],
            "./: gt/ and masks/ could all be the masks: keep one, rename the others",
        ),
        (["a.png", "b.png"], "2 images, but no masks among them"),
        (["data.h5"], "no PNG, JPEG, TIFF or BMP files in it (found 1 .h5)"),
        (
            ["images/a.png", "masks/a.png", "test/images/b.png", "test/masks/b.png"],
            "test/: there is no train/ beside: move the other images into it",
        ),
        ([], "no PNG, JPEG, TIFF or BMP files in it"),
        (
            ["train/a.png", "train/a_mask.png", "val/b.png", "val/b_gt.png", "valid/c.png", "valid/c_gt.png"],
            "val/ and valid/: more than one validation folder: keep one",
        ),
    ],
)
def test_unknown_layouts_are_refused(tmp_path, names, problem):
    touch(tmp_path, *names)
    assert problem in problems(tmp_path)


def test_no_folder(tmp_path):
    touch(tmp_path, "file.txt")
    assert problems(tmp_path / "nowhere") == ["there is no such folder: check `data: {path: ...}`"]
    assert problems(tmp_path / "file.txt") == [
        "this is a file, not a folder: give the folder that holds the images and masks"
    ]


def test_images_in_folders_inside_are_noted(tmp_path):
    touch(tmp_path, "images/a.png", "images/old/b.png", "images/old/older/c.tif", "images/.hidden/d.png", "masks/a.png")
    touch(tmp_path, "masks/new/b.png", "masks/new/notes.txt", "images/text/notes.txt")
    layout = find_layout(tmp_path)
    assert layout.problems == ((), (), ())
    assert layout.notes == (
        "images/old/: 2 files are left out: only the files in images/ itself are read",
        "masks/new/: 1 file is left out: only the files in masks/ itself are read",
    )


def test_images_beside_the_folders_of_the_split_are_noted(tmp_path):
    touch(
        tmp_path, "train/images/a.png", "train/masks/a.png", "train/masks/more/b.png", "test/b.png", "test/b_mask.png"
    )
    assert find_layout(tmp_path).notes == (
        "train/masks/more/: 1 file is left out: only the files in masks/ itself are read",
    )
    touch(tmp_path, "images/c.png", "images/more/d.png", "Masks/c.png", "e.png", "notes/figure.png")
    assert find_layout(tmp_path).notes[1:] == (
        "Masks/: 1 file is left out: only test/, train/ are read",
        "images/: 2 files are left out: only test/, train/ are read",
        "./: 1 file is left out: only test/, train/ are read",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the system's words differ there")
def test_paths_that_cannot_be_opened(tmp_path):
    assert problems(tmp_path / ("x" * 300)) == [
        "cannot be opened (File name too long): check the path and its permissions"
    ]
    assert problems(tmp_path / "a\0b") == ["no path can hold a null byte: check `data: {path: ...}`"]


@pytest.mark.parametrize("name", ["", "images"])
def test_folders_without_permission(tmp_path, monkeypatch, name):
    """As root no folder is without permission: the system's answer is played."""
    touch(tmp_path, "images/a.png", "masks/a.png")
    closed, iterdir = tmp_path / name, Path.iterdir

    def refuse(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    where = f"{closed}: " if name else ""
    assert problems(tmp_path) == [f"{where}cannot be opened (Permission denied): check the path and its permissions"]
