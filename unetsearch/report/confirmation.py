"""What was confirmed, as numbers: the verdict of each factor, the tested networks, the gain over the baselines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from unetsearch.report.confirmed_networks import Against, Tested, against_baselines, tested_networks
from unetsearch.report.confirmed_scores import Finalists, Rows, Scores, Unlearnt
from unetsearch.search.confirm import MOST_FOLDS, best_of_depths, tuned_rate
from unetsearch.search.confirmed import Failure, Key, Plan, Run
from unetsearch.search.finalists import FACTORS, Label, best_of_each, candidates
from unetsearch.search.records import TrialRecord
from unetsearch.space.settings import Objective
from unetsearch.statistics.differences import Interval, compare
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
class Confirmation:
    """All of it. `done`, `of`: trainings, of which `pending` are neither done nor failed; `compared`: runs (a fold, a
    seed) that every finalist has. `images`, `groups`: that were tested on. `factors`: depth first.

    `longer`: the depth's verdict with so many times the steps. `left_out`: finalists that could not be trained;
    `unlearnt`: those that learnt nothing in some of their trainings. `seconds`: of the `done` trainings.
    `latency`: seconds of one 256x256 image, by the hash of a network, where it is known.
    """

    plan: Plan
    done: int
    of: int
    pending: int
    compared: int
    images: int
    groups: int
    factors: tuple[Factor, ...]
    tested: tuple[Tested, ...]
    against: Against | None
    longer: tuple[tuple[float, Factor], ...]
    left_out: tuple[str, ...]
    unlearnt: tuple[Unlearnt, ...]
    seconds: float
    latency: Mapping[str, float]

    @property
    def networks(self) -> tuple[TrialRecord, ...]:
        """All that are shown, none twice."""
        standing = (each.record for factor in self.factors for each in factor.standings)
        tested = (each.record for each in self.tested)
        return tuple({record.hash: record for record in (*standing, *tested)}.values())

    @property
    def turned(self) -> tuple[Label, ...]:
        """The depths between which it hangs on the length of the training; none where it does not.

        A depth that is decided with the search's steps and not possible with more of them is not decided.
        """
        depth = next((factor.verdict for factor in self.factors if factor.name == "depth"), None)
        if depth is None or depth.decided is None:
            return ()
        others = {
            label for _, longer in self.longer if depth.decided not in (own := longer.verdict.possible) for label in own
        }
        return tuple(sorted({depth.decided, *others}, key=int)) if others else ()

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
    runs = [run for run in runs if _planned(plan, run.key)]
    failures = [failure for failure in failures if _planned(plan, failure.key)]
    found = [run for run in runs if run.key.budget == 1 and not run.key.tuning]
    table = Scores.of(plan, plan.of_fold, found, _failed(runs, failures, 1))
    if table is None:
        return None
    shown = tuple(filter(None, (_factor(name, plan, plan.points_of, table, records) for name in FACTORS)))
    wanted = {
        (record.hash, fold, seed)
        for fold in range(plan.folds)
        for record in plan.of_fold(fold)
        for seed in range(plan.seeds)
    }
    done = wanted & {(run.key.hash, run.key.fold, run.key.seed) for run in found}
    failed = {(key.hash, key.fold, key.seed) for key in (f.key for f in failures) if key.budget == 1 and not key.tuning}
    tables = dict(_longer(plan, runs, failures))
    longer = {
        budget: _factor("depth", plan, partial(best_of_depths, plan), own, records) for budget, own in tables.items()
    }
    return Confirmation(
        plan=plan,
        done=len(done),
        of=len(wanted),
        pending=len(wanted - done - failed),
        compared=len(table.runs),
        images=len(table.images),
        groups=len(set(table.groups)),
        factors=shown,
        tested=tested_networks(plan, table, records),
        against=against_baselines(plan, table, records, [factor.recommended for factor in shown]),
        longer=tuple((budget, factor) for budget, factor in longer.items() if factor),
        left_out=tuple(dict.fromkeys(table.left_out.values())),
        unlearnt=tuple(each for own in (table, *tables.values()) for each in own.unlearnt),
        seconds=sum(run.finished - run.started for run in found),
        latency=latency,
    )


def _planned(plan: Plan, key: Key) -> bool:
    """Whether a training is one of this plan, or of its networks with other steps: seeds and finalists may be others
    than those of an earlier plan of the same folds.
    """
    return (
        key.design == plan.design
        and key.seed < plan.seeds
        and key.hash in {record.hash for record in plan.of_fold(key.fold)}
    )


def _failed(runs: Sequence[Run], failures: Sequence[Failure], budget: float) -> set[tuple[str, int]]:
    """Whose training without which fold failed; one that could not be tuned at all could not be trained."""
    tuned = {(run.key.hash, run.key.fold) for run in runs if run.key.tuning and run.key.budget == budget}
    keys = [failure.key for failure in failures if failure.key.budget == budget]
    return {(key.hash, key.fold) for key in keys if not (key.tuning and (key.hash, key.fold) in tuned)}


def _longer(plan: Plan, runs: Sequence[Run], failures: Sequence[Failure]) -> Iterator[tuple[float, Scores]]:
    """The scores with other steps, of the best of each depth, each network at the rate that was tuned for it."""
    points = partial(best_of_depths, plan)
    for budget in sorted({run.key.budget for run in runs if not run.key.tuning} - {1.0}):
        rates = {
            (record.hash, fold): tuned_rate(plan, runs, record, fold if plan.nested else 0, budget)
            for fold in range(plan.folds)
            for record in points(fold)
        }
        found = [run for run in runs if run.key.budget == budget and not run.key.tuning]
        found = [run for run in found if run.key.rate == rates.get((run.key.hash, run.key.fold))]
        if table := Scores.of(plan, points, found, _failed(runs, failures, budget)):
            yield budget, table


def _factor(name: str, plan: Plan, points: Finalists, table: Scores, records: Sequence[TrialRecord]) -> Factor | None:
    """None where there is but one label."""
    label_of = FACTORS[name]
    if plan.nested:  # what the search of each fold chose of a label stands for it
        chosen = {
            fold: {label_of(r.architecture): r for r in best_of_each(table.kept(points(fold), fold), name, plan.score)}
            for fold in table.folds
        }
        whole = {label_of(r.architecture): r for r in best_of_each(candidates(records), name, plan.score)}
        every = {label for of_fold in chosen.values() for label in of_fold} | set(plan.labels.get(name, ()))
        everywhere = [whole, *chosen.values()]
        labels = [label for label in _ordered(name, every) if all(label in found for found in everywhere)]
        standing = [whole[label] for label in labels]
        rows: Rows = [
            [chosen[fold][label].hash if fold in chosen else None for fold in range(plan.folds)] for label in labels
        ]
    else:
        standing = table.kept(points(0), 0)
        labels = [label_of(record.architecture) for record in standing]
        every = set(labels) | set(plan.labels.get(name, ()))
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


def _ordered(name: str, labels: set[Label]) -> list[Label]:
    """The labels of a factor, the preferred ones first."""
    known = ORDER.get(name, ())
    return sorted(labels, key=lambda label: (known.index(label) if label in known else len(known), label))
