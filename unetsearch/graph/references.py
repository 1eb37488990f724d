"""The published networks, as points of the space: each a function whose docstring names its paper and any departure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import getdoc
from types import MappingProxyType
from typing import Any, cast, get_args

from unetsearch.errors import ArchitectureError, did_you_mean
from unetsearch.space.architecture import Architecture, Family
from unetsearch.space.backbone import PREFIX, Backbone
from unetsearch.space.settings import Baseline, Reference
from unetsearch.space.space import ARCHITECTURE_DEFAULTS, SearchSpace, make_architecture

Describe = Callable[[str], Backbone]
"""What is known of `timm/<name>`; see network.backbones.find_backbone."""

MOBILENET_V2 = Backbone(name="mobilenetv2_100", reductions=(2, 4, 8, 16, 32), channels=(16, 24, 32, 96, 320))
EFFICIENTNET_B0 = Backbone(name="efficientnet_b0", reductions=(2, 4, 8, 16, 32), channels=(16, 24, 40, 112, 320))


def unet() -> dict[str, Any]:
    """U-Net with padded convolutions (Ronneberger et al. 2015, arXiv 1505.04597).

    Width 64, depth 4, two 3x3 convolutions a node, 2x2 max-pooling, 2x2 transposed up-convolutions, 1x1 head.
    Departures, as practice has it: the logits have the image's size, and a BatchNorm follows each convolution
    (norm=None leaves it out).
    """
    return {"width": 64, "depth": 4, "skip": "plain"}


def unet_2015() -> dict[str, Any]:
    """U-Net as published (Ronneberger et al. 2015, arXiv 1505.04597).

    Width 64, depth 4, unpadded convolutions with biases, no norm, skips cropped to their centre: 572x572 px give
    388x388. Dropout of 0.5 at the end of the contracting path, where the authors' released network has it: behind the
    encoder's two deepest nodes. No departure; around an image the training here mirrors what the network reads, as the
    paper does.
    """
    return {
        "width": 64,
        "depth": 4,
        "skip": "plain",
        "norm": "none",
        "padding": "valid",
        "dropout": 0.5,
        "dropout_at": "contraction",
    }


def unet_lecture() -> dict[str, Any]:
    """A U-Net as a lecture's listing has it.

    Width 64, depth 4, padded convolutions with biases and BatchNorm, transposed up-convolutions, 1x1 head. It departs
    from the paper in the decoder's node of level 1: its second convolution ends with the channels of level 0, so that
    the last up-convolution keeps them (64 to 64). With 3 channels in and 11 classes: 30,953,867 parameters.
    """
    return {"width": 64, "depth": 4, "skip": "plain", "bias": True, "narrow_last": True}


def unet_plus_plus() -> dict[str, Any]:
    """U-Net++ (Zhou et al. 2018 and 2020, arXiv 1807.10165 and 1912.05074).

    Width 32, depth 4, dense skips, deep supervision with a 1x1 head on X[0,1] to X[0,4]. combine="mean" is its ensemble
    mode, `prune` its pruned inference. Departure: a BatchNorm follows each convolution (norm=None leaves it out).
    """
    return {"width": 32, "depth": 4, "skip": "dense", "deep_supervision": True}


def unet_plus_plus_lecture() -> dict[str, Any]:
    """A U-Net++ as a lecture's listing has it.

    Width 64, depth 4, dense skips, four 1x1 heads, convolutions with biases and BatchNorm. It departs from the paper in
    its up-sampling: bilinear with aligned corners, without a convolution, so that a node reads all channels of the one
    below. With 3 channels in and 1 out: 36,629,828 parameters (width 32: 9,163,428).
    """
    return {
        "width": 64,
        "depth": 4,
        "skip": "dense",
        "deep_supervision": True,
        "up": "bilinear_aligned",
        "bias": True,
    }


def unet_3_plus() -> dict[str, Any]:
    """U-Net 3+ (Huang et al. 2020, arXiv 2004.08790).

    Width 64, depth 4, full-scale skips: each decoder node reads every level through a 3x3 convolution of `channels`
    (left out: the width) behind the resampling, by max-pooling or bilinear; 3x3 heads; biases before BatchNorm, as the
    authors have it. deep_supervision=True is its full-scale deep supervision, guidance=True its classification-guided
    module. Departure there: the paper multiplies by 0 or 1, here the probability of a class is multiplied by that of
    its presence, and the module has its own cross-entropy.
    """
    return {"width": 64, "depth": 4, "skip": "full_scale", "bias": True}


def resunet() -> dict[str, Any]:
    """Deep Residual U-Net (Zhang et al. 2018, arXiv 1711.10684).

    Width 64, depth 3, pre-activation residual units in encoder and decoder, the stride in a unit's first convolution,
    interpolated up-sampling, 1x1 head; the shortcut is the identity, or a 1x1 convolution where channels or the
    resolution change. Departure: the paper does not name the interpolation; it is bilinear here.
    """
    return {
        "width": 64,
        "depth": 3,
        "skip": "plain",
        "encoder": "residual",
        "decoder": "residual",
        "down": "in_block",
        "up": "bilinear",
    }


def mobile_unet() -> dict[str, Any]:
    """Mobile U-Net: a U-Net whose encoder is MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381).

    The encoder is timm's mobilenetv2_100 up to its fifth stage, without the classifier's convolution: depth 5, no skip
    at the image's own level. The decoder is the U-Net's, with 16 to 256 channels. Departure: published variants differ
    in the decoder; this one has plain convolutions with BatchNorm. pretrained=True takes ImageNet weights.
    """
    return {"width": 16, "depth": 5, "skip": "plain", "encoder": f"{PREFIX}{MOBILENET_V2.name}", "stem": "none"}


def eff_unet() -> dict[str, Any]:
    """Eff-UNet (Baheti et al. 2020, CVPR Workshops): a U-Net whose encoder is EfficientNet (arXiv 1905.11946).

    The encoder is timm's efficientnet_b0 up to its fifth stage of MBConv blocks, without the classifier's convolution:
    depth 5, no skip at the image's own level. The decoder is the U-Net's, with 16 to 256 channels. Departure: the paper
    also has larger encoders, up to B7: encoder="timm/efficientnet_b7". pretrained=True takes ImageNet weights.
    """
    return {"width": 16, "depth": 5, "skip": "plain", "encoder": f"{PREFIX}{EFFICIENTNET_B0.name}", "stem": "none"}


REFERENCES: Mapping[Reference, Callable[[], dict[str, Any]]] = MappingProxyType(
    {
        "unet": unet,
        "unet-2015": unet_2015,
        "unet-lecture": unet_lecture,
        "unet++": unet_plus_plus,
        "unet++-lecture": unet_plus_plus_lecture,
        "unet3+": unet_3_plus,
        "resunet": resunet,
        "mobile-unet": mobile_unet,
        "eff-unet": eff_unet,
    }
)

_KNOWN = {f"{PREFIX}{backbone.name}": backbone for backbone in (MOBILENET_V2, EFFICIENTNET_B0)}

_NAMES = (
    *ARCHITECTURE_DEFAULTS,
    "deep_supervision",
    "combine",
    "bias",
    "padding",
    "dropout_at",
    "channels",
    "stem",
    "pretrained",
)


def reference(
    name: str, *, in_channels: int = 1, out_channels: int = 1, describe: Describe | None = None, **values: Any
) -> Architecture:
    """A published network as an architecture; any value can be overridden by its name, as api.reference tells.

    `describe` looks up backbones (`timm/<name>`). Raises ArchitectureError for an unknown name or a value that does not
    fit.
    """
    given = {key: _checked(name, key, value) for key, value in values.items()}
    values = {**published(name), **given}
    narrow = values.pop("narrow_last", False)
    backbones = {}
    encoder = values.get("encoder")
    if encoder in get_args(Family) and "stem" not in given:
        values.pop("stem", None)  # a published network's backbone was exchanged for a family
    if isinstance(encoder, str) and encoder.startswith(PREFIX):
        backbones[encoder] = _KNOWN.get(encoder) or _described(encoder, describe)
    architecture = make_architecture(values, in_channels=in_channels, out_channels=out_channels, backbones=backbones)
    return _narrowed(architecture) if narrow else architecture


def published(name: str) -> dict[str, Any]:
    """The values of a published network. Raises ArchitectureError for an unknown name."""
    if name not in REFERENCES:
        names = get_args(Reference)
        raise ArchitectureError(
            f"reference: expected one of {', '.join(names)}, got {name!r}{did_you_mean(name, names)}"
        )
    return REFERENCES[cast(Reference, name)]()


def about(name: str) -> str:
    """Paper, settings and departures of a published network. Raises ArchitectureError for an unknown name."""
    published(name)
    return getdoc(REFERENCES[cast(Reference, name)]) or ""


def baseline_architecture(space: SearchSpace, baseline: Baseline) -> Architecture:
    """A baseline of a space: the published network at the space's smallest width, with the values it is given."""
    values: dict[str, Any] = {"width": space.min_width, **baseline.values}
    return reference(
        baseline.name,
        in_channels=space.in_channels,
        out_channels=space.out_channels,
        describe=space.backbones.__getitem__,
        **values,
    )


def _checked(name: str, key: str, value: Any) -> Any:
    """A value that overrides a published one. Raises ArchitectureError where the network has none of that name."""
    if key not in _NAMES or (key == "channels" and published(name)["skip"] != "full_scale"):
        raise ArchitectureError(f"reference {name}: it has no value {key!r}{did_you_mean(key, _NAMES)}")
    return "none" if key == "norm" and value is None else value


def _described(encoder: str, describe: Describe | None) -> Backbone:
    if describe is None:
        raise ArchitectureError(f"{encoder}: a backbone has to be looked up; give `describe`")
    return describe(encoder)


def _narrowed(architecture: Architecture) -> Architecture:
    """The decoder's node of level 1 ends with the channels of level 0."""
    channels = list(architecture.channels[:-1])
    channels[1:2] = channels[:1]
    return replace(architecture, decoder_channels=tuple(channels[: architecture.depth]))
