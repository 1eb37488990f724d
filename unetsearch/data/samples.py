"""An image with its mask, from two files or from an item of a data set in memory, before anything is decided."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.checks import Problems
from unetsearch.data.layouts import Pair, Role
from unetsearch.data.reading import (
    ReadingError,
    large_images_allowed,
    read_image,
    read_mask,
    read_objects,
    stored_type,
    whole_numbers,
)
from unetsearch.data.store import kept, key_of

THREADS = 4  # decoders release the interpreter lock

AT_ONCE = 64
"""So many files are decoded before the first of them are taken."""

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
    """The sample, or a line for each of the two files that cannot be read."""
    problems: list[str] = []

    def read(path: Path, reader: Callable[[Path], T]) -> T | None:
        try:
            return reader(path)
        except ReadingError as error:
            problems.append(f"{path.relative_to(root).as_posix()}: {error}")
            return None

    picture, mask = read(pair.image, read_image), read(pair.mask, read_mask)
    if picture is None or mask is None:
        return tuple(problems)
    objects, notes = _objects(pair, mask)
    image_name, mask_name = (path.relative_to(root).as_posix() for path in (pair.image, pair.mask))
    return Sample(
        stem=pair.stem,
        image=picture.pixels,
        mask=mask,
        image_name=image_name,
        mask_name=mask_name,
        role=pair.role,
        notes=(*picture.notes, *notes),
        objects=objects,
    )


def _objects(pair: Pair, mask: NDArray[Any]) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """The numbers of the objects, where a file tells them; or a note of why they cannot be used."""
    if pair.objects is None:
        return None, ()
    if pair.objects == pair.mask:
        return mask, ()
    folder = f"{pair.objects.parent.name}/"
    try:
        objects = read_objects(pair.objects)
    except ReadingError as error:
        return None, (f"objects have no numbers, the file of an image in {folder} {error}",)
    if objects.shape != mask.shape:
        return None, (f"objects have no numbers, the file of an image in {folder} has another size",)
    return objects, ()


def read_pairs(root: Path, pairs: Sequence[Pair]) -> list[Sample | Problems]:
    """The samples of all pairs in their order, decoded once: they are kept, by the content of their files.

    Each pair that cannot be read has its problems instead; then nothing is kept.
    """
    try:
        key = key_of([(pair.stem, *_contents(root, pair)) for pair in pairs])
        arrays = kept(key, lambda: _arrays(root, pairs))
    except (OSError, _UnreadableError):
        return list(_decoded(root, pairs))
    return [_sample(root, pair, *arrays[4 * place : 4 * place + 4]) for place, pair in enumerate(pairs)]


class _UnreadableError(Exception):
    """There are problems."""


def _contents(root: Path, pair: Pair) -> Iterator[tuple[str, str]]:
    """Name and content of each of its files."""
    for path in filter(None, (pair.image, pair.mask, pair.objects)):
        with path.open("rb") as file:
            yield path.relative_to(root).as_posix(), file_digest(file, "sha256").hexdigest()


def _decoded(root: Path, pairs: Sequence[Pair]) -> Iterator[Sample | Problems]:
    """A few at a time: the others may not fit in memory."""
    with large_images_allowed(), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(pairs), AT_ONCE):
            yield from pool.map(lambda pair: read_pair(root, pair), pairs[start : start + AT_ONCE])


def _arrays(root: Path, pairs: Sequence[Pair]) -> Iterator[NDArray[Any]]:
    """Four a sample: image, mask, objects (none: without pixels), and the notes as JSON."""
    for sample in _decoded(root, pairs):
        if not isinstance(sample, Sample):
            raise _UnreadableError
        yield sample.image
        yield sample.mask
        yield np.zeros((0, 0), np.uint8) if sample.objects is None else sample.objects
        yield np.frombuffer(json.dumps(sample.notes).encode(), np.uint8)


def _sample(
    root: Path, pair: Pair, image: NDArray[Any], mask: NDArray[Any], objects: NDArray[Any], notes: NDArray[Any]
) -> Sample:
    return Sample(
        stem=pair.stem,
        image=image,
        mask=mask,
        image_name=pair.image.relative_to(root).as_posix(),
        mask_name=pair.mask.relative_to(root).as_posix(),
        role=pair.role,
        notes=tuple(json.loads(notes.tobytes())),
        objects=objects if objects.size else None,
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
        raise ReadingError("has an image with pixels that are NaN, infinite, or beyond 3.4e38: replace them")
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
