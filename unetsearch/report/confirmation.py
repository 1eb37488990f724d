"""What was confirmed, as numbers: the verdict of each factor, the tested networks, the gain over the baselines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unetsearch.search.confirmed import Plan, Run
from unetsearch.search.finalists import EACH_DEPTH, FACTORS, Label, best_of_each, candidates, ranked
from unetsearch.search.records import TrialRecord
from unetsearch.space.settings import Objective
from unetsearch.statistics.differences import Interval, compare
from unetsearch.statistics.gain import gain
from unetsearch.statistics.outcomes import Cells, cells_of
from unetsearch.statistics.verdict import Needed, Verdict, needed, verdict

ORDER: dict[str, tuple[str, ...]] = {
    "skip": ("plain", "dense", "full_scale", "free"),
    "encoder": ("plain", "residual", "mobile", "efficient"),
}
"""Which labels are preferred where they are as good: the simple ones. Depths: the shallow ones."""

Rows = Sequence[Sequence[str | None]]
"""For each candidate, the hash that stands for it without each fold; None where there is none."""

Finalists = Callable[[int], Sequence[TrialRecord]]
"""Those that are trained without a fold."""


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

    `needed`: what would probably settle it; None where it is decided.
    """

    name: str
    verdict: Verdict
    standings: tuple[Standing, ...]
    gains: tuple[tuple[Interval, ...], ...]
    recommended: TrialRecord
    needed: Needed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A network that was trained again. `mean`: its score on the test images, with the interval of that mean."""

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
    """

    plan: Plan
    score: Objective
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


def confirmation(plan: Plan, runs: Sequence[Run], records: Sequence[TrialRecord]) -> Confirmation | None:
    """What the runs say so far; None while no run was tested for every finalist."""
    runs = [run for run in runs if run.design == plan.design]
    found = [run for run in runs if run.budget == 1 and not run.tuning]
    score = plan.score
    table = _Table.of(plan, plan.of_fold, found, score)
    if table is None:
        return None
    factors = (_factor(name, plan, plan.points_of, table, records, score) for name in FACTORS)
    wanted = {(record.hash, fold) for fold in range(plan.folds) for record in plan.of_fold(fold)}
    known = [run for run in found if (run.hash, run.fold) in wanted and run.seed < plan.seeds]
    shown = tuple(filter(None, factors))
    return Confirmation(
        plan=plan,
        score=score,
        done=len(known),
        of=len(wanted) * plan.seeds,
        images=len(table.images),
        groups=len({plan.groups[image] for image in table.images}),
        factors=shown,
        tested=_tested(plan, table, records, score),
        against=_against(plan, table, records, shown, score),
        longer=tuple(_longer(plan, runs, records, score)),
        left_out=table.left_out,
        seconds=sum(run.finished - run.started for run in runs),
    )


def _longer(
    plan: Plan, runs: Sequence[Run], records: Sequence[TrialRecord], score: Objective
) -> Iterator[tuple[float, Factor]]:
    """The depth's verdict with more steps, each network at the rate that was tuned for it."""

    def points(fold: int) -> list[TrialRecord]:
        return best_of_each(plan.points_of(fold), "depth", score, EACH_DEPTH)

    for budget in plan.budgets:
        found = [run for run in runs if run.budget == budget != 1 and not run.tuning]
        table = _Table.of(plan, points, found, score) if found else None
        factor = table and _factor("depth", plan, points, table, records, score)
        if factor:
            yield budget, factor


@dataclass(frozen=True, slots=True)
class _Table:
    """The scores of runs by (hash, fold, seed); the runs that every finalist has; the tested images.

    `left_out`: finalists that could not be trained.
    """

    scores: dict[tuple[str, int, int], dict[int, float]]
    runs: tuple[tuple[int, int], ...]
    images: tuple[int, ...]
    groups: tuple[str, ...]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, finalists: Finalists, runs: Sequence[Run], score: Objective) -> "_Table | None":
        scores = {(run.hash, run.fold, run.seed): dict(zip(run.images, run.scores[score], strict=True)) for run in runs}
        lost = {record.hash: record.name for fold in range(plan.folds) for record in _lost(finalists(fold), scores)}
        whole = tuple(
            (fold, seed)
            for fold in range(plan.folds)
            for seed in range(plan.seeds)
            if all((record.hash, fold, seed) in scores for record in finalists(fold) if record.hash not in lost)
        )
        if not whole or not scores:
            return None
        images = sorted({image for (_, *run), tested in scores.items() if tuple(run) in whole for image in tested})
        groups = tuple(plan.groups[image] for image in images)
        return cls(scores, whole, tuple(images), groups, tuple(lost.values()))

    def cells(self, rows: Rows) -> Cells:
        """The scores of candidates."""
        values = np.full((len(rows), len(self.runs), len(self.images)), np.nan)
        place = {image: index for index, image in enumerate(self.images)}
        for run, (fold, seed) in enumerate(self.runs):
            for candidate, hashes in enumerate(rows):
                tested = self.scores.get((hashes[fold] or "", fold, seed), {})
                values[candidate, run, [place[image] for image in tested]] = list(tested.values())
        folds, seeds = zip(*self.runs, strict=True)
        return cells_of(values, folds, seeds, self.groups)


def _lost(finalists: Sequence[TrialRecord], scores: Mapping[tuple[str, int, int], object]) -> list[TrialRecord]:
    """Those that were never tested, although one after them was: their trainings failed."""
    tested = [place for place, record in enumerate(finalists) if any(hash_ == record.hash for hash_, *_ in scores)]
    return [record for place, record in enumerate(finalists) if place not in tested and place < max(tested, default=0)]


def _factor(
    name: str, plan: Plan, points: Finalists, table: _Table, records: Sequence[TrialRecord], score: Objective
) -> Factor | None:
    """None where there is but one label."""
    label_of = FACTORS[name]
    if plan.nested:  # what the search of each fold chose of a label stands for it
        chosen = [
            {label_of(r.architecture): r for r in best_of_each(points(fold), name, score)} for fold in range(plan.folds)
        ]
        labels = _ordered(name, {label for of_fold in chosen for label in of_fold})
        rows: Rows = [[_hash(of_fold.get(label)) for of_fold in chosen] for label in labels]
        whole = {label_of(r.architecture): r for r in best_of_each(candidates(records), name, score)}
        standing = [whole[label] for label in labels]
    else:
        standing = [record for record in points(0) if record.name not in table.left_out]
        labels = [label_of(record.architecture) for record in standing]
        rows = [[record.hash] * plan.folds for record in standing]
    order = _ordered(name, set(labels))
    if len(order) < 2:
        return None
    comparison = compare(table.cells(rows))
    result = verdict(comparison, labels, order, plan.margin)
    firsts = [each.candidate for each in result.standings]
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
        gains=tuple(tuple(comparison.interval(a, b) for b in firsts) for a in firsts),
        recommended=standing[result.recommended],
        needed=needed(comparison, labels, order, plan.margin) if result.decided is None else None,
    )


def _tested(plan: Plan, table: _Table, records: Sequence[TrialRecord], score: Objective) -> tuple[Tested, ...]:
    """Every finalist; nested, the search's choice and the baselines, which alone are the same in every fold."""
    shown, rows = _choice_and_baselines(plan, records, score) if plan.nested else _all(plan, table)
    cells = table.cells(rows)
    nothing = np.where(np.isnan(cells.scores).all(axis=0), np.nan, 0.0)  # against a score of 0, a mean has an interval
    comparison = compare(replace(cells, scores=np.concatenate([cells.scores, nothing[None]])))
    return tuple(
        Tested(record=record, mean=comparison.interval(place, len(rows)), trainings=len(table.runs))
        for place, record in enumerate(shown)
    )


def _against(
    plan: Plan, table: _Table, records: Sequence[TrialRecord], factors: Sequence[Factor], score: Objective
) -> Against | None:
    """None where there is no baseline beside the recommended network."""
    if plan.nested:
        shown, rows = _choice_and_baselines(plan, records, score)
        chosen, among = 0, 1
    else:
        shown, rows = _all(plan, table)
        points = [record for record in plan.points_of(0) if record in shown]
        recommended = factors[0].recommended if factors else max(points, key=lambda record: record.final.of(score))
        chosen, among = [record.hash for record in shown].index(recommended.hash), len(points)
    baselines = [place for place, record in enumerate(shown) if record.baseline and place != chosen]
    if not baselines:
        return None
    found = gain(compare(table.cells(rows)), chosen, baselines, among)
    return Against(baseline=shown[found.baseline].name, gain=found.interval)


def _all(plan: Plan, table: _Table) -> tuple[Sequence[TrialRecord], Rows]:
    shown = [record for record in plan.of_fold(0) if record.name not in table.left_out]
    return shown, [[record.hash] * plan.folds for record in shown]


def _choice_and_baselines(
    plan: Plan, records: Sequence[TrialRecord], score: Objective
) -> tuple[Sequence[TrialRecord], Rows]:
    """What the search of each fold chose, shown as what the whole search chose; and the baselines."""
    choice = [ranked(plan.points_of(fold), score)[0].hash for fold in range(plan.folds)]
    baselines = [record for record in plan.of_fold(0) if record.baseline]
    rows: Rows = [choice, *([record.hash] * plan.folds for record in baselines)]
    return [ranked(candidates(records), score)[0], *baselines], rows


def _ordered(name: str, labels: set[Label]) -> list[Label]:
    """The labels of a factor, the preferred ones first."""
    known = ORDER.get(name, ())
    return sorted(labels, key=lambda label: (known.index(label) if label in known else len(known), label))


def _hash(record: TrialRecord | None) -> str | None:
    return None if record is None else record.hash
