"""Max pooling that is no slower on the processor than it need be where channels lie last in memory.

torch keeps eight bytes a value to know which of them was the greatest, and fills with zeros first what it gives back.
pooling.c keeps one byte, and writes all once (benchmarks/results/operations-cpu.md).
"""

import ctypes
from ctypes import c_int, c_long, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from unetsearch.native import loops
from unetsearch.network.layout import laid_last, plain, threads

MOST = 16
"""A window's side whose places a byte can tell apart."""


class MaxPool(nn.MaxPool2d):
    """nn.MaxPool2d of windows that lie beside one another: the same values."""

    def __init__(self, factor: int) -> None:
        super().__init__(factor)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // factor, W // factor)."""
        if not _pools(x, self.factor):
            return super().forward(x)  # type: ignore[no-any-return]
        found: Tensor = _Pooled.apply(x, self.factor)
        return found


def _pools(x: Tensor, factor: int) -> bool:
    """Whether pooling.c does it."""
    known = plain(x) and x.dtype in (torch.float32, torch.bfloat16)
    return known and factor <= min(MOST, *x.shape[2:]) and _loops() is not None


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: int) -> Tensor:
        native = _loops()
        assert native is not None
        shape = (*x.shape[:2], x.shape[2] // factor, x.shape[3] // factor)
        found, chosen = (
            torch.empty(shape, dtype=dtype, device=x.device, memory_format=torch.channels_last)
            for dtype in (x.dtype, torch.uint8)
        )
        native.pool_forward(x.data_ptr(), found.data_ptr(), chosen.data_ptr(), *_how(x, factor))
        ctx.save_for_backward(chosen)
        ctx.shape, ctx.factor = x.shape, factor
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        native = _loops()
        assert native is not None
        (chosen,) = ctx.saved_tensors
        gradient, chosen = laid_last(gradient), laid_last(chosen)
        found = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
        native.pool_backward(gradient.data_ptr(), chosen.data_ptr(), found.data_ptr(), *_how(found, ctx.factor))
        return found, None


def _how(x: Tensor, factor: int) -> tuple[int, ...]:
    """Sizes, the window's side, threads, and whether values are halves."""
    count, channels, height, width = x.shape
    return count, height, width, channels, factor, threads(x), x.dtype == torch.bfloat16


@cache
def _loops() -> ctypes.CDLL | None:
    types = (*[c_void_p] * 3, *[c_long] * 5, c_int, c_int)
    return loops(__file__, "pooling.c", pool_forward=types, pool_backward=types)
