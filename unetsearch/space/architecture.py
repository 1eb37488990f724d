"""One point of the space: an architecture, as plain data."""

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Literal

from unetsearch.errors import ArchitectureError, did_you_mean
from unetsearch.space.backbone import PREFIX, Backbone
from unetsearch.space.checks import check_count, check_flag, check_literal, check_number
from unetsearch.space.skip import Skip, parse_sources

Family = Literal["plain", "residual", "mobile", "efficient"]
Decoder = Literal["plain", "residual"]
Stem = Literal["plain", "none"]
Norm = Literal["batch", "group", "none"]
Activation = Literal["relu", "leaky_relu", "silu", "gelu"]
Down = Literal["max", "average", "strided", "in_block"]
Up = Literal["transposed", "bilinear", "bilinear_aligned", "nearest"]
Combine = Literal["final", "mean"]
Padding = Literal["same", "valid"]
DropoutPlace = Literal["blocks", "contraction"]

MAX_DEPTH = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A U-Net as plain data: enough to lay its graph, nothing about how it is trained.

    `channels` has one entry a level, so that depth = len(channels) - 1 down-samplings. `out_channels` is K, the
    number of logit maps: 1 for foreground against background, else one a class. `encoder`: a family, or a Backbone,
    which brings the channels of its own nodes; `stem` says whether plain blocks fill the levels above its first stage.
    `combine`: the output is that of the final head, or the mean of all heads' probabilities. `guidance`: the
    classification-guided module of U-Net 3+. `bias` gives a convolution a bias also where a norm follows it; without
    a norm it always has one. `dropout` drops channels at the end of each block, or (`dropout_at` contraction) single
    values at the end of the contracting path, as in 2015. `decoder_channels`: what the decoder's nodes of each level
    end with, where that is not the level's channels.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    encoder: Family | Backbone = "plain"
    decoder: Decoder = "plain"
    stem: Stem = "plain"
    skip: Skip = field(default_factory=Skip)
    deep_supervision: bool = False
    combine: Combine = "final"
    guidance: bool = False
    norm: Norm = "batch"
    activation: Activation = "relu"
    down: Down = "max"
    up: Up = "transposed"
    padding: Padding = "same"
    dropout: float = 0.0
    dropout_at: DropoutPlace = "blocks"
    bias: bool = False
    decoder_channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, kind in _LITERALS.items():
            check_literal(name, getattr(self, name), kind)
        for name in ("deep_supervision", "guidance", "bias"):
            check_flag(name, getattr(self, name))
        check_number("dropout", self.dropout)
        object.__setattr__(self, "dropout", float(self.dropout))  # 0 and 0.0 are one network
        if not 0 <= self.dropout < 1:
            raise ArchitectureError(f"dropout: expected at least 0 and below 1, got {self.dropout}")
        if not 1 <= self.depth <= MAX_DEPTH:
            raise ArchitectureError(f"depth: expected 1 to {MAX_DEPTH}, got {self.depth}")
        self._check_channels()
        self.skip.check_depth(self.depth)
        if isinstance(self.encoder, Backbone):
            self.encoder.check_depth(self.depth)
        else:
            check_literal("encoder", self.encoder, Family)
            if self.stem == "none":
                raise ArchitectureError(f"stem none: only a {PREFIX} backbone has levels without a stage")
        if isinstance(self.encoder, Backbone) and self.dropout and self.dropout_at == "contraction":
            raise ArchitectureError(f"dropout_at contraction: a {PREFIX} backbone has no place for it; take blocks")
        if self.padding == "valid":
            self._check_valid()

    def _check_channels(self) -> None:
        check_count("in_channels", self.in_channels)
        check_count("out_channels", self.out_channels)
        decoder = self.decoder_channels if self.decoder_channels is not None else self.channels[:-1]
        for place, counts in (("channels", self.channels), ("decoder_channels", decoder)):
            for level, value in enumerate(counts):
                check_count(f"{place} of level {level}", value)
        if len(decoder) != self.depth:
            raise ArchitectureError(f"decoder_channels: expected {self.depth}, one a decoder level, got {len(decoder)}")
        if self.norm == "group" and any(n % 4 for n in (*self.channels, *decoder, self.skip.channels or 4)):
            raise ArchitectureError(
                "norm group: needs channels that are multiples of 4 (groups of 4), "
                f"got {self.channels} and {self.skip.channels} an edge"
            )
        if self.norm == "group" and self.decoder == "residual" and isinstance(self.encoder, Backbone):
            self.encoder.check_groups()

    def _check_valid(self) -> None:
        """Unpadded convolutions are those of the 2015 U-Net: they crop the skips of a plain network."""
        wanted = {
            "encoder": "plain",
            "decoder": "plain",
            "deep_supervision": False,
            "guidance": False,
            "up": "transposed",
        }
        found = [name for name, value in wanted.items() if getattr(self, name) != value]
        if self.skip.rule != "plain" or found or self.down == "in_block":
            what = ", ".join([*found, *(["skip"] if self.skip.rule != "plain" else ())]) or "down"
            raise ArchitectureError(
                "padding valid: is for plain skips, encoder and decoder, transposed up-convolutions, pooling and one "
                f"head without guidance, as in 2015; {what} does not fit, or take padding same"
            )

    @property
    def depth(self) -> int:
        """The number of down-samplings; the 2015 U-Net has 4."""
        return len(self.channels) - 1

    @property
    def encoder_name(self) -> str:
        """The family, or `timm/resnet18`."""
        return f"{PREFIX}{self.encoder.name}" if isinstance(self.encoder, Backbone) else self.encoder

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and scalars, for YAML and JSON; `from_dict` reads them back."""
        document = asdict(self) | {"channels": list(self.channels), "skip": self.skip.to_dict()}
        if isinstance(self.encoder, Backbone):
            lists = {"reductions": list(self.encoder.reductions), "channels": list(self.encoder.channels)}
            document["encoder"] = document["encoder"] | lists
        if self.decoder_channels is not None:
            document["decoder_channels"] = list(self.decoder_channels)
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Architecture":
        """The architecture that `to_dict` wrote. Raises ArchitectureError on unknown, missing and wrong values."""
        if "architecture" in document:
            raise ArchitectureError("a search space, not an architecture; `unetsearch space` describes it")
        values = dict(_known(cls, document, ""))
        skip = values.get("skip", {})
        if not isinstance(values["channels"], list) or not isinstance(skip, dict):
            raise ArchitectureError("expected a list of channels, one a level, and skip as a mapping with its rule")
        values["channels"] = tuple(values["channels"])
        values["skip"] = _skip(_known(Skip, skip, "skip."))
        if values.get("decoder_channels") is not None:
            values["decoder_channels"] = _counts("decoder_channels", values["decoder_channels"])
        if isinstance(values.get("encoder"), dict):
            values["encoder"] = _backbone(_known(Backbone, values["encoder"], "encoder."))
        return cls(**values)


_LITERALS = {
    "decoder": Decoder,
    "stem": Stem,
    "combine": Combine,
    "norm": Norm,
    "activation": Activation,
    "down": Down,
    "up": Up,
    "padding": Padding,
    "dropout_at": DropoutPlace,
}


def channels_by_level(width: int, growth: float, depth: int) -> tuple[int, ...]:
    """Channels of the levels 0..depth: width * growth^i, to the nearest multiple of 4 (ties go up).

    Level 0 has `width` channels exactly. Raises ArchitectureError where one of the three is no number.
    """
    check_count("width", width)
    check_number("growth", growth)
    check_number("depth", depth)
    if not isinstance(depth, int) or depth not in range(1, MAX_DEPTH + 1):
        raise ArchitectureError(f"depth: expected 1 to {MAX_DEPTH}, got {depth}")
    return (width, *(max(4, 4 * int(width * growth**level / 4 + 0.5)) for level in range(1, depth + 1)))


def _skip(document: dict[str, Any]) -> Skip:
    sources = document.get("sources")
    return Skip(**{**document, "sources": None if sources is None else parse_sources(sources)})


def _backbone(document: dict[str, Any]) -> Backbone:
    lists = {name: _counts(f"encoder.{name}", document[name]) for name in ("reductions", "channels")}
    return Backbone(**{**document, **lists})


def _counts(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise ArchitectureError(f"{name}: expected a list of whole numbers, got {value!r}")
    for item in value:
        check_count(name, item)
    return tuple(value)


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
