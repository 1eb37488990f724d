"""Which crops batches have: of what image, where, how they are turned. Drawn on the processor, a few numbers a crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import IGNORE

POINTS = 64
"""So many pixels of each class of an image are remembered, to lay crops around them."""

Indices = NDArray[np.int64]


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

    Every image is drawn once before any is drawn again. `crop`: its side; `window`: that of what is read around it,
    with the crop in its middle. `foreground`: the share of the crops that are laid around one of the image's points.
    """

    def __init__(
        self, places: Places, *, batch_size: int, crop: int, window: int, foreground: float, seed: int
    ) -> None:
        self._places = places
        self._batch_size = batch_size
        self._crop = crop
        self._window = window
        self._foreground = foreground
        self._seed = seed

    def batch(self, number: int, random: np.random.Generator) -> Crops:
        """The crops of a batch; `random`: its own."""
        image = np.array([self._image(number * self._batch_size + place) for place in range(self._batch_size)])
        free = np.maximum(self._places.sizes[image] - self._crop, 0)  # (B, 2): how far a crop can be moved
        corner = (random.random((len(image), 2)) * (free + 1)).astype(np.int64)
        within = random.random((len(image), 2)) * self._crop
        for sample in np.flatnonzero(random.random(len(image)) < self._foreground):
            points = self._places.points[image[sample]]
            if len(points):
                around = points[random.integers(len(points))] - within[sample].astype(np.int64)
                corner[sample] = np.clip(around, 0, free[sample])
        steps = np.arange(self._window) - (self._window - self._crop) // 2
        lines = [
            mirrored_places(corner[:, axis, None] + steps, self._places.sizes[image, axis, None]) for axis in (0, 1)
        ]
        flips = random.integers(0, 2, (3, len(image))).astype(bool)
        rows, columns = (np.where(flip[:, None], line[:, ::-1], line) for flip, line in zip(flips, lines, strict=False))
        return Crops(image, rows, columns, flips[2])

    def _image(self, number: int) -> int:
        """The image of a sample, by how many came before it."""
        count = len(self._places.sizes)
        return int(_order(self._seed, number // count, count)[number % count])


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> Indices:
    """In which all images are drawn, this time."""
    return np.random.default_rng([seed, turn]).permutation(count)


def mirrored_places(places: Indices, length: Indices) -> Indices:
    """Rows or columns of images of so many, which go back and forth beyond the border."""
    period = np.maximum(2 * length - 2, 1)
    index = places % period
    return np.where(length > 1, np.minimum(index, period - index), 0)
