"""What augmentation makes of some images: a picture to judge its strength by."""

from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from unetsearch.data.dataset import SegmentationData, foreground
from unetsearch.report.images import class_colours
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import batches
from unetsearch.training.sources import Resident, normalised

STRENGTHS = (0.0, 0.25, 0.5, 1.0)
"""One pair of columns each."""

SHOWN = 4
"""Images, one row each."""

GAP, HEAD = 4, 18
"""Pixels between two crops, and of the line above them."""


def augmentation_picture(data: SegmentationData, recipe: Recipe, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3): crops of the first training images, two of each strength, with the outlines of their masks."""
    side, columns = recipe.crop, 2 * len(STRENGTHS)
    rows = data.split.train[:SHOWN]
    canvas = np.full((HEAD + len(rows) * (side + GAP), columns * (side + GAP) - GAP, 3), 255, np.uint8)
    for row, index in enumerate(rows):
        image = normalised(data.images[index])
        low, high = np.percentile(image[:3], (0.1, 99.9))
        source = Resident.of([image], [data.masks[index]], torch.device("cpu"))
        top = HEAD + row * (side + GAP)
        for column, strength in enumerate(STRENGTHS):
            drawn = Recipe(crop=side, batch_size=2, augmentation=strength, foreground=1.0)
            (batch,) = islice(batches(source, drawn, seed + row), 1)
            for place, (crop, mask) in enumerate(zip(batch.images.numpy(), batch.masks.numpy(), strict=True)):
                left = (2 * column + place) * (side + GAP)
                shown = (crop - low) / max(high - low, 1e-6)  # one scale for all, else contrasts would look alike
                canvas[top : top + side, left : left + side] = _outlined(shown, mask)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    for column, strength in enumerate(STRENGTHS):
        pen.text((2 * column * (side + GAP) + 2, 2), f"augmentation: {strength:g}", fill=(0, 0, 0))
    return np.asarray(picture)


def _outlined(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (C, H, W), black at 0 and white at 1, with the inner outlines of its classes."""
    shown = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, axis=0)
    grey = (255 * np.clip(shown, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    edge = (ndimage.minimum_filter(mask, 3) != mask) & foreground(mask)
    return np.where(edge[..., None], class_colours(mask), grey)
