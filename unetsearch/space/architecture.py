"""One point of the space: an architecture, as plain data."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from unetsearch.errors import ArchitectureError

Encoder = Literal["plain", "residual"]
SkipRule = Literal["plain", "dense", "full_scale"]
Norm = Literal["batch", "group", "none"]
Activation = Literal["relu", "leaky_relu", "silu", "gelu"]
Down = Literal["max", "average", "strided"]
Up = Literal["transposed", "bilinear", "nearest"]

MAX_DEPTH = 7


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
        if self.channels is not None and self.channels < 1:
            raise ArchitectureError(f"skip.channels: expected at least 1, got {self.channels}")


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
        for name, value in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if value < 1:
                raise ArchitectureError(f"{name}: expected at least 1, got {value}")
        if min(self.channels) < 1:
            raise ArchitectureError(f"channels: expected at least 1 on every level, got {self.channels}")
        if self.norm == "group" and any(channels % 4 for channels in (*self.channels, self.skip.channels or 4)):
            raise ArchitectureError(
                "norm group: needs channels that are multiples of 4 (groups of 4), "
                f"got {self.channels} and {self.skip.channels} an edge"
            )
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
        """The architecture that `to_dict` wrote. Raises ArchitectureError on unknown or missing keys."""
        try:
            values = {**document, "channels": tuple(document["channels"]), "skip": Skip(**document["skip"])}
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ArchitectureError(f"not an architecture: {error}") from None


def channels_by_level(width: int, growth: float, depth: int) -> tuple[int, ...]:
    """Channels of the levels 0..depth: width * growth^i, to the nearest multiple of 4 (ties go up).

    Level 0 has `width` channels exactly.
    """
    return (width, *(max(4, 4 * int(width * growth**level / 4 + 0.5)) for level in range(1, depth + 1)))


def _literal(name: str, value: object, kind: Any) -> None:
    allowed = get_args(kind)
    if value not in allowed:
        raise ArchitectureError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
