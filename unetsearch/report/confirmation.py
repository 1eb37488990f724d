"""What was confirmed, as numbers: the verdict of each factor, the tested networks, the gain over the baselines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np

from unetsearch.report.confirmed_scores import Finalists, Rows, Scores
from unetsearch.search.confirm import MOST_FOLDS, best_of_depths, tuned_rate
from unetsearch.search.confirmed import Failure, Plan, Run
from unetsearch.search.finalists import FACTORS, Label, best_of_each, candidates, ranked
from unetsearch.search.records import TrialRecord
from unetsearch.space.settings import Objective
from unetsearch.statistics.differences import Interval, compare
from unetsearch.statistics.gain import gain
from unetsearch.statistics.verdict import Needed, Verdict, needed, verdict

ORDER: dict[str, tuple[str, ...]] = {
    "skip": ("plain", "dense", "full_scale", "free"),
    "encoder": ("plain", "residual", "mobile", "efficient"),
}
"""Which labels are preferred where they are as good: the simple ones. Depths: the shallow ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A label of a factor. `record`: the network that stands for it, with its costs. `mean`: its confirmed score.

    `loss`, `lower`, `upper`: against the best label, as in statistics.verdict.Standing.
    """

    label: Label
    record: TrialRecord
    mean: float
    loss: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """The verdict on depth, skips or encoder. `gains[a][b]`: how much better label a is than b, in `standings`' order.

    Their intervals allow for the best network of each label having been chosen among all of that label.

    `needed`: what would probably settle it; None where it is decided. `unit`: of what it needs more, "fold" or "seed".
    """

    name: str
    verdict: Verdict
    standings: tuple[Standing, ...]
    gains: tuple[tuple[Interval, ...], ...]
    recommended: TrialRecord
    needed: Needed | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A network that was trained again. `mean`: its score on the test images, with the interval of that mean.

    An interval of 95 % for each network by itself: the best of several scores looks better than it is.
    """

    record: TrialRecord
    mean: Interval
    trainings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What the recommended network gains over the strongest baseline."""

    baseline: str
    gain: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """All of it. `done`, `of`: trainings. `images`, `groups`: that were tested on. `factors`: depth first.

    `longer`: the depth's verdict with so many times the steps. `left_out`: finalists that could not be trained.
    `latency`: seconds of one 256x256 image, by the hash of a network, where it is known.
    """

    plan: Plan
    done: int
    of: int
    images: int
    groups: int
    factors: tuple[Factor, ...]
    tested: tuple[Tested, ...]
    against: Against | None
    longer: tuple[tuple[float, Factor], ...]
    left_out: tuple[str, ...]
    seconds: float
    latency: Mapping[str, float]

    @property
    def networks(self) -> tuple[TrialRecord, ...]:
        """All that are shown, none twice."""
        standing = (each.record for factor in self.factors for each in factor.standings)
        tested = (each.record for each in self.tested)
        return tuple({record.hash: record for record in (*standing, *tested)}.values())

    @property
    def score(self) -> Objective:
        """The score that is compared."""
        return self.plan.score


def confirmation(
    plan: Plan,
    runs: Sequence[Run],
    records: Sequence[TrialRecord],
    failures: Sequence[Failure] = (),
    latency: Mapping[str, float] = MappingProxyType({}),
) -> Confirmation | None:
    """What the runs say so far; None while no run was tested for every finalist."""
    runs = [run for run in runs if run.key.design == plan.design]
    failures = [failure for failure in failures if failure.key.design == plan.design]
    found = [run for run in runs if run.key.budget == 1 and not run.key.tuning]
    table = Scores.of(plan, plan.of_fold, found, _failed(runs, failures, 1))
    if table is None:
        return None
    shown = tuple(filter(None, (_factor(name, plan, plan.points_of, table, records) for name in FACTORS)))
    wanted = {(record.hash, fold) for fold in range(plan.folds) for record in plan.of_fold(fold)}
    return Confirmation(
        plan=plan,
        done=sum((run.key.hash, run.key.fold) in wanted and run.key.seed < plan.seeds for run in found),
        of=len(wanted) * plan.seeds,
        images=len(table.images),
        groups=len(set(table.groups)),
        factors=shown,
        tested=_tested(plan, table, records),
        against=_against(plan, table, records, shown),
        longer=tuple(_longer(plan, runs, failures, records)),
        left_out=tuple(dict.fromkeys(table.left_out.values())),
        seconds=sum(run.finished - run.started for run in runs),
        latency=latency,
    )


def _failed(runs: Sequence[Run], failures: Sequence[Failure], budget: float) -> set[tuple[str, int]]:
    """Whose training without which fold failed; one that could not be tuned at all could not be trained."""
    tuned = {(run.key.hash, run.key.fold) for run in runs if run.key.tuning and run.key.budget == budget}
    keys = [failure.key for failure in failures if failure.key.budget == budget]
    return {(key.hash, key.fold) for key in keys if not (key.tuning and (key.hash, key.fold) in tuned)}


def _longer(
    plan: Plan,
    runs: Sequence[Run],
    failures: Sequence[Failure],
    records: Sequence[TrialRecord],
) -> Iterator[tuple[float, Factor]]:
    """The depth's verdict with more steps, each network at the rate that was tuned for it."""

    points = partial(best_of_depths, plan)
    for budget in sorted({run.key.budget for run in runs if not run.key.tuning} - {1.0}):
        rates = {
            (record.hash, fold): tuned_rate(plan, runs, record, fold if plan.nested else 0, budget)
            for fold in range(plan.folds)
            for record in points(fold)
        }
        found = [run for run in runs if run.key.budget == budget != 1 and not run.key.tuning]
        found = [run for run in found if run.key.rate == rates.get((run.key.hash, run.key.fold))]
        table = Scores.of(plan, points, found, _failed(runs, failures, budget))
        factor = table and _factor("depth", plan, points, table, records)
        if factor:
            yield budget, factor


def _factor(name: str, plan: Plan, points: Finalists, table: Scores, records: Sequence[TrialRecord]) -> Factor | None:
    """None where there is but one label."""
    label_of = FACTORS[name]
    if plan.nested:  # what the search of each fold chose of a label stands for it
        chosen = {
            fold: {label_of(r.architecture): r for r in best_of_each(table.kept(points(fold), fold), name, plan.score)}
            for fold in table.folds
        }
        whole = {label_of(r.architecture): r for r in best_of_each(candidates(records), name, plan.score)}
        every = {label for of_fold in chosen.values() for label in of_fold}
        everywhere = [whole, *chosen.values()]
        labels = [label for label in _ordered(name, every) if all(label in found for found in everywhere)]
        standing = [whole[label] for label in labels]
        rows: Rows = [
            [chosen[fold][label].hash if fold in chosen else None for fold in range(plan.folds)] for label in labels
        ]
    else:
        standing = table.kept(points(0), 0)
        labels = [label_of(record.architecture) for record in standing]
        every = set(labels)
        rows = [[record.hash] * plan.folds for record in standing]
    if len(every) < 2 or not labels:
        return None
    order = _ordered(name, every)
    comparison = compare(table.cells(rows))
    result = verdict(comparison, labels, order, plan.margin)
    firsts = [each.candidate for each in result.standings]
    most = MOST_FOLDS if comparison.unit == "fold" else None
    return Factor(
        name=name,
        verdict=result,
        standings=tuple(
            Standing(
                label=each.label,
                record=standing[each.candidate],
                mean=each.score,
                loss=each.loss,
                lower=each.lower,
                upper=each.upper,
            )
            for each in result.standings
        ),
        gains=tuple(
            tuple(
                comparison.interval(a, b, 1 - 0.05 / (labels.count(labels[a]) * labels.count(labels[b])))
                for b in firsts
            )
            for a in firsts
        ),
        recommended=standing[result.recommended],
        needed=None if result.decided is not None else needed(comparison, labels, order, plan.margin, most_units=most),
        unit=comparison.unit,
    )


def _tested(plan: Plan, table: Scores, records: Sequence[TrialRecord]) -> tuple[Tested, ...]:
    """Every finalist; nested, the search's choice and the baselines, which alone are the same in every fold."""
    shown, rows = _choice_and_baselines(plan, table, records)[:2] if plan.nested else _all(plan, table)
    if not shown:
        return ()
    cells = table.cells(rows)
    nothing = np.where(np.isnan(cells.scores).all(axis=0), np.nan, 0.0)  # against a score of 0, a mean has an interval
    comparison = compare(replace(cells, scores=np.concatenate([cells.scores, nothing[None]])))
    return tuple(
        Tested(record=record, mean=comparison.interval(place, len(rows)), trainings=len(table.runs))
        for place, record in enumerate(shown)
    )


def _against(plan: Plan, table: Scores, records: Sequence[TrialRecord], factors: Sequence[Factor]) -> Against | None:
    """None where there is no baseline beside the recommended network."""
    if plan.nested:
        shown, rows, chosen = _choice_and_baselines(plan, table, records)
        among = 1
    else:
        shown, rows = _all(plan, table)
        points = table.kept(plan.points_of(0), 0)
        recommended = [factor.recommended for factor in factors] or ranked(points, plan.score)
        hashes = [record.hash for record in shown]
        chosen, among = (hashes.index(recommended[0].hash) if recommended else None), len(points)
    if chosen is None:
        return None
    baselines = [place for place, record in enumerate(shown) if record.baseline and place != chosen]
    if not baselines:
        return None
    found = gain(compare(table.cells(rows)), chosen, baselines, among)
    return Against(baseline=shown[found.baseline].name, gain=found.interval)


def _all(plan: Plan, table: Scores) -> tuple[Sequence[TrialRecord], Rows]:
    shown = table.kept(plan.of_fold(0), 0)
    return shown, [[record.hash] * plan.folds for record in shown]


def _choice_and_baselines(
    plan: Plan, table: Scores, records: Sequence[TrialRecord]
) -> tuple[Sequence[TrialRecord], Rows, int | None]:
    """The baselines, and what the search of each fold chose, shown as what the whole search chose; the place of that.

    None where some search chose nothing that could be trained.
    """
    chosen = {fold: ranked(table.kept(plan.points_of(fold), fold), plan.score)[:1] for fold in table.folds}
    shown = [record for record in plan.of_fold(0) if record.baseline and table.known(record)]
    rows: list[list[str | None]] = [[record.hash] * plan.folds for record in shown]
    if not all(chosen.values()):
        return shown, rows, None
    points = [record for record in candidates(records) if not record.baseline]
    if not points:
        return shown, rows, None
    shown.append(ranked(points, plan.score)[0])
    rows.append([chosen[fold][0].hash if fold in chosen else None for fold in range(plan.folds)])
    return shown, rows, len(rows) - 1


def _ordered(name: str, labels: set[Label]) -> list[Label]:
    """The labels of a factor, the preferred ones first."""
    known = ORDER.get(name, ())
    return sorted(labels, key=lambda label: (known.index(label) if label in known else len(known), label))
