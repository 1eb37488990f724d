"""Crops read from their images at their own places, by sample.c: on the processor, without copies of their windows.

Windows have four times as many pixels as the crops that are bent out of them.
"""

import ctypes
from ctypes import c_int, c_long, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from unetsearch.native import library
from unetsearch.training.augment import Batch


def can_read(maps: Batch) -> bool:
    """Whether that can be had of pixels (P, C), masks and weights (P): on the processor, with a compiler at hand."""
    types = [None if each is None else each.dtype for each in (maps.images, maps.masks, maps.weights)]
    known = types[:2] == [torch.float32, torch.uint8] and types[2] in (None, torch.float16)
    return known and maps.images.device.type == "cpu" and _loop() is not None


def read_at(maps: Batch, places: Tensor, inner: int, lines: Tensor) -> Batch:
    """What `augment.sampled` makes of the windows of lines (2, B, w), out of pixels, masks and weights."""
    loop = _loop()
    assert loop is not None
    lines, places = lines.long().contiguous(), places.float().contiguous()
    (_, count, window), side, channels = lines.shape, places.shape[1], maps.images.shape[1]
    images = maps.images.new_empty(count, channels, side, side)
    masks, weights = maps.masks.new_empty(count, inner, inner), None
    if maps.weights is not None:
        weights = maps.weights.new_empty(count, inner, inner)
    loop(
        maps.images.data_ptr(), maps.masks.data_ptr(), _at(maps.weights), lines.data_ptr(), places.data_ptr(), count,
        window, side, inner, channels, images.data_ptr(), masks.data_ptr(), _at(weights), torch.get_num_threads(),
    )  # fmt: skip
    return Batch(images, masks, None if weights is None else weights.float())


def flat(windows: Batch) -> tuple[Batch, Tensor]:
    """Windows as one row of pixels, masks and weights, with the lines in which `read_at` finds them."""
    count, channels, _, side = windows.images.shape
    steps, weights = torch.arange(side), windows.weights
    lines = torch.stack([(torch.arange(count)[:, None] * side + steps) * side, steps.expand(count, -1)])
    pixels = windows.images.permute(0, 2, 3, 1).reshape(-1, channels)
    return Batch(pixels, windows.masks.flatten(), None if weights is None else weights.flatten()), lines


def _at(weights: Tensor | None) -> int | None:
    return None if weights is None else weights.data_ptr()


@cache
def _loop() -> "ctypes._NamedFuncPointer | None":
    """sample.c's, with the types of what it is given."""
    loops = library(Path(__file__).with_name("sample.c"))
    if loops is None:
        return None
    loops.sample.argtypes = (*[c_void_p] * 5, *[c_long] * 5, *[c_void_p] * 3, c_int)
    loops.sample.restype = None
    return loops.sample
