"""Augmentation of a whole batch on its device, each sample by its own draw; image, mask and weights move together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cos, exp, pi, prod, sin
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unetsearch.training.pixels import blur, can_blur

ANGLE = pi / 4
"""Of the free rotation, either way; right angles are drawn beside it."""

SCALE = 0.2
"""Of the logarithm of the scale, either way."""

ELASTIC = 10.0
"""Pixels: the deviation of the displacements of a 3x3 grid (Ronneberger et al. 2015, section 3.1), at strength 1."""

TAUT = 12.8
"""The deviation is at most the crop's side by this: more, and images would often fold on so narrow a grid."""

CONTRAST, BRIGHTNESS, GAMMA = 0.25, 0.25, 0.3
"""Of the logarithm, of the image's deviations, of the logarithm; either way."""

NOISE = 0.15
"""Deviations of the image, at most."""

NUMBERS = 2**20
"""Of the normal distribution, at least, are drawn once; the noise of batches is taken from them, from anywhere."""

BLUR = (0.06, 0.24, 0.4, 0.24, 0.06)
"""A Gaussian of one pixel, which is mixed in to some share."""

MOVES = 22
"""So many of a sample's numbers say where its pixels come from: columns, then rows."""

Draw = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

Numbers = TypeVar("Numbers", Tensor, Draw)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (B, C, H, W), float32, masks (B, h, w), uint8, and what pixels weigh more (B, h, w), float32, or None.

    The masks are of the images' middle: an unpadded network reads more than it answers.
    """

    images: Tensor
    masks: Tensor
    weights: Tensor | None = None

    def split(self, parts: int) -> list["Batch"]:
        """The same samples in so many parts."""
        images, masks = self.images.tensor_split(parts), self.masks.tensor_split(parts)
        weights = [None] * parts if self.weights is None else self.weights.tensor_split(parts)
        return [Batch(*each) for each in zip(images, masks, weights, strict=True)]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those that are there, in their order."""
        return (self.images, self.masks) if self.weights is None else (self.images, self.masks, self.weights)


def window_side(side: int, strength: float) -> int:
    """Pixels a side that a sample of `side` may be taken from, with the displacements that are likely."""
    if strength == 0:
        return side
    angle = ANGLE * min(strength, 1)
    return ceil(side * (cos(angle) + sin(angle)) * exp(SCALE * strength) + 4 * elastic(side, strength))


def elastic(side: int, strength: float) -> float:
    """The deviation of the displacements on a crop of so many pixels a side, in pixels."""
    return min(ELASTIC * max(strength, 1), side / TAUT) * min(strength, 1)


@dataclass(frozen=True, slots=True)
class Draws:
    """What is done to each of some samples: (B,), but `shifts` (B, 2, 3, 3), rows and columns in pixels."""

    angle: Draw
    scale: Draw
    shifts: Draw
    contrast: Draw
    brightness: Draw
    gamma: Draw
    noise: Draw
    blur: Draw

    @classmethod
    def of(cls, random: np.random.Generator, count: int, strength: float, side: int) -> "Draws":
        """Those of so many samples of so many pixels a side; `strength` 1 is the full measure."""

        def either_way(width: float) -> Draw:
            return (width * random.uniform(-1, 1, count)).astype(np.float32)

        return cls(
            angle=either_way(ANGLE * min(strength, 1)),
            scale=np.exp(either_way(SCALE * strength)),
            shifts=random.normal(0, elastic(side, strength), (count, 2, 3, 3)).astype(np.float32),
            contrast=np.exp(either_way(CONTRAST * strength)),
            brightness=either_way(BRIGHTNESS * strength),
            gamma=np.exp(either_way(GAMMA * strength)),
            noise=np.abs(either_way(NOISE * strength)),
            blur=np.minimum(np.abs(either_way(strength)), 1),
        )

    @property
    def numbers(self) -> Draw:
        """What `places_of` and `shaded` read of them: (B, 29)."""
        cosine, sine = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        # what one pixel to the right, and one down, lead further, in columns and in rows: (B, 2, 2)
        steps = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], 1)
        moves = np.concatenate([steps, self.shifts[:, ::-1].reshape(-1, 2, 9)], 2)
        by_logarithms = self.gamma, 1 - self.gamma, np.log2(self.contrast)
        shades = np.stack([self.blur, *by_logarithms, self.contrast, self.brightness, self.noise], 1)
        return np.concatenate([moves.reshape(-1, MOVES), shades], 1)


def moves_of(numbers: Numbers) -> Numbers:
    """Of the numbers (B, 29) of some draws: how much of each field (see `fields_of`) a pixel's column, and its row, in
    the window is: (B, 2, 11).
    """
    return numbers[:, :MOVES].reshape(-1, 2, MOVES // 2)


def places_of(numbers: Tensor, fields: Tensor, side: int) -> Tensor:
    """Where in the window each pixel of each sample comes from: (B, side, side, 2), column and row, from -1 to 1.

    By the numbers (B, 29) of some draws, and what `fields_of` gives for the two sides.
    """
    places = moves_of(numbers) @ fields
    return places.view(-1, 2, side, side).permute(0, 2, 3, 1)


def sampled(windows: Batch, places: Tensor, inner: int) -> Batch:
    """The windows at these places, the `inner` ones for masks and weights, which are those of the nearest pixel."""
    begin = (places.shape[1] - inner) // 2
    middle = places[:, begin : begin + inner, begin : begin + inner]
    maps = windows.masks.unsqueeze(1).float()
    if windows.weights is not None:
        maps = torch.cat([maps, windows.weights.unsqueeze(1).float()], 1)
    maps = _sampled(maps, middle, "nearest")
    weights = None if windows.weights is None else maps[:, 1]
    return Batch(_sampled(windows.images, places, "bilinear"), maps[:, 0].to(windows.masks.dtype), weights)


def _sampled(maps: Tensor, places: Tensor, mode: str) -> Tensor:
    """Maps (B, C, w, w) at places (B, h, w, 2); beyond the border mirrored."""
    return functional.grid_sample(maps, places, mode=mode, padding_mode="reflection", align_corners=True)


def fields_of(window: int, side: int) -> Tensor:
    """(11, side * side): pixels to the right of the middle, pixels down, and how much each point of a 3x3 grid counts.

    The grid's points lie on corners, edges and middle; between them it is the cubic convolution. All are in units of
    half the window.
    """
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    points = torch.eye(9).view(9, 1, 3, 3)
    bent = functional.interpolate(points, (side, side), mode="bicubic", align_corners=True)[:, 0]
    fields = torch.stack([line.expand(side, -1), line[:, None].expand(-1, side), *bent]).flatten(1)
    return fields * (2 / (window - 1))


def shaded(batch: Batch, numbers: Tensor, noise: Tensor, bands: Tensor) -> Batch:
    """Blur, gamma, contrast, brightness and noise, in place, by the numbers of some draws and what `bands_of` gives."""
    shares, images = numbers[:, MOVES], batch.images
    gamma, rest, doublings, contrast, brightness, deviation = numbers[:, MOVES + 1 :].T[..., None, None, None]
    if can_blur(images):
        blur(images, BLUR, shares)
    else:
        images.lerp_(blurred(images, bands), shares[:, None, None, None])
    low = images.amin((1, 2, 3), keepdim=True)
    span = (images.amax((1, 2, 3), keepdim=True) - low).clamp(min=1e-6)
    # contrast * span * ((images - low) / span)^gamma by logarithms, which are faster than a power
    factor = torch.addcmul(doublings, rest, span.log2())
    images.sub_(low).log2_().mul_(gamma).add_(factor).exp2_()
    images.add_(torch.addcmul(brightness, low, contrast)).addcmul_(noise, deviation)
    return batch


def noise_of(random: np.random.Generator, shape: Sequence[int], device: torch.device) -> Tensor:
    """Of the normal distribution. On a processor drawing it anew takes about as long as all other shades."""
    count = prod(shape)
    numbers = _normal(max(NUMBERS, 2 * count), device)
    begin = random.integers(len(numbers) - count)
    return numbers[begin : begin + count].view(*shape)


@lru_cache(maxsize=2)
def _normal(count: int, device: torch.device) -> Tensor:
    """Drawn on the processor: they are there, whatever stream asks for them."""
    return torch.randn(count, generator=torch.Generator().manual_seed(0)).to(device)


def blurred(images: Tensor, bands: Tensor) -> Tensor:
    """Images (B, C, side, side) filtered, down and across, by what `bands_of` gives.

    Two products are two kernels on a GPU; sums of shifted lines would be many.
    """
    return bands @ images @ bands.T


def bands_of(side: int, device: torch.device) -> Tensor:
    """(side, side): what each pixel of a line counts in each one of the blurred line, which goes on at its ends."""
    reach = len(BLUR) // 2
    wider = functional.pad(torch.eye(side)[None], (reach, reach), mode="replicate")[0]
    return (torch.tensor(BLUR) @ wider.unfold(1, side, 1)).T.contiguous().to(device)


def readable(values: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Numbers on the processor, from where the device takes them without waiting."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory() if device.type == "cuda" else tensor
