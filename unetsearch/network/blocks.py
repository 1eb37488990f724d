"""What fills the nodes: plain blocks, residual units, and by the library's blocks the inverted residuals."""

from collections.abc import Callable

from torch import Tensor, nn

from unetsearch.graph.graph import Block, BlockKind, Convolution
from unetsearch.network.units import ACTIVATIONS, NORMS, convolution, convolution_unit, dropout, sequential


class PlainBlock(nn.Sequential):
    """`repeats` times convolution, norm, activation (the 2015 U-Net has two): (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, spec: Block) -> None:
        between = spec.mid_channels or out_channels
        channels = [in_channels, *[between] * (spec.repeats - 1), out_channels]
        units = [
            convolution_unit(channels[index], channels[index + 1], spec.convolution, 1 if index else spec.stride)
            for index in range(spec.repeats)
        ]
        super().__init__(*units, *dropout(spec))


class ResidualBlock(nn.Module):
    """A pre-activation residual unit: x + convolutions of norm and activation of x (Zhang et al., arXiv 1711.10684).

    Where channels or the stride change, a 1x1 convolution projects the shortcut; else it is the identity mapping.
    (B, in, H, W) -> (B, out, H / stride, W / stride).
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
            layers.append(convolution(channels, out_channels, unit, 1 if index else spec.stride))
        self.body = sequential(*layers, *dropout(spec))
        self.stride = spec.stride
        self.shortcut = None
        if in_channels != out_channels or spec.stride > 1:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        shortcut = x
        if self.stride > 1:  # as a stride of the 1x1 convolution, oneDNN ends the process: bfloat16, 12 channels
            shortcut = x[..., :: self.stride, :: self.stride]
        if self.shortcut is not None:
            shortcut = self.shortcut(shortcut)
        return self.body(x) + shortcut  # type: ignore[no-any-return]


class ResidualStem(ResidualBlock):
    """The residual unit for the image itself: its first convolution reads it without norm and activation."""

    preactivated = False


def mobile(in_channels: int, out_channels: int, spec: Block) -> nn.Module:
    """Inverted residuals (MobileNetV2); the library is loaded only where such a block is built: that takes seconds."""
    from unetsearch.network.inverted import InvertedBlock

    return InvertedBlock(in_channels, out_channels, spec, stem=spec.kind == "mobile_stem")


def efficient(in_channels: int, out_channels: int, spec: Block) -> nn.Module:
    """Inverted residuals with squeeze-and-excitation (EfficientNet's MBConv), loaded likewise."""
    from unetsearch.network.inverted import InvertedBlock

    return InvertedBlock(in_channels, out_channels, spec, stem=spec.kind == "efficient_stem", squeezed=True)


BLOCKS: dict[BlockKind, Callable[[int, int, Block], nn.Module]] = {
    "plain": PlainBlock,
    "residual": ResidualBlock,
    "residual_stem": ResidualStem,
    "mobile": mobile,
    "mobile_stem": mobile,
    "efficient": efficient,
    "efficient_stem": efficient,
}


def _activation_of_a_copy(unit: Convolution, index: int) -> nn.Module:
    """An activation that leaves its input alone where that is the block's own input, which the shortcut reads too."""
    activation = ACTIVATIONS[unit.activation]()
    if index == 0 and unit.norm == "none" and isinstance(activation, nn.ReLU | nn.LeakyReLU | nn.SiLU):
        activation.inplace = False
    return activation
