"""The networks of `training.py` as segmentation libraries have them, where they do."""

from collections.abc import Callable

from monai.networks.nets import BasicUNet, BasicUNetPlusPlus
from torch import Tensor, nn


class First(nn.Module):
    """The first of the logits that a network lists."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)[0]


def plain(width: int) -> nn.Module:
    return BasicUNet(2, 1, 1, features=(*_channels(width), width), act="RELU", norm="BATCH")


def nested(width: int) -> nn.Module:
    return First(BasicUNetPlusPlus(2, 1, 1, features=(*_channels(width), width), act="RELU", norm="BATCH"))


def backbone(name: str) -> nn.Module:
    """Of depth 4; its decoder as wide as ours. What lies behind the last stage it keeps, unused."""
    import segmentation_models_pytorch as smp  # for this script alone: the others do without

    decoder = tuple(reversed(_channels(16)[:-1]))
    return smp.Unet(name, encoder_depth=4, encoder_weights=None, decoder_channels=decoder, in_channels=1, classes=1)


def _channels(width: int) -> tuple[int, ...]:
    return tuple(width * 2**level for level in range(5))


LIBRARY: dict[str, Callable[[], nn.Module]] = {
    "unet-16": lambda: plain(16),
    "unet-32": lambda: plain(32),
    "unet++-8": lambda: nested(8),
    "unet++-16": lambda: nested(16),
    "mobilenetv2": lambda: backbone("mobilenet_v2"),
    "efficientnet-b0": lambda: backbone("efficientnet-b0"),
}
"""MONAI's, and those of segmentation_models.pytorch. Neither has a U-Net 3+."""
