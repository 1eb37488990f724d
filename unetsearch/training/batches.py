"""Images on the device, and random crops of them: flipped, turned by right angles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetsearch.data.dataset import IGNORE, SegmentationData
from unetsearch.space.recipe import Recipe
from unetsearch.training.context import mirror_indices, mirrored

MIN_DEVIATION = 1e-6
"""A constant channel is left at 0 and not divided by nothing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One image (C, H, W), float32, normalised, and its mask (H, W), uint8."""

    image: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class DeviceData:
    """The training and validation images of a data set on a device, and how many classes they have.

    The masks of the validation images are on the processor.
    """

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    classes: int


def on_device(data: SegmentationData, device: torch.device) -> DeviceData:
    """Normalises the training and validation images, each by itself, and moves them. Test images stay behind.

    So do the masks of the validation images: scores are counted on the processor (in double precision, which MPS has
    not).
    """

    def pairs(indices: Sequence[int], masks: torch.device) -> tuple[Pair, ...]:
        return tuple(
            Pair(
                torch.from_numpy(normalised(data.images[index])).to(device),
                torch.from_numpy(data.masks[index]).to(masks),
            )
            for index in indices
        )

    validation = pairs(data.split.validation, torch.device("cpu"))
    return DeviceData(pairs(data.split.train, device), validation, len(data.classes))


def normalised(image: NDArray[Any]) -> NDArray[np.float32]:
    """(C, H, W) of any type -> float32 with mean 0 and deviation 1 in every channel of this image."""
    values = image.astype(np.float32)
    mean = values.mean((1, 2), keepdims=True, dtype=np.float64)
    deviation = values.std((1, 2), keepdims=True, dtype=np.float64)
    result: NDArray[np.float32] = ((values - mean) / np.maximum(deviation, MIN_DEVIATION)).astype(np.float32)
    return result


def batches(
    pairs: Sequence[Pair], recipe: Recipe, seed: int, margin: int = 0, start: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of random crops: images (B, C, side, side) and masks (B, crop, crop).

    `side` is crop + 2 * margin: the image goes on around the crop by so many pixels, mirrored beyond its border.

    Every image is drawn once before any is drawn again. An image smaller than the crop is mirrored up to it, and
    what was added is IGNORE in the mask. Each sample has its own position, flip and turn; the same for the same seed.
    The first `start` batches are drawn, but not made.
    """
    random = torch.Generator().manual_seed(seed)
    padded = [_framed(pad_to(pair, recipe.crop), margin) for pair in pairs]
    order: list[int] = []
    for batch in count():
        while len(order) < recipe.batch_size:
            order += torch.randperm(len(padded), generator=random).tolist()
        chosen, order = order[: recipe.batch_size], order[recipe.batch_size :]
        places = torch.rand(recipe.batch_size, 2, generator=random).tolist()
        turns = torch.randint(8, (recipe.batch_size,), generator=random).tolist()
        if batch < start:
            continue
        crops = [
            _crop(padded[index], recipe.crop, place, turn)
            for index, place, turn in zip(chosen, places, turns, strict=True)
        ]
        yield torch.stack([crop.image for crop in crops]), torch.stack([crop.mask for crop in crops])


def pad_to(pair: Pair, size: int) -> Pair:
    """At least `size` x `size` pixels: the image mirrored at its lower and right border, the mask IGNORE there."""
    height, width = pair.mask.shape
    if height >= size and width >= size:
        return pair
    rows = mirror_indices(height, 0, max(size, height)).to(pair.image.device)
    columns = mirror_indices(width, 0, max(size, width)).to(pair.image.device)
    mask = torch.full((len(rows), len(columns)), IGNORE, dtype=pair.mask.dtype, device=pair.mask.device)
    mask[:height, :width] = pair.mask
    return Pair(pair.image[:, rows][:, :, columns], mask)


def _framed(pair: Pair, margin: int) -> Pair:
    """The image with a margin around it; the mask as it is."""
    return Pair(mirrored(pair.image, margin, margin), pair.mask)


def _crop(pair: Pair, size: int, place: list[float], turn: int) -> Pair:
    height, width = pair.mask.shape
    top, left = int(place[0] * (height - size + 1)), int(place[1] * (width - size + 1))
    side = size + pair.image.shape[-1] - width  # with the margins
    image = pair.image[:, top : top + side, left : left + side]
    mask = pair.mask[top : top + size, left : left + size]
    if turn >= 4:
        image, mask = image.flip(-1), mask.flip(-1)
    return Pair(image.rot90(turn % 4, (-2, -1)), mask.rot90(turn % 4, (-2, -1)))
