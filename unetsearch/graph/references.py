"""The published networks, as points of the space."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast, get_args

from unetsearch.errors import ArchitectureError, did_you_mean
from unetsearch.space.architecture import Architecture
from unetsearch.space.settings import Baseline, Reference
from unetsearch.space.space import ARCHITECTURE_DEFAULTS, SearchSpace, make_architecture

REFERENCES: Mapping[Reference, Mapping[str, Any]] = MappingProxyType(
    {
        # Ronneberger et al. 2015, arXiv 1505.04597. Departures: same padding, and a norm (norm=None gives it back).
        "unet": {"width": 64, "depth": 4, "skip": "plain"},
        # Zhou et al. 2018/2020, arXiv 1912.05074. Departure: a norm (norm=None gives it back).
        "unet++": {"width": 32, "depth": 4, "skip": "dense", "deep_supervision": True},
        # Huang et al. 2020, arXiv 2004.08790. The authors' convolutions have a bias before their BatchNorm.
        "unet3+": {"width": 64, "depth": 4, "skip": "full_scale", "bias": True},
    }
)

_NAMES = (*ARCHITECTURE_DEFAULTS, "deep_supervision", "bias", "channels")


def reference(name: str, *, in_channels: int = 1, out_channels: int = 1, **values: Any) -> Architecture:
    """A published network as an architecture; any value can be overridden by its name.

    `unet` (width 64), `unet++` (width 32, deep supervision) and `unet3+` (width 64; `channels`, of an edge, follow
    the width), each of depth 4, with BatchNorm and padded convolutions. Values: depth, width, growth, encoder,
    norm (None or "none" leaves it out), activation, down, up, dropout, bias, deep_supervision, and channels for
    unet3+. Raises ArchitectureError for an unknown name or a value that does not fit.
    """
    names = get_args(Reference)
    if name not in REFERENCES:
        hint = did_you_mean(name, names)
        raise ArchitectureError(f"reference: expected one of {', '.join(names)}, got {name!r}{hint}")
    published = REFERENCES[cast(Reference, name)]
    for value in values:
        if value not in _NAMES or (value == "channels" and published["skip"] != "full_scale"):
            raise ArchitectureError(f"reference {name}: it has no value {value!r}{did_you_mean(value, _NAMES)}")
    if "norm" in values and values["norm"] is None:
        values["norm"] = "none"
    return make_architecture({**published, **values}, in_channels=in_channels, out_channels=out_channels)


def baseline_architecture(space: SearchSpace, baseline: Baseline) -> Architecture:
    """A baseline of a space: the published network at the space's smallest width, with the values it is given."""
    values: dict[str, Any] = {"width": space.min_width, **baseline.values}
    return reference(baseline.name, in_channels=space.in_channels, out_channels=space.out_channels, **values)
