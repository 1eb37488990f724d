"""Which depth (skip rule, encoder) is deep enough: the first one whose loss against the best is bounded under a margin.

Whichever label b is truly the best, the labels on either side of it are tested one after another, from b outwards: is
this one's best candidate within the margin of b? The first that is not shown to be ends it. Tests in a fixed order need
no correction for their number, and a label that passes for every possible b is within the margin of the best, with the
error of a single test: Hsu and Berger's (1999) stepwise test, for an unknown best (Stefansson, Kim and Hsu 1988). What
remains to be corrected is that b may have two sides, and that a label's best candidate was chosen among several; both
share the error out equally (Bonferroni). Which labels may still be the best is Gupta's (1965) subset.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from unetsearch.statistics.differences import MINIMUM_UNITS, Comparison
from unetsearch.statistics.outcomes import Floats

ERROR = 0.04
"""How often a label that loses more than the margin may be named, if the bound is exact.

It is not where a network fails on whole groups of images, which few groups cannot tell: there a label is named somewhat
more often (benchmarks/results/verdict.md), and what is told of a bound, 95 %, holds all the same.
"""

Label = int | str


@dataclass(frozen=True, slots=True)
class Standing:
    """A label against the best one. Scores and losses in Dice.

    `candidate`: the index of its best candidate, `score` that one's mean. `loss`: what it lacks to the best candidate
    of all. `upper`: the smallest margin at which the label would pass, a 95 % bound on its loss. `lower`: what it loses
    at least; 0 where it may still be the best. Both None where nothing can be bounded.
    """

    label: Label
    candidate: int
    score: float
    loss: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Needed:
    """What would probably settle it, all estimates staying as they are; None where no hundredfold of it would.

    `groups`: groups of test images in all, `units`: folds (or seeds, where there is one fold) in all, each alone.
    """

    groups: int | None
    units: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first label in the order of preference that is good enough, or which ones may be.

    `decided`: the label, or None. `possible`: what it may be, in order; the decided one alone where there is one.
    `recommended`: the index of the candidate to take, decided or not. `standings`: in the order of preference.
    `reasons`: why it is undecided and what is not claimed, a sentence each. `missing`: labels without scores, of which
    nothing is said.
    """

    margin: float
    decided: Label | None
    possible: tuple[Label, ...]
    recommended: int
    standings: tuple[Standing, ...]
    reasons: tuple[str, ...]
    missing: tuple[Label, ...] = ()


def verdict(comparison: Comparison, labels: Sequence[Label], order: Sequence[Label], margin: float = 0.01) -> Verdict:
    """The verdict over the labels (C,) of the candidates. `order`: all labels, the preferred first (the shallow ones).

    `margin`: the loss in Dice that does not matter. A label is decided where it is the first whose `upper` is under the
    margin, and either a later one scored better or all before it are significantly worse.

    Raises ValueError where labels and order do not fit, and for a margin that is not above 0.
    """
    ranking = _ranking(comparison, labels, order)
    if not margin > 0:
        raise ValueError(f"margin: expected a Dice above 0, got {margin}")
    standings = ranking.standings(comparison)
    best = max(standings, key=lambda standing: standing.score)
    decided, possible = _decide(standings, margin)
    chosen = next((standing for standing in standings if standing.label == decided), best)
    reasons = list(comparison.notes)
    if len(standings) == 1:
        decided, possible = None, (standings[0].label,)
        reasons.insert(0, f"{standings[0].label} is all there is: nothing to compare it with")
    elif decided is None:
        reasons.insert(0, comparison.refusal or _why(standings, possible, margin))
    return Verdict(
        margin=margin,
        decided=decided,
        possible=possible,
        recommended=chosen.candidate,
        standings=standings,
        reasons=tuple(reasons),
        missing=ranking.missing,
    )


def needed(
    comparison: Comparison,
    labels: Sequence[Label],
    order: Sequence[Label],
    margin: float = 0.01,
    *,
    most_units: int | None = None,
) -> Needed:
    """What would probably settle an undecided verdict over the same labels. Raises ValueError as verdict does.

    `most_units`: more folds (or seeds) than so many are not proposed.
    """
    ranking = _ranking(comparison, labels, order)
    units, groups = comparison.units, comparison.group_count
    if units < MINIMUM_UNITS or groups < 2 or len(ranking.labels) < 2:
        return Needed(None, None)  # too little is known of the noise, or there is no question

    most = min(most_units or 100 * units, groups if comparison.nested else 100 * units)

    def settled(grown: Comparison) -> bool:
        return grown.refusal is None and _decide(ranking.standings(grown), margin)[0] is not None

    def first(counts: Sequence[int], grow: Callable[[int], Comparison]) -> int | None:
        place = bisect_left(counts, True, key=lambda count: settled(grow(count)))
        return counts[place] if place < len(counts) else None

    return Needed(
        groups=first(_counts(groups), lambda count: comparison.grown(units, count)),
        units=first(
            [count for count in _counts(units) if count <= most],
            lambda count: comparison.grown(count, groups),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Which candidates have which label, in the order of preference; labels without scores in words."""

    labels: tuple[Label, ...]
    members: tuple[tuple[int, ...], ...]
    missing: tuple[Label, ...]

    def standings(self, comparison: Comparison) -> tuple[Standing, ...]:
        scores = comparison.means
        firsts = [max(members, key=lambda index: scores[index]) for members in self.members]
        best = max(scores[first] for first in firsts)
        lowers: Sequence[float | None] = [None] * len(firsts)
        uppers = lowers
        if comparison.refusal is None:
            lowers, uppers = self._lowers(comparison), self._uppers(comparison, firsts)
        return tuple(
            Standing(label, first, float(scores[first]), float(best - scores[first]), lower, upper)
            for label, first, lower, upper in zip(self.labels, firsts, lowers, uppers, strict=True)
        )

    def _uppers(self, comparison: Comparison, firsts: list[int]) -> list[float]:
        """A label's bound: for whichever label is the best, the greatest on the way from that one to it."""
        count = len(self.members)
        sides = np.array([1 if place in (0, count - 1) else 2 for place in range(count)])
        bounds = comparison.upper(ERROR / self._by_candidate(comparison, sides)[:, None] / self._sizes(comparison))
        result = np.zeros(count)
        for place, members in enumerate(self.members):  # the label that is the best
            against = np.max(bounds[np.ix_(members, firsts)], axis=0)
            before, after = against[:place][::-1], against[place + 1 :]
            result[:place] = np.maximum(result[:place], np.maximum.accumulate(before)[::-1])
            result[place + 1 :] = np.maximum(result[place + 1 :], np.maximum.accumulate(after))
        return [float(bound) for bound in result]

    def _lowers(self, comparison: Comparison) -> list[float]:
        """What all candidates of a label lose at least against some other one; 0 where one of them may be the best."""
        everyone = [index for members in self.members for index in members]
        tails = ERROR / np.maximum(len(everyone) - self._sizes(comparison), 1)
        losses = -comparison.upper(tails[:, None])  # of the row's candidate to the column's
        result = []
        for members in self.members:
            others = [index for index in everyone if index not in members]
            result.append(max(float(losses[np.ix_(members, others)].max(axis=1, initial=0.0).min()), 0.0))
        return result

    def _sizes(self, comparison: Comparison) -> Floats:
        return self._by_candidate(comparison, np.array([len(members) for members in self.members]))

    def _by_candidate(self, comparison: Comparison, values: NDArray[np.int_]) -> Floats:
        """A label's value for each of its candidates (C,); 1 for candidates without scores."""
        result = np.ones(len(comparison.means))
        for members, value in zip(self.members, values, strict=True):
            result[list(members)] = value
        return result


def _ranking(comparison: Comparison, labels: Sequence[Label], order: Sequence[Label]) -> _Ranking:
    if len(labels) != len(comparison.means):
        raise ValueError(f"labels: expected one for each of {len(comparison.means)} candidates, got {len(labels)}")
    if len(set(order)) < len(order) or not set(labels) <= set(order):
        raise ValueError(f"order: expected each label once, got {list(order)} for {sorted(set(labels), key=str)}")
    scored = {
        label: tuple(
            index for index, own in enumerate(labels) if own == label and not np.isnan(comparison.means[index])
        )
        for label in order
    }
    return _Ranking(
        labels=tuple(label for label in order if scored[label]),
        members=tuple(scored[label] for label in order if scored[label]),
        missing=tuple(label for label in order if not scored[label]),
    )


def _decide(standings: Sequence[Standing], margin: float) -> tuple[Label | None, tuple[Label, ...]]:
    """The decided label, and the possible ones: up to the first that passes, those that may be the best."""
    passing = next((place for place, own in enumerate(standings) if own.upper is not None and own.upper < margin), None)
    if passing is None:
        return None, tuple(own.label for own in standings if not own.lower)
    earlier = tuple(own.label for own in standings[:passing] if not own.lower)
    chosen = standings[passing].label
    if not earlier or any(own.score > standings[passing].score for own in standings[passing + 1 :]):
        return chosen, (chosen,)
    return None, (*earlier, chosen)


def _why(standings: Sequence[Standing], possible: tuple[Label, ...], margin: float) -> str:
    passing = [own.label for own in standings if own.upper is not None and own.upper < margin]
    if not passing:
        return f"no loss is bounded under {margin:g}"
    earlier = " and ".join(str(label) for label in possible[:-1])
    return f"the first whose loss is bounded under {margin:g} is {passing[0]}, and {earlier} may be no worse"


def _counts(count: int) -> list[int]:
    """More of something, in steps of a tenth up to a hundredfold."""
    return sorted({ceil(count * 1.1**step) for step in range(1, 49)} | {count * 100})
