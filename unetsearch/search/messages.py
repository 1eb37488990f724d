"""What the parent and a trainer process say to each other. Pickles over pipes, plain data only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import SegmentationData
from unetsearch.space.architecture import Architecture
from unetsearch.space.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Setup:
    """Said once to a new trainer: its data, its device, its number of threads."""

    data: SegmentationData
    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class Job:
    """One training. The model, with its predictions of the `preview` images (indices), is written to `folder`."""

    architecture: Architecture
    recipe: Recipe
    seed: int
    folder: str
    preview: tuple["Window", ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an image that is shown in the report: the image's index, and rows and columns from, to."""

    index: int
    top: int
    bottom: int
    left: int
    right: int

    def of(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        """The window of an array (..., H, W)."""
        return pixels[..., self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class Ready:
    """The data are on the device; jobs can come."""


@dataclass(frozen=True, slots=True)
class Done:
    """The training is finished and its model written."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The training failed; `memory`: for lack of memory. `fatal`: the process ends itself after it."""

    reason: str
    memory: bool = False
    fatal: bool = False
