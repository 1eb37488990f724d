"""What must hold before any training, and how everything that does not is said at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import SegmentationData
from unetsearch.data.reading import is_grey
from unetsearch.errors import DataError

MOST_LINES = 20  # of one kind of problem

Problems = tuple[str, ...]  # one kind of problem, one line each


def refusal(what: str, kinds: Sequence[Problems], advice: str | None = None) -> DataError:
    """One error with every problem: a first line on `what`, each kind of problem capped, `advice` last."""
    count = sum(len(kind) for kind in kinds)
    lines = [f"{what}: {count} problem{'s' * (count > 1)}"]
    for kind in kinds:
        lines += kind[:MOST_LINES]
        if len(kind) > MOST_LINES:
            lines.append(f"... and {len(kind) - MOST_LINES} more")
    return DataError([*lines, advice] if advice else lines)


def size_mismatch(image: NDArray[Any], mask: NDArray[Any], image_name: str, mask_name: str) -> str | None:
    """The problem line for an image, (C, H, W), whose mask, (H, W), has another size."""
    if image.shape[1:] == mask.shape:
        return None
    its_mask = "its mask is " if image_name == mask_name else ""
    return f"{mask_name}: {its_mask}{_size(mask)}, but its image is {_size(image)}: export both at the same size"


def same_channels(
    images: Sequence[NDArray[Any]], names: Sequence[str]
) -> tuple[tuple[NDArray[Any], ...], Problems, tuple[str, ...]]:
    """The images, (C, H, W), the problems and the notes. RGB images become one channel where all of them are grey."""
    first: dict[int, str] = {}
    for image, name in zip(images, names, strict=True):
        first.setdefault(len(image), name)
    if 3 in first and set(first) <= {1, 3} and all(is_grey(image) for image in images if len(image) == 3):
        count = sum(len(image) == 3 for image in images)
        grey = tuple(np.ascontiguousarray(image[:1]) for image in images)
        are = "image is" if count == 1 else "images are"
        return grey, (), (f"{count} RGB {are} grey in every pixel: read as one channel",)
    if len(first) == 1:
        return tuple(images), (), ()
    if set(first) == {1, 3}:
        return (
            tuple(images),
            (f"{first[1]} is grey and {first[3]} is coloured: save all images as RGB, or all as grey",),
            (),
        )
    found = ", ".join(f"{name} has {channels}" for channels, name in sorted(first.items()))
    return tuple(images), (f"images differ in their number of channels: {found}: save all with the same",), ()


def constant_images(images: Sequence[NDArray[Any]], names: Sequence[str]) -> tuple[str, ...]:
    """A note on images whose pixels are all equal."""
    flat = [name for image, name in zip(images, names, strict=True) if image.min() == image.max()]
    return (f"{len(flat)} image{'s' * (len(flat) > 1)} without any contrast, e.g. {flat[0]}",) if flat else ()


def absent_classes(data: SegmentationData) -> tuple[str, ...]:
    """Notes on classes that do not occur in the training or in the validation images."""
    notes = []
    parts: Mapping[str, tuple[int, ...]] = {"training": data.split.train, "validation": data.split.validation}
    for part, indices in parts.items():
        seen = np.zeros(256, bool)
        for index in indices:
            seen |= np.bincount(data.masks[index].ravel(), minlength=256) > 0
        notes += [
            f"class {name!r} does not occur in the {part} images"
            for number, name in enumerate(data.classes)
            if not seen[number]
        ]
    return tuple(notes)


def check_depth(data: SegmentationData, max_depth: int, crop: int) -> None:
    """Raises DataError unless the bottleneck at `max_depth` keeps 2x2 px, on the training crop and on every image.

    Images smaller than the crop (px) are fine: training pads them.
    """
    needed = 2 ** (max_depth + 1)
    problems = []
    if crop < needed:
        problems.append(
            f"depth {max_depth} needs a training crop of at least {needed} px, but the crop is {crop} px: "
            f"take a depth of at most {_deepest(crop)}, or a larger crop"
        )
    if data.min_side < needed:
        sizes = [min(image.shape[1:]) for image in data.images]
        smallest = sizes.index(data.min_side)
        problems.append(
            f"depth {max_depth} needs images of at least {needed} px, but {data.name} has images of {data.min_side} px "
            f"({data.stems[smallest]} is {_size(data.images[smallest])}): take a depth of at most "
            f"{_deepest(data.min_side)}"
        )
    if problems:
        raise DataError(problems)


def _deepest(side: int) -> int:
    return max(side.bit_length() - 2, 0)  # the largest d with 2^(d+1) <= side


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[-1]}x{pixels.shape[-2]}"
