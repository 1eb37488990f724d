"""From one level to another: interpolation, cropping, transposed convolution."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

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
        if x.device.type != "cpu" or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return functional.conv_transpose2d(x, self.weight, self.bias, stride, output_padding=padding)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        assert self.bias is not None
        found: Tensor = _BiasApart.apply(x.to(dtype), self.weight.to(dtype), self.bias.to(dtype), stride, padding)
        return found


class _BiasApart(torch.autograd.Function):
    """A transposed convolution on the processor that sums up the gradient of its bias by itself.

    Left to torch, that alone takes longer than all the rest of the way back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: list[int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings = [stride, stride], [0, 0], [1, 1], True, padding, 1
        return functional.conv_transpose2d(x, weight, bias, stride, output_padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:2], False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(gradient, x, weight, None, *ctx.settings, wanted)
        return of_x, of_weight, gradient.sum((0, 2, 3)), None, None
