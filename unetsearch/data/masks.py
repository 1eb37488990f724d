"""A mask with its values counted, and what its pixels tell of how it was made: numbered objects, smoothed outlines."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FEWEST_OBJECTS = 8  # a mask with more values than this may number its objects
JUDGED = 8  # masks looked at to tell smoothed outlines from classes
FLAT = 0.05  # of a class's pixels, at least, lie amid 3x3 px of their class


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A mask as stored, (H, W) whole numbers from -1 to 65535, with its name in messages and its pixels per value."""

    name: str
    pixels: NDArray[Any]
    counts: Mapping[int, int]

    @property
    def is_jpeg(self) -> bool:
        """Whether it comes from a file that keeps no exact values."""
        return self.name.lower().endswith((".jpg", ".jpeg"))


def as_mask(name: str, pixels: NDArray[Any]) -> Mask:
    """A mask with its values counted."""
    return Mask(name=name, pixels=pixels, counts=_counts(pixels))


def without(mask: Mask, ignore: int | None) -> Mask:
    """The mask with the pixels of the value `ignore` not counted."""
    return replace(mask, counts={value: count for value, count in mask.counts.items() if value != ignore})


def _counts(pixels: NDArray[Any]) -> dict[int, int]:
    if pixels.dtype == np.int32:  # bincount knows no negative numbers
        values, counts = np.unique(pixels, return_counts=True)
    else:
        found = np.bincount(pixels.ravel())
        values = np.flatnonzero(found)
        counts = found[values]
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _flat(pixels: NDArray[Any]) -> dict[int, int]:
    """How many pixels of each value lie amid 3x3 px of theirs."""
    return _counts(pixels[ndimage.maximum_filter(pixels, 3) == ndimage.minimum_filter(pixels, 3)])


def strewn_values(masks: Sequence[Mask], between: Set[int]) -> Set[int]:
    """Those of the values `between` the lowest and the highest that fill no area, if they are most of them; else none.

    Smoothing strews values along the outlines of two or more classes, which fill areas; a class that is drawn thin is
    one value among others. Judged on the masks with the most such values and pixels.
    """
    seen: Counter[int] = Counter()
    flat: Counter[int] = Counter()
    inner = [({value: n for value, n in mask.counts.items() if value in between}, mask.pixels) for mask in masks]
    inner.sort(key=lambda entry: (len(entry[0]), sum(entry[0].values())), reverse=True)
    for counts, pixels in inner[:JUDGED]:
        if counts:
            seen.update(counts)
            flat.update(_flat(pixels))
    filling = {value for value, count in seen.items() if flat[value] >= FLAT * count}
    return between - filling if 2 * len(filling) < len(seen) else set()


def number_objects(masks: Sequence[Mask], *, sparse: bool = False) -> bool:
    """Whether masks give every object a number of its own: many values from 1 on, nearly all in one piece each.

    `sparse`: however many numbers are left out between them; but most must fill areas, which bands do not.
    """
    crowded = sorted((mask for mask in masks if len(mask.counts) > FEWEST_OBJECTS), key=lambda mask: -len(mask.counts))
    return bool(crowded) and all(_in_pieces(mask, sparse=sparse) for mask in crowded[:3])


def _in_pieces(mask: Mask, *, sparse: bool) -> bool:
    values = [value for value in mask.counts if value > 0]
    if 0 not in mask.counts or (max(values) > 2 * len(values) and not sparse):
        return False
    boxes = ndimage.find_objects(mask.pixels.astype(np.int32))
    flat = _flat(mask.pixels) if sparse else mask.counts
    whole = 0
    sample = values[:: 1 + len(values) // 32]  # enough to tell
    for value in sample:
        fills = flat.get(value, 0) >= FLAT * mask.counts[value]
        whole += fills and mask.counts[value] >= 5 and in_one_piece(mask.pixels[boxes[value - 1]], value)
    return whole >= 0.75 * len(sample)


def in_one_piece(pixels: NDArray[Any], value: int) -> bool:
    """Whether nearly all pixels of a value, which occurs, hang together, over corners too."""
    pieces, _ = ndimage.label(pixels == value, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    return bool(sizes.max() >= 0.9 * sizes.sum())
