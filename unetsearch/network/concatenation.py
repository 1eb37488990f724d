"""Concatenation that is no slower on the processor than it need be where channels lie last in memory.

There torch copies one feature after the other, a few bytes at a time; and it hands gradients back as slices of one
tensor, which take several times as long to sum up where a node is read by many, as in U-Net++. Here concatenation.c
copies all in one go, and copies are handed back (benchmarks/results/operations-cpu.md).
"""

import ctypes
from collections.abc import Sequence
from ctypes import c_int, c_long, c_void_p
from functools import cache
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unetsearch.native import loops
from unetsearch.network.layout import laid_last, plain, threads

NUMBERS = {16: torch.complex128, 8: torch.int64, 4: torch.int32}
"""By their bytes."""


def concatenated(features: Sequence[Tensor]) -> Tensor:
    """(B, C1, H, W), (B, C2, H, W), ... -> (B, C1 + C2 + ..., H, W)."""
    if len(features) == 1:
        return features[0]
    if not _fit(features):
        return torch.cat(list(features), 1)
    found: Tensor = _Concatenated.apply(*features)
    return found


def _fit(features: Sequence[Tensor]) -> bool:
    """Whether they are alike, but for their channels."""
    return all(map(plain, features)) and len({(each.dtype, len(each), each.shape[2:]) for each in features}) == 1


class _Concatenated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *features: Tensor) -> Tensor:
        ctx.channels = [each.shape[1] for each in features]
        found = _like(features[0], sum(ctx.channels))
        _copy(features, found, back=False)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        gradient = laid_last(gradient)
        found = tuple(_like(gradient, channels) for channels in ctx.channels)
        _copy(found, gradient, back=True)
        return found


def _like(x: Tensor, channels: int) -> Tensor:
    """(B, channels, H, W), nothing in it yet."""
    shape = (len(x), channels, *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _copy(parts: Sequence[Tensor], whole: Tensor, *, back: bool) -> None:
    """The parts into the whole, or back."""
    native, count = _loops(), len(parts)
    if native is None:
        _copy_by_torch(parts, whole, back=back)
        return
    places = (c_void_p * count)(*(part.data_ptr() for part in parts))
    sizes = (c_long * count)(*(part.shape[1] * part.itemsize for part in parts))
    native.join(places, sizes, count, whole.data_ptr(), whole.numel() // whole.shape[1], back, threads(whole))


def _copy_by_torch(parts: Sequence[Tensor], whole: Tensor, *, back: bool) -> None:
    """As numbers of up to 16 bytes, which are several channels at once."""
    lying = ((each.shape[1], each.storage_offset(), *each.permute(0, 2, 3, 1).stride()[:3]) for each in (*parts, whole))
    size = gcd(16, *(whole.itemsize * count for each in lying for count in each))
    wide = [_wide(part, size) for part in parts]
    slices = torch.split(_wide(whole, size), [part.shape[3] for part in wide], 3)
    for part, other in zip(wide, slices, strict=True):
        part.copy_(other) if back else other.copy_(part)


def _wide(x: Tensor, size: int) -> Tensor:
    """(B, C, H, W) -> (B, H, W, numbers of so many bytes), on the same memory."""
    return x.permute(0, 2, 3, 1).view(NUMBERS.get(size, x.dtype))


@cache
def _loops() -> ctypes.CDLL | None:
    places, sizes = ctypes.POINTER(c_void_p), ctypes.POINTER(c_long)
    return loops(__file__, "concatenation.c", join=(places, sizes, c_int, c_void_p, c_long, c_int, c_int))
