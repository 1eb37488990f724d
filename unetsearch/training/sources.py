"""Where crops come from: images on the device as a whole, or read from the disk as they are needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetsearch.data.separation import Targets
from unetsearch.training.augment import Batch, readable, sampled
from unetsearch.training.crops import Crops, Places
from unetsearch.training.pixels import can_read, flat, read_at

CONSTANT = 1e-9
"""A channel that deviates by no more than this share of its greatest value is left at 0, not divided by nothing."""

Pixels = NDArray[Any]
Numbers = NDArray[np.float64]


class Source(Protocol):
    """Where crops come from."""

    @property
    def places(self) -> Places:
        """Where they may lie."""
        ...

    @property
    def device(self) -> torch.device:
        """Where batches are wanted."""
        ...

    @property
    def channels(self) -> int:
        """C."""
        ...

    def read(self, crops: Crops) -> tuple[Tensor, ...]:
        """What `windows` needs of some crops, on the processor, from where the device takes it without waiting."""
        ...

    def windows(self, *read: Tensor) -> Batch:
        """Their images (B, C, side, side), with masks and weights of the same size, out of that, on the device."""
        ...

    def sampled(self, places: Tensor, inner: int, *read: Tensor) -> Batch:
        """`windows` at places (see `augment.sampled`)."""
        ...

    def with_targets(self, targets: Targets) -> Self:
        """The same images with other masks, and what their pixels weigh."""
        ...


@dataclass(frozen=True)
class Resident:
    """All images, one after the other, on the device: pixels (P, C), masks (P,), weights (P,) or None.

    A batch is one look-up, whatever the sizes of its images.
    """

    places: Places
    pixels: Tensor
    masks: Tensor
    weights: Tensor | None = None

    @classmethod
    def of(cls, images: Iterable[Pixels], masks: Sequence[NDArray[np.uint8]], device: torch.device) -> Self:
        """Of normalised images (C, H, W), of which one at a time is looked at, and their masks (H, W)."""
        places, images = Places.of(masks), iter(images)
        first = next(images)
        pixels = torch.empty((int(places.sizes.prod(1).sum()), len(first)), device=device)
        begin = 0
        for image in chain([first], images):
            some = torch.from_numpy(np.ascontiguousarray(image.reshape(len(image), -1).T))
            pixels[begin : begin + len(some)] = some.to(device)
            begin += len(some)
        return cls(places, pixels, _flat(masks, device))

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.pixels.device

    @property
    def channels(self) -> int:
        """As in Source."""
        return self.pixels.shape[1]

    def read(self, crops: Crops) -> tuple[Tensor, ...]:
        """Where the rows and the columns of each window lie (2, B, side); a pixel's place is their sum."""
        offset, width = self._offsets[crops.image, None], self.places.sizes[crops.image, 1, None]
        rows, columns, turned = crops.rows * width, crops.columns, crops.turned[:, None]
        small = np.int32 if len(self.masks) < 2**31 else np.int64  # is summed and read several times as fast
        lines = np.stack([np.where(turned, columns, rows) + offset, np.where(turned, rows, columns)])
        return (readable(lines.astype(small), self.device),)

    def windows(self, *read: Tensor) -> Batch:
        """As in Source."""
        ((down, across),) = read
        places = down[:, :, None] + across[:, None, :]

        def taken(maps: Tensor) -> Tensor:
            # numbers are looked up faster than rows of one
            flat = maps.flatten() if maps.shape[1:].numel() == 1 else maps
            return flat.index_select(0, places.flatten()).view(*places.shape, *maps.shape[1:])

        images, weights = taken(self.pixels).permute(0, 3, 1, 2), self.weights
        return Batch(images, taken(self.masks), None if weights is None else taken(weights))

    def sampled(self, places: Tensor, inner: int, *read: Tensor) -> Batch:
        """As in Source; on the processor without the windows, where there is a compiler."""
        maps = self.pixels, self.masks, self.weights
        if can_read(maps):
            return Batch(*read_at(maps, places, inner, *read))
        return sampled(self.windows(*read), places, inner)

    def with_targets(self, targets: Targets) -> Self:
        """As in Source."""
        masks, weights = (_flat(maps, self.device) for maps in (targets.masks, targets.weights))
        return replace(self, masks=masks, weights=weights)

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        areas: NDArray[np.int64] = self.places.sizes.prod(1)
        offsets: NDArray[np.int64] = areas.cumsum() - areas
        return offsets


@dataclass(frozen=True)
class Streamed:
    """Images (C, H, W) as they are stored, mostly on the disk, with their masks and weights."""

    places: Places
    device: torch.device
    images: Sequence[Pixels]
    masks: Sequence[Pixels]
    weights: Sequence[Pixels] | None = None

    @property
    def channels(self) -> int:
        """As in Source."""
        return len(self.images[0])

    def read(self, crops: Crops) -> tuple[Tensor, ...]:
        """The windows themselves."""
        images, masks, weights = [], [], []
        for sample, image in enumerate(crops.image):
            images.append(_normalised(_taken(self.images[image], crops, sample), *self._spread(int(image))))
            masks.append(_taken(self.masks[image], crops, sample))
            if self.weights is not None:
                weights.append(_taken(self.weights[image], crops, sample))
        return tuple(readable(np.stack(maps), self.device) for maps in (images, masks, weights) if maps)

    def windows(self, *read: Tensor) -> Batch:
        """As in Source."""
        return Batch(*read)

    def sampled(self, places: Tensor, inner: int, *read: Tensor) -> Batch:
        """As in Source; on the processor to the bit what a `Resident` gives."""
        windows = self.windows(*read)
        maps, lines = flat((windows.images, windows.masks, windows.weights))
        return Batch(*read_at(maps, places, inner, lines)) if can_read(maps) else sampled(windows, places, inner)

    def with_targets(self, targets: Targets) -> Self:
        """As in Source."""
        return replace(self, masks=targets.masks, weights=targets.weights)

    @cached_property
    def _spreads(self) -> dict[int, tuple[Numbers, Numbers]]:
        return {}

    def _spread(self, image: int) -> tuple[Numbers, Numbers]:
        if image not in self._spreads:
            self._spreads[image] = spread(self.images[image])
        return self._spreads[image]


def spread(image: Pixels) -> tuple[Numbers, Numbers]:
    """Mean and deviation of each channel (C, 1, 1) of an image (C, H, W)."""
    values = image.astype(np.float64)
    mean, deviation = (of((1, 2), keepdims=True) for of in (values.mean, values.std))
    varies = deviation > CONSTANT * np.abs(values).max((1, 2), keepdims=True)
    return mean, np.where(varies, deviation, 1)


def normalised(image: Pixels) -> NDArray[np.float32]:
    """(C, H, W) of any type -> float32 with mean 0 and deviation 1 in every channel of this image."""
    return _normalised(image, *spread(image))


def _normalised(image: Pixels, mean: Numbers, deviation: Numbers) -> NDArray[np.float32]:
    """Where the mean may be far greater than the deviation, in double precision."""
    precision = np.float32 if image.dtype.itemsize <= 2 else np.float64
    values = image - mean.astype(precision)
    values /= deviation.astype(precision)
    result: NDArray[np.float32] = values.astype(np.float32, copy=False)
    return result


def _taken(maps: Pixels, crops: Crops, sample: int) -> Pixels:
    """The window (..., side, side) of one sample."""
    window = maps[..., crops.rows[sample][:, None], crops.columns[sample][None, :]]
    return window.swapaxes(-2, -1) if crops.turned[sample] else window


def _flat(maps: Sequence[Pixels], device: torch.device) -> Tensor:
    return torch.cat([torch.from_numpy(np.ascontiguousarray(each)).flatten() for each in maps]).to(device)
