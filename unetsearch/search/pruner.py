"""Which trainings are ended early: the rule as a pure function of arrays, and what a search remembers for it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unetsearch.search.records import TrialRecord
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import MAXIMISED, Objective
from unetsearch.space.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Rule:
    """When a training is ended.

    `rungs`: shares of the steps at which it is judged. `peers`: nobody is judged before so many came so far. `margin`:
    Dice that a network may be behind, for noise. `floor`: the share of the best Dice that every network must have.
    """

    rungs: tuple[float, ...] = (1 / 6, 1 / 4, 1 / 3)
    peers: int = 5
    margin: float = 0.015
    floor: float = 0.5


def kept(losses: NDArray[np.float64], costs: NDArray[np.float64], rule: Rule) -> NDArray[np.bool_]:
    """Which of n trainings go on, by their losses (n,) at one rung, 1 - Dice, and their costs (n, m).

    A training goes on if no other one that costs no more in anything is better by more than the margin, and if it is
    above the floor. Fewer than `rule.peers` are not judged.
    """
    if len(losses) < rule.peers:
        return np.ones(len(losses), dtype=np.bool_)
    cheaper = (costs[None, :, :] <= costs[:, None, :]).all(axis=2)
    best = np.where(cheaper, losses[None, :], np.inf).min(axis=1)
    floor = 1 - rule.floor * (1 - losses.min())
    return np.asarray((losses <= best + rule.margin) & (losses <= floor))


def rungs(recipe: Recipe, rule: Rule) -> tuple[int, ...]:
    """The steps at which a training is judged: the first evaluation after each share of the steps, never the last."""
    evaluations = [round(recipe.steps * part / recipe.evaluations) for part in range(1, recipe.evaluations)]
    chosen = (next((step for step in evaluations if step >= share * recipe.steps), None) for share in rule.rungs)
    return tuple(dict.fromkeys(step for step in chosen if step is not None))


class Pruner:
    """Judges trainings at the rungs against all that came so far, finished, ended or running; nobody waits."""

    def __init__(self, space: SearchSpace, rule: Rule = Rule()) -> None:
        self._rule = rule
        self._rungs = rungs(space.recipe, rule) if space.search.pruner == "pareto" else ()
        scores = [objective for objective in space.objectives if objective in MAXIMISED]
        self._score: Objective | None = scores[0] if scores else None
        self._costs = [objective for objective in space.objectives if objective not in MAXIMISED]
        self._peers: dict[int, dict[str, tuple[float, ...]]] = {step: {} for step in self._rungs}

    def learn(self, records: Iterable[TrialRecord]) -> None:
        """Takes in how far others came; a repeated point is no peer of its own."""
        for record in records:
            if record.state != "repeat":
                for step in self._rungs:
                    self._enter(record, step)

    def keeps(self, record: TrialRecord) -> bool:
        """Whether a training goes on after its last evaluation. A baseline always does."""
        if self._score is None or record.steps not in self._rungs:
            return True
        self._enter(record, record.steps)
        peers = self._peers[record.steps]
        values = np.array(list(peers.values()))
        position = list(peers).index(record.name)
        return record.baseline is not None or bool(kept(values[:, 0], values[:, 1:], self._rule)[position])

    def _enter(self, record: TrialRecord, step: int) -> None:
        if record.name in self._peers[step] and record.steps != step:
            return
        score = next((score for score in record.curve if score.step == step), None)
        if score is not None and self._score is not None:
            costs = (record.objective(name) for name in self._costs)
            self._peers[step][record.name] = (1 - float(getattr(score, self._score)), *costs)
