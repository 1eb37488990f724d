"""The networks that were trained again: what each scores, and what is gained over the baselines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unetsearch.report.confirmed_scores import Rows, Scores
from unetsearch.search.confirmed import Plan
from unetsearch.search.finalists import candidates, ranked
from unetsearch.search.records import TrialRecord
from unetsearch.statistics.differences import Interval, compare
from unetsearch.statistics.gain import gain


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A network that was trained again. `mean`: its score on the test images, with the interval of that mean.

    An interval of 95 % for each network by itself: the best of several scores looks better than it is. Nested, what the
    searches chose, each for its fold, is tested as one: `name` says so, `record` is what the whole search chose.
    """

    name: str
    record: TrialRecord
    mean: Interval
    trainings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What the recommended network gains over the strongest baseline."""

    baseline: str
    gain: Interval


def tested_networks(plan: Plan, table: Scores, records: Sequence[TrialRecord]) -> tuple[Tested, ...]:
    """Every finalist; nested, the search's choice and the baselines, which alone are the same in every fold."""
    shown, rows = _choice_and_baselines(plan, table, records)[:2] if plan.nested else _all(plan, table)
    if not shown:
        return ()
    cells = table.cells(rows)
    nothing = np.where(np.isnan(cells.scores).all(axis=0), np.nan, 0.0)  # against a score of 0, a mean has an interval
    comparison = compare(replace(cells, scores=np.concatenate([cells.scores, nothing[None]])))
    return tuple(
        Tested(
            name=f"the search's choice (here {record.name})" if plan.nested and not record.baseline else record.name,
            record=record,
            mean=_within(comparison.interval(place, len(rows))),
            trainings=len(table.runs),
        )
        for place, record in enumerate(shown)
    )


def against_baselines(
    plan: Plan, table: Scores, records: Sequence[TrialRecord], recommended: Sequence[TrialRecord]
) -> Against | None:
    """`recommended`: by the first factor that there is. None where there is no baseline beside that network."""
    if plan.nested:
        shown, rows, chosen = _choice_and_baselines(plan, table, records)
        among = 1
    else:
        shown, rows = _all(plan, table)
        points = table.kept(plan.points_of(0), 0)
        recommended = recommended or ranked(points, plan.score)
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


def _within(score: Interval) -> Interval:
    """No score lies below 0 or above 1."""
    if score.low is None or score.high is None:
        return score
    return replace(score, low=max(score.low, 0.0), high=min(score.high, 1.0))
