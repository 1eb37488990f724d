"""Simulated outcomes of a confirmation: Dice by candidate, run and image, with a known truth."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["normal", "heavy", "skewed", "failures"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What is tested on what, and what varies by how much (standard deviations, in Dice).

    `groups`: of the images, as equal in size as may be, or of sizes 1 : 2 : 3 : ... where `unequal`. `nested`: every
    fold's runs score the images of their own fold. `labels` with `each` candidates. `seed`: of a candidate's mean
    between seeds, and `fold` between training sets; `group`, `image`: of a candidate between groups and images.
    `shape`: of the last two. Heavy tails are Student's with 3 degrees of freedom; a skewed effect has an exponential
    tail to the left for every candidate; where there are failures, only for all but the last label's.
    """

    images: int
    groups: int
    nested: bool
    labels: int = 4
    each: int = 1
    folds: int = 5
    seeds: int = 3
    seed: float = 0.01
    fold: float = 0.005
    group: float = 0.01
    image: float = 0.02
    shape: Shape = "normal"
    unequal: bool = False

    @property
    def runs(self) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Fold and seed of each run. There are no more outer folds than groups."""
        folds = min(self.folds, self.groups) if self.nested else self.folds
        return np.repeat(np.arange(folds), self.seeds), np.tile(np.arange(self.seeds), folds)

    @property
    def group_of(self) -> NDArray[np.int_]:
        """The group of each image."""
        if not self.unequal:
            return np.sort(np.arange(self.images) % self.groups)
        ends = np.cumsum(np.arange(1, self.groups + 1)) / (self.groups * (self.groups + 1) / 2)
        return np.searchsorted(ends, (np.arange(self.images) + 0.5) / self.images)


SHARED_IMAGE, RESIDUAL = 0.08, 0.01
"""How much images differ in difficulty for all candidates alike, and a run's scores on them by chance."""


def noise(world: World, random: np.random.Generator) -> Floats:
    """Scores (C, R, N) of candidates that are all equally good: mean 0.8, NaN where the design scores nothing."""
    count, images = world.labels * world.each, world.images
    folds, _ = world.runs
    groups = world.group_of
    scores = 0.8 - SHARED_IMAGE * (random.exponential(size=images) - 1) + np.zeros((count, len(folds), images))
    scores += world.fold * random.standard_normal((count, folds.max() + 1, 1))[:, folds]
    scores += world.seed * random.standard_normal((count, len(folds), 1))
    scores += world.group * _effects(world, random, groups.max() + 1)[:, None, groups]
    scores += world.image * _effects(world, random, images)[:, None]
    scores += RESIDUAL * random.standard_normal(scores.shape)
    if world.nested:
        scores[:, folds[:, None] != groups % (folds.max() + 1)] = np.nan
    return scores


def _effects(world: World, random: np.random.Generator, size: int) -> Floats:
    """Effects of variance 1 for each candidate (C, size)."""
    shape = (world.labels * world.each, size)
    if world.shape == "heavy":
        return random.standard_t(3, size=shape) / np.sqrt(3)
    effects = random.standard_normal(shape)
    if world.shape in ("skewed", "failures"):
        kept = world.each if world.shape == "failures" else 0
        failing = shape[0] - kept
        effects[:failing] = 1 - random.exponential(size=(failing, size))
        effects[failing:] /= 2
    return effects
