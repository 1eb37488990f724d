"""Batch norm of few channels by torch alone, where channels lie last in memory and no loops of our own can be had.

torch's sums 16 channels at once there, and each of the rest by itself. The same values are as well those of 16 times as
many channels at a 16th of the places, whose sums are then put together.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FOLD = 16
"""Places side by side that are looked at as channels; so many channels are summed at once."""

LEAST = 2**18
"""Values of a batch from which on it pays."""


def pays(x: Tensor) -> bool:
    """Whether it does for (B, C, H, W), channels last on the processor."""
    channels = x.shape[1]
    return channels % FOLD > 0 and x.numel() >= LEAST and x.numel() // channels % FOLD == 0


def folded(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float) -> Tensor:
    """The batch norm in training: (B, C, H, W) -> the same shape. mean and var, the running ones, are moved."""
    found: Tensor = _Folded.apply(x, weight, bias, mean, var, momentum, eps)
    return found


class _Folded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float
    ) -> Tensor:
        zero = mean.new_zeros(FOLD * len(mean))  # it gives statistics of the type of those that it would update
        means, vars_ = (each.view(FOLD, -1) for each in torch.batch_norm_update_stats(_folded(x), zero, zero, 0.0))
        between, own_mean = torch.var_mean(means, 0, correction=0)
        own_var = vars_.mean(0).add_(between)
        count = x.numel() // len(mean)
        mean.lerp_(own_mean, momentum)
        var.lerp_(own_var * (count / (count - 1)), momentum)
        ctx.save_for_backward(x, weight, own_mean, own_var)
        ctx.eps = eps
        return _normalised(x, weight, bias, own_mean, own_var, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        sums = torch.ops.aten.native_batch_norm_backward(
            _folded(gradient), _folded(x), None, mean.repeat(FOLD), var.repeat(FOLD), None, None, False, ctx.eps,
            [False, True, True],
        )  # fmt: skip
        of_weight, of_bias = (each.view(FOLD, -1).sum(0) for each in sums[1:])
        each = weight * (var + ctx.eps).rsqrt() / -(x.numel() // len(mean))
        found = _normalised(gradient, weight, each * of_bias, torch.zeros_like(mean), var, ctx.eps)
        found += _normalised(x, each * of_weight, None, mean, var, ctx.eps)
        return found, of_weight, of_bias, None, None, None, None


def _folded(x: Tensor) -> Tensor:
    """(B, C, H, W), channels last -> (B * H * W / FOLD, FOLD * C), on the same memory."""
    return x.permute(0, 2, 3, 1).view(-1, FOLD * x.shape[1])


def _normalised(x: Tensor, weight: Tensor, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, by channel."""
    return torch.native_batch_norm(x, weight, bias, mean, var, False, 0.0, eps)[0]
