"""What must hold before any training, and how everything that does not is said at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import SegmentationData
from unetsearch.data.reading import is_grey
from unetsearch.data.store import Kept
from unetsearch.errors import DataError
from unetsearch.files import CACHE, cache_folder

MOST_LINES = 20  # of one kind of problem
PIXELS = {"uint8": "8 bit", "uint16": "16 bit", "float32": "32-bit float"}

Problems = tuple[str, ...]  # one kind of problem, one line each


def refusal(what: str, kinds: Sequence[Problems], advice: Sequence[str] = ()) -> DataError:
    """One error with every problem: a first line on `what`, each kind of problem capped, lines of advice last."""
    count = sum(len(kind) for kind in kinds)
    lines = [f"{what}: {count} problem{'s' * (count > 1)}"]
    for kind in kinds:
        lines += kind[:MOST_LINES]
        if len(kind) > MOST_LINES:
            lines.append(f"... and {len(kind) - MOST_LINES} more")
    return DataError([*lines, *advice])


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
        grey = tuple(np.asanyarray(image[:1], order="C") for image in images)  # of a kept one a part of it
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


def not_kept(images: Sequence[NDArray[Any]]) -> tuple[str, ...]:
    """A note on images from files that are not kept where every process of the machine finds them."""
    if all(isinstance(image, Kept) for image in images):
        return ()
    return (f"{cache_folder()} takes no files, so every trainer holds all images: {CACHE} names another folder",)


def description(images: Sequence[NDArray[Any]]) -> str:
    """What the images, (C, H, W) with one C, are: how many, how large, how many channels, of which numbers."""
    sizes = sorted({image.shape[1:] for image in images}, key=lambda size: (size[0] * size[1], size))
    of_size = f"{sizes[0][1]}x{sizes[0][0]}"
    if len(sizes) > 1:
        of_size = f"{len(sizes)} sizes from {of_size} to {sizes[-1][1]}x{sizes[-1][0]}"
    kinds = " and ".join(sorted({PIXELS.get(image.dtype.name, image.dtype.name) for image in images}, reverse=True))
    channels = len(images[0])
    return (
        f"{len(images)} image{'s' * (len(images) > 1)} of {of_size}, {channels} channel{'s' * (channels > 1)}, {kinds}"
    )


def absent_classes(data: SegmentationData) -> tuple[str, ...]:
    """Notes on classes that do not occur in the training or in the validation images."""
    return tuple(
        f"class {name!r} does not occur in the {part} images"
        for part, seen in _seen(data).items()
        for number, name in enumerate(data.classes)
        if not seen[number]
    )


def without_foreground(data: SegmentationData, seed: int) -> Problems:
    """A line for the training and for the validation images where all of them are background.

    `seed`: of the split, to name another one. Absent from truth and prediction counts as a Dice of 1, so that
    validation without any foreground would score a network by its false alarms only.
    """
    why = {
        "training": "no training image has any foreground, so there is nothing to learn",
        "validation": "no validation image has any foreground, so Dice would say nothing",
    }
    another = f"set `data: {{split: {{seed: {seed + 1}}}}}`, or split another way by `data: {{split: {{by: ...}}}}`"
    if data.split.by == "folders":
        another = "move some that have into its folder, or set `data: {split: {by: random}}`"
    elif data.split.by.endswith("blocks"):
        another = "set other `data: {split: {folds: ...}}`, or split another way by `data: {split: {by: ...}}`"
    return tuple(
        f"{why[part]}: {another}" for part, seen in _seen(data).items() if not seen[1 : len(data.classes)].any()
    )


def _seen(data: SegmentationData) -> dict[str, NDArray[np.bool_]]:
    """Which class indices, (256,), occur in the training and in the validation images."""
    parts: Mapping[str, tuple[int, ...]] = {"training": data.split.train, "validation": data.split.validation}
    seen = {part: np.zeros(256, bool) for part in parts}
    for part, indices in parts.items():
        for index in indices:
            seen[part] |= np.bincount(data.masks[index].ravel(), minlength=256) > 0
    return seen


def check_guidance(data: SegmentationData, name: str) -> None:
    """Raises DataError where every training image has every class: then there is nothing to learn of their presence.

    `name`: what is guided, as the message begins with it: `architecture.guidance`, `the baseline unet3+`.
    """
    classes = range(1, len(data.classes))
    for index in data.split.train:
        present = np.bincount(data.masks[index].ravel(), minlength=256) > 0
        if not all(present[number] for number in classes):
            return
    which = data.classes[1] if len(classes) == 1 else "all classes"
    raise DataError(
        [
            f"{name}: the classification-guided module learns which classes an image has, but every training image of "
            f"{data.name} has {which}: add images without it, or set guidance: false"
        ]
    )


def check_depth(data: SegmentationData, depths: Mapping[str, int], crop: int) -> None:
    """Raises DataError unless the bottleneck at each depth keeps 2x2 px, on the training crop and on every image.

    `depths`: by what needs them, as messages begin with it: `depth 5`, `the baseline unet of depth 4`. Images smaller
    than the crop (px) are fine: training pads them.
    """
    side = data.min_side
    smallest = [min(image.shape[1:]) for image in data.images].index(side)
    problems = []
    for name, depth in depths.items():
        needed = 2 ** (depth + 1)
        if crop < needed:
            problems.append(
                f"{name} needs a training crop of at least {needed} px, but the crop is {crop} px: "
                f"take a depth of at most {_deepest(crop)}, or a larger crop"
            )
        if side < needed:
            deepest = _deepest(side)
            advice = f"take a depth of at most {deepest}" if deepest else "leave such images out"
            problems.append(
                f"{name} needs images of at least {needed} px, but {data.name} has images of {side} px "
                f"({data.stems[smallest]} is {_size(data.images[smallest])}): {advice}"
            )
    if problems:
        raise DataError(problems)


def _deepest(side: int) -> int:
    return max(side.bit_length() - 2, 0)  # the largest d with 2^(d+1) <= side


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[-1]}x{pixels.shape[-2]}"
