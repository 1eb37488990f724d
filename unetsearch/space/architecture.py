"""One point of the space: an architecture, as plain data."""

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from unetsearch.errors import ArchitectureError, did_you_mean

Encoder = Literal["plain", "residual"]
SkipRule = Literal["plain", "dense", "full_scale"]
Norm = Literal["batch", "group", "none"]
Activation = Literal["relu", "leaky_relu", "silu", "gelu"]
Down = Literal["max", "average", "strided"]
Up = Literal["transposed", "bilinear", "nearest"]

MAX_DEPTH = 7
MAX_CHANNELS = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """The rule that lays the edges. `channels` (full_scale only): what every edge is projected to."""

    rule: SkipRule = "plain"
    channels: int | None = None

    def __post_init__(self) -> None:
        _literal("skip", self.rule, SkipRule)
        if (self.rule == "full_scale") != (self.channels is not None):
            raise ArchitectureError(
                f"skip {self.rule}: channels={self.channels}; full_scale skips need the channels of an edge, "
                "the other rules take none"
            )
        if self.channels is not None:
            _count("skip.channels", self.channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A U-Net as plain data: enough to lay its graph, nothing about how it is trained.

    `channels` has one entry a level, so that depth = len(channels) - 1 down-samplings.
    `out_channels` is K, the number of logit maps: 1 for foreground against background, else one a class.
    `bias` gives a convolution a bias also where a norm follows it; without a norm it always has one.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    encoder: Encoder = "plain"
    skip: Skip = field(default_factory=Skip)
    deep_supervision: bool = False
    norm: Norm = "batch"
    activation: Activation = "relu"
    down: Down = "max"
    up: Up = "transposed"
    dropout: float = 0.0
    bias: bool = False

    def __post_init__(self) -> None:
        _literal("encoder", self.encoder, Encoder)
        _literal("norm", self.norm, Norm)
        _literal("activation", self.activation, Activation)
        _literal("down", self.down, Down)
        _literal("up", self.up, Up)
        if not 1 <= self.depth <= MAX_DEPTH:
            raise ArchitectureError(f"depth: expected 1 to {MAX_DEPTH}, got {self.depth}")
        _count("in_channels", self.in_channels)
        _count("out_channels", self.out_channels)
        for level, value in enumerate(self.channels):
            _count(f"channels of level {level}", value)
        for name, flag in (("deep_supervision", self.deep_supervision), ("bias", self.bias)):
            if not isinstance(flag, bool):
                raise ArchitectureError(f"{name}: expected true or false, got {flag!r}")
        if self.norm == "group" and any(channels % 4 for channels in (*self.channels, self.skip.channels or 4)):
            raise ArchitectureError(
                "norm group: needs channels that are multiples of 4 (groups of 4), "
                f"got {self.channels} and {self.skip.channels} an edge"
            )
        _number("dropout", self.dropout)
        object.__setattr__(self, "dropout", float(self.dropout))  # 0 and 0.0 are one network
        if not 0 <= self.dropout < 1:
            raise ArchitectureError(f"dropout: expected at least 0 and below 1, got {self.dropout}")

    @property
    def depth(self) -> int:
        """The number of down-samplings; the 2015 U-Net has 4."""
        return len(self.channels) - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and scalars, for YAML and JSON; `from_dict` reads them back."""
        return {**asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Architecture":
        """The architecture that `to_dict` wrote. Raises ArchitectureError on unknown, missing and wrong values."""
        if "architecture" in document:
            raise ArchitectureError("a search space, not an architecture; `unetsearch space` describes it")
        values = dict(_known(cls, document, ""))
        skip = values.get("skip", {})
        if not isinstance(values["channels"], list) or not isinstance(skip, dict):
            raise ArchitectureError("expected a list of channels, one a level, and skip as a mapping with its rule")
        return cls(**{**values, "channels": tuple(values["channels"]), "skip": Skip(**_known(Skip, skip, "skip."))})


def channels_by_level(width: int, growth: float, depth: int) -> tuple[int, ...]:
    """Channels of the levels 0..depth: width * growth^i, to the nearest multiple of 4 (ties go up).

    Level 0 has `width` channels exactly. Raises ArchitectureError where one of the three is no number.
    """
    _count("width", width)
    _number("growth", growth)
    _number("depth", depth)
    if depth not in range(1, MAX_DEPTH + 1):
        raise ArchitectureError(f"depth: expected 1 to {MAX_DEPTH}, got {depth}")
    return (width, *(max(4, 4 * int(width * growth**level / 4 + 0.5)) for level in range(1, depth + 1)))


def _known(kind: type, document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The document, once it has all that a dataclass needs and nothing that it does not know."""
    known = {field.name: field for field in fields(kind)}
    for name in document:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ArchitectureError(f"{prefix}{name}: unknown key; expected one of {', '.join(known)}{hint}")
    for name, item in known.items():
        if name not in document and item.default is MISSING and item.default_factory is MISSING:
            raise ArchitectureError(f"{prefix}{name}: is missing")
    return document


def _count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CHANNELS:
        raise ArchitectureError(f"{name}: expected a whole number from 1 to {MAX_CHANNELS:,}, got {value!r}")


def _number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArchitectureError(f"{name}: expected a number, got {value!r}")


def _literal(name: str, value: object, kind: Any) -> None:
    allowed = get_args(kind)
    if not isinstance(value, str) or value not in allowed:
        raise ArchitectureError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
