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
