"""Depthwise convolutions that are no slower on the processor than they need be."""

import torch
from torch import Tensor, nn

from unetsearch.network.layout import eager


class Depthwise(nn.Conv2d):
    """A depthwise nn.Conv2d that is trained in float32 where the rest computes in bfloat16 on the processor.

    There oneDNN's way back through one of bfloat16 takes several times as long where it strides, or is wider than 3x3
    (benchmarks/results/operations-cpu.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / stride, W / stride)."""
        autocast = eager(x) and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()
        if not autocast or self.weight.dtype != torch.float32:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(torch.get_autocast_dtype("cpu"))


def train_depthwise_quickly(network: nn.Module) -> None:
    """Makes each nn.Conv2d within that is depthwise, and that torch is slow at, a `Depthwise` with its weights."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _slow(module):
            module.__class__ = Depthwise


def _slow(convolution: nn.Conv2d) -> bool:
    depthwise = convolution.groups == convolution.in_channels > 1
    return depthwise and (max(convolution.stride) > 1 or max(convolution.kernel_size) > 3)
