"""Batch norm and the activation behind it as one, by norm.c.

torch's own carry a batch and its gradients through memory half as often again as loops that know of both, and sum few
channels one by one (benchmarks/results/operations-cpu.md).
"""

import ctypes
from ctypes import c_float, c_int, c_long, c_void_p
from functools import cache
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unetsearch.native import loops
from unetsearch.network.layout import laid_last, plain, threads

LANES = 16
"""Values that norm.c computes with at once."""


def activates(x: Tensor, weight: Tensor) -> bool:
    """Whether it can be had for (B, C, H, W), channels last on the processor; where there is a compiler."""
    places, channels, side = _sizes(x)
    known = plain(x) and x.dtype in (torch.float32, torch.bfloat16)
    fits = weight.dtype == torch.float32 and weight.device == x.device and weight.shape == (channels,)
    return known and fits and weight.is_contiguous() and places > 1 and places % side == 0 and _loops() is not None


def activated(
    x: Tensor, slope: float, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float
) -> Tensor:
    """Leaky ReLU, whose negative values have the slope, of the batch norm in training: (B, C, H, W) -> the same shape.

    The statistics of the batch are taken into mean and var, the running ones.
    """
    found: Tensor = _Activated.apply(x, slope, weight, bias, mean, var, momentum, eps)
    return found


class _Activated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, slope: float, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float,
        eps: float,
    ) -> Tensor:  # fmt: skip
        native = _loops()
        assert native is not None
        found, kept, sums, lanes = torch.empty_like(x), weight.new_empty(2, len(weight)), *_room(x)
        native.norm_forward(
            x.data_ptr(), found.data_ptr(), *_sizes(x), weight.data_ptr(), bias.data_ptr(), mean.data_ptr(),
            var.data_ptr(), momentum, eps, slope, kept.data_ptr(), sums.data_ptr(), lanes.data_ptr(), *_how(x),
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, kept)
        ctx.slope = slope
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        native = _loops()
        assert native is not None
        x, weight, bias, kept = ctx.saved_tensors
        x, gradient = laid_last(x), laid_last(gradient)
        found, (of_weight, of_bias), (sums, lanes) = torch.empty_like(x), torch.empty_like(kept), _room(x)
        native.norm_backward(
            gradient.data_ptr(), x.data_ptr(), found.data_ptr(), *_sizes(x), weight.data_ptr(), bias.data_ptr(),
            kept.data_ptr(), ctx.slope, of_weight.data_ptr(), of_bias.data_ptr(),
            sums.data_ptr(), lanes.data_ptr(), *_how(x),
        )  # fmt: skip
        return found, None, of_weight, of_bias, None, None, None, None


def _sizes(x: Tensor) -> tuple[int, int, int]:
    """Places, channels, and how many places are seen side by side, so that their channels fill the lanes."""
    channels = x.shape[1]
    return x.numel() // channels, channels, LANES // gcd(LANES, channels)


def _room(x: Tensor) -> tuple[Tensor, Tensor]:
    """Where norm.c puts sums and lanes."""
    _, channels, side = _sizes(x)
    lanes = channels * side
    sums = x.new_empty(2 * lanes * threads(x), dtype=torch.float64)
    return sums, x.new_empty(5 * lanes, dtype=torch.float32)


def _how(x: Tensor) -> tuple[int, bool]:
    """Threads, and whether values are halves."""
    return threads(x), x.dtype == torch.bfloat16


@cache
def _loops() -> ctypes.CDLL | None:
    at, size, real, flag = ([each] for each in (c_void_p, c_long, c_float, c_int))
    forth = 2 * at + 3 * size + 4 * at + 3 * real + 3 * at + 2 * flag
    back = 3 * at + 3 * size + 3 * at + real + 4 * at + 2 * flag
    return loops(__file__, "norm.c", norm_forward=forth, norm_backward=back)
