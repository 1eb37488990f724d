"""Checked images and masks in memory, with their split: what training reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
"""The class index of pixels that are neither trained on nor scored."""


def foreground(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of a mask of class indices, (H, W), are of any class but the background."""
    return np.asarray((mask != 0) & (mask != IGNORE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Indices of the training, validation and test images. The test images are read by no search."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationData:
    """A data set that was checked and can be trained on.

    `images`: each (C, H, W), uint8, uint16 or float32, as stored (they are normalised image by image when they are
    used). `masks`: each (H, W), uint8, a class index or IGNORE. `groups`: one name an image; a group never
    straddles the split. `classes`: background first. `notes`: what was found and decided, to be printed.
    `fingerprint`: of the content and the split; another one means other data. `objects`: each (H, W), int32, 0 or the
    number of a single object, or None for an image whose objects have none; None where no image's have.
    """

    name: str
    images: tuple[NDArray[Any], ...]
    masks: tuple[NDArray[np.uint8], ...]
    stems: tuple[str, ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    split: Split
    notes: tuple[str, ...]
    fingerprint: str
    objects: tuple[NDArray[np.int32] | None, ...] | None = None

    @property
    def in_channels(self) -> int:
        """Channels of every image."""
        return int(self.images[0].shape[0])

    @property
    def out_channels(self) -> int:
        """K: 1 for foreground against background, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def min_side(self) -> int:
        """The shortest side of any image, in pixels."""
        return int(min(min(image.shape[1:]) for image in self.images))
