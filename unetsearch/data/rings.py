"""The embedded set of rings: what is to be found lies further from what tells it than a shallow network sees.

Each image holds some bright rings of one radius. The foreground is a small disc in the middle of each ring, where the
image looks as it does anywhere else: a pixel of the disc is told by the ring alone, whose nearest part is
`RADIUS - DISC - THICK` px away. A network that sees less cannot know it, whatever it learns.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

RADIUS, THICK, DISC = 17.0, 1.5, 4.0
"""Pixels: of the ring's middle line, half of its width, of the disc to be found."""

NEEDED = int(RADIUS - THICK - DISC)
"""Pixels to the nearest part of the ring from the disc's edge: a network that sees less sees none of it."""

TRIES = 60
"""Placements of a ring before it is given up."""


def make_rings(
    count: int = 60, size: int = 96, seed: int = 0
) -> tuple[tuple[NDArray[np.uint8], ...], tuple[NDArray[np.uint8], ...], tuple[NDArray[np.uint16], ...]]:
    """`count` images (size, size) uint8, their masks (0 background, 1 disc) uint8, and instances (0, 1..n) uint16."""
    scenes = [_scene(np.random.default_rng([seed, index]), size) for index in range(count)]
    images = tuple(image for image, _ in scenes)
    masks = tuple((instances > 0).astype(np.uint8) for _, instances in scenes)
    return images, masks, tuple(instances for _, instances in scenes)


def _scene(rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    rows, columns = np.mgrid[:size, :size]
    light, instances = np.zeros((size, size)), np.zeros((size, size), np.uint16)
    centres: list[tuple[float, float]] = []
    inset = RADIUS + THICK  # whole rings only
    for _ in range(int(rng.integers(2, 4))):
        for _ in range(TRIES):
            row, column = rng.uniform(inset, size - 1 - inset, 2)
            if all(np.hypot(row - other[0], column - other[1]) > 2 * inset for other in centres):
                centres.append((row, column))
                distance = np.hypot(rows - row, columns - column)
                light[np.abs(distance - RADIUS) < THICK] = rng.uniform(0.3, 0.45)
                instances[distance < DISC] = len(centres)
                break
    noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), 0.6) * 0.08
    image = np.clip(0.3 + light + noise, 0, 1)
    return (image * 255).round().astype(np.uint8), instances
