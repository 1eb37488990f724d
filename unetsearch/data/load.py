"""From a folder of images and masks, or a data set in memory, to checked data."""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.cells import make_cells
from unetsearch.data.checks import (
    Problems,
    absent_classes,
    constant_images,
    refusal,
    same_channels,
    size_mismatch,
)
from unetsearch.data.choose import Chosen, Members, choose_split
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.data.layouts import EXPECTED, Pair, Role, find_layout
from unetsearch.data.masks import Refusal, as_mask, decide_classes, encode
from unetsearch.data.reading import ReadingError, read_image, read_mask, stored_type, whole_numbers
from unetsearch.space.settings import DataSettings

CELLS = "cells"
"""The path that stands for the embedded synthetic set (a folder of this name is `./cells`)."""

THREADS = 4  # decoders release the interpreter lock


class SizedDataset(Protocol):
    """What `from_dataset` reads: torch's map-style Dataset with a length, or a list of tuples."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An image, (C, H, W), and its mask as stored, (H, W), with the names that messages give them."""

    stem: str
    image: NDArray[Any]
    mask: NDArray[Any]
    image_name: str
    mask_name: str
    role: Role | None = None
    group: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is to check: the samples that could be read, the problems so far by kind, and what to advise."""

    name: str
    title: str
    samples: tuple[Sample, ...]
    problems: tuple[Problems, ...] = ()
    advice: str | None = None
    instances: bool = False


def load_data(settings: DataSettings) -> SegmentationData:
    """The checked data of the folder `settings.path`, or of the embedded set `cells`.

    Raises DataError with every problem that was found.
    """
    if settings.path == CELLS:
        images, masks, _ = make_cells()
        return from_dataset(list(zip(images, masks, strict=True)), CELLS, settings)
    root = Path(settings.path).expanduser()
    layout = find_layout(root)
    with ThreadPoolExecutor(THREADS) as pool:
        read = list(pool.map(lambda pair: _read(root, pair), layout.pairs))
    problems = [line for item in read if not isinstance(item, Sample) for line in item]
    found = Found(
        name=root.resolve().name,
        title=f"data folder {settings.path}",
        samples=tuple(item for item in read if isinstance(item, Sample)),
        problems=(*layout.problems, tuple(problems)),
        advice=EXPECTED if any(layout.problems) else None,
        instances=any(pair.instances for pair in layout.pairs),
    )
    return _checked(found, settings)


def from_dataset(dataset: SizedDataset, name: str, settings: DataSettings) -> SegmentationData:
    """The checked data of a data set of (image, mask) or (image, mask, group).

    Image: (C, H, W) or (H, W), whole numbers or floats; mask: (H, W), whole numbers; each a numpy array or a torch
    tensor. Images of one group stay on one side of the split. Raises DataError with every problem that was found.
    """
    samples, problems = [], []
    for index in range(len(dataset)):
        try:
            samples.append(_from_item(dataset[index], index))
        except ReadingError as error:
            problems.append(f"item {index}: {error}")
    grouped = [sample.group is not None for sample in samples]
    if any(grouped) and not all(grouped):
        problems.append(f"item {grouped.index(False)}: has no group, but others have: give all of them one, or none")
    found = Found(name=name, title=f"data set {name}", samples=tuple(samples), problems=(tuple(problems),))
    return _checked(found, settings)


def _read(root: Path, pair: Pair) -> Sample | Problems:
    """The sample, or a line for each of the two files that cannot be read."""
    image_name, mask_name = (path.relative_to(root).as_posix() for path in (pair.image, pair.mask))
    problems = []
    try:
        picture = read_image(pair.image)
    except ReadingError as error:
        problems.append(f"{image_name}: {error}")
    try:
        mask = read_mask(pair.mask)
    except ReadingError as error:
        problems.append(f"{mask_name}: {error}")
    if problems:
        return tuple(problems)
    return Sample(
        stem=pair.stem,
        image=picture.pixels,
        mask=mask,
        image_name=image_name,
        mask_name=mask_name,
        role=pair.role,
        notes=picture.notes,
    )


def _from_item(item: Any, index: int) -> Sample:
    if not isinstance(item, Sequence) or len(item) not in (2, 3):
        raise ReadingError("is not (image, mask) or (image, mask, group)")
    image, mask = _array(item[0]), _array(item[1])
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or image.dtype.kind not in "buif":
        raise ReadingError(f"has an image of shape {image.shape}: give (channels, height, width)")
    if image.shape[:2] == mask.shape[-2:] and image.shape[1:] != mask.shape[-2:]:
        raise ReadingError(f"has an image of shape {image.shape}, channels last: give (channels, height, width)")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ReadingError("has an image with NaN or infinite pixels: replace them")
    if mask.dtype.kind not in "buif":
        raise ReadingError(f"has a mask of {mask.dtype}: give whole numbers")
    try:
        values = whole_numbers(mask)
    except ReadingError as error:
        raise ReadingError(f"its mask {error}") from None
    return Sample(
        stem=str(index),
        image=stored_type(image),
        mask=values,
        image_name=f"item {index}",
        mask_name=f"item {index}",
        group=str(item[2]) if len(item) == 3 else None,
    )


def _array(value: Any) -> NDArray[Any]:
    """A numpy array of an array or a tensor, which may need a gradient or live on a device."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _checked(found: Found, settings: DataSettings) -> SegmentationData:
    """The data, once nothing speaks against it; else a DataError."""
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
        raise refusal(found.title, problems, found.advice)
    encoded = tuple(encode(mask, coding) for mask in masks)
    notes = (*_reading_notes(samples), *channel_notes, *constant_images(images, names), *coding.notes, *chosen.notes)
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
    )
    return replace(data, notes=(*notes, *absent_classes(data)))


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
