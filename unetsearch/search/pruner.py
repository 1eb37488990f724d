"""Which trainings are ended early: the rule as a pure function of arrays, and what a search remembers for it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unetsearch.search.records import TrialRecord
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import MAXIMISED, Objective
from unetsearch.space.space import SearchSpace

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """When a training is ended.

    `rungs`: shares of the steps at which it is judged. `optimism`: the quantile of the gains that others still made
    from there to their end, which is what a training is taken to gain: the margin for noise, by what was seen of it.
    Less is granted the later it is. `peers`: nobody is judged before so many were trained to the end. `floor`: the
    share of the best score that every network is expected to reach, be it ever so small.
    """

    rungs: tuple[float, ...] = (1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2)
    optimism: tuple[float, ...] = (0.9, 0.8, 0.8, 0.75, 0.7)
    peers: int = 3
    floor: float = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """Trainings that came to their end: scores (n,) at the rung and at the end, costs (n, m)."""

    then: Array
    final: Array
    costs: Array


def kept(scores: Array, costs: Array, finished: Finished, optimism: float, rule: Rule) -> NDArray[np.bool_]:
    """Which of k trainings go on, by their scores (k,) at one rung, greater is better, and their costs (k, m).

    A training's final score is foretold: its score here, and the gain that a quantile `optimism` of the finished ones
    made from here. It goes on if no finished network that costs no more in anything reached that: if it may come to
    stand on the front. And if it is foretold to be above the floor.
    """
    if len(finished.final) < rule.peers:
        return np.ones(len(scores), dtype=np.bool_)
    foretold = scores + np.quantile(finished.final - finished.then, optimism)
    no_dearer = (finished.costs[None, :, :] <= costs[:, None, :]).all(axis=2)
    best = np.where(no_dearer, finished.final[None, :], -np.inf).max(axis=1)
    return np.asarray((foretold > best) & (foretold >= rule.floor * finished.final.max()))


def rungs(recipe: Recipe, rule: Rule) -> dict[int, float]:
    """The steps at which a training is judged, with the optimism there: evaluations, never the last."""
    evaluations = [round(recipe.steps * part / recipe.evaluations) for part in range(1, recipe.evaluations)]
    first = (next((step for step in evaluations if step >= share * recipe.steps - 0.5), None) for share in rule.rungs)
    steps = sorted({step for step in first if step is not None})
    return {step: float(np.interp(step / recipe.steps, rule.rungs, rule.optimism)) for step in steps}


class Pruner:
    """Judges trainings at the rungs by those that are finished. Nobody waits, and no baseline is ended."""

    def __init__(self, space: SearchSpace, rule: Rule = Rule()) -> None:
        scores = [objective for objective in space.objectives if objective in MAXIMISED]
        self._score: Objective | None = scores[0] if scores and space.search.pruner == "pareto" else None
        self._costs = [objective for objective in space.objectives if objective not in MAXIMISED]
        self._rule = rule
        self._rungs = rungs(space.recipe, rule)
        self._finished: dict[str, tuple[dict[int, float], float, list[float]]] = {}

    def learn(self, records: Iterable[TrialRecord]) -> None:
        """Takes in what was trained to its end, once each."""
        for record in records if self._score else ():
            if record.distinct and record.name not in self._finished:
                scores = {score.step: float(getattr(score, str(self._score))) for score in record.curve}
                self._finished[record.name] = scores, scores[record.steps], self._costs_of(record)

    def keeps(self, record: TrialRecord) -> bool:
        """Whether a training goes on after its last evaluation."""
        step = record.steps
        if self._score is None or step not in self._rungs or record.baseline is not None:
            return True
        peers = [peer for peer in self._finished.values() if step in peer[0]]
        finished = Finished(
            np.array([scores[step] for scores, _, _ in peers]),
            np.array([final for _, final, _ in peers]),
            np.array([costs for _, _, costs in peers]).reshape(len(peers), len(self._costs)),
        )
        own = np.array([float(getattr(record.final, self._score))])
        costs = np.array([self._costs_of(record)]).reshape(1, len(self._costs))
        return bool(kept(own, costs, finished, self._rungs[step], self._rule)[0])

    def _costs_of(self, record: TrialRecord) -> list[float]:
        return [record.objective(name) for name in self._costs]
