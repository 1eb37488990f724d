"""Which crops batches have: of what image, where, how they are turned. Drawn on the processor, a few numbers a crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import IGNORE

POINTS = 64
"""So many pixels of each class of an image are remembered, to lay crops around them."""

Indices = NDArray[np.int64]
Moves = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Crops:
    """A batch of square windows, one row a sample.

    `image`: which one (B,). `rows`, `columns`: which of its rows and columns (B, side), mirrored at its border.
    `turned`: rows and columns change places (B,).
    """

    image: Indices
    rows: Indices
    columns: Indices
    turned: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Places:
    """Where crops of a data set may lie. `sizes`: (N, 2), height and width. `points`: of each image (P, 2) pixels, row
    and column, which show its classes but the background in equal shares; (0, 2) where it shows none.
    """

    sizes: Indices
    points: tuple[Indices, ...]

    @classmethod
    def of(cls, masks: Sequence[NDArray[np.uint8]]) -> "Places":
        """Those of masks (H, W)."""
        sizes = np.array([mask.shape for mask in masks], np.int64).reshape(-1, 2)
        return cls(sizes, tuple(_points(mask, index) for index, mask in enumerate(masks)))


def _points(mask: NDArray[np.uint8], index: int) -> Indices:
    random = np.random.default_rng(index)
    places: list[Indices] = []
    for label in np.flatnonzero(np.bincount(mask.ravel(), minlength=IGNORE + 1)[:IGNORE]):
        if label:
            places.append(random.choice(np.flatnonzero(mask == label), POINTS))
    flat = np.concatenate(places) if places else np.zeros(0, np.int64)
    return np.stack(np.unravel_index(flat, mask.shape), 1).astype(np.int64)


class Drawing:
    """The crops of a training: the same for the same seed and batch, in whatever order they are asked for.

    Every image is drawn once before any is drawn again. `fields`: of the crop's pixels (M, crop, crop), columns and
    rows from its middle, then what bends it, in pixels; `window`: the side of what is read around it, with the crop in
    its middle. `foreground`: the share of the crops that are laid so that they show one of the image's points.
    """

    def __init__(
        self, places: Places, *, batch_size: int, fields: Moves, window: int, foreground: float, seed: int
    ) -> None:
        self._places = places
        self._batch_size = batch_size
        self._fields = fields
        self._crop = fields.shape[-1]
        self._window = window
        self._foreground = foreground
        self._seed = seed

    def batch(self, number: int, random: np.random.Generator, moves: Moves | None = None) -> Crops:
        """The crops of a batch; `random`: its own.

        `moves`: how much of the fields says from which column, and from which row, of the window a pixel comes that is
        bent (B, 2, M); None: nothing is bent.
        """
        image = np.array([self._image(number * self._batch_size + place) for place in range(self._batch_size)])
        free = np.maximum(self._places.sizes[image] - self._crop, 0)  # (B, 2): how far a crop can be moved
        corner = (random.random((len(image), 2)) * (free + 1)).astype(np.int64)
        within = (random.random((len(image), 2)) * self._crop).astype(np.int64)
        shown = {
            sample: points[random.integers(len(points))]
            for sample in np.flatnonzero(random.random(len(image)) < self._foreground)
            if len(points := self._places.points[image[sample]])
        }
        flips = random.integers(0, 2, (3, len(image))).astype(bool)
        if shown:
            some = np.array(list(shown))
            unbent = np.eye(2, len(self._fields), dtype=np.float32)[None]
            corner[some] = self._corners(
                np.stack(list(shown.values())),
                within[some],
                free[some],
                _turns(flips[:, some]),
                unbent if moves is None else moves[some],
            )
        steps = np.arange(self._window) - (self._window - self._crop) // 2
        lines = [
            mirrored_places(corner[:, axis, None] + steps, self._places.sizes[image, axis, None]) for axis in (0, 1)
        ]
        rows, columns = (np.where(flip[:, None], line[:, ::-1], line) for flip, line in zip(flips, lines, strict=False))
        return Crops(image, rows, columns, flips[2])

    def _corners(
        self, points: Indices, within: Indices, free: Indices, turns: NDArray[np.float64], moves: Moves
    ) -> Indices:
        """Where crops begin (F, 2) that show points (F, 2), at the places `within` (F, 2) before flips.

        A crop that would reach beyond its image is moved back, where it has `free` (F, 2) room, and shows the point
        elsewhere; so far that the point stays in it. (How far is told by rotation and scale, without the deformation.)
        """
        middle = (self._crop - 1) / 2
        leads = turns @ moves

        def corners(places: NDArray[np.float64]) -> NDArray[np.float64]:
            columns, rows = np.rint(places + middle).astype(np.int64).T
            begins: NDArray[np.float64] = points - middle - _times(leads, self._fields[:, rows, columns].T)
            return begins

        places = _times(turns.swapaxes(1, 2), within - middle)
        wanted = corners(places)
        places += _times(np.linalg.inv(leads[:, :, :2]), wanted - np.clip(wanted, 0, free))
        return np.rint(corners(np.clip(places, -middle, middle))).astype(np.int64)

    def _image(self, number: int) -> int:
        """The image of a sample, by how many came before it."""
        count = len(self._places.sizes)
        return int(_order(self._seed, number // count, count)[number % count])


def _turns(flips: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far a column, and a row, of a window lead in the rows, and in the columns, of its image: (F, 2, 2).

    By whether rows are flipped, columns are, and both change places (3, F).
    """
    signs = np.where(flips[:2], -1.0, 1.0).T
    ways = np.where(flips[2][:, None, None], np.eye(2), np.eye(2)[::-1])
    return signs[:, :, None] * ways


def _times(matrices: NDArray[Any], vectors: NDArray[Any]) -> NDArray[np.float64]:
    """(F, n, m) and (F, m) -> (F, n)."""
    result: NDArray[np.float64] = (matrices @ vectors[..., None])[..., 0]
    return result


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> Indices:
    """In which all images are drawn, this time."""
    return np.random.default_rng([seed, turn]).permutation(count)


def mirrored_places(places: Indices, length: Indices) -> Indices:
    """Rows or columns of images of so many, which go back and forth beyond the border."""
    period = np.maximum(2 * length - 2, 1)
    index = places % period
    return np.where(length > 1, np.minimum(index, period - index), 0)
