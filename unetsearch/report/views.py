"""What a report shows, computed from the records: plain data, nothing drawn."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log10
from statistics import median, quantiles

import numpy as np

from unetsearch.report.confirmation import Confirmation
from unetsearch.report.words import SCORES, amount, network, remark
from unetsearch.search.preview import Shown
from unetsearch.search.records import TIME_SPENT, TrialRecord, front_of
from unetsearch.space.settings import Objective, ranked_by
from unetsearch.statistics.front import hypervolume_growth
from unetsearch.training.score import Score

CLOSE = 0.01
"""Score within which networks are called alike: about what a second seed moves a small network."""

DECADES = (3, 9)
"""Logarithms of the parameters between which the hypervolume counts: networks of a thousand to a billion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything a report is made of. `notes`: what was found in the data. `seconds`: of training, in all.

    `settings_yaml`: the resolved study. `versions`: of software and machine, by name. `confirmed`: what was tested on
    other images, None where nothing was. `size`: the points of the space, None where they are without number.
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
    confirmed: Confirmation | None = None
    size: int | None = None

    @property
    def by(self) -> Objective:
        """The score that ranks the networks."""
        return ranked_by(self.objectives)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPoint:
    """A trained network as a point of the front's figure. `score`: the one that ranks the networks; `final`: all."""

    name: str
    baseline: bool
    on_front: bool
    score: float
    final: Score
    params: int
    macs: int
    depth: int
    skip: str
    words: str
    seconds: float
    latency: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthRow:
    """The trained networks of one depth; `best` is the one of the highest score, quartiles are of the scores."""

    depth: int
    scores: tuple[float, ...]
    best: NetworkPoint
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A learning curve: the score after each of the steps. `remark`: what is not as with most trials, or nothing."""

    name: str
    kind: str
    steps: tuple[int, ...]
    scores: tuple[float, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervolumePoint:
    """The hypervolume after so many trained networks and so many seconds of training."""

    trials: int
    seconds: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Trainings that were pruned, of so many; optimizer steps done, and those that pruning left out.

    `late`: those that ended early since the time was spent, which saved nothing.
    """

    pruned: int
    late: int
    trainings: int
    steps: int
    saved: int

    @property
    def words(self) -> str:
        """A sentence or two; empty where nothing ended early."""
        told, trainings = [], f"{self.trainings} training{'s' * (self.trainings > 1)}"
        if self.pruned:
            share = self.saved / (self.steps + self.saved)
            saved = f"saved {share:.0%} of the optimizer steps"
            told.append(f"Pruning ended {self.pruned} of {trainings} early and {saved}.")
        if self.late:
            were = "was" if self.late == 1 else "were"
            told.append(f"{self.late} of {trainings} {were} ended early, since the time was spent.")
        return " ".join(told)


def network_points(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> tuple[NetworkPoint, ...]:
    """Every trained network once, baselines first, and whether no other beats it in every objective."""
    by = ranked_by(objectives)
    trained = [record for record in records if record.distinct]
    front = {record.name for record in front_of(records, objectives)}
    return tuple(
        NetworkPoint(
            name=record.name,
            baseline=record.baseline is not None,
            on_front=record.name in front,
            score=record.final.of(by),
            final=record.final,
            params=record.params,
            macs=record.macs,
            depth=record.architecture.depth,
            skip=record.architecture.skip.rule,
            words=", ".join(filter(None, (network(record), remark(record)))),
            seconds=record.seconds,
            latency=record.latency,
            memory=record.memory,
        )
        for record in trained
    )


def depth_rows(points: Sequence[NetworkPoint]) -> tuple[DepthRow, ...]:
    """One row a depth, baselines included, by rising depth."""
    rows = []
    for depth in sorted({point.depth for point in points}):
        here = [point for point in points if point.depth == depth]
        reached = tuple(point.score for point in here)
        low, _, high = quantiles(reached, n=4, method="inclusive") if len(reached) > 1 else (reached[0],) * 3
        best = max(here, key=lambda point: (point.score, -point.params))
        rows.append(DepthRow(depth=depth, scores=reached, best=best, median=median(reached), low=low, high=high))
    return tuple(rows)


def curves(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> tuple[Curve, ...]:
    """The learning curves of what was trained here; `kind` is baseline, front, other, pruned or failed."""
    by = ranked_by(objectives)
    front = {record.name for record in front_of(records, objectives)}

    def kind(record: TrialRecord) -> str:
        if record.baseline and record.distinct:
            return "baseline"
        if record.state != "complete":
            return "pruned" if record.state == "pruned" else "failed"
        return "front" if record.name in front else "other"

    return tuple(
        Curve(
            name=record.name,
            kind=kind(record),
            steps=tuple(score.step for score in record.curve),
            scores=tuple(score.of(by) for score in record.curve),
            remark=remark(record),
        )
        for record in records
        if record.curve and record.state != "repeat"
    )


def hypervolume_over_time(records: Sequence[TrialRecord], by: Objective) -> tuple[HypervolumePoint, ...]:
    """The hypervolume of (1 - score, log10 parameters) after each trained network, in the order of their finishing.

    `by`: the score. Parameters count from DECADES[0] on, as shares of the way to DECADES[1], so that what is trained
    later changes no earlier value; the reference is (1, 1), and 1 is the most there can be.
    """
    stretches = sorted((end, end - start) for record in records for _, start, end in record.trained_at)
    ends = [end for end, _ in stretches]
    spent = [0.0, *accumulate(seconds for _, seconds in stretches)]  # by failed, pruned and paused trainings too
    trained = sorted((record for record in records if record.distinct), key=lambda record: record.finished)
    return tuple(
        HypervolumePoint(trials=count, seconds=spent[bisect_right(ends, record.finished)], value=value)
        for count, (record, value) in enumerate(zip(trained, _volumes(trained, by), strict=True), start=1)
    )


def hypervolume(records: Sequence[TrialRecord], by: Objective) -> float:
    """The last value of `hypervolume_over_time`; 0 where nothing was trained."""
    volumes = _volumes([record for record in records if record.distinct], by)
    return volumes[-1] if volumes else 0.0


def _volumes(trained: Sequence[TrialRecord], by: Objective) -> list[float]:
    if not trained:
        return []
    low, high = DECADES
    sizes = np.clip([(log10(record.params) - low) / (high - low) for record in trained], 0, 1)
    losses = [1 - record.final.of(by) for record in trained]
    return hypervolume_growth(np.stack([losses, sizes], 1), (1.0, 1.0))


def saving(records: Sequence[TrialRecord]) -> Saving:
    """What pruning saved of the trainings that a study began, baselines among them."""
    trained = [record for record in records if record.trained]
    ended = [record for record in trained if record.state == "pruned"]
    pruned = [record for record in ended if record.reason != TIME_SPENT]
    return Saving(
        pruned=len(pruned),
        late=len(ended) - len(pruned),
        trainings=len(trained),
        steps=sum(record.steps for record in trained),
        saved=sum(record.recipe.steps - record.steps for record in pruned),
    )


def summary(records: Sequence[TrialRecord], points: Sequence[NetworkPoint], by: Objective) -> tuple[str, ...]:
    """The answer in a few sentences, with what it is worth. `by`: the score that ranks the networks."""
    searched = [record for record in records if record.baseline is None]
    words = {
        "complete": "trained",
        "pruned": "ended early",
        "repeat": "known already",
        "infeasible": "infeasible",
        "failed": "failed",
    }
    counts = {word: sum(record.state == state for record in searched) for state, word in words.items()}
    counted = "Points of the space: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    if not points:
        nothing = f"{counted if searched else 'Nothing was trained'}; there is no result yet."
        return tuple(filter(None, (nothing, saving(records).words)))
    score = SCORES[by]
    best = max(points, key=lambda point: (point.score, -point.params))
    close = [point for point in points if point.score >= best.score - CLOSE]
    lean = min(close, key=lambda point: (point.params, -point.score))
    lines = [_of(f"The highest {score}", best)]
    if lean != best:
        share = lean.params / best.params
        lines.append(
            f"{_of(f'The smallest network within {CLOSE:g} of it', lean)} It has {share:.0%} of the best's parameters."
        )
    strongest = max((p for p in points if p.baseline), key=lambda p: p.score, default=None)
    found = max((p for p in points if not p.baseline), key=lambda p: p.score, default=None)
    if strongest and found:
        lines.append(
            f"Against the strongest baseline ({strongest.name}, {score} {strongest.score:.4f}, "
            f"{amount(strongest.params)} parameters) the best network that was searched for has "
            f"{found.score - strongest.score:+.4f} {score}."
        )
    depths = sorted({point.depth for point in close})
    if len({point.depth for point in points}) > 1:
        which = f"depth {depths[0]}" if len(depths) == 1 else f"depths {', '.join(map(str, depths))}"
        lines.append(f"Networks within {CLOSE:g} of the best {score} have {which}.")
    lines.append(saving(records).words)
    lines.append(
        f"{counted if searched else 'Baselines only'}. These scores chose the networks on one validation split, "
        f"so the best of them is flattered, and differences of about a point of {score} can turn with the seed."
    )
    return tuple(filter(None, lines))


def _of(what: str, point: NetworkPoint) -> str:
    return f"{what}: {point.score:.4f}, by {point.name} ({point.words}; {amount(point.params)} parameters)."
