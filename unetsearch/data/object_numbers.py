"""Whose objects have numbers of their own: from a file beside the mask, or from the mask itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import IGNORE, foreground
from unetsearch.data.masks import Mask, in_one_piece
from unetsearch.data.samples import Sample

WITHIN = 0.5
"""Of what is numbered, the share in the foreground below which it is told."""


def numbers_of(
    samples: Sequence[Sample], masks: Sequence[Mask], encoded: Sequence[NDArray[np.uint8]], *, numbered: bool
) -> list[NDArray[Any] | None]:
    """The numbers of the objects of each image, (H, W), above 0 where there is one; None for an image without.

    `encoded`: the masks as class indices. `numbered`: the masks number their objects. A file without an object in the
    foreground numbers none, nor does a mask whose foreground is in several pieces of one value.
    """
    numbers: list[NDArray[Any] | None] = []
    for sample, mask, classes in zip(samples, masks, encoded, strict=True):
        there = foreground(classes)
        if sample.objects is not None:
            numbers.append(sample.objects if not there.any() or (sample.objects[there] > 0).any() else None)
        else:
            numbers.append(mask.pixels if numbered and _numbers_objects(mask.pixels, there) else None)
    return numbers


def _numbers_objects(mask: NDArray[Any], there: NDArray[np.bool_]) -> bool:
    """Whether the values of a mask in the foreground may be numbers: several, or one in one piece."""
    values = mask[there]
    return not values.size or bool((values != values[0]).any()) or in_one_piece(mask, int(values[0]))


def notes_of_objects(
    samples: Sequence[Sample],
    encoded: Sequence[NDArray[np.uint8]],
    objects: Sequence[NDArray[np.int32] | None],
    *,
    numbered: bool,
    instances: bool,
) -> tuple[str, ...]:
    """Which images' objects have numbers of their own, unless all are in the masks, or none's have.

    `instances`: the masks are those of a folder instances/.
    """
    if all(each is None for each in objects) and all(sample.objects is None for sample in samples):
        return ()
    notes = []
    own = [each is not None and sample.objects is not None for sample, each in zip(samples, objects, strict=True)]
    if any(own) and not instances:
        count = "" if all(own) else f" for {sum(own)} of {len(own)} images"
        notes.append(f"objects are numbered in instances/{count}{', and not by their masks' if numbered else ''}")
    without = [
        sample.image_name
        for sample, classes, each in zip(samples, encoded, objects, strict=True)
        if each is None and foreground(classes).any()
    ]
    if without:
        count = "1 image has" if len(without) == 1 else f"{len(without)} images have"
        instead = "there the connected parts of the foreground are taken for the objects"
        notes.append(f"{count} no numbers of objects, e.g. {without[0]}: {instead}")
    return (*notes, *_note_of_others(samples, encoded, objects))


def _note_of_others(
    samples: Sequence[Sample], encoded: Sequence[NDArray[np.uint8]], objects: Sequence[NDArray[np.int32] | None]
) -> tuple[str, ...]:
    """Whose objects in instances/ hardly lie in the foreground: they may be those of another image."""
    others = []
    for sample, classes, numbers in zip(samples, encoded, objects, strict=True):
        if sample.objects is not None and numbers is not None:
            numbered = (numbers > 0) & (classes != IGNORE)
            if (foreground(classes) & numbered).sum() < WITHIN * numbered.sum():
                others.append(sample.image_name)
    if not others:
        return ()
    count = "of 1 image" if len(others) == 1 else f"of {len(others)} images"
    return (
        f"{count} less than half of what is numbered in instances/ lies in the foreground, e.g. {others[0]}: see "
        "whether these are files of the same images",
    )
