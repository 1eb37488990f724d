"""Which points no other one beats, and how much they dominate. Arrays in, arrays out; everything is minimised."""

import numpy as np
from numpy.typing import NDArray


def non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of losses (n, m) no other row beats: none is at most as great everywhere and smaller somewhere.

    Equal rows stand or fall together; a row with a NaN is never in the front.
    """
    usable: NDArray[np.bool_] = np.asarray(~np.isnan(losses).any(axis=1))
    result = usable.copy()
    for index in np.flatnonzero(usable):
        others = losses[usable]
        beaten = (others <= losses[index]).all(axis=1) & (others < losses[index]).any(axis=1)
        result[index] = not beaten.any()
    return result


def hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The volume between the points (n, m) and the reference (m,) that is dominated; points beyond it add nothing.

    Exact, by slicing along the last objective: fast for two objectives and some thousand points, or three and hundreds.
    """
    inside = losses[(losses < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    front = inside[non_dominated(inside)]
    if front.shape[1] == 1:
        return float(reference[0] - front.min())
    order = np.argsort(front[:, -1], kind="stable")
    front = front[order]
    ends = np.append(front[1:, -1], reference[-1])
    volume = 0.0
    for index, (start, end) in enumerate(zip(front[:, -1], ends, strict=True)):
        if end > start:
            volume += (end - start) * hypervolume(front[: index + 1, :-1], reference[:-1])
    return float(volume)
