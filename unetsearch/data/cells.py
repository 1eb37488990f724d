"""The embedded data set: synthetic microscopy of cells, drawn from a seed. Needs no file and no network.

Cells are filled discs with irregular outlines, alone or touching, and large hollow cells: a bright rim around an
interior that looks like the background, which a network must see as a whole to fill. Bright specks and open arcs (rims
around nothing) are not to be segmented.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]

RADII = {"hollow": (10.0, 18.0), "large": (7.0, 11.0), "small": (3.0, 6.0)}  # px
BORDER = 12  # px around the image that are drawn and cut off, so that cells are cut by its edge
TRIES = 40  # placements of a cell before it is given up
GAP = 3.0  # px within which two cells touch


def make_cells(
    count: int = 60, size: int = 96, seed: int = 0, empty: float = 0.0
) -> tuple[tuple[NDArray[np.uint8], ...], tuple[NDArray[np.uint8], ...], tuple[NDArray[np.uint16], ...]]:
    """`count` images (size, size) uint8, their masks (0 background, 1 cell) uint8, and instances (0, 1..n) uint16.

    `empty`: the share of images without any cell (their number is rounded; they are the last ones).
    """
    filled = count - round(empty * count)
    scenes = [_scene(np.random.default_rng([seed, index]), size, index < filled) for index in range(count)]
    images = tuple(image for image, _ in scenes)
    masks = tuple((instances > 0).astype(np.uint8) for _, instances in scenes)
    return images, masks, tuple(instances for _, instances in scenes)


def _scene(rng: np.random.Generator, size: int, with_cells: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    side = size + 2 * BORDER
    light = np.zeros((side, side))
    cells = np.zeros((side, side), np.uint16)
    contrast = rng.uniform(0.14, 0.3)
    for kind in _kinds(rng, size) if with_cells else ():
        _place(rng, light, cells, kind, contrast)
    for _ in range(rng.integers(4, 12)):
        _speck(rng, light, contrast)
    for _ in range(rng.integers(1, 4)):
        _arc(rng, light, cells > 0, contrast)
    inner = slice(BORDER, BORDER + size)
    blurred = ndimage.gaussian_filter(light, rng.uniform(0.7, 1.3))[inner, inner]
    shading = ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 4, mode="wrap")
    shading *= rng.uniform(0.02, 0.09) / max(float(shading.std()), 1e-9)
    noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), 0.5) * rng.uniform(0.06, 0.11)
    image = np.clip(rng.uniform(0.2, 0.4) + shading + blurred + noise, 0, 1)
    _, numbers = np.unique(cells[inner, inner], return_inverse=True)
    instances = numbers.reshape(size, size) + int(cells[inner, inner].min() > 0)
    return (image * 255).round().astype(np.uint8), instances.astype(np.uint16)


def _kinds(rng: np.random.Generator, size: int) -> list[str]:
    """The cells to place, large ones first: they find no room later."""
    area = ((size + 2 * BORDER) / 120) ** 2
    return [
        kind
        for kind, few, many in (("hollow", 1, 3), ("large", 1, 4), ("small", 3, 9))
        for _ in range(round(int(rng.integers(few, many)) * area))
    ]


def _place(rng: np.random.Generator, light: Array, cells: Array, kind: str, contrast: float) -> None:
    """Draws one cell where it covers no other; about half of them touch a neighbour."""
    radius = rng.uniform(*RADII[kind])
    distance = _outline(rng, radius)
    body, around = distance < 1, distance < 1 + GAP / radius
    profile = 1.15 - 0.5 * distance
    if kind == "hollow":
        rim = 2.2 / radius
        profile = np.exp(-(((distance - 1 + rim) / rim) ** 2))
    touching = rng.random() < 0.5
    for _ in range(TRIES):
        row, column = rng.integers(0, len(cells) - len(body), 2)
        window = slice(row, row + len(body)), slice(column, column + len(body))
        taken = cells[window] > 0
        if (taken & body).any() or (cells.any() and bool((taken & around).any()) != touching):
            continue
        cells[window][body] = cells.max() + 1
        light[window] += contrast * rng.uniform(0.7, 1.3) * profile * body
        return


def _outline(rng: np.random.Generator, radius: float) -> Array:
    """A square around a cell: each pixel's distance from the centre over the outline's radius in that direction."""
    reach = int(radius * 1.4) + 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.arctan2(rows, columns)
    wave = np.ones(angle.shape)
    for order in range(2, 6):
        wave += rng.normal() * 0.16 / order * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(rows, columns) / (radius * np.clip(wave, 0.6, 1.4)))


def _speck(rng: np.random.Generator, light: Array, contrast: float) -> None:
    rows, columns = np.mgrid[: len(light), : len(light)]
    row, column = rng.uniform(0, len(light), 2)
    distance = np.hypot(rows - row, columns - column) / rng.uniform(0.6, 1.8)
    light += contrast * rng.uniform(0.8, 1.6) * np.exp(-(distance**2))


def _arc(rng: np.random.Generator, light: Array, cells: Array, contrast: float) -> None:
    """Part of a rim as bright as a hollow cell's, but open; a thread where its radius is large."""
    rows, columns = np.mgrid[: len(light), : len(light)]
    row, column = rng.uniform(0, len(light), 2)
    radius = rng.uniform(8, 40)
    length = 2 * np.pi * rng.uniform(0.25, 0.6) * min(1.0, 16 / radius)
    angle = (np.arctan2(rows - row, columns - column) - rng.uniform(0, 2 * np.pi)) % (2 * np.pi)
    distance = np.abs(np.hypot(rows - row, columns - column) - radius)
    light += contrast * rng.uniform(0.7, 1.2) * np.exp(-((distance / 1.8) ** 2)) * (angle < length) * ~cells
