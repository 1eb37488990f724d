"""Which points no other one beats, and how much they dominate. Arrays in, arrays out; everything is minimised."""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray


def non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of losses (n, m) no other row beats: none is at most as great everywhere and smaller somewhere.

    Equal rows stand or fall together; a row with a NaN is never in the front.
    """
    usable: NDArray[np.bool_] = np.asarray(~np.isnan(losses).any(axis=1))
    result = usable.copy()
    if losses.shape[1] == 2:
        result[usable] = _lowest_steps(losses[usable])
        return result
    rest = np.flatnonzero(usable)
    place = 0
    while place < len(rest):  # each row in turn removes those that it beats, so that few are left to compare
        others, row = losses[rest], losses[rest[place]]
        kept = (others < row).any(axis=1) | (others == row).all(axis=1)
        place = int(kept[: place + 1].sum())
        rest = rest[kept]
    result[:] = False
    result[rest] = True
    return result


def _lowest_steps(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The same for two columns in O(n log n): lowest among its equals in x, and below all that are smaller in x."""
    _, place = np.unique(losses[:, 0], return_inverse=True)
    lowest = np.full(place.max(initial=-1) + 1, np.inf)
    np.minimum.at(lowest, place, losses[:, 1])
    before = np.concatenate([[np.inf], np.minimum.accumulate(lowest)[:-1]])[: len(lowest)]
    return np.asarray((losses[:, 1] == lowest[place]) & (losses[:, 1] < before[place]))


def hypervolume_growth(losses: NDArray[np.float64], reference: tuple[float, float]) -> list[float]:
    """The hypervolume of the first 1, 2, ..., n rows of losses (n, 2): each row adds what it alone dominates."""
    xs: list[float] = []  # the front so far, x rising and y falling
    ys: list[float] = []
    volume, volumes = 0.0, []
    for x, y in losses.tolist():
        start = bisect_left(xs, x)
        ceiling = ys[start - 1] if start else reference[1]
        beaten = start < len(xs) and xs[start] == x and ys[start] <= y
        if x < reference[0] and y < ceiling and not beaten:
            end, left = start, x
            while end < len(xs) and ys[end] >= y:
                volume += (xs[end] - left) * (ceiling - y)
                left, ceiling = xs[end], ys[end]
                end += 1
            volume += ((xs[end] if end < len(xs) else reference[0]) - left) * (ceiling - y)
            xs[start:end], ys[start:end] = [x], [y]
        volumes.append(volume)
    return volumes


def hypervolume_gains(new: NDArray[np.float64], front: NDArray[np.float64], reference: float) -> NDArray[np.float64]:
    """What each row of `new` (k, m) alone would add to the hypervolume of `front` (n, m). Reference: (r, ..., r).

    In any number of dimensions, exactly: the box from a row to the reference, less what the front has of it (While,
    Bradstreet and Barone 2012, "A fast way of calculating exact hypervolumes").
    """
    return np.array([_exclusive(row, front, reference) for row in new])


def _exclusive(row: NDArray[np.float64], others: NDArray[np.float64], reference: float) -> float:
    box = float(np.prod(np.maximum(reference - row, 0.0)))
    if not box or not len(others):
        return box
    if len(row) == 2:
        return box - hypervolume_growth(np.maximum(others, row), (reference, reference))[-1]
    within = np.unique(np.maximum(others, row), axis=0)
    within = within[non_dominated(within)]
    return box - sum(_exclusive(within[place], within[place + 1 :], reference) for place in range(len(within)))
