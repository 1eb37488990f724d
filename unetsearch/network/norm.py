"""Norms that are no slower on the processor than they need be where channels lie last in memory."""

from typing import Any

import torch
from torch import Tensor, nn

from unetsearch.network.activated import activated, activates
from unetsearch.network.folded import folded, pays
from unetsearch.network.layout import channels_last


class BatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d (Ioffe & Szegedy 2015): the same parameters, buffers and values, within rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        if self.activates(x):
            return self.activated(x, 1.0)
        if self._trains(x) and pays(x):
            return folded(x, *self._counted())
        return super().forward(x)

    def activates(self, x: Tensor) -> bool:
        """Whether `activated` can be had."""
        return self._trains(x) and activates(x, self.weight)

    def activated(self, x: Tensor, slope: float) -> Tensor:
        """Leaky ReLU of the norm, as one: (B, C, H, W) -> the same shape. `slope`: of negative values; ReLU's is 0."""
        return activated(x, slope, *self._counted())

    def _trains(self, x: Tensor) -> bool:
        """Whether x is normalised by its own statistics, as usual, by what torch computes on the processor."""
        usual = self.affine and self.momentum is not None and self.num_batches_tracked is not None
        return self.training and usual and channels_last(x)

    def _counted(self) -> tuple[Any, ...]:
        """All that a norm in training reads and moves; the batch is counted."""
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        return self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm (Wu & He 2018): the same parameters and values. torch's is fast where channels lie first only."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        if not channels_last(x):
            return super().forward(x)
        return super().forward(x.contiguous()).contiguous(memory_format=torch.channels_last)
