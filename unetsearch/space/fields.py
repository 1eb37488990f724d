"""Every key of the YAML: what it takes, its default, what it means. The reader and the JSON schema both follow it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from unetsearch.space.architecture import MAX_DEPTH, Activation, Combine, Decoder, Down, Family, Norm, Stem, Up
from unetsearch.space.backbone import PREFIX
from unetsearch.space.kinds import EncoderName, Flag, Kind, Name, Number, Numbers, Text
from unetsearch.space.quantities import COUNT_PATTERN, DURATION_PATTERN, Quantity, parse_count, parse_duration
from unetsearch.space.recipe import AUTO, EQUAL, MEDIAN_FREQUENCY, Heads, Loss, Recipe
from unetsearch.space.settings import Objective, Pruner, Reference, Sampler, SplitBy
from unetsearch.space.skip import SkipRule
from unetsearch.space.space import ARCHITECTURE_DEFAULTS
from unetsearch.space.values import Scalar

ANY_BACKBONE = f"{PREFIX}*"
"""What stands for every backbone among the names of choices with choices of their own."""


@dataclass(frozen=True, slots=True)
class Field:
    """A key: its kind, its default (None: left out), what it means, and whether it may vary.

    `options`: the keys of the choices that carry choices of their own, by the name of the choice (`timm/*`: every
    backbone).
    """

    kind: Kind
    default: Scalar
    meaning: str
    searched: bool = True
    options: Mapping[str, Mapping[str, "Field"]] = field(default_factory=dict)

    def own(self, name: str) -> Mapping[str, "Field"]:
        """The keys that the choice of this name may carry."""
        return self.options.get(ANY_BACKBONE if name.startswith(PREFIX) else name, {})


def _names(literal: Any) -> Name:
    return Name(get_args(literal))


_SUPERVISION = Field(Flag(), False, "a head on several decoder nodes, each with its own loss")
_COMBINE = Field(_names(Combine), "final", "with several heads: the final one's output, or the mean of all")
_EDGE_CHANNELS = Field(
    Number(4, 1024, integer=True, multiple=4), None, "channels of every edge; left out, those of level 0"
)
_FREE_CHANNELS = Field(
    _EDGE_CHANNELS.kind, None, "channels of every edge; left out, edges as plain and dense have them"
)
_HEADS = {"deep_supervision": _SUPERVISION, "combine": _COMBINE}
_SKIPS: dict[str, dict[str, Field]] = {rule: dict(_HEADS) for rule in get_args(SkipRule)}
_SKIPS["full_scale"]["channels"] = _EDGE_CHANNELS
_SKIPS["free"]["channels"] = _FREE_CHANNELS
_BACKBONE = {
    "pretrained": Field(Flag(), False, "start from timm's weights"),
    "stem": Field(_names(Stem), "plain", "plain blocks on the levels above a backbone's first stage, or none"),
}

_KINDS: dict[str, tuple[Kind, str]] = {
    "depth": (Number(1, MAX_DEPTH, integer=True), "down-samplings; the 2015 U-Net has 4"),
    "width": (Number(4, 1024, integer=True, multiple=4), "channels of level 0"),
    "growth": (Number(0.5, 4), "channels at level i: width * growth^i, to the nearest multiple of 4"),
    "encoder": (EncoderName(get_args(Family)), "what fills the encoder's nodes: a family, or a backbone of timm"),
    "decoder": (_names(Decoder), "what fills the decoder's nodes"),
    "norm": (_names(Norm), "normalisation after (residual: before) each convolution"),
    "activation": (_names(Activation), "activation"),
    "down": (
        _names(Down),
        "down-sampling in the encoder: max-pooling, average-pooling, 2x2 convolution, or the block's first convolution",
    ),
    "up": (_names(Up), "up-sampling of plain and dense skips: 2x2 transposed convolution, or interpolation"),
    "dropout": (Number(0, 1, below=True), "share of channels dropped at the end of each block"),
    "guidance": (Flag(), "the classification-guided module of U-Net 3+: it learns which classes an image has"),
}

_OPTIONS: dict[str, Mapping[str, Mapping[str, Field]]] = {"encoder": {ANY_BACKBONE: _BACKBONE}}

ARCHITECTURE: dict[str, Field] = {
    name: Field(kind, ARCHITECTURE_DEFAULTS[name], meaning, options=_OPTIONS.get(name, {}))
    for name, (kind, meaning) in _KINDS.items()
} | {
    "skip": Field(
        _names(SkipRule),
        "plain",
        "which nodes are joined: U-Net, U-Net++ (dense), U-Net 3+ (full_scale), or every edge by choice (free)",
        options=_SKIPS,
    )
}

_RECIPE = Recipe()
TRAINING: dict[str, Field] = {
    "steps": Field(Number(1, 1e9, integer=True), _RECIPE.steps, "optimizer steps of a training", searched=False),
    "evaluations": Field(
        Number(1, 1000, integer=True), _RECIPE.evaluations, "times a training is scored", searched=False
    ),
    "crop": Field(
        Number(8, 4096, integer=True), _RECIPE.crop, "side of the square training crops, in pixels", searched=False
    ),
    "batch_size": Field(
        Number(1, 4096, integer=True, names=(AUTO,)),
        _RECIPE.batch_size,
        "crops a step; auto: as many as the memory holds with the greatest network, the same for all",
    ),
    "learning_rate": Field(Number(0, 10, above=True), _RECIPE.learning_rate, "of AdamW, between warmup and decay"),
    "weight_decay": Field(Number(0, 10), _RECIPE.weight_decay, "of AdamW"),
    "loss": Field(
        _names(Loss),
        _RECIPE.loss,
        "dice_ce: cross-entropy plus soft Dice; unet++, unet3+: the sums of these papers",
    ),
    "heads": Field(_names(Heads), _RECIPE.heads, "the losses of several heads: their mean, or their sum"),
    "head_weights": Field(
        Numbers("numbers, 0 or from a millionth to a million, the first above 0, such as 1 0.5"),
        _RECIPE.head_weights,
        "what each head's loss counts, the final one first; the last number is for all that are left",
    ),
    "class_weights": Field(
        Numbers(
            f"{EQUAL}, {MEDIAN_FREQUENCY}, or a number for each class, 0 or from a millionth to a million, "
            "background first, not all others 0",
            (EQUAL, MEDIAN_FREQUENCY),
            first=False,
        ),
        _RECIPE.class_weights,
        "what each class counts in the loss: by its frequency, or as told, background first",
    ),
    "weight_map": Field(
        Flag(),
        _RECIPE.weight_map,
        "pixels between close objects count more (2015 U-Net); touching ones are told apart",
    ),
    "augmentation": Field(
        Number(0, 2),
        _RECIPE.augmentation,
        "strength of rotation, scale, elastic deformation, brightness, noise, blur; 0: flips and right angles only",
    ),
    "foreground": Field(
        Number(0, 1), _RECIPE.foreground, "share of the crops that are laid so that they show a pixel of the foreground"
    ),
    "warmup": Field(Number(0, 1), _RECIPE.warmup, "share of the steps in which the learning rate rises"),
    "decay": Field(Number(0, 1), _RECIPE.decay, "share of the steps in which it falls to zero at the end"),
    "reach": Field(
        Number(0, 10), _RECIPE.reach, "share of the steps so far over which the weights that are scored are averaged"
    ),
    "averaging": Field(
        Number(0, 1, below=True), None, "instead of reach: an exponential average of weights with this decay a step"
    ),
}

DATA: dict[str, Field] = {
    "path": Field(
        Text("a folder, or cells"), "cells", "images and masks, as seen from this file; or a set that is built in"
    ),
    "ignore": Field(Number(-1, 65535, integer=True), None, "mask value that is neither trained on nor scored"),
    "threshold": Field(Number(0, 65535, integer=True), None, "mask values above it are foreground"),
}

SPLIT: dict[str, Field] = {
    "by": Field(_names(SplitBy), "auto", "how images are told apart; groups and folders stay together"),
    "test": Field(Number(0, 0.9), 0.2, "share of the images that no search ever reads"),
    "folds": Field(Number(2, 20, integer=True), 5, "validation is one of so many parts of the rest"),
    "groups": Field(Text("a regular expression"), None, "files whose match is the same stay on one side"),
    "seed": Field(Number(0, 2**31, integer=True), 0, "of the random split"),
}

LIMITS: dict[str, Field] = {
    "params": Field(Quantity("a number such as 500k or 8M", COUNT_PATTERN, parse_count), None, "most parameters"),
    "macs": Field(
        Quantity("a number such as 900M or 20G", COUNT_PATTERN, parse_count), None, "most MACs of a 256x256 image"
    ),
}

SEARCH: dict[str, Field] = {
    "trials": Field(Number(1, 1e9, integer=True), 60, "networks trained in all, over every run of the study"),
    "time": Field(
        Quantity("a time such as 90s, 30m or 2h", DURATION_PATTERN, parse_duration),
        None,
        "of training in all, likewise",
    ),
    "sampler": Field(
        _names(Sampler),
        "auto",
        "auto: some sizes first; then all points where the trials cover the space, else tpe",
    ),
    "pruner": Field(_names(Pruner), "pareto", "pareto: ends trainings early that promise no place on the front"),
    "stall": Field(
        Quantity("a time such as 90s, 30m or 2h", DURATION_PATTERN, parse_duration),
        900.0,
        "a training without a step for so long hangs, and is given up",
    ),
    "seed": Field(Number(0, 2**31, integer=True), 0, "of the search and of every training"),
}

_OVERRIDES = {name: (field.kind, field.meaning) for name, field in (_HEADS | _BACKBONE).items()}
BASELINE: dict[str, Field] = {
    name: Field(kind, None, meaning, searched=False) for name, (kind, meaning) in (_KINDS | _OVERRIDES).items()
} | {"channels": Field(_EDGE_CHANNELS.kind, None, f"unet3+ only: {_EDGE_CHANNELS.meaning}", searched=False)}

NAME = Text("letters, digits, dots, dashes and underscores", r"[A-Za-z0-9][A-Za-z0-9._-]*")
OBJECTIVES = _names(Objective)
BASELINES = _names(Reference)
MASK_VALUE = Number(-1, 65535, integer=True)
Section = Literal["name", "data", "architecture", "training", "objectives", "limits", "baselines", "search"]
SECTIONS: tuple[str, ...] = get_args(Section)
