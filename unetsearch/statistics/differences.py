"""How far candidates differ, with runs and groups of images resampled together.

A candidate's score varies with what it was trained on and from which seed, and with the images it is tested on. Both
are samples, so the mean over runs and images has two sources of noise, and what they have together. Leaving out one
unit of runs, and one group of images, at a time gives the variance of each (the jackknife; Owen 2007, "The pigeonhole
bootstrap", has the same three parts), and Satterthwaite (1946) the degrees of freedom of their sum. Where each fold
scores images of its own, whole folds are left out, with all that varies between them.

Folds share most of their training images: what a wholly new set of training images would change is seen in part only
(Bengio and Grandvalet 2004, "No unbiased estimator of the variance of k-fold cross-validation").
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from unetsearch.statistics.outcomes import Cells, Floats

MINIMUM_GROUPS = 6
"""With fewer groups of images no bound is given: they say little of their spread, and nothing of its skewness."""

MINIMUM_UNITS = 3
"""With 2 folds, or 2 seeds of a single fold, up to 11 % of the intervals miss (benchmarks/verdict_rivals.py)."""


def refusal(groups: int, units: int, unit: str) -> str | None:
    """Why no interval is given of so many groups of images and units of runs, in words; None where one is."""
    if groups == 1:
        return "all test images are of one group: nothing is claimed beyond it"
    if groups < MINIMUM_GROUPS:
        return f"{groups} groups of test images: an interval needs {MINIMUM_GROUPS}"
    if units < MINIMUM_UNITS:
        return f"{units} {unit}{'' if units == 1 else 's'}: an interval needs {MINIMUM_UNITS}"
    return None


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with both ends of its interval, None where none can be given."""

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every candidate against every other one: arrays (C, C), entry [a, b] for the mean of a less the mean of b.

    `means` (C,): Dice, over runs and images; NaN for a candidate without scores. `runs`, `groups`, `both`: the variance
    of a difference by source, units of runs, groups of images, and what both have together. `skewness`: of the
    difference. `units`: how many, and `unit` what, "fold" or "seed"; `group_count`: groups; `group_freedom`: the
    degrees of freedom that they leave, fewer than groups - 1 where their sizes differ.
    `refusal`: why no bound is given, or None. `notes`: what is not claimed.
    """

    means: Floats
    runs: Floats
    groups: Floats
    both: Floats
    skewness: Floats
    units: int
    unit: str
    group_count: int
    group_freedom: float
    nested: bool
    notes: tuple[str, ...]

    @property
    def refusal(self) -> str | None:
        """Why no interval is given, in words; None where one is."""
        if not np.nan_to_num(self.means).any():
            return "every network scored 0: nothing was learned"
        return refusal(self.group_count, self.units, self.unit)

    @property
    def gains(self) -> Floats:
        """Estimates (C, C): the mean of a less the mean of b."""
        return np.asarray(self.means[:, None] - self.means[None, :])

    def upper(self, tail: float | Floats) -> Floats:
        """Upper bounds (C, C) on the gain of a over b that each fail with probability `tail` at most.

        The wider one of Student's t and Hall's (1992) bound, which corrects t for skewness: differences of Dice are
        skewed where a network fails on some images, and t alone then fails on the side of the failures.
        """
        variance = self.runs + self.groups + self.both
        spread = np.sqrt(variance)
        quantile = stdtrit(self._freedom(variance), 1 - np.asarray(tail))
        flat = np.abs(self.skewness) < 1e-6
        skewness = np.where(flat, 1.0, self.skewness)
        corrected = 3 / skewness * (1 - np.cbrt(1 - skewness * (quantile + skewness / 6)))
        return np.asarray(self.gains + spread * np.where(flat, quantile, np.maximum(quantile, corrected)))

    def interval(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """How much better a is than b, two-sided. For a pair that was chosen beforehand."""
        estimate = float(self.gains[a, b])
        if self.refusal or np.isnan(estimate):
            return Interval(estimate, None, None)
        upper = self.upper((1 - confidence) / 2)
        return Interval(estimate, -float(upper[b, a]), float(upper[a, b]))

    def grown(self, units: int, groups: int) -> "Comparison":
        """What to expect of more units of runs and more groups of images like these, the means staying as they are."""
        more_units, more_groups = units / self.units, groups / self.group_count
        return replace(
            self,
            runs=self.runs / more_units,
            groups=self.groups / more_groups,
            both=self.both / (more_units * more_groups),
            skewness=self.skewness / np.sqrt(more_groups),
            units=units,
            group_count=groups,
            group_freedom=(self.group_freedom + 1) * more_groups - 1,
        )

    def _freedom(self, variance: Floats) -> Floats:
        """Degrees of freedom (C, C), by Satterthwaite: the mean squares are those of the jackknives."""
        run_freedom = self.units - 1
        if self.nested:  # the folds' means hold all the noise there is
            return np.full_like(variance, run_freedom)
        whole = (self.runs + self.both) ** 2 / run_freedom + (self.groups + self.both) ** 2 / self.group_freedom
        whole += self.both**2 / (run_freedom * self.group_freedom)
        return np.divide(variance**2, whole, out=np.full_like(variance, run_freedom), where=whole > 0)


def compare(cells: Cells) -> Comparison:
    """All pairs of candidates, from paired differences. See Comparison for what is given where there is too little."""
    return _compare_nested(cells) if cells.nested else _compare_crossed(cells)


def _compare_crossed(cells: Cells) -> Comparison:
    """Every unit has scored every group: rows are units, columns groups, the residual is what both have together."""
    differences = cells.scores[:, None] - cells.scores[None, :]
    units, weights = differences.shape[2], cells.weights
    rows, columns = differences @ weights, differences.mean(axis=2)
    run_variance = _variance(rows, np.full(units, 1 / units))
    group_variance = _variance(columns, weights)
    residual = differences - rows[..., None] - columns[:, :, None] + rows.mean(axis=2)[..., None, None]
    factors = _factors(weights)
    both = (residual**2 @ factors).sum(axis=2) / max(units * (units - 1), 1)
    runs, groups = np.maximum(run_variance - both, 0), np.maximum(group_variance - both, 0)
    return Comparison(
        means=(cells.scores @ weights).mean(axis=1),
        runs=runs,
        groups=groups,
        both=both,
        skewness=_skewness(columns, weights, runs + groups + both),
        units=units,
        unit=cells.unit,
        group_count=len(weights),
        group_freedom=freedom(weights),
        nested=False,
        notes=cells.notes,
    )


def _compare_nested(cells: Cells) -> Comparison:
    """Each unit has scored groups of its own. Whole folds are left out: their means hold the noise of both sources.

    What groups within a fold differ by is the part of the groups, used only to say what more of them would bring.
    """
    scored = ~np.isnan(cells.scores).all(axis=0)
    filled = np.where(scored, cells.scores, 0.0)
    fold_weights = scored @ cells.weights
    folds = filled @ cells.weights / fold_weights
    differences = folds[:, None] - folds[None, :]
    variance = _variance(differences, fold_weights)
    own = filled.sum(axis=1)[:, None] - filled.sum(axis=1)[None, :]
    within = own - differences @ scored
    counts = scored.sum(axis=1)
    spare = max(int((counts - 1).sum()), 1)
    groups = np.minimum(((within * cells.weights) ** 2).sum(axis=2) * scored.sum() / spare, variance)
    return Comparison(
        means=folds @ fold_weights,
        runs=variance - groups,
        groups=groups,
        both=np.zeros_like(variance),
        skewness=_skewness(own, cells.weights, variance),
        units=len(fold_weights),
        unit=cells.unit,
        group_count=len(cells.weights),
        group_freedom=freedom(cells.weights),
        nested=True,
        notes=cells.notes,
    )


def _variance(values: Floats, weights: Floats) -> Floats:
    """Of the weighted mean over the last axis (..., n), leaving out one at a time."""
    deviations = values - (values @ weights)[..., None]
    return np.asarray(deviations**2 @ _factors(weights))


def _skewness(values: Floats, weights: Floats, variance: Floats) -> Floats:
    """Of the mean over groups (..., G), whose variance from all sources is given; runs are taken to add no skewness.

    Few values of a skewed quantity look less skewed than it is, most of all if few of them weigh: what makes up for it
    (a fifth more for 100 groups, four fifths for 6) is from simulation.
    """
    count = len(weights)
    if count < 3:
        return np.zeros_like(variance)
    deviations = values - (values @ weights)[..., None]
    third = ((deviations * weights / (1 - weights)) ** 3).sum(axis=-1) * (count - 1) ** 2 / (count * (count - 2))
    third *= 1 + 2 / np.sqrt(freedom(weights) + 1)
    return np.asarray(np.divide(third, variance**1.5, out=np.zeros(variance.shape), where=variance > 0))


def _factors(weights: Floats) -> Floats:
    """What each squared deviation from the mean counts in the jackknife: (n - 1) / n (w / (1 - w))^2; 0 if alone."""
    count = len(weights)
    if count == 1:
        return np.zeros(1)
    return np.asarray((count - 1) / count * (weights / (1 - weights)) ** 2)


def freedom(weights: Floats) -> float:
    """Degrees of freedom of the jackknife's variance for weights (n,): n - 1 where they are equal, else fewer.

    As Bell and McCaffrey (2002) take them: the variance is a quadratic form b'Mb, with tr(M)^2 / tr(M^2).
    """
    if len(weights) == 1:
        return 0.0
    centred = np.eye(len(weights)) - weights
    form = centred.T @ (centred * _factors(weights)[:, None])
    return float(np.trace(form) ** 2 / (form**2).sum())
