"""The batches of a training: which crops, taken from the images, augmented on the device."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

import numpy as np

from unetsearch.space.recipe import Recipe
from unetsearch.training.augment import Batch, Draws, augment, window_side
from unetsearch.training.crops import Drawing
from unetsearch.training.device_data import Resident, Source

AHEAD = 2
"""So many batches are read from the disk before they are asked for."""


T = TypeVar("T")


def batches(source: Source, recipe: Recipe, seed: int, margin: int = 0, start: int = 0) -> Iterator[Batch]:
    """Endless batches of random crops: images (B, C, side, side), masks and weights (B, crop, crop).

    `side` is crop + 2 * margin: the image goes on around the crop by so many pixels. What lies beyond an image's border
    is mirrored, with its labels. Every image is drawn once before any is drawn again. Each sample has its own position,
    flip, turn and, by the recipe, deformation and shades; a batch is the same for the same seed and number, whatever
    was drawn before. `start`: the number of the first one.
    """
    side, strength = recipe.crop + 2 * margin, recipe.augmentation
    window = window_side(side, strength)
    drawing = Drawing(
        source.places,
        batch_size=recipe.batch_size,
        crop=recipe.crop,
        window=window + (window - recipe.crop) % 2,
        foreground=recipe.foreground,
        seed=seed,
    )

    def windows(number: int) -> tuple[Batch, np.random.Generator]:
        random = np.random.default_rng([seed, number])
        return source.windows(drawing.batch(number, random)), random

    for found, random in map(windows, count(start)) if isinstance(source, Resident) else _ahead(windows, start):
        if strength:
            yield augment(found, Draws.of(random, recipe.batch_size, strength, side), side, recipe.crop)
        else:
            middle = slice(margin, margin + recipe.crop)
            weights = None if found.weights is None else found.weights[:, middle, middle]
            yield Batch(found.images, found.masks[:, middle, middle], weights)


def _ahead(windows: Callable[[int], T], start: int) -> Iterator[T]:
    """What is given for start, start + 1, ..., by a thread that works while the device computes."""
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(windows, number) for number in range(start, start + AHEAD)]
        for number in count(start + AHEAD):
            waiting.append(reader.submit(windows, number))
            yield waiting.pop(0).result()
