"""Which images are the same, and whether neighbours in the order of the names look alike. Arrays in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

SIDE = 32  # px of a thumbnail
LOCAL_MEAN = 4.0  # px: what every image of a set shares (shading, a disc, a centred cell) goes with the local mean
FEWEST = 8  # images below which nothing can be told
MARGIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Median correlation of neighbours and of images drawn apart from each other, and whether the first stands out."""

    neighbours: float
    others: float
    alike: bool


def same_images(digests: Sequence[bytes | None]) -> tuple[tuple[int, ...], ...]:
    """The indices of images with the same digest (None equals nothing), for every digest that occurs more than once."""
    found: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest is not None:
            found.setdefault(digest, []).append(index)
    return tuple(tuple(indices) for indices in found.values() if len(indices) > 1)


def likeness(images: Sequence[NDArray[Any]], seed: int = 0) -> Likeness | None:
    """Whether neighbouring images, (C, H, W) in the order of their names, look alike; None for fewer than 8 images.

    They do where the median correlation of neighbours is above nine tenths of the correlations of other pairs: slices
    of a stack or frames of a film. (Measured: isbi2012_em .52 against .03; wbc1 .47 against .40; chase_db1 .81
    against .82; dsb2018_fluo -.01 against -.01.)
    """
    count = len(images)
    if count < FEWEST:
        return None
    thumbnails = np.stack([_thumbnail(image) for image in images])
    neighbours = (thumbnails[:-1] * thumbnails[1:]).sum(axis=1)
    first, second = np.random.default_rng(seed).integers(0, count, (2, 4000))
    apart = np.abs(first - second) > 1
    others = (thumbnails[first[apart]] * thumbnails[second[apart]]).sum(axis=1)
    level, usual = float(np.median(neighbours)), float(np.median(others))
    alike = level > float(np.quantile(others, 0.9)) and level > usual + MARGIN
    return Likeness(neighbours=level, others=usual, alike=alike)


def _thumbnail(image: NDArray[Any]) -> NDArray[np.float32]:
    """A (SIDE * SIDE,) vector of length 1 (0 for a constant image), so that a dot product is a correlation."""
    grey = Image.fromarray(image.mean(axis=0, dtype=np.float32))
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    detail = small - ndimage.gaussian_filter(small, LOCAL_MEAN)
    detail = (detail - detail.mean()).ravel()
    length = float(np.linalg.norm(detail))
    return np.asarray(detail / length if length > 0 else detail, np.float32)
