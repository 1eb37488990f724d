"""Masks made by hand, and what is decided about their classes."""

import numpy as np

from unetsearch.data.classes import Coding, Refusal, decide_classes
from unetsearch.data.masks import Mask, as_mask
from unetsearch.space.settings import DataSettings

AUTO = DataSettings()


def masks(*arrays, suffix="png") -> list[Mask]:
    return [as_mask(f"masks/{number}.{suffix}", np.asarray(array)) for number, array in enumerate(arrays)]


def decided(*arrays, settings=AUTO, instances=False) -> Coding:
    coding = decide_classes(masks(*arrays), settings, instances=instances)
    assert isinstance(coding, Coding), coding
    return coding


def refused(*arrays, settings=AUTO, suffix="png") -> tuple[str, ...]:
    refusal = decide_classes(masks(*arrays, suffix=suffix), settings, instances=False)
    assert isinstance(refusal, Refusal), refusal
    return (*refusal.problems, *refusal.advice)


def blobs(*values: int, side: int = 40, dtype=np.uint16):
    """Squares of 4x4 px, one for each value, on 0."""
    mask = np.zeros((side, side), dtype)
    for number, value in enumerate(values):
        row, column = divmod(number, side // 5)
        mask[5 * row : 5 * row + 4, 5 * column : 5 * column + 4] = value
    return mask


def disc(side: int = 64):
    rows, columns = np.mgrid[:side, :side]
    return (np.hypot(rows - side / 2, columns - side / 2) < side / 3).astype(np.uint8) * 255
