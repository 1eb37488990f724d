"""How much time a set of intervals covers."""

from collections.abc import Iterable


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals (start, end): where several overlap, time counts once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total
