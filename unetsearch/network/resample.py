"""From one level to another: interpolation, cropping, transposed convolution."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unetsearch.network.layout import eager

Size = tuple[int, int]


class Resize(nn.Module):
    """Interpolation to a given size: (B, C, h, w) -> (B, C, *size).

    `bilinear_aligned`: the centres of the corner pixels stay where they are (align_corners).
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode.removesuffix("_aligned")
        self.align = mode.endswith("_aligned") if self.mode == "bilinear" else None

    def forward(self, x: Tensor, size: Size) -> Tensor:
        """(B, C, h, w) -> (B, C, *size)."""
        return functional.interpolate(x, size=size, mode=self.mode, align_corners=self.align)


class Crop(nn.Module):
    """The centre: (B, C, h, w) -> (B, C, *size)."""

    def forward(self, x: Tensor, size: Size) -> Tensor:
        """(B, C, h, w) -> (B, C, *size)."""
        top, left = (x.shape[-2] - size[0]) // 2, (x.shape[-1] - size[1]) // 2
        return x[..., top : top + size[0], left : left + size[1]]


class TransposedConvolution(nn.ConvTranspose2d):
    """An up-convolution that ends at the size asked for: the pixels that halving lost come back as bias only."""

    def forward(self, x: Tensor, size: Size | None) -> Tensor:  # type: ignore[override]
        """(B, in, h, w) -> (B, out, *size), with size - h * stride below the stride; None: exactly h * stride."""
        stride, padding = int(self.stride[0]), [0, 0]
        if size is not None:
            padding = [size[0] - x.shape[-2] * stride, size[1] - x.shape[-1] * stride]
        apart = eager(x) and torch.is_grad_enabled()
        assert self.bias is not None
        bias = self.bias.detach() if apart else self.bias
        found = functional.conv_transpose2d(x, self.weight, bias, stride, output_padding=padding)
        if apart:
            found = _BiasApart.apply(found, self.bias)
        return found


class _BiasApart(torch.autograd.Function):
    """Hands to a bias that was added before the gradient that is its due: its sum.

    Left to torch, that alone takes longer on the processor than all the rest of the way back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient.sum((0, 2, 3))
