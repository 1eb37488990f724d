"""Inverted residuals, by timm's blocks."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import nn

from unetsearch.graph.graph import Block, Convolution
from unetsearch.network.units import ACTIVATIONS, NORMS, convolution_unit, dropout, sequential
from unetsearch.space.architecture import Activation

EXPANSION = 6.0
"""Of an inverted residual, as MobileNetV2 and EfficientNet have it almost everywhere."""

GATES: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
"""The activations as classes, which is how timm's squeeze-and-excitation takes them."""


class InvertedBlock(nn.Sequential):
    """`repeats` inverted residuals (MobileNetV2, Sandler et al., arXiv 1801.04381).

    Each expands 6 times by 1x1, convolves 3x3 depthwise, projects by 1x1 without an activation, and adds what came in
    where channels agree; the activation is the one asked for, where the papers have ReLU6 and SiLU.

    `squeezed`: with squeeze-and-excitation to a quarter of what comes in (EfficientNet, Tan and
    Le, arXiv 1905.11946). `stem`: the first is a plain convolution, since it reads the image.
    (B, in, H, W) -> (B, out, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, out_channels: int, spec: Block, *, stem: bool = False, squeezed: bool = False
    ) -> None:
        unit = spec.convolution
        layers: list[nn.Module] = []
        for index in range(spec.repeats):
            channels, stride = (out_channels, 1) if index else (in_channels, spec.stride)
            if stem and index == 0:
                layers.append(convolution_unit(channels, out_channels, unit, stride))
                continue
            layers.append(
                InvertedResidual(
                    channels,
                    out_channels,
                    dw_kernel_size=unit.kernel,
                    stride=stride,
                    exp_ratio=EXPANSION,
                    norm_layer=_norm_and_activation(unit),
                    act_layer=GATES[unit.activation],
                    se_layer=cast(Any, partial(SqueezeExcite, rd_ratio=0.25 / EXPANSION)) if squeezed else None,
                    conv_kwargs={"bias": unit.bias},
                )
            )
        super().__init__(*layers, *dropout(spec))


def _norm_and_activation(unit: Convolution) -> Callable[..., nn.Module]:
    """Our own norms and activations, in the form in which timm asks for them."""

    def build(channels: int, apply_act: bool = True, **_: Any) -> nn.Module:
        return sequential(NORMS[unit.norm](channels), ACTIVATIONS[unit.activation]() if apply_act else None)

    return build
