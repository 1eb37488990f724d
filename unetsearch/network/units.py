"""What blocks, edges and heads are made of: a convolution with its norm and activation."""

from collections.abc import Callable

from torch import Tensor, nn

from unetsearch.graph.graph import Block, Convolution
from unetsearch.network.norm import BatchNorm, GroupNorm
from unetsearch.space.architecture import Activation, Norm

GROUP = 4
"""Channels a group of `norm: group`."""

NORMS: dict[Norm, Callable[[int], nn.Module | None]] = {
    "batch": BatchNorm,
    "group": lambda channels: GroupNorm(channels // GROUP, channels),
    "none": lambda _: None,
}

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "gelu": nn.GELU,
}


def convolution(in_channels: int, out_channels: int, spec: Convolution, stride: int = 1) -> nn.Conv2d:
    """(B, in, H, W) -> (B, out, H / stride, W / stride); unpadded it takes kernel - 1 off each side's length."""
    padding = spec.kernel // 2 if spec.padded else 0
    return nn.Conv2d(in_channels, out_channels, spec.kernel, stride, padding, bias=spec.bias)


def head(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    """(B, in, H, W) -> logits (B, out, H, W)."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)


def convolution_unit(in_channels: int, out_channels: int, spec: Convolution, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, activation; shapes as in `convolution`."""
    return sequential(
        convolution(in_channels, out_channels, spec, stride),
        NORMS[spec.norm](out_channels),
        ACTIVATIONS[spec.activation](),
    )


def dropout(spec: Block) -> list[nn.Module]:
    """What drops channels, or single values, at the end of a block; nothing where nothing is dropped."""
    if not spec.dropout:
        return []
    return [nn.Dropout2d(spec.dropout) if spec.dropout_of == "channels" else nn.Dropout(spec.dropout)]


class Layers(nn.Sequential):
    """Layers one after another; a batch norm and the activation behind it as one, where that can be had."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> what the last layer gives."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            slope = _slope(layers[0]) if layers else None
            if slope is not None and isinstance(layer, BatchNorm) and layer.activates(x):
                del layers[0]
                x = layer.activated(x, slope)
            else:
                x = layer(x)
        return x


def _slope(activation: nn.Module) -> float | None:
    """Of its negative values; None where it has no one slope."""
    if isinstance(activation, nn.LeakyReLU):
        return float(activation.negative_slope)
    return 0.0 if isinstance(activation, nn.ReLU) else None


def sequential(*layers: nn.Module | None) -> Layers:
    """The layers that there are, one after another."""
    return Layers(*(layer for layer in layers if layer is not None))
