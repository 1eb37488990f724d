"""What a chosen network brings over the strongest baseline, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetsearch.statistics.differences import Comparison, Interval


@dataclass(frozen=True, slots=True)
class Gain:
    """What a candidate brings over the strongest of the baselines. `baseline`: the index of the best scored one."""

    baseline: int
    interval: Interval


def gain(comparison: Comparison, candidate: int, baselines: Sequence[int], chosen_among: int) -> Gain:
    """What a candidate, itself the best of `chosen_among`, gains over the strongest baseline: a 95 % interval.

    Both ends allow for the choice of the candidate, the upper one also for that of the baseline.

    Raises ValueError where there is no baseline, or the candidate is one.
    """
    if not len(baselines) or candidate in baselines:
        raise ValueError("baselines: expected at least one, and not the candidate itself")
    others = np.asarray(baselines)
    gains = comparison.gains[candidate, others]
    place = int(np.nanargmin(gains))
    low = high = None
    if not comparison.refusal:
        tail = 0.025 / chosen_among
        low = float(-np.nanmax(comparison.upper(tail)[others, candidate]))
        high = float(np.nanmin(comparison.upper(tail / len(others))[candidate, others]))
    return Gain(int(others[place]), Interval(float(gains[place]), low, high))
