"""What a report shows, computed from the records: plain data, nothing drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log10
from statistics import median, quantiles

import numpy as np

from unetsearch.report.words import amount, topology, training
from unetsearch.search.preview import Shown
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.space.settings import Objective
from unetsearch.statistics.front import hypervolume_growth

CLOSE = 0.01
"""Dice within which networks are called alike: about what a second seed moves a small network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything a report is made of. `notes`: what was found in the data. `seconds`: of training, in all.

    `settings_yaml`: the resolved study. `versions`: of software and machine, by name.
    """

    name: str
    data_name: str
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    records: tuple[TrialRecord, ...]
    objectives: tuple[Objective, ...]
    settings_yaml: str
    previews: tuple[Shown, ...]
    seconds: float
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPoint:
    """A trained network as a point of the front's figure."""

    name: str
    baseline: bool
    on_front: bool
    dice: float
    iou: float
    params: int
    macs: int
    depth: int
    skip: str
    encoder: str
    words: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthRow:
    """The trained networks of one depth; `best` is the one of the highest Dice, quartiles are of the Dice."""

    depth: int
    dices: tuple[float, ...]
    best: NetworkPoint
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A learning curve: Dice after each of the steps."""

    name: str
    kind: str
    steps: tuple[int, ...]
    dices: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervolumePoint:
    """The hypervolume after so many trained networks and so many seconds of training."""

    trials: int
    seconds: float
    value: float


def network_points(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> tuple[NetworkPoint, ...]:
    """Every trained network once, baselines first, and whether no other beats it in every objective."""
    trained = [record for record in records if record.distinct]
    front = {record.name for record in front_of(records, objectives)}
    return tuple(
        NetworkPoint(
            name=record.name,
            baseline=record.baseline is not None,
            on_front=record.name in front,
            dice=record.final.dice,
            iou=record.final.iou,
            params=record.params,
            macs=record.macs,
            depth=record.architecture.depth,
            skip=record.architecture.skip.rule,
            encoder=record.architecture.encoder_name,
            words=", ".join(filter(None, (topology(record.architecture), training(record.values)))),
            seconds=record.seconds,
        )
        for record in trained
    )


def depth_rows(points: Sequence[NetworkPoint]) -> tuple[DepthRow, ...]:
    """One row a depth, baselines included, by rising depth."""
    rows = []
    for depth in sorted({point.depth for point in points}):
        here = [point for point in points if point.depth == depth]
        dices = tuple(point.dice for point in here)
        low, _, high = quantiles(dices, n=4, method="inclusive") if len(dices) > 1 else (dices[0],) * 3
        best = max(here, key=lambda point: (point.dice, -point.params))
        rows.append(DepthRow(depth=depth, dices=dices, best=best, median=median(dices), low=low, high=high))
    return tuple(rows)


def curves(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> tuple[Curve, ...]:
    """The learning curves; `kind` is baseline, front, other or failed."""
    front = {record.name for record in front_of(records, objectives)}

    def kind(record: TrialRecord) -> str:
        if record.baseline:
            return "baseline"
        if record.state == "failed":
            return "failed"
        return "front" if record.name in front else "other"

    return tuple(
        Curve(
            name=record.name,
            kind=kind(record),
            steps=tuple(score.step for score in record.curve),
            dices=tuple(score.dice for score in record.curve),
        )
        for record in records
        if record.curve and record.state in ("complete", "failed")
    )


def hypervolume_over_time(records: Sequence[TrialRecord]) -> tuple[HypervolumePoint, ...]:
    """The hypervolume of (1 - Dice, log10 parameters) after each trained network, in the order of their finishing.

    Parameters are scaled to the range of those trained; the reference is (1, 1), so that 1 is the most there can be.
    """
    ordered = sorted(records, key=lambda record: record.finished)
    spent = list(accumulate(record.seconds for record in ordered))  # by failed trainings too
    trained = [(record, seconds) for record, seconds in zip(ordered, spent, strict=True) if record.distinct]
    if not trained:
        return ()
    sizes = [log10(record.params) for record, _ in trained]
    low, span = min(sizes), max(max(sizes) - min(sizes), 1e-9)
    losses = [(1 - record.final.dice, (size - low) / span) for (record, _), size in zip(trained, sizes, strict=True)]
    volumes = hypervolume_growth(np.array(losses), (1.0, 1.0))
    return tuple(
        HypervolumePoint(trials=count, seconds=seconds, value=value)
        for count, ((_, seconds), value) in enumerate(zip(trained, volumes, strict=True), start=1)
    )


def summary(records: Sequence[TrialRecord], points: Sequence[NetworkPoint]) -> tuple[str, ...]:
    """The answer in a few sentences, with what it is worth."""
    searched = [record for record in records if record.baseline is None]
    words = {"complete": "trained", "repeat": "known already", "infeasible": "infeasible", "failed": "failed"}
    counts = {word: sum(record.state == state for record in searched) for state, word in words.items()}
    counted = "Points of the space: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    if not points:
        return (f"{counted if searched else 'Nothing was trained'}; there is no result yet.",)
    best = max(points, key=lambda point: (point.dice, -point.params))
    close = [point for point in points if point.dice >= best.dice - CLOSE]
    lean = min(close, key=lambda point: (point.params, -point.dice))
    lines = [_of("The highest Dice", best)]
    if lean != best:
        share = lean.params / best.params
        lines.append(
            f"{_of(f'The smallest network within {CLOSE:g} of it', lean)} It has {share:.0%} of the best's parameters."
        )
    strongest = max((p for p in points if p.baseline), key=lambda p: p.dice, default=None)
    found = max((p for p in points if not p.baseline), key=lambda p: p.dice, default=None)
    if strongest and found:
        lines.append(
            f"Against the strongest baseline ({strongest.name}, Dice {strongest.dice:.4f}, {amount(strongest.params)} "
            f"parameters) the best network that was searched for has {found.dice - strongest.dice:+.4f} Dice."
        )
    depths = sorted({point.depth for point in close})
    if len({point.depth for point in points}) > 1:
        which = f"depth {depths[0]}" if len(depths) == 1 else f"depths {', '.join(map(str, depths))}"
        lines.append(f"Networks within {CLOSE:g} of the best Dice have {which}.")
    lines.append(
        f"{counted if searched else 'Baselines only'}. These scores chose the networks on one validation split, "
        "so the best of them is flattered, and differences of about a point of Dice can turn with the seed."
    )
    return tuple(lines)


def _of(what: str, point: NetworkPoint) -> str:
    return f"{what}: {point.dice:.4f}, by {point.name} ({point.words}; {amount(point.params)} parameters)."
