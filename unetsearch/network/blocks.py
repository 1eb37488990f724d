"""What fills the nodes and edges: convolutions with norm and activation, plain and residual blocks."""

from collections.abc import Callable

from torch import Tensor, nn

from unetsearch.graph.graph import Block, BlockKind, Convolution
from unetsearch.space.architecture import Activation, Norm

GROUP = 4
"""Channels a group of `norm: group`."""

NORMS: dict[Norm, Callable[[int], nn.Module | None]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(channels // GROUP, channels),
    "none": lambda _: None,
}

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "gelu": nn.GELU,
}


def convolution(in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.Conv2d:
    """A convolution that keeps the size: (B, in, H, W) -> (B, out, H, W)."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)


def convolution_unit(in_channels: int, out_channels: int, spec: Convolution) -> nn.Sequential:
    """Convolution, norm, activation: (B, in, H, W) -> (B, out, H, W)."""
    return _sequential(
        convolution(in_channels, out_channels, spec.kernel, spec.bias),
        NORMS[spec.norm](out_channels),
        ACTIVATIONS[spec.activation](),
    )


class PlainBlock(nn.Sequential):
    """`repeats` times convolution, norm, activation (the 2015 U-Net has two): (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, spec: Block) -> None:
        units = [
            convolution_unit(in_channels if index == 0 else out_channels, out_channels, spec.convolution)
            for index in range(spec.repeats)
        ]
        super().__init__(*units, *_dropout(spec))


class ResidualBlock(nn.Module):
    """A pre-activation residual unit: x + convolutions of norm and activation of x (Zhang et al., arXiv 1711.10684).

    Where channels change, a 1x1 convolution projects the shortcut. (B, in, H, W) -> (B, out, H, W).
    """

    preactivated = True

    def __init__(self, in_channels: int, out_channels: int, spec: Block) -> None:
        super().__init__()
        unit = spec.convolution
        layers: list[nn.Module | None] = []
        for index in range(spec.repeats):
            channels = in_channels if index == 0 else out_channels
            if index > 0 or self.preactivated:
                layers += [NORMS[unit.norm](channels), _activation_of_a_copy(unit, index)]
            layers.append(convolution(channels, out_channels, unit.kernel, unit.bias))
        self.body = _sequential(*layers, *_dropout(spec))
        self.shortcut = convolution(in_channels, out_channels, 1, bias=False) if in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return shortcut + self.body(x)  # type: ignore[no-any-return]


class ResidualStem(ResidualBlock):
    """The residual unit for the image itself: its first convolution reads it without norm and activation."""

    preactivated = False


BLOCKS: dict[BlockKind, Callable[[int, int, Block], nn.Module]] = {
    "plain": PlainBlock,
    "residual": ResidualBlock,
    "residual_stem": ResidualStem,
}


def _activation_of_a_copy(unit: Convolution, index: int) -> nn.Module:
    """An activation that leaves its input alone where that is the block's own input, which the shortcut reads too."""
    activation = ACTIVATIONS[unit.activation]()
    if index == 0 and unit.norm == "none" and isinstance(activation, nn.ReLU | nn.LeakyReLU | nn.SiLU):
        activation.inplace = False
    return activation


def _dropout(spec: Block) -> list[nn.Module]:
    return [nn.Dropout2d(spec.dropout)] if spec.dropout else []


def _sequential(*layers: nn.Module | None) -> nn.Sequential:
    return nn.Sequential(*(layer for layer in layers if layer is not None))
