"""Real studies in seconds: the search as it is, with trainings that are read from a table of learning curves."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from recording import TABLES, name_of, read_rows, recorded_space

from unetsearch.graph.build import build_graph
from unetsearch.search.candidate import Candidate
from unetsearch.search.events import Finished
from unetsearch.search.folder import StudyFolder
from unetsearch.search.messages import Done, Job, Stopped
from unetsearch.search.patience import Patience
from unetsearch.search.proposals import make_sampler
from unetsearch.search.storage import Studies
from unetsearch.search.study import Search
from unetsearch.space.settings import MAXIMISED, SearchSettings
from unetsearch.space.space import SearchSpace
from unetsearch.space.values import fixed
from unetsearch.statistics.front import hypervolume_growth, non_dominated
from unetsearch.training.score import Score

SCORE = "share-0.2"
"""Whose curves are replayed: those of the default recipe."""


@dataclass(frozen=True)
class Table:
    """Learning curves of every network of a space.

    `space`: where they are searched. `curves`: Dice (seeds, evaluations) by the hash of the graph; `params` likewise.
    """

    space: SearchSpace
    curves: Mapping[str, NDArray[np.float64]]
    params: Mapping[str, int]

    stretched: bool = False

    @cached_property
    def losses(self) -> dict[str, tuple[float, float]]:
        """The truth: 1 - mean final Dice over the seeds, and log10 parameters scaled to their range here.

        `stretched`: 1 - Dice is scaled to its range too: then small differences between good networks weigh more.
        """
        size = {name: float(np.log10(params)) for name, params in self.params.items()}
        low, high = min(size.values()), max(size.values())
        worst, best = (min(self.dice.values()), max(self.dice.values())) if self.stretched else (0.0, 1.0)
        return {
            name: ((best - self.dice[name]) / (best - worst), (size[name] - low) / (high - low)) for name in self.curves
        }

    @cached_property
    def dice(self) -> dict[str, float]:
        """The true Dice: the mean over seeds."""
        return {name: float(curve[:, -1].mean()) for name, curve in self.curves.items()}

    @cached_property
    def front(self) -> frozenset[str]:
        """The true front."""
        names = list(self.losses)
        keep = non_dominated(np.array([self.losses[name] for name in names]))
        return frozenset(name for name, kept in zip(names, keep, strict=True) if kept)

    def regret(self, name: str) -> float:
        """The Dice that a network lacks to the best one that is no larger."""
        return max(self.dice[other] for other in self.dice if self.params[other] <= self.params[name]) - self.dice[name]

    def volume(self, names: Sequence[str] | frozenset[str]) -> float:
        """The true hypervolume of networks, as a share of the best there is. Reference (1, 1)."""
        return self._volume(names) / self._volume(tuple(self.front))

    def _volume(self, names: Sequence[str] | frozenset[str]) -> float:
        if not names:
            return 0.0
        return hypervolume_growth(np.array([self.losses[name] for name in names]), (1.0, 1.0))[-1]

    def seen(self, seed: int) -> dict[str, NDArray[np.float64]]:
        """What a search sees: of every network the curve of one seed, drawn by lot."""
        random = np.random.default_rng(seed)
        return {name: curve[random.integers(len(curve))] for name, curve in self.curves.items()}


def load_table(name: str) -> Table:
    """The table of an image set. Where it holds the widest networks only, so does its space."""
    recorded: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
    for row in sorted(read_rows(TABLES / f"{name}.csv"), key=lambda row: row.run.seed):
        if row.run.schedule == "flat" and row.score == SCORE:
            recorded.setdefault(row.run.network, []).append(row.dice)
    curves, params = {}, {}
    for point in recorded_space().enumerate():
        if (name := name_of(point)) in recorded:
            candidate = Candidate.at(point)
            curves[candidate.graph.hash] = np.array(recorded[name])
            params[candidate.graph.hash] = candidate.cost.params
    space, widths = recorded_space(), sorted({int(network[1]) for network in recorded})
    if len(widths) == 1:
        space = replace(space, architecture={**space.architecture, "width": fixed(widths[0])})
    return Table(space, curves, params)


@dataclass
class TablePool:
    """In place of a Pool: slots that read their trainings from curves, by the hash of the graph.

    `steps`: optimizer steps done so far by all of them.
    """

    curves: Mapping[str, NDArray[np.float64]]
    size: int = 1
    steps: int = 0
    _trainings: dict[int, Iterator[Score | Done]] = field(default_factory=dict)
    _turns: deque[int] = field(default_factory=deque)
    _reached: dict[str, int] = field(default_factory=dict)

    @property
    def idle(self) -> tuple[int, ...]:
        return tuple(slot for slot in range(self.size) if slot not in self._trainings)

    def start(self, slot: int, job: Job) -> None:
        self._trainings[slot] = self._train(job)
        self._turns.append(slot)

    def stop(self, slot: int) -> None:
        self._trainings[slot] = iter([Stopped()])

    pause = stop

    def next(self, timeout: float) -> tuple[int, Score | Done | Stopped] | None:
        if not self._turns:
            return None
        slot = self._turns.popleft()
        answer = next(self._trainings[slot])
        if isinstance(answer, Score):
            self._turns.append(slot)
        else:
            del self._trainings[slot]
        return slot, answer

    def close(self, *, save_within: float = 0) -> None:
        self._trainings.clear()
        self._turns.clear()

    def _train(self, job: Job) -> Iterator[Score | Done]:
        curve = self.curves[build_graph(job.architecture).hash]
        for part, dice in enumerate(curve.tolist(), start=1):
            step, before = (round(job.recipe.steps * number / len(curve)) for number in (part, part - 1))
            if step > self._reached.get(job.checkpoint, 0):  # what was trained before a pause comes again for nothing
                self.steps += step - before
                self._reached[job.checkpoint] = step
            iou = dice / (2 - dice)
            yield Score(
                step=step, loss=0.0, dice=dice, iou=iou, dice_by_class=(dice,), iou_by_class=(iou,), seconds=0.0
            )
        yield Done()


@dataclass(frozen=True)
class Found:
    """The front that a search has found after so many steps: the hashes of its networks."""

    steps: int
    front: frozenset[str]


@dataclass(frozen=True)
class Replay:
    """One replayed study. `pruned`: hashes of what was pruned; `trained`: of all that was begun."""

    found: tuple[Found, ...]
    trained: frozenset[str]
    pruned: frozenset[str]

    @property
    def steps(self) -> int:
        return self.found[-1].steps


def replay(table: Table, search: SearchSettings, folder: Path) -> Replay:
    """A study of our own loop, in memory. What it sees depends on its seed alone, not on how it searches."""
    seen = table.seen(search.seed)
    space = replace(table.space, search=search)
    pool = TablePool(seen)
    loop = Search(space, _in_memory(space), pool, StudyFolder(folder), ())
    found, finals, pruned, trained = [Found(0, frozenset())], {}, set(), set()
    for event in loop.run():
        if isinstance(event, Finished) and event.record.trained:
            hash_ = build_graph(event.record.architecture).hash
            trained.add(hash_)
            if event.record.state == "pruned":
                pruned.add(hash_)
            else:
                finals[hash_] = event.record.final.dice
            found.append(Found(pool.steps, found_front(finals, table.params)))
    loop.close()
    return Replay(tuple(found), frozenset(trained), frozenset(pruned))


def found_front(finals: Mapping[str, float], params: Mapping[str, int]) -> frozenset[str]:
    """The front of what a search has seen: final Dice by hash."""
    names = list(finals)
    if not names:
        return frozenset()
    keep = non_dominated(np.array([(-finals[name], params[name]) for name in names]))
    return frozenset(name for name, kept in zip(names, keep, strict=True) if kept)


def _in_memory(space: SearchSpace) -> Studies:
    directions = ["maximize" if objective in MAXIMISED else "minimize" for objective in space.objectives]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    search, baselines = (
        optuna.create_study(storage=storage, study_name=name, directions=directions, sampler=sampler)
        for name, sampler in (("search", make_sampler(space.search, 0)), ("baselines", None))
    )
    return Studies(
        search=search,
        baselines=baselines,
        objectives=space.objectives,
        storage=storage,
        patience=Patience("the memory"),
    )
