"""Which trainings go on, pause or are ended: pure functions of arrays, and what a search remembers for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unetsearch.search.records import TrialRecord
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import MAXIMISED, ranked_by
from unetsearch.space.space import SearchSpace
from unetsearch.statistics.front import hypervolume_gains, non_dominated

Array = NDArray[np.float64]
Verdict = Literal["on", "pause", "end"]


@dataclass(frozen=True, slots=True)
class Rule:
    """When a training is ended.

    `rungs`: shares of the steps at which it is judged; at the first one it pauses. `optimism`: the quantile of the
    gains that others made from there to their end, which a training is granted: the margin for noise, by what was seen
    of it. Less is granted the later it is. `peers`: nobody is judged before so many were trained to the end. `floor`:
    the share of the best score that every network is expected to reach, be it ever so small.
    """

    rungs: tuple[float, ...] = (1 / 6, 1 / 4, 1 / 3, 1 / 2)
    optimism: tuple[float, ...] = (0.95, 0.9, 0.9, 0.8)
    peers: int = 3
    floor: float = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """Trainings that came to their end: scores (n,) at the rung and at the end, costs (n, m)."""

    then: Array
    final: Array
    costs: Array


def foretold(scores: Array, finished: Finished, quantile: float) -> Array:
    """The final scores of k trainings: those at a rung (k,), and what this quantile of the finished ones gained."""
    return scores + (np.quantile(finished.final - finished.then, quantile) if len(finished.final) else 0.0)


def kept(scores: Array, costs: Array, finished: Finished, optimism: float, rule: Rule) -> NDArray[np.bool_]:
    """Which of k trainings may go on, by their scores (k,) at one rung, greater is better, and their costs (k, m).

    A training may go on if no finished network that costs no more in anything reached what is foretold of it: if it
    may come to stand on the front. And if it is foretold to be above the floor.
    """
    if len(finished.final) < rule.peers:
        return np.ones(len(scores), dtype=np.bool_)
    expected = foretold(scores, finished, optimism)
    no_dearer = (finished.costs[None, :, :] <= costs[:, None, :]).all(axis=2)
    best = np.where(no_dearer, finished.final[None, :], -np.inf).max(axis=1)
    return np.asarray((expected > best) & (expected >= rule.floor * finished.final.max()))


def gains(expected: Array, costs: Array, final: Array, final_costs: Array) -> Array:
    """What k networks would add to the hypervolume of finished ones, by their expected scores (k,) and costs (k, m).

    `final`, `final_costs`: the same of n finished ones. The hypervolume is over 1 - score and the logarithms of the
    costs, each scaled to its range here, with the reference a little beyond (1, ..., 1).
    """
    logs = np.log(np.maximum(np.concatenate([final_costs, costs]), 1e-12))
    span = np.ptp(logs, axis=0) if len(logs) else np.zeros(logs.shape[1])
    scaled = (logs - logs.min(axis=0, initial=np.inf)) / np.where(span > 0, span, 1.0)
    losses = np.column_stack([1 - np.concatenate([final, expected]), scaled])
    there, new = losses[: len(final)], losses[len(final) :]
    return hypervolume_gains(new, there[non_dominated(there)], 1.001)


def rungs(recipe: Recipe, rule: Rule) -> dict[int, float]:
    """The steps at which a training is judged, with the optimism there: evaluations, never the last."""
    evaluations = [round(recipe.steps * part / recipe.evaluations) for part in range(1, recipe.evaluations)]
    first = (next((step for step in evaluations if step >= share * recipe.steps - 0.5), None) for share in rule.rungs)
    steps = sorted({step for step in first if step is not None})
    return {step: float(np.interp(step / recipe.steps, rule.rungs, rule.optimism)) for step in steps}


class Pruner:
    """Judges trainings at the rungs by those that are finished. No baseline is paused or ended."""

    def __init__(self, space: SearchSpace, rule: Rule = Rule()) -> None:
        self._score = ranked_by(space.objectives)
        self._judges = space.search.pruner == "pareto" and self._score in space.objectives
        self._costs = [objective for objective in space.objectives if objective not in MAXIMISED]
        self._rule = rule
        self._recipe = space.recipe
        self._rungs = rungs(space.recipe, rule)
        self._finished: dict[str, tuple[Mapping[int, float], float, list[float]]] = {}
        self._arrays: dict[int, Finished] = {}  # by step, until more is learnt

    @property
    def peers(self) -> int:
        """How many are finished."""
        return len(self._finished)

    def learn(self, records: Iterable[TrialRecord]) -> None:
        """Takes in what was trained to its end, once each."""
        for record in records if self._judges else ():
            if record.distinct and record.name not in self._finished:
                scores = {score.step: score.of(self._score) for score in record.curve}
                self._finished[record.name] = scores, scores[record.steps], self._costs_of(record)
                self._arrays.clear()

    def verdict(self, record: TrialRecord) -> Verdict:
        """Whether a training goes on after its last evaluation. Who paused already is told to pause again."""
        step = record.steps
        if not self._judges or step not in self._rungs or record.baseline is not None:
            return "on"
        if not self.keeps(record):
            return "end"
        return "pause" if step == min(self._rungs) else "on"

    def keeps(self, record: TrialRecord) -> bool:
        """Whether a training may come to stand on the front, by its last evaluation, at a rung or not."""
        if record.steps == self._recipe.steps:
            return True
        optimism = float(np.interp(record.steps / self._recipe.steps, self._rule.rungs, self._rule.optimism))
        scores, costs = self._now([record])
        return bool(kept(scores, costs, self._at(record.steps), optimism, self._rule)[0])

    def best(self, records: Sequence[TrialRecord]) -> int:
        """The place of the training that is expected to add most to the front; of equals the one that scores best."""
        scores, costs = self._now(records)
        expected = np.empty(len(records))
        for place, record in enumerate(records):
            expected[place] = foretold(scores[place : place + 1], self._at(record.steps), 0.5)[0]
        finished = self._at(self._recipe.steps)
        added = gains(expected, costs, finished.final, finished.costs)
        return max(range(len(records)), key=lambda place: (added[place], expected[place]))

    def _at(self, step: int) -> Finished:
        if step not in self._arrays:
            peers = [peer for peer in self._finished.values() if step in peer[0]]
            self._arrays[step] = Finished(
                np.array([scores[step] for scores, _, _ in peers]),
                np.array([final for _, final, _ in peers]),
                np.array([costs for _, _, costs in peers]).reshape(len(peers), len(self._costs)),
            )
        return self._arrays[step]

    def _now(self, records: Sequence[TrialRecord]) -> tuple[Array, Array]:
        scores = np.array([record.final.of(self._score) for record in records])
        costs = np.array([self._costs_of(record) for record in records]).reshape(len(records), len(self._costs))
        return scores, costs

    def _costs_of(self, record: TrialRecord) -> list[float]:
        return [record.objective(name) for name in self._costs]
