"""What one process trains and scores on: the images of a data set, on their device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetsearch.data.dataset import IGNORE, SegmentationData
from unetsearch.data.objects import Objects
from unetsearch.data.separation import Targets, objects_of, separated
from unetsearch.training.crops import Places
from unetsearch.training.sources import Resident, Source, Streamed, normalised

SHARE = 0.25
"""Of the free memory that the images may take together; larger data sets are read from the disk."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One image (C, H, W), float32, normalised, and its mask (H, W), uint8; its objects (H, W), where they are scored.

    The mask is on the processor: scores are counted there (in double precision, which MPS has not).
    """

    image: Tensor
    mask: Tensor
    objects: Objects | None = None


@dataclass(frozen=True)
class DeviceData:
    """What one process trains and scores on.

    `train`: the training images. `validation`: whole images with their masks. `classes`: how many there are.
    `frequency`: the weight of each class by the median of their frequencies. `targets`: gives the masks in which
    touching objects are told apart, with the weight maps.
    """

    train: Source
    validation: Sequence[Pair]
    classes: int
    frequency: tuple[float, ...] = ()
    targets: Callable[[], Targets] | None = None

    @property
    def device(self) -> torch.device:
        """Where the training is."""
        return self.train.device

    @cached_property
    def separated(self) -> Source:
        """The training images with touching objects told apart, and weight maps."""
        assert self.targets is not None
        return self.train.with_targets(self.targets())


class Stored(Sequence[Pair]):
    """Validation images that are normalised and moved whenever they are asked for."""

    def __init__(self, data: SegmentationData, device: torch.device, *, objects: bool) -> None:
        self._data = data
        self._device = device
        self._objects = objects

    def __len__(self) -> int:
        return len(self._data.split.validation)

    def __getitem__(self, place: Any) -> Any:
        index = self._data.split.validation[place]
        image = torch.from_numpy(normalised(self._data.images[index])).to(self._device)
        mask = self._data.masks[index]
        return Pair(image, torch.from_numpy(mask), objects_of(self._data, index) if self._objects else None)


def on_device(data: SegmentationData, device: torch.device, *, objects: bool = False, limit: float = inf) -> DeviceData:
    """The training and validation images, normalised each by itself. Test images stay behind.

    Where they take more than `limit` bytes they are read from where they are stored, batch by batch. `objects`: those
    of the validation images are scored too.
    """
    seen = (*data.split.train, *data.split.validation)
    size = sum(4 * data.images[index].size + 6 * data.masks[index].size for index in seen)
    masks = [data.masks[index] for index in data.split.train]
    stored = Stored(data, device, objects=objects)
    train: Source
    if size > limit:
        train = Streamed(Places.of(masks), device, [data.images[index] for index in data.split.train], masks)
        validation: Sequence[Pair] = stored
    else:
        train = Resident.of((normalised(data.images[index]) for index in data.split.train), masks, device)
        validation = tuple(stored[place] for place in range(len(stored)))
    frequency = median_frequency(masks, len(data.classes))
    return DeviceData(train, validation, len(data.classes), frequency, lambda: separated(data))


def median_frequency(masks: Sequence[NDArray[np.uint8]], classes: int) -> tuple[float, ...]:
    """The weight of each class: median of the frequencies / its frequency; 0 for one that is nowhere.

    A class's frequency is its share of the labelled pixels of the images that show it (Eigen and Fergus 2015, arXiv
    1411.4734, section 6.3.2).
    """
    counts = np.array([np.bincount(mask.ravel(), minlength=IGNORE + 1)[:IGNORE] for mask in masks])[:, :classes]
    labelled = counts.sum(1, keepdims=True)
    shown = (labelled * (counts > 0)).sum(0)
    frequency = counts.sum(0) / np.maximum(shown, 1)
    there = frequency > 0
    weights = np.median(frequency[there]) / np.where(there, frequency, 1) * there if there.any() else frequency
    return tuple(float(weight) for weight in weights)
