"""From a folder of images and masks, or a data set in memory, to checked data."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.cells import make_cells
from unetsearch.data.checks import (
    Problems,
    absent_classes,
    constant_images,
    description,
    not_kept,
    refusal,
    same_channels,
    size_mismatch,
    without_foreground,
)
from unetsearch.data.choose import Chosen, Members, choose_split
from unetsearch.data.classes import Refusal, decide_classes, encode
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.data.layouts import EXPECTED, find_layout, natural_key
from unetsearch.data.masks import as_mask
from unetsearch.data.object_numbers import notes_of_objects, numbers_of
from unetsearch.data.reading import ReadingError
from unetsearch.data.rings import make_rings
from unetsearch.data.samples import THREADS, Sample, from_item, read_pairs
from unetsearch.data.store import kept, key_of
from unetsearch.space.settings import EMBEDDED, DataSettings

T = TypeVar("T", bound=np.generic)

Drawn = tuple[tuple[NDArray[np.uint8], ...], tuple[NDArray[np.uint8], ...], tuple[NDArray[np.uint16], ...]]
"""Images, masks and numbered objects."""

EMPTY = 1 / 3
"""The share of the images of `cells-empty` without a cell."""

MAKERS: dict[str, Callable[[], Drawn]] = {
    "cells": make_cells,
    "cells-empty": partial(make_cells, empty=EMPTY),
    "rings": make_rings,
}
"""What draws each of EMBEDDED."""


class SizedDataset(Protocol):
    """What `from_dataset` reads: torch's map-style Dataset with a length, or a list of tuples."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is to check: the samples that could be read, the problems so far by kind, and what to advise.

    `instances`: the masks are known to number their objects. `stored`: they come from files.
    """

    name: str
    title: str
    samples: tuple[Sample, ...]
    problems: tuple[Problems, ...] = ()
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    instances: bool = False
    stored: bool = False


def load_data(settings: DataSettings) -> SegmentationData:
    """The checked data of the folder `settings.path`, or of the embedded set of that name.

    A `~` at its start is the home folder. Raises DataError with every problem that was found.
    """
    if settings.path in EMBEDDED:
        images, masks, objects = MAKERS[settings.path]()
        data = from_dataset(list(zip(images, masks, strict=True)), settings.path, settings)
        numbered = tuple(each.astype(np.int32) for each in objects)
        notes = (f"the embedded synthetic {settings.path}: {data.notes[0]}", *data.notes[1:])
        return replace(data, objects=numbered, notes=notes)
    title = f"data folder {settings.path}"
    if not settings.path.strip():
        raise refusal("data", [("no folder given: name one by `data: {path: ...}`",)], [EXPECTED])
    try:
        root = Path(settings.path).expanduser()
    except RuntimeError:  # no such user
        unknown = f"the home folder {Path(settings.path).parts[0]} is not known: write the whole path"
        raise refusal(title, [(unknown,)], [EXPECTED]) from None
    layout = find_layout(root)
    read = read_pairs(root, layout.pairs)
    problems = [line for item in read if not isinstance(item, Sample) for line in item]
    found = Found(
        name=_name(root),
        title=title,
        samples=tuple(item for item in read if isinstance(item, Sample)),
        problems=(*layout.problems, tuple(problems)),
        advice=(EXPECTED,) if any(layout.problems) else (),
        notes=layout.notes,
        instances=any(pair.objects == pair.mask for pair in layout.pairs),
        stored=True,
    )
    return _checked(found, settings)


def from_dataset(dataset: SizedDataset, name: str, settings: DataSettings) -> SegmentationData:
    """The checked data of a data set of (image, mask) or (image, mask, group).

    Image: (C, H, W) or (H, W), whole numbers or floats; mask: (H, W), whole numbers; each a numpy array or a torch
    tensor. Images of one group stay on one side of the split. Raises DataError with every problem that was found.
    """
    title = f"data set {name}"
    samples, problems = [], []
    for index, item in enumerate(_items(dataset, title)):
        try:
            samples.append(from_item(item, index))
        except ReadingError as error:
            problems.append(f"item {index}: {error}")
    grouped = [sample.group is not None for sample in samples]
    if any(grouped) and not all(grouped):
        problems.append(f"item {grouped.index(False)}: has no group, but others have: give all of them one, or none")
    return _checked(Found(name=name, title=title, samples=tuple(samples), problems=(tuple(problems),)), settings)


def _items(dataset: Any, title: str) -> Iterator[Any]:
    """The items by their index. Raises DataError where it has no length or is not indexed by 0 to its length - 1."""
    kind = type(dataset).__name__
    advice = ["Give a sequence of (image, mask), or a torch Dataset with __len__ and __getitem__."]
    try:
        count = len(dataset)
    except (TypeError, NotImplementedError):
        raise refusal(title, [(f"a data set has a length, {kind} has none",)], advice) from None
    for index in range(count):
        try:
            item = dataset[index]
        except (LookupError, TypeError, NotImplementedError) as error:
            problem = f"item {index} of 0 to {count - 1} cannot be taken from this {kind} ({error!r})"
            raise refusal(title, [(problem,)], advice) from error
        yield item


def _name(root: Path) -> str:
    """The folder's own name, whatever links lead to it; for `.` and `..` that of the folder they stand for."""
    return Path(os.path.normpath(root.absolute())).name or "data"


def _checked(found: Found, settings: DataSettings) -> SegmentationData:
    """The data, once nothing speaks against it; else a DataError."""
    found = _labelled(found, settings)
    samples, names = found.samples, [sample.image_name for sample in found.samples]
    if not samples:
        nothing = () if any(found.problems) else ("there are no images in it",)
        raise refusal(found.title, [*found.problems, nothing], found.advice)
    sizes = [size_mismatch(sample.image, sample.mask, sample.image_name, sample.mask_name) for sample in samples]
    images, channel_problems, channel_notes = same_channels([sample.image for sample in samples], names)
    masks = [as_mask(sample.mask_name, sample.mask) for sample in samples]
    coding = decide_classes(masks, settings, instances=found.instances)
    digests = _digests(images)
    chosen = choose_split(_members(samples, images, digests), settings.split)
    problems = [*found.problems, tuple(line for line in sizes if line), channel_problems]
    if isinstance(coding, Refusal) or not isinstance(chosen, Chosen) or any(problems):
        problems.append(coding.problems if isinstance(coding, Refusal) else ())
        problems.append(() if isinstance(chosen, Chosen) else chosen)
        advice = (*found.advice, *(coding.advice if isinstance(coding, Refusal) else ()))
        raise refusal(found.title, problems, advice)
    index = sorted(coding.index.items())
    encoded = _made(found, ("masks", index), [mask.pixels for mask in masks], lambda pixels: encode(pixels, coding))
    numbers = numbers_of(samples, masks, encoded, numbered=coding.numbered)
    there = iter(_made(found, ("objects",), [each for each in numbers if each is not None], _as_objects))
    objects = tuple(None if each is None else next(there) for each in numbers)
    notes = (
        description(images),
        *found.notes,
        *(not_kept(images) if found.stored else ()),
        *_reading_notes(samples),
        *channel_notes,
        *constant_images(images, names),
        *coding.notes,
        *notes_of_objects(samples, encoded, objects, numbered=coding.numbered, instances=found.instances),
        *chosen.notes,
    )
    data = SegmentationData(
        name=found.name,
        images=images,
        masks=encoded,
        stems=tuple(sample.stem for sample in samples),
        groups=chosen.groups,
        classes=coding.names,
        split=chosen.split,
        notes=notes,
        fingerprint=_fingerprint(digests, _digests(encoded), coding.names, chosen.split),
        objects=None if all(each is None for each in objects) else objects,
    )
    empty = without_foreground(data, settings.split.seed)
    if empty:
        raise refusal(found.title, [empty], found.advice)
    return replace(data, notes=(*notes, *absent_classes(data)))


def _labelled(found: Found, settings: DataSettings) -> Found:
    """The same without the images that have no labelled pixel: any prediction of them is right.

    A folder to train or to validate on all of whose images have none stays, to be refused.
    """
    if settings.ignore is None:
        return found
    # of another size than its image a mask is told of elsewhere
    labelled = [
        each.mask.shape != each.image.shape[1:] or (each.mask != settings.ignore).any() for each in found.samples
    ]
    if not any(labelled):
        return found
    needed = {"train", "validation"} if settings.split.by in ("auto", "folders") else set()
    needed -= {sample.role for sample, there in zip(found.samples, labelled, strict=True) if there}
    stays = [there or sample.role in needed for sample, there in zip(found.samples, labelled, strict=True)]
    blank = [each.image_name for each, stay in zip(found.samples, stays, strict=True) if not stay]
    if not blank:
        return found
    count, are = (f"{len(blank)} images have", "are") if len(blank) > 1 else ("1 image has", "is")
    note = f"{count} no labelled pixel and {are} left out, e.g. {min(blank, key=natural_key)}"
    samples = tuple(each for each, stay in zip(found.samples, stays, strict=True) if stay)
    return replace(found, samples=samples, notes=(*found.notes, note), advice=(*found.advice, note))


def _made(
    found: Found, what: tuple[Any, ...], arrays: Sequence[NDArray[Any]], make: Callable[[NDArray[Any]], NDArray[T]]
) -> tuple[NDArray[T], ...]:
    """What is made of each array: of files it is kept on the disk."""
    if not found.stored:
        return tuple(map(make, arrays))
    return tuple(kept(key_of(*what, _digests(arrays)), lambda: map(make, arrays)))


def _as_objects(numbers: NDArray[Any]) -> NDArray[np.int32]:
    objects: NDArray[np.int32] = np.maximum(numbers, 0).astype(np.int32)
    return objects


def _members(samples: Sequence[Sample], images: Sequence[NDArray[Any]], digests: Sequence[bytes]) -> Members:
    groups = [sample.group for sample in samples if sample.group is not None]
    return Members(
        stems=[sample.stem for sample in samples],
        names=[sample.image_name for sample in samples],
        images=images,
        # images without contrast equal each other by chance
        digests=[digest if image.min() < image.max() else None for image, digest in zip(images, digests, strict=True)],
        roles=[sample.role for sample in samples],
        groups=groups if len(groups) == len(samples) else None,
    )


def _reading_notes(samples: Iterable[Sample]) -> tuple[str, ...]:
    """What was changed on reading, with the number of files and one of their names."""
    found: dict[str, list[str]] = {}
    for sample in samples:
        for note in sample.notes:
            found.setdefault(note, []).append(sample.image_name)
    return tuple(
        f"{note}: {len(names)} image{'s' * (len(names) > 1)}, e.g. {names[0]}" for note, names in found.items()
    )


def _digests(arrays: Iterable[NDArray[Any]]) -> list[bytes]:
    def digest(array: NDArray[Any]) -> bytes:
        content = hashlib.sha256(f"{array.dtype.name} {array.shape}".encode())
        content.update(array.data)
        return content.digest()

    with ThreadPoolExecutor(THREADS) as pool:  # hashing releases the interpreter lock
        return list(pool.map(digest, arrays))


def _fingerprint(images: list[bytes], masks: list[bytes], classes: tuple[str, ...], split: Split) -> str:
    content = hashlib.sha256(b"".join([*images, *masks]))
    content.update(repr((classes, split.train, split.validation, split.test)).encode())
    return content.hexdigest()
