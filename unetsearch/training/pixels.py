"""What is done to the pixels of crops on the processor by pixels.c.

Crops are read from their images at their own places, without copies of their windows, which have four times as many
pixels; and blurred in place.
"""

import ctypes
from collections.abc import Sequence
from ctypes import c_int, c_long, c_void_p
from functools import cache

import torch
from torch import Tensor

from unetsearch.native import loops

Maps = tuple[Tensor, Tensor, Tensor | None]
"""Pixels, masks, and weights if there are any."""


def can_read(maps: Maps) -> bool:
    """Whether `read_at` can be had of pixels (P, C), masks and weights (P): with a compiler at hand."""
    pixels, masks, weights = maps
    known = masks.dtype == torch.uint8 and (weights is None or weights.dtype == torch.float32)
    return known and can_blur(pixels)


def can_blur(images: Tensor) -> bool:
    """Whether `blur` can be had."""
    plain = images.device.type == "cpu" and images.dtype == torch.float32 and images.is_contiguous()
    return plain and _loops() is not None


def read_at(maps: Maps, places: Tensor, inner: int, lines: Tensor) -> Maps:
    """What `augment.sampled` makes of the windows of lines (2, B, w), out of pixels (P, C), masks and weights (P)."""
    native = _loops()
    assert native is not None
    pixels, masks, weights = maps
    lines, places = lines.long().contiguous(), places.float().permute(0, 3, 1, 2).contiguous()
    (_, count, window), side, channels = lines.shape, places.shape[2], pixels.shape[1]
    images, found = pixels.new_empty(count, channels, side, side), masks.new_empty(count, inner, inner)
    weighed = None if weights is None else weights.new_empty(count, inner, inner)
    native.sample(
        pixels.data_ptr(), masks.data_ptr(), _at(weights), lines.data_ptr(), places.data_ptr(), count, window, side,
        inner, channels, images.data_ptr(), found.data_ptr(), _at(weighed), torch.get_num_threads(),
    )  # fmt: skip
    return images, found, weighed


def flat(windows: Maps) -> tuple[Maps, Tensor]:
    """Windows (B, C, w, w), (B, w, w) as one row of pixels, with the lines in which `read_at` finds them."""
    images, masks, weights = windows
    count, channels, _, side = images.shape
    steps = torch.arange(side)
    lines = torch.stack([(torch.arange(count)[:, None] * side + steps) * side, steps.expand(count, -1)])
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    return (pixels, masks.flatten(), None if weights is None else weights.flatten()), lines


def blur(images: Tensor, taps: Sequence[float], shares: Tensor) -> None:
    """Mixes into each of the images (B, C, side, side), in place, its share (B) of itself, filtered by five taps."""
    native = _loops()
    assert native is not None
    count, channels, side, _ = images.shape
    room, weights = images.new_empty(count, channels, side, side + 4), images.new_tensor(taps)
    shares = shares.float().contiguous()
    native.blur(
        images.data_ptr(), count * channels, channels, side, weights.data_ptr(), shares.data_ptr(),
        room.data_ptr(), torch.get_num_threads(),
    )  # fmt: skip


def _at(weights: Tensor | None) -> int | None:
    return None if weights is None else weights.data_ptr()


@cache
def _loops() -> ctypes.CDLL | None:
    sample = (*[c_void_p] * 5, *[c_long] * 5, *[c_void_p] * 3, c_int)
    return loops(__file__, "pixels.c", sample=sample, blur=(c_void_p, *[c_long] * 3, *[c_void_p] * 3, c_int))
