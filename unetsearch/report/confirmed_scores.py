"""The scores of the runs that can be compared: those which every finalist has, by network, run and image."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unetsearch.search.confirmed import Plan, Run
from unetsearch.search.records import TrialRecord
from unetsearch.statistics.outcomes import Cells, cells_of

Rows = Sequence[Sequence[str | None]]
"""For each candidate, the hash that stands for it without each fold; None where there is none."""

Finalists = Callable[[int], Sequence[TrialRecord]]
"""Those that are trained without a fold."""


@dataclass(frozen=True, slots=True)
class Unlearnt:
    """A network that learnt nothing in `nothing` of its trainings, with `budget` times the steps.

    In such a training it finds no foreground, of one class: its Dice is 0 on each image on which another network's lies
    between 0 and 1, and 0 or 1 on the others; an image without foreground scores 1 for an empty prediction.
    """

    name: str
    nothing: int
    trainings: int
    budget: float = 1.0


@dataclass(frozen=True, slots=True)
class Scores:
    """What is known of the images, by (hash, fold, seed). `runs`: those that every finalist has, as (fold, seed).

    `images`: those that were tested by them; `groups`: of each the group. `left_out`: finalists that could not be
    trained without a fold, by (hash, fold), with what they are called. `unlearnt`: those that learnt nothing in some
    of their trainings.
    """

    scores: Mapping[tuple[str, int, int], Mapping[int, float]]
    runs: tuple[tuple[int, int], ...]
    images: tuple[int, ...]
    groups: tuple[str, ...]
    left_out: Mapping[tuple[str, int], str]
    unlearnt: tuple[Unlearnt, ...]

    @classmethod
    def of(
        cls, plan: Plan, finalists: Finalists, runs: Sequence[Run], failed: Collection[tuple[str, int]]
    ) -> "Scores | None":
        """None while no run was tested for every finalist. `failed`: whose training without which fold failed."""
        scores = {
            (run.key.hash, run.key.fold, run.key.seed): dict(zip(run.images, run.scores[plan.score], strict=True))
            for run in runs
        }
        lost = dict(_lost(plan, finalists, scores.keys(), failed))
        whole = tuple(
            (fold, seed)
            for fold in range(plan.folds)
            for seed in range(plan.seeds)
            if (wanted := [record.hash for record in finalists(fold) if (record.hash, fold) not in lost])
            and all((hash_, fold, seed) in scores for hash_ in wanted)
        )
        if not whole:
            return None
        images = sorted({image for (_, *run), tested in scores.items() if tuple(run) in whole for image in tested})
        groups = tuple(plan.groups[image] for image in images)
        return cls(scores, whole, tuple(images), groups, lost, tuple(_unlearnt(plan, finalists, runs)))

    @property
    def folds(self) -> tuple[int, ...]:
        """Those of the runs."""
        return tuple(dict.fromkeys(fold for fold, _ in self.runs))

    def known(self, record: TrialRecord) -> bool:
        """Whether a network was tested without every fold."""
        return all((record.hash, *run) in self.scores for run in self.runs)

    def kept(self, records: Sequence[TrialRecord], fold: int) -> list[TrialRecord]:
        """Those that were not left out."""
        return [record for record in records if (record.hash, fold) not in self.left_out]

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


def _lost(
    plan: Plan,
    finalists: Finalists,
    scores: Collection[tuple[str, int, int]],
    failed: Collection[tuple[str, int]],
) -> Iterator[tuple[tuple[str, int], str]]:
    """Those that were never tested, and failed. Nested, each fold has finalists of its own."""
    tested = {(hash_, fold) for hash_, fold, _ in scores}
    for fold in range(plan.folds):
        for record in finalists(fold):
            own = {(record.hash, other) for other in ((fold,) if plan.nested else range(plan.folds))}
            if own & set(failed) and not own & tested:
                yield (record.hash, fold), plan.name_of(record, fold)


def _unlearnt(plan: Plan, finalists: Finalists, runs: Sequence[Run]) -> Iterator[Unlearnt]:
    """They are compared as all are: that is what they do. Nested, a baseline is the same network in every fold."""
    dice = {run.key: dict(zip(run.images, run.scores["dice"], strict=True)) for run in runs}
    telling: dict[tuple[int, int], set[int]] = {}
    for key, tested in dice.items():
        between = {image for image, score in tested.items() if 0 < score < 1}
        telling.setdefault((key.fold, key.seed), set()).update(between)
    nothing: dict[str, list[bool]] = {}
    for fold in range(plan.folds):
        for record in finalists(fold):
            own = nothing.setdefault(plan.name_of(record, fold), [])
            for key, tested in dice.items():
                if (key.hash, key.fold) == (record.hash, fold):
                    told = telling[fold, key.seed]
                    own.append(bool(told) and not any(tested[image] for image in told))
    for name, each in nothing.items():
        if any(each):
            yield Unlearnt(name, sum(each), len(each), runs[0].key.budget)
