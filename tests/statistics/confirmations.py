"""Made-up confirmations for tests."""

import numpy as np

from unetsearch.statistics.differences import Comparison, compare
from unetsearch.statistics.outcomes import cells_of

FOLDS, SEEDS = np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5)


def outcomes(means, images=24, *, nested=False, spread=0.004, seed=0):
    """Scores (C, 15, N) of candidates, images being groups of their own."""
    random = np.random.default_rng(seed)
    count = len(means)
    scores = np.asarray(means)[:, None, None] + 0.1 * random.standard_normal(images)
    scores = scores + spread / 2 * random.standard_normal((count, 15, 1))
    scores = scores + spread * random.standard_normal((count, 1, images))
    scores = scores + spread * random.standard_normal((count, 15, images))
    if nested:
        scores[:, FOLDS[:, None] != np.arange(images) % 5] = np.nan
    return scores


def compared(scores, groups=None):
    return compare(cells_of(scores, FOLDS, SEEDS, np.arange(scores.shape[2]) if groups is None else groups))


def comparison(means, deviation=0.001, *, units=10**6, groups=10**6, skewness=0.0):
    """Candidates of given means that differ with a known deviation, all of it between groups of images."""
    shape = (len(means), len(means))
    return Comparison(
        means=np.asarray(means, dtype=float),
        runs=np.zeros(shape),
        groups=np.full(shape, deviation**2) * (1 - np.eye(len(means))),
        both=np.zeros(shape),
        skewness=skewness * (np.ones(shape) - np.eye(len(means))),
        units=units,
        unit="fold",
        group_count=groups,
        group_freedom=groups - 1.0,
        nested=False,
        notes=(),
    )
