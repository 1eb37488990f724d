"""An image with its mask, from two files or from an item of a data set in memory, before anything is decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.checks import Problems
from unetsearch.data.layouts import Pair, Role
from unetsearch.data.reading import ReadingError, read_image, read_mask, stored_type, whole_numbers

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An image, (C, H, W), and its mask as stored, (H, W), with the names that messages give them.

    `objects`: (H, W), 0 or the number of a single object, where a file beside the mask tells them.
    """

    stem: str
    image: NDArray[Any]
    mask: NDArray[Any]
    image_name: str
    mask_name: str
    role: Role | None = None
    group: str | None = None
    notes: tuple[str, ...] = ()
    objects: NDArray[Any] | None = None


def read_pair(root: Path, pair: Pair) -> Sample | Problems:
    """The sample, or a line for each of its files that cannot be read, or that do not fit together."""
    problems: list[str] = []

    def read(path: Path, reader: Callable[[Path], T]) -> T | None:
        try:
            return reader(path)
        except ReadingError as error:
            problems.append(f"{path.relative_to(root).as_posix()}: {error}")
            return None

    picture, mask = read(pair.image, read_image), read(pair.mask, read_mask)
    numbered = pair.objects or pair.mask
    objects = mask if numbered == pair.mask else read(numbered, read_mask)
    if picture is None or mask is None or objects is None:
        return tuple(problems)
    image_name, mask_name = (path.relative_to(root).as_posix() for path in (pair.image, pair.mask))
    if objects.shape != mask.shape:
        return (f"{mask_name}: has another size than the file of that name in {numbered.parent.name}/",)
    return Sample(
        stem=pair.stem,
        image=picture.pixels,
        mask=mask,
        image_name=image_name,
        mask_name=mask_name,
        role=pair.role,
        notes=picture.notes,
        objects=None if pair.objects is None else objects,
    )


def from_item(item: Any, index: int) -> Sample:
    """The sample of an item (image, mask) or (image, mask, group). Raises ReadingError."""
    if not isinstance(item, Sequence) or len(item) not in (2, 3):
        raise ReadingError("is not (image, mask) or (image, mask, group)")
    image, mask = _array(item[0], "image"), _array(item[1], "mask")
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or image.dtype.kind not in "buif":
        raise ReadingError(f"has an image of shape {image.shape}: give (channels, height, width)")
    if not image.size:
        raise ReadingError(f"has an image of shape {image.shape}, which holds no pixel: leave the item out")
    if image.shape[:2] == mask.shape[-2:] and image.shape[1:] != mask.shape[-2:]:
        raise ReadingError(f"has an image of shape {image.shape}, channels last: give (channels, height, width)")
    pixels = stored_type(image)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise ReadingError("has an image with NaN or infinite pixels: replace them")
    if mask.dtype.kind not in "buif":
        raise ReadingError(f"has a mask of {mask.dtype}: give whole numbers")
    try:
        values = whole_numbers(mask)
    except ReadingError as error:
        raise ReadingError(f"its mask {error}") from None
    return Sample(
        stem=str(index),
        image=pixels,
        mask=values,
        image_name=f"item {index}",
        mask_name=f"item {index}",
        group=str(item[2]) if len(item) == 3 else None,
    )


def _array(value: Any, what: str) -> NDArray[Any]:
    """A numpy array of an array or a tensor, which may need a gradient or live on a device."""
    try:
        return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    except (TypeError, ValueError) as error:  # lists of unequal lengths, bfloat16
        raise ReadingError(f"its {what} does not become a numpy array: convert it") from error
