"""Concatenation that is no slower on the processor than it need be where channels lie last in memory.

There torch copies few channels one by one; looked at as numbers of up to 16 bytes, they are copied several at once. And
it hands gradients back as slices of one tensor, which take several times as long to sum up where a node is read by
many, as in U-Net++; copies of them do not (benchmarks/results/operations-cpu.md).
"""

from collections.abc import Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unetsearch.network.layout import channels_last

NUMBERS = {16: torch.complex128, 8: torch.int64, 4: torch.int32}
"""By their bytes."""


def concatenated(features: Sequence[Tensor]) -> Tensor:
    """(B, C1, H, W), (B, C2, H, W), ... -> (B, C1 + C2 + ..., H, W)."""
    if len(features) == 1:
        return features[0]
    if not all(map(channels_last, features)) or len({each.dtype for each in features}) > 1:
        return torch.cat(list(features), 1)
    found: Tensor = _Concatenated.apply(*features)
    return found


class _Concatenated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *features: Tensor) -> Tensor:
        ctx.channels = [each.shape[1] for each in features]
        ctx.dtype, ctx.bytes = features[0].dtype, gcd(16, *(size * features[0].itemsize for size in ctx.channels))
        found = torch.empty(
            (len(features[0]), sum(ctx.channels), *features[0].shape[2:]),
            dtype=ctx.dtype,
            device=features[0].device,
            memory_format=torch.channels_last,
        )
        torch.cat([_wide(each, ctx.bytes) for each in features], 3, out=_wide(found, ctx.bytes))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        gradient = _wide(gradient.contiguous(memory_format=torch.channels_last), ctx.bytes)
        sizes = [size * ctx.dtype.itemsize // ctx.bytes for size in ctx.channels]
        slices = (part.contiguous() for part in torch.split(gradient, sizes, 3))
        return tuple(part.view(ctx.dtype).permute(0, 3, 1, 2) for part in slices)


def _wide(x: Tensor, size: int) -> Tensor:
    """(B, C, H, W) -> (B, H, W, numbers of so many bytes), on the same memory."""
    return x.permute(0, 2, 3, 1).view(NUMBERS.get(size, x.dtype))
