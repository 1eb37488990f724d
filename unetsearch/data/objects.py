"""Single objects in an image: numbered by hand or by connected parts, told apart where they touch, and matched."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Objects = NDArray[np.int32]
"""(H, W): 0 is background, every other number an object."""

WEIGHT, SIGMA = 10.0, 5.0
"""Of the weight map of the 2015 U-Net: the weight where two objects touch, and how many pixels it reaches."""

REACH = 6 * SIGMA
"""Pixels beyond which the weight is nothing (below 2e-7)."""

MATCH = 0.5
"""Above this IoU an object is found: no two objects can share a match then."""


def connected(foreground: NDArray[np.bool_]) -> Objects:
    """The connected parts (over edges, not corners) of a foreground (H, W), numbered from 1."""
    found: Objects = ndimage.label(foreground)[0].astype(np.int32)
    return found


def within(foreground: NDArray[np.bool_], numbers: Objects) -> Objects:
    """The numbered objects (H, W) as far as they lie in the foreground (H, W).

    A connected part of it in which nothing is numbered is an object of its own.
    """
    inside, parts = np.where(foreground, numbers, 0), connected(foreground)
    numbered = np.zeros(parts.max() + 1, bool)
    numbered[parts[inside > 0]] = True
    return np.where(foreground & ~numbered[parts], parts + inside.max(), inside).astype(np.int32)


def told_apart(objects: Objects) -> Objects:
    """The objects with a ridge of background, one pixel wide, where two of them touch, over corners too."""
    apart = objects.copy()
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(apart, rows, columns)
        touching = (apart[here] > 0) & (apart[there] > 0) & (apart[here] != apart[there])
        apart[here] = np.where(touching, 0, apart[here])
    return apart


def touching(objects: Objects) -> set[tuple[int, int]]:
    """The pairs of objects that touch, over corners too; the smaller number first."""
    pairs: set[tuple[int, int]] = set()
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(objects, rows, columns)
        one, other = objects[here], objects[there]
        apart = (one > 0) & (other > 0) & (one != other)
        both = np.sort(np.stack([one[apart], other[apart]], 1), 1)
        pairs |= set(map(tuple, np.unique(both, axis=0).tolist()))
    return pairs


def separation_weights(objects: Objects) -> NDArray[np.float32]:
    """w0 exp(-(d1 + d2)^2 / (2 sigma^2)) of each pixel (H, W), 0 within the objects.

    Ronneberger et al. 2015 (arXiv 1505.04597), equation 2: d1 and d2 are the distances to the nearest and the second
    nearest object, w0 = 10, sigma = 5 px. As in the authors' later release, the weight is that of background pixels.
    """
    nearest = np.full(objects.shape, np.inf, np.float32)
    second = nearest.copy()
    border = int(np.ceil(REACH))
    boxes: Sequence[tuple[slice, ...] | None] = ndimage.find_objects(objects)
    for number, box in enumerate(boxes, start=1):
        if box is None:
            continue
        window = tuple(slice(max(0, side.start - border), side.stop + border) for side in box)
        distance = ndimage.distance_transform_edt(objects[window] != number).astype(np.float32)
        second[window] = np.minimum(second[window], np.maximum(nearest[window], distance))
        nearest[window] = np.minimum(nearest[window], distance)
    weights = WEIGHT * np.exp(-((nearest + second) ** 2) / (2 * SIGMA**2))
    return np.where(objects == 0, weights, 0).astype(np.float32)


def object_f1(truth: Objects, found: Objects) -> float:
    """2 TP / (2 TP + FP + FN) of the objects of one image; a match has an IoU above 0.5. Without any object it is 1."""
    there, seen = (np.unique(objects[objects > 0]).size for objects in (truth, found))
    return 1.0 if there + seen == 0 else 2 * len(matches(truth, found)) / (there + seen)


def matches(truth: Objects, found: Objects) -> dict[int, int]:
    """For each object of the truth that is found, the number of the one that was found for it."""
    both = (truth > 0) & (found > 0)
    areas, sizes = np.bincount(truth.ravel()), np.bincount(found.ravel())
    # one number a pair: far faster to count than rows
    pairs, shared = np.unique(truth[both].astype(np.int64) * len(sizes) + found[both], return_counts=True)
    one, other = np.divmod(pairs, len(sizes))
    good = shared > MATCH * (areas[one] + sizes[other] - shared)
    return dict(zip(one[good].tolist(), other[good].tolist(), strict=True))


def _shifted(objects: Objects, rows: int, columns: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where both a pixel and its neighbour so many rows and columns away are in the image."""
    height, width = objects.shape
    here = slice(0, height - rows), slice(max(0, -columns), width - max(0, columns))
    there = slice(rows, height), slice(max(0, columns), width - max(0, -columns))
    return here, there
