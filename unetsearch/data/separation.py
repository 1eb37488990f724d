"""Targets in which touching objects are told apart, and what each of their pixels weighs (the 2015 U-Net)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import SegmentationData, foreground
from unetsearch.data.objects import Objects, connected, separation_weights, told_apart, within
from unetsearch.data.store import digest_of, kept, key_of


@dataclass(frozen=True, slots=True)
class Targets:
    """Of the training images, in their order: masks (H, W), uint8, and what pixels weigh more (H, W), float32."""

    masks: Sequence[NDArray[np.uint8]]
    weights: Sequence[NDArray[np.float32]]


def objects_of(data: SegmentationData, index: int) -> Objects:
    """The objects in the foreground of an image as they were numbered; else its connected parts."""
    there, numbers = foreground(data.masks[index]), _numbers(data, index)
    return connected(there) if numbers is None else within(there, numbers)


def _numbers(data: SegmentationData, index: int) -> Objects | None:
    return None if data.objects is None else data.objects[index]


def numbering(data: SegmentationData) -> list[str | None] | None:
    """What tells the numbers of the objects from others, of each image that has them; None where none has."""
    return None if data.objects is None else [None if each is None else digest_of(each) for each in data.objects]


def separated(data: SegmentationData) -> Targets:
    """The masks of the training images with a ridge of background between touching objects, and their weight maps.

    Of an image without numbers the connected parts of the foreground serve, between which there is background already.
    Made once a data set, of all its images: every split finds them.
    """
    key = key_of("separated", [digest_of(mask) for mask in data.masks], numbering(data))
    arrays = kept(key, lambda: _made(data))
    masks, weights = ([arrays[2 * index + which] for index in data.split.train] for which in (0, 1))
    return Targets(masks, weights)


def _made(data: SegmentationData) -> Iterator[NDArray[Any]]:
    """Mask and weights in turn."""
    for index, mask in enumerate(data.masks):
        objects = objects_of(data, index)
        apart = objects if _numbers(data, index) is None else told_apart(objects)
        target = np.where((objects > 0) & (apart == 0), 0, mask).astype(np.uint8)
        yield target
        yield np.where(foreground(target), 0, separation_weights(apart)).astype(np.float32)
