"""Which file is the mask of which image: the layouts of a data folder, found by themselves. Reads names only."""

import os
import re
import stat
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img"})
MASK_FOLDERS = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth", "groundtruth"}
)
INSTANCE_FOLDERS = frozenset({"instances"})
MASK_STEM = re.compile(r"(?P<stem>.+)_(?:mask|label|labels|gt|seg|segmentation)", re.IGNORECASE)

Role = Literal["train", "validation", "test"]
ROLES: Mapping[str, Role] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

EXPECTED = (
    "A data folder holds images/ and masks/ with the same file names; or the same inside train/, val/ and test/; "
    "or x.png beside x_mask.png."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An image and its mask. `stem`: the image's name without suffix, after `train/` and the like where given.

    `objects`: the file that numbers its objects, from a folder instances/.
    """

    stem: str
    image: Path
    mask: Path
    role: Role | None = None
    objects: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The pairs of a data folder in natural order of their stems, and what is wrong with it, by kind of problem.

    `notes`: the images in it that are left out.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def natural_key(name: str) -> list[str | int]:
    """Sorts `slice2` before `slice10`."""
    parts = re.split(r"(\d+)", name.casefold())  # text and digits take turns, so that like is compared with like
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def find_layout(root: Path) -> Layout:
    """Pairs every image under `root` with its mask.

    What has no partner is a problem, and so is an unknown layout or a folder that cannot be opened.
    """
    try:
        return _layout(root)
    except OSError as error:
        where = "" if error.filename in (None, str(root)) else f"{error.filename}: "
        return _only(f"{where}cannot be opened ({error.strerror}): check the path and its permissions")
    except ValueError:
        return _only("no path can hold a null byte: check `data: {path: ...}`")


def _layout(root: Path) -> Layout:
    try:
        mode = root.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _only("there is no such folder: check `data: {path: ...}`")
    if not stat.S_ISDIR(mode):
        return _only("this is a file, not a folder: give the folder that holds the images and masks")
    folders = [(ROLES[path.name.lower()], path) for path in _folders(root) if path.name.lower() in ROLES]
    if not folders:
        return _pair_up(root, root, None)
    if not any(role == "train" for role, _ in folders):
        return _only(
            f"{_listed([path for _, path in folders])}: there is no train/ beside: move the other images into it"
        )
    counts = Counter(role for role, _ in folders)
    twice = [
        f"{_listed([path for other, path in folders if other == role])}: more than one {role} folder: keep one"
        for role, count in counts.items()
        if count > 1
    ]
    parts = [_pair_up(root, path, role) for role, path in folders]
    pairs = [pair for part in parts for pair in part.pairs]
    return Layout(
        pairs=tuple(sorted(pairs, key=lambda pair: natural_key(pair.stem))),
        problems=(tuple(twice), *(kind for part in parts for kind in part.problems)),
        notes=(*(note for part in parts for note in part.notes), *_beside(root, [path.name for _, path in folders])),
    )


def _only(problem: str) -> Layout:
    return Layout(pairs=(), problems=((problem,),))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    # a link that leads nowhere counts as a file, so that reading it says so
    found = [path for path in folder.iterdir() if _is_image(path.name) and not path.is_dir()]
    return sorted(found, key=lambda path: natural_key(path.name))


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def _beside(root: Path, parts: Iterable[str]) -> tuple[str, ...]:
    """Notes on images that lie beside train/ and the like."""
    known = IMAGE_FOLDERS | MASK_FOLDERS | INSTANCE_FOLDERS
    found = {f"{path.name}/": _count(path) for path in _folders(root) if path.name.lower() in known}
    found["./"] = len(_files(root))
    read = ", ".join(f"{name}/" for name in parts)
    return tuple(f"{name}: {_left_out(count)}: only {read} are read" for name, count in found.items() if count)


def _below(root: Path, folder: Path) -> tuple[str, ...]:
    """Notes on images that lie in folders inside images/ or masks/."""
    return tuple(
        f"{path.relative_to(root).as_posix()}/: {_left_out(count)}: only the files in {folder.name}/ itself are read"
        for path in _folders(folder)
        if (count := _count(path))
    )


def _count(folder: Path) -> int:
    """The image files in a folder and in those inside it."""
    return sum(_is_image(name) for _, _, names in os.walk(folder) for name in names)


def _left_out(count: int) -> str:
    return f"{count} file{'s are' if count > 1 else ' is'} left out"


def _pair_up(root: Path, folder: Path, role: Role | None) -> Layout:
    """The pairs of one folder: its images/ and masks/, or the files in the folder itself."""
    where = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    names = {path.name.lower(): path for path in _folders(folder)}
    images = [path for name, path in names.items() if name in IMAGE_FOLDERS]
    masks = [path for name, path in names.items() if name in MASK_FOLDERS]
    numbered = [path for name, path in names.items() if name in INSTANCE_FOLDERS]
    masks = masks or numbered
    if not images and not masks:
        return _flat(root, folder, role)
    for kind, found in (("images", images), ("masks", masks)):
        if not found:
            return _only(f"{where or './'}: there is no {kind}/ folder beside {_listed(images + masks)}")
        if len(found) > 1:
            return _only(f"{where or './'}: {_listed(found)} could all be the {kind}: keep one, rename the others")
    empty = [f"{where}{path.name}/: {_nothing_in(path)}" for path in (images[0], masks[0]) if not _files(path)]
    if empty:
        return Layout(pairs=(), problems=(tuple(empty),))
    layout = _match(root, _files(images[0]), _files(masks[0]), role)
    notes = (*_below(root, images[0]), *_below(root, masks[0]))
    layout = replace(layout, notes=notes)
    if masks == numbered:
        return replace(layout, pairs=tuple(replace(pair, objects=pair.mask) for pair in layout.pairs))
    return _numbered(layout, numbered[0], where) if numbered else layout


def _numbered(layout: Layout, folder: Path, where: str) -> Layout:
    """The same with the files that number the objects of each image that has one."""
    files = _by_stem(_files(folder), {pair.image.stem for pair in layout.pairs})
    missing = [pair.image.stem for pair in layout.pairs if pair.image.stem not in files]
    count = f"{len(missing)} images have" if len(missing) > 1 else "1 image has"
    lack = (f"{where}{folder.name}/: {count} no file in it, e.g. {missing[0]}",) if missing else ()
    pairs = tuple(replace(pair, objects=files.get(pair.image.stem, [None])[0]) for pair in layout.pairs)
    double = tuple(
        f"{' and '.join(f'{where}{folder.name}/{path.name}' for path in paths)}: two files for one name: keep one"
        for paths in files.values()
        if len(paths) > 1
    )
    return replace(layout, pairs=pairs, problems=(*layout.problems, double), notes=(*layout.notes, *lack))


def _by_stem(files: Iterable[Path], images: Container[str]) -> dict[str, list[Path]]:
    """Files by the stem of their image: their own where that is an image's; else without its suffix (_mask, ...)."""
    found: dict[str, list[Path]] = {}
    for path in files:
        suffixed = MASK_STEM.fullmatch(path.stem)
        stem = suffixed["stem"] if suffixed and path.stem not in images else path.stem
        found.setdefault(stem, []).append(path)
    return found


def _flat(root: Path, folder: Path, role: Role | None) -> Layout:
    files = _files(folder)
    masks = [path for path in files if MASK_STEM.fullmatch(path.stem)]
    if not files or not masks:
        where = "" if folder == root else f"{folder.relative_to(root).as_posix()}/: "
        found = f"{len(files)} images, but no masks among them" if files else _nothing_in(folder)
        return _only(f"{where}{found}")
    return _match(root, [path for path in files if path not in set(masks)], masks, role)


def _nothing_in(folder: Path) -> str:
    others = Counter(path.suffix.lower() for path in folder.iterdir() if path.is_file() and path.suffix)
    found = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(3))
    found = f" (found {found})" if found else ""
    # one level down, and no further: it may be anybody's home folder
    inner = [path for path in _folders(folder) if any(map(_is_image, next(os.walk(path), ((), (), ()))[2]))]
    return f"no PNG, JPEG, TIFF or BMP files in it{found}{f', but in {_listed(inner[:3])} inside it' if inner else ''}"


def _listed(paths: Iterable[Path]) -> str:
    return " and ".join(f"{path.name}/" for path in paths)


def _match(root: Path, images: list[Path], masks: list[Path], role: Role | None) -> Layout:
    """Pairs by stem."""

    def shown(path: Path) -> str:
        return path.relative_to(root).as_posix()

    of_image: dict[str, list[Path]] = {}
    for path in images:
        of_image.setdefault(path.stem, []).append(path)
    of_mask = _by_stem(masks, of_image)
    prefix = f"{images[0].relative_to(root).parts[0]}/" if role and images else ""
    pairs = [
        Pair(stem=prefix + stem, image=paths[0], mask=of_mask[stem][0], role=role)
        for stem, paths in of_image.items()
        if stem in of_mask
    ]
    double = [
        f"{' and '.join(shown(path) for path in paths)}: two {kind} for one name: keep one"
        for kind, found in (("images", of_image), ("masks", of_mask))
        for paths in found.values()
        if len(paths) > 1
    ]
    without_mask = [f"{shown(paths[0])}: has no mask" for stem, paths in of_image.items() if stem not in of_mask]
    without_image = [f"{shown(paths[0])}: has no image" for stem, paths in of_mask.items() if stem not in of_image]
    return Layout(
        pairs=tuple(sorted(pairs, key=lambda pair: natural_key(pair.stem))),
        problems=(tuple(double), tuple(without_mask), tuple(without_image)),
    )
