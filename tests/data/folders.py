"""Folders of images and masks, and what is said where one is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unetsearch.data.load import load_data
from unetsearch.errors import DataError
from unetsearch.space.settings import DataSettings

RNG = np.random.default_rng(0)


def image(height=40, width=48, channels=()):
    return RNG.integers(0, 256, (height, width, *channels), dtype=np.uint8)


def mask(height=40, width=48, values=(0, 255)):
    array = np.full((height, width), values[0], np.uint8)
    for number, value in enumerate(values[1:]):
        array[2 + 5 * number : 6 + 5 * number, 3:20] = value
    return array


def save(root: Path, name: str, array) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def folder(root: Path, count=10, channels=(), values=(0, 255)) -> DataSettings:
    for index in range(count):
        save(root, f"images/{index:02}.png", image(channels=channels))
        save(root, f"masks/{index:02}.png", mask(values=values))
    return DataSettings(path=str(root))


def refused(settings: DataSettings) -> list[str]:
    with pytest.raises(DataError) as error:
        load_data(settings)
    assert str(error.value) == "\n".join(error.value.problems)
    return list(error.value.problems)
