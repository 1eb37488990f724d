"""The fixed sections of a study's YAML, as plain data: the data, the search, the limits, the baselines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from unetsearch.space.values import Scalar

SplitBy = Literal["auto", "random", "blocks", "groups", "folders"]
Sampler = Literal["auto", "enumerate", "tpe", "nsga2", "random"]
Pruner = Literal["pareto", "none"]
Objective = Literal["dice", "iou", "object_f1", "params", "macs", "latency", "memory"]
Reference = Literal[
    "unet",
    "unet-2015",
    "unet-lecture",
    "unet++",
    "unet++-lecture",
    "unet3+",
    "resunet",
    "mobile-unet",
    "eff-unet",
]

MAXIMISED: frozenset[Objective] = frozenset({"dice", "iou", "object_f1"})


def ranked_by(objectives: Iterable[Objective]) -> Objective:
    """The score that ranks the networks of a study: the first objective that is maximised; Dice where none is."""
    return next((objective for objective in objectives if objective in MAXIMISED), "dice")


MEASURED: frozenset[Objective] = frozenset({"latency", "memory"})
"""Objectives that are measured on the study's device, and not counted."""

PUBLISHED_DEPTHS: Mapping[Reference, int] = {"resunet": 3, "mobile-unet": 5, "eff-unet": 5}
"""Of the published networks that are not of depth 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How images become training, validation and test.

    `by`: `folders` (train/, val/, test/ in the data folder), `groups` (all images whose file name gives the same
    match of the regular expression `groups` stay together), `blocks` (contiguous in the order of the names),
    `random`, or `auto`, which takes the first that the data call for. `test` is the share held out from the
    start; validation is one of `folds` equal parts of the rest.
    """

    by: SplitBy = "auto"
    test: float = 0.2
    folds: int = 5
    groups: str | None = None
    seed: int = 0


EMBEDDED = ("cells", "cells-empty", "rings")
"""The synthetic sets that need no folder (a folder `cells` is `./cells`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Where the images are and how their masks are read.

    `path`: a folder, or the name of an embedded set. `classes`: `auto`, or the mask value of each
    class by its name, background first. `ignore`: a mask value that is neither trained on nor scored.
    `threshold`: mask values above it are foreground (for anti-aliased or JPEG masks).
    """

    path: str = "cells"
    classes: Literal["auto"] | Mapping[str, int] = "auto"
    ignore: int | None = None
    threshold: int | None = None
    split: SplitSettings = field(default_factory=SplitSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Upper limits checked before any training; None: no limit. `macs` counts one 256x256 image."""

    params: int | None = None
    macs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A published network that is trained first, with the values that override its own."""

    name: Reference
    values: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """The depth it is given, or that of the published network."""
        depth = self.values.get("depth", PUBLISHED_DEPTHS.get(self.name, 4))
        assert isinstance(depth, int), "the reader takes whole numbers only"
        return depth


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How far and how the study searches. `trials` and `time` (seconds) are totals over all its runs.

    `pruner`: `pareto` ends trainings early that promise no place on the front, and continues the most promising first.
    A training without a step for `stall`
    seconds hangs and is given up.
    """

    trials: int = 60
    time: float | None = None
    sampler: Sampler = "auto"
    pruner: Pruner = "pareto"
    stall: float = 900.0
    seed: int = 0
