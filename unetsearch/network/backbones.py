"""Feature-extracting backbones of timm: what they offer, cut at their depth, and their pretrained weights."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from unetsearch.errors import ArchitectureError, did_you_mean
from unetsearch.network.pretrained import pretrained_file
from unetsearch.space.backbone import PREFIX, Backbone

PROBES = ((96, 64), (160, 224))
"""Two image sizes (height, width) that a backbone must take: one of fixed size fails at one of them."""


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
    known = timm.is_model(plain)
    if not known:
        hint = did_you_mean(plain, timm.list_models(), most=3)
        raise ArchitectureError(f"{PREFIX}{plain}: timm has no such model{hint}")
    try:
        with torch.device("meta"):
            info: Any = timm.create_model(plain).feature_info
        stages = info if isinstance(info, list) else list(info.get_dicts())
        reductions = tuple(int(stage["reduction"]) for stage in stages)
        channels = tuple(int(stage["num_chs"]) for stage in stages)
    except Exception as error:  # whatever a model of a thousand raises, it gives no features
        raise ArchitectureError(f"{PREFIX}{plain}: gives no features level by level ({_line(error)})") from None
    backbone = Backbone(name=plain, reductions=reductions, channels=channels)
    for count in range(1, len(reductions) + 1):
        _probe(backbone, count)
    return backbone


def _probe(backbone: Backbone, stages: int) -> None:
    """Runs the cut of so many stages, without memory. Raises ArchitectureError where it is no encoder."""
    title = f"{PREFIX}{backbone.name}"
    last = backbone.reductions[stages - 1]
    with torch.device("meta"):
        try:
            cut = Stages(backbone.name, 3, stages)
            for height, width in PROBES:
                features = cut(torch.empty(2, 3, height, width))
                sides = [(feature.shape[2] * r, feature.shape[3] * r) for feature, r in _with(features, backbone)]
                if any(side != (height, width) for side in sides):
                    raise ArchitectureError(
                        f"{title}: its features of a {width}x{height} image are not the image's size divided by "
                        f"{', '.join(map(str, backbone.reductions[:stages]))}; levels must halve evenly"
                    )
        except ArchitectureError:
            raise
        except Exception as error:
            raise ArchitectureError(
                f"{title}: takes only images of fixed sizes ({_line(error)}); a U-Net's encoder takes any"
            ) from None
        if len(features) != stages or any(f.shape[1] != c for f, c in zip(features, backbone.channels, strict=False)):
            raise ArchitectureError(f"{title}: does not give the features that it names, at reduction {last}")
        sum(feature.sum() for feature in features).backward()
    dead = [name for name, parameter in cut.named_parameters() if parameter.grad is None]
    if dead:
        raise ArchitectureError(
            f"{title}: {len(dead)} of its parameters do nothing when it is cut at reduction {last} ({dead[0]}), so its "
            "size would be overstated"
        )


def _with(features: Sequence[Tensor], backbone: Backbone) -> list[tuple[Tensor, int]]:
    return list(zip(features, backbone.reductions, strict=False))


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
