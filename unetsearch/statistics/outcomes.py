"""Confirmed scores, and what of them is independent: runs by fold, images by group."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Mean scores by candidate, unit and group of images, paired across the candidates.

    A unit is what was drawn anew each time a network was trained: a fold with all its seeds, or a seed where there is
    one fold only. `scores` (C, U, G): NaN where a unit does not score a group, and for candidates without scores. One
    stack in several nested folds is one cell.
    `weights` (G,): each group's share of the images. `unit`: its name. `nested`: each group is scored by one unit.
    `notes`: what was left out, and what is therefore not claimed.
    """

    scores: Floats
    weights: Floats
    unit: Literal["fold", "seed"]
    nested: bool
    notes: tuple[str, ...]


def cells_of(scores: ArrayLike, folds: ArrayLike, seeds: ArrayLike, groups: ArrayLike) -> Cells:
    """Scores (C, R, N) by candidate, run and test image, as cells. `folds`, `seeds` (R,) and `groups` (N,): any labels.

    Two designs are known by where the scores are NaN. Crossed: every run scores every image, and a run is the training
    without one fold. Nested: a run scores the images of its outer fold only. A run that some candidate lacks altogether
    is left out for all, so that all differences are paired; so is a candidate without any score.

    Raises ValueError for other shapes and designs, for a run given twice, and for a group in two nested folds.
    """
    values = np.asarray(scores, dtype=np.float64)
    fold_of, seed_of, group_of = _checked(values, folds, seeds, groups)
    scored = ~np.isnan(values)
    there: NDArray[np.bool_] = np.asarray(scored.any(axis=(1, 2)))
    if not there.any():
        raise ValueError("no scores: every value is NaN")
    notes = [f"candidate {index} has no scores" for index in np.flatnonzero(~there)]
    runs: NDArray[np.bool_] = np.asarray(scored[there].any(axis=2).all(axis=0))
    if not runs.any():
        raise ValueError("no run was scored for every candidate")
    if not runs.all():
        notes.append(f"{int((~runs).sum())} of {len(runs)} runs are left out: some candidate lacks them")
    pattern = scored[there][:, runs]
    if (pattern != pattern[0]).any():
        raise ValueError("a run scores other images for one candidate than for another")
    images = pattern[0].any(axis=0)
    nested = _is_nested(pattern[0][:, images], fold_of[runs])
    unit: Literal["fold", "seed"] = "seed" if len(np.unique(fold_of[runs])) == 1 else "fold"
    if unit == "seed":
        notes.append("all runs leave out the same fold: the noise between training sets is not seen")
    units = np.unique(seed_of[runs] if unit == "seed" else fold_of[runs], return_inverse=True)[1]
    names, inverse = np.unique(group_of[images], return_inverse=True)
    weights = np.bincount(inverse, minlength=len(names)) / len(inverse)
    if nested and len(names) == 1:  # no fold has a group of its own, and nothing is claimed beyond this one
        whole = np.full((len(values), 1, 1), np.nan)
        whole[there, 0, 0] = np.nanmean(values[there][:, runs][:, :, images], axis=1).mean(axis=1)
        return Cells(whole, weights, unit, False, tuple(notes))
    table = _means(values[:, runs][:, :, images], units, inverse)
    if nested and len(np.unique([inverse, pattern[0][:, images].argmax(axis=0)], axis=1).T) > len(names):
        raise ValueError("a group of images lies in two outer folds")
    return Cells(table, weights, unit, nested, tuple(notes))


def _checked(values: Floats, *labels: ArrayLike) -> tuple[NDArray[np.generic], ...]:
    if values.ndim != 3:
        raise ValueError(f"scores: expected candidates x runs x images, got shape {values.shape}")
    if np.isinf(values).any():
        raise ValueError("scores: expected finite values or NaN")
    arrays = tuple(np.asarray(given) for given in labels)
    for name, array, length in zip(
        ("folds", "seeds", "groups"), arrays, (*values.shape[1:2] * 2, values.shape[2]), strict=True
    ):
        if array.shape != (length,):
            raise ValueError(f"{name}: expected shape ({length},), got {array.shape}")
    pairs = list(zip(arrays[0].tolist(), arrays[1].tolist(), strict=True))
    for fold, seed in pairs:
        if pairs.count((fold, seed)) > 1:
            raise ValueError(f"fold {fold} and seed {seed}: given for two runs")
    return arrays


def _is_nested(pattern: NDArray[np.bool_], folds: NDArray[np.generic]) -> bool:
    """Whether each fold scores images of its own (R, N); False where every run scores every image."""
    if pattern.all():
        return False
    by_fold = [pattern[folds == fold] for fold in np.unique(folds)]
    same = all((rows == rows[0]).all() for rows in by_fold)
    if same and (np.array([rows[0] for rows in by_fold]).sum(axis=0) == 1).all():
        return True
    raise ValueError("expected runs that score every image, or every image scored by the runs of one fold")


def _means(values: Floats, units: NDArray[np.intp], groups: NDArray[np.intp]) -> Floats:
    """Means over the seeds of a unit and the images of a group: (C, R, N) to (C, U, G)."""
    by_unit = np.stack([values[:, units == unit].mean(axis=1) for unit in range(units.max() + 1)], axis=1)
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    sums = np.add.reduceat(by_unit[:, :, order], starts, axis=2)
    return np.asarray(sums / np.bincount(groups))
