"""Pictures for the page: an image, its truth, and where a prediction agrees with it."""

import io
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unetsearch.data.dataset import IGNORE

CLASS_COLOURS = np.array(
    [
        (0, 0, 0),
        (53, 183, 121),
        (253, 174, 97),
        (69, 117, 180),
        (215, 48, 39),
        (145, 80, 200),
        (255, 255, 191),
        (0, 200, 220),
    ],
    dtype=np.uint8,
)
"""The background black, then one a class; more classes begin again."""

AGREED, MISSED, EXTRA, IGNORED = (255, 255, 255), (59, 130, 246), (239, 68, 68), (90, 90, 90)
"""Foreground found, foreground missed, foreground that is none, and pixels that are not scored."""


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """A uint8 image (H, W) or (H, W, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The same in a `data:` address."""
    return f"data:image/png;base64,{b64encode(as_png(pixels)).decode()}"


def class_colours(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) class indices -> (H, W, 3)."""
    foreground = len(CLASS_COLOURS) - 1
    index = np.where(labels == 0, 0, (labels.astype(int) - 1) % foreground + 1)
    return np.asarray(np.where((labels == IGNORE)[..., None], IGNORED, CLASS_COLOURS[index]), dtype=np.uint8)


def agreement(prediction: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) labels of one foreground class -> (H, W, 3): white found, blue missed, red extra."""
    picture = np.zeros((*truth.shape, 3), dtype=np.uint8)
    picture[(prediction == 1) & (truth == 1)] = AGREED
    picture[(prediction != 1) & (truth == 1)] = MISSED
    picture[(prediction == 1) & (truth != 1)] = EXTRA
    picture[truth == IGNORE] = IGNORED
    return picture


def shown_dice(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> float:
    """The Dice of what is shown, mean over its foreground classes; absent from both: 1."""
    valid = truth != IGNORE
    scores = []
    for index in range(1, classes):
        found, there = (prediction == index) & valid, (truth == index) & valid
        total = int(found.sum() + there.sum())
        scores.append(2 * int((found & there).sum()) / total if total else 1.0)
    return sum(scores) / len(scores)
