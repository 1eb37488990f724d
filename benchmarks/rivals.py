"""What our search is compared with, on the same table: loops as others write them, without our pruner and our loop."""

from random import Random

import numpy as np
import optuna
from numpy.typing import NDArray
from replay import Found, Replay, Table, found_front

from unetsearch.search.candidate import Candidate
from unetsearch.space.space import Point
from unetsearch.space.values import Choice, Range, Scalar
from unetsearch.statistics.front import non_dominated

Curve = NDArray[np.float64]


class Log:
    """Trainings as they are paid for: each network's curve so far, and what was found after so many steps."""

    def __init__(self, table: Table, seed: int) -> None:
        self.table = table
        self.seen = table.seen(seed)
        self.each = table.space.recipe.steps // table.space.recipe.evaluations
        self.steps = 0
        self.finals: dict[str, float] = {}
        self.begun: set[str] = set()
        self.found = [Found(0, frozenset())]

    def train(self, name: str, start: int, end: int) -> float:
        """Pays for the evaluations from `start` to `end`; the Dice at the end."""
        self.steps += self.each * (end - start)
        self.begun.add(name)
        curve = self.seen[name]
        if end == len(curve):
            self.finals[name] = float(curve[-1])
            self.found.append(Found(self.steps, found_front(self.finals, self.table.params)))
        return float(curve[end - 1])

    def replay(self) -> Replay:
        self.found.append(Found(self.steps, found_front(self.finals, self.table.params)))
        return Replay(tuple(self.found), frozenset(self.begun), frozenset(self.begun - self.finals.keys()))


def plain_loop(table: Table, seed: int, trials: int) -> Replay:
    """What a user writes today: Optuna's default sampler, Dice and parameters, each point trained as it comes."""
    log = Log(table, seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(trials):
        trial = study.ask()
        name = _suggested(table, trial)
        dice = log.train(name, 0, len(log.seen[name]))
        study.tell(trial, [dice, table.params[name]])
    return log.replay()


def hyperband(table: Table, seed: int, trials: int) -> Replay:
    """Optuna's Hyperband on Dice alone; the front is that of what was trained to the end."""
    log = Log(table, seed)
    evaluations = table.space.recipe.evaluations
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=evaluations, reduction_factor=3)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner, study_name=f"hyperband {seed}")
    for _ in range(trials):
        trial = study.ask()
        name = _suggested(table, trial)
        for part in range(evaluations):
            dice = log.train(name, part, part + 1)
            trial.report(dice, part + 1)
            if part + 1 < evaluations and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, dice)
    return log.replay()


def ranked_rungs(table: Table, seed: int, trials: int) -> Replay:
    """Successive halving with NSGA-II's ranking at the rungs, as SMAC3 and Auto-nnU-Net do it: of nine random networks
    the best three, and of those one, go on (1, 4 and 12 of 12 evaluations); no network twice.
    """
    log = Log(table, seed)
    evaluations = table.space.recipe.evaluations
    rungs = [max(1, evaluations // 9), evaluations // 3, evaluations]
    names = _order(table, seed)[:trials]
    for start in range(0, len(names), 9):
        bracket, before = names[start : start + 9], 0
        for rung in rungs:
            losses = np.array([(1 - log.train(name, before, rung), np.log10(table.params[name])) for name in bracket])
            keep = ranked(losses)[: max(1, len(bracket) // 3)]
            bracket, before = [bracket[index] for index in keep], rung
    return log.replay()


def by_parameters(table: Table, seed: int, trials: int) -> Replay:
    """No early scores: networks evenly spaced in their parameter count, halfway between those trained before."""
    log = Log(table, seed)
    left = _order(table, seed)[:trials]
    trained: list[float] = []
    while left:
        sizes = {name: float(np.log10(table.params[name])) for name in left}
        name = max(left, key=lambda name: min((abs(sizes[name] - size) for size in trained), default=0.0))
        left.remove(name)
        trained.append(sizes[name])
        log.train(name, 0, len(log.seen[name]))
    return log.replay()


def ranked(losses: NDArray[np.float64]) -> list[int]:
    """The rows by front rank, and in a front by crowding distance, the lonely ones first (Deb et al. 2002)."""
    order: list[int] = []
    left = np.arange(len(losses))
    while len(left):
        front = left[non_dominated(losses[left])]
        order += [int(front[place]) for place in np.argsort(-crowding(losses[front]), kind="stable")]
        left = np.setdiff1d(left, front)
    return order


def crowding(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The crowding distance of each row; infinite at the ends of a column."""
    distance = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        span = max(float(column[order[-1]] - column[order[0]]), 1e-12)
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def _order(table: Table, seed: int) -> list[str]:
    names = sorted(table.curves)
    Random(seed).shuffle(names)
    return names


def _suggested(table: Table, trial: optuna.Trial) -> str:
    """The hash of the network that a trial suggests."""

    def pick(name: str, value: Choice | Range) -> Scalar:
        assert isinstance(value, Choice)
        chosen: Scalar = trial.suggest_categorical(name, [option.value for option in value.options])
        return chosen

    point: Point = table.space.draw(pick)
    return Candidate.at(point).graph.hash
