"""Feature-extracting backbones of timm: what they offer, cut at their depth, and their pretrained weights."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from unetsearch.errors import ArchitectureError, did_you_mean
from unetsearch.network.pretrained import pretrained_file
from unetsearch.space.backbone import PREFIX, Backbone

PROBES = ((96, 64), (160, 224))
"""Two image sizes (height, width) that a backbone must take in training, beside the smallest ones in evaluation."""


class Stages(nn.Module):
    """The first stages of a backbone, cut so that nothing behind them is built.

    (B, C, H, W), H and W multiples of the last reduction -> one (B, channels, H / reduction, W / reduction) a stage.
    """

    def __init__(self, name: str, in_channels: int, stages: int, *, pretrained: bool = False) -> None:
        import timm

        super().__init__()
        self.model: nn.Module = timm.create_model(
            name,
            pretrained=pretrained,
            pretrained_cfg_overlay={"file": str(pretrained_file(name))} if pretrained else None,
            in_chans=in_channels,
            features_only=True,
            feature_cls="getter",
            out_indices=tuple(range(stages)),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """The features of every stage, the first one first."""
        return list(self.model(x))


@lru_cache(maxsize=256)
def find_backbone(name: str) -> Backbone:
    """What is known of `timm/<name>`: reductions and channels, found by running it without memory.

    Raises ArchitectureError for an unknown name, and for a backbone that cannot be an encoder here, with the reason.
    """
    import timm

    plain = name.removeprefix(PREFIX)
    if not timm.is_model(plain):
        hint = did_you_mean(plain, timm.list_models(), most=3)
        raise ArchitectureError(f"{PREFIX}{plain}: timm has no such model{hint}")
    base, dot, _ = plain.partition(".")
    tagged = timm.list_pretrained(f"{base}.*")
    if dot and plain not in tagged:
        raise ArchitectureError(
            f"{PREFIX}{plain}: timm has no weights of that name; it has {', '.join(tagged) or 'none'}"
        )
    try:
        with torch.device("meta"):
            info: Any = timm.create_model(plain).feature_info
        stages = info if isinstance(info, list) else list(info.get_dicts())
        reductions = tuple(int(stage["reduction"]) for stage in stages)
        channels = tuple(int(stage["num_chs"]) for stage in stages)
    except Exception as error:  # whatever a model of a thousand raises, it gives no features
        raise _no_features(plain, error) from None
    backbone = Backbone(name=plain, reductions=reductions, channels=channels)
    for count in range(1, len(reductions) + 1):
        _probe(backbone, count)
    return backbone


def _no_features(name: str, error: Exception) -> ArchitectureError:
    return ArchitectureError(f"{PREFIX}{name}: gives no features level by level ({_line(error)})")


def _probe(backbone: Backbone, stages: int) -> None:
    """Runs the cut of so many stages, without memory. Raises ArchitectureError where it is no encoder."""
    title = f"{PREFIX}{backbone.name}"
    last = backbone.reductions[stages - 1]
    with torch.device("meta"), torch.inference_mode(False), torch.enable_grad():  # whatever the caller is about
        try:
            cut = Stages(backbone.name, 3, stages)
        except Exception as error:
            raise _no_features(backbone.name, error) from None
        for size in PROBES:
            features = _features(cut, backbone, (2, 3, *size))
        if len(features) != stages or any(f.shape[1] != c for f, c in zip(features, backbone.channels, strict=False)):
            raise ArchitectureError(f"{title}: does not give the features that it names, at reduction {last}")
        sum_of: Any = torch.stack([feature.sum() for feature in features]).sum()
        sum_of.backward()
        dead = [name for name, parameter in cut.named_parameters() if parameter.grad is None]
        if dead:
            raise ArchitectureError(
                f"{title}: {len(dead)} of its parameters do nothing when it is cut at reduction {last} ({dead[0]}), so "
                "its size would be overstated"
            )
        for size in ((last, last), (3 * last, last)):  # the smallest images of this depth
            _features(cut.eval(), backbone, (1, 3, *size))


def _features(cut: Stages, backbone: Backbone, shape: tuple[int, int, int, int]) -> list[Tensor]:
    """The features of an image of a shape. Raises ArchitectureError where it takes none, or does not halve evenly."""
    title, (height, width) = f"{PREFIX}{backbone.name}", shape[2:]
    try:
        features = cut(torch.empty(*shape))
    except Exception as error:
        raise ArchitectureError(
            f"{title}: does not take images of every size, such as {width}x{height} ({_line(error)}); "
            "a U-Net's encoder must"
        ) from None
    pairs = list(zip(features, backbone.reductions, strict=False))
    if any((feature.shape[2] * r, feature.shape[3] * r) != (height, width) for feature, r in pairs):
        raise ArchitectureError(
            f"{title}: its features of a {width}x{height} image are not the image's size divided by "
            f"{', '.join(map(str, backbone.reductions[: len(features)]))}; levels must halve evenly"
        )
    return list(features)


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
