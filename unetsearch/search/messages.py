"""What the parent and a trainer process say to each other. Pickles over pipes, plain data only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.search.records import Stretch
from unetsearch.space.architecture import Architecture
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score


@dataclass(frozen=True, slots=True)
class Setup:
    """Said once to a new trainer: its data, its device, its number of threads.

    `objects`: single objects are scored too. `sharing`: so many trainers share the device's memory. `checkpoint_every`:
    seconds between two checkpoints of a training; shorter ones write one where they pause only.
    """

    data: SegmentationData
    device: str
    threads: int
    objects: bool = False
    sharing: int = 1
    checkpoint_every: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training. The model, with its predictions of the `preview` images, is written to `folder`.

    `parts`: each batch is trained in so many parts, whose gradients are summed up. `checkpoint`: the file from which
    the training continues, where it is there, and which is written along the way. It is removed when the training is
    done, failed for good, or stopped unsaved; not where memory was too little or the model could not be written.
    `slot`: what the checkpoint says of where it was trained. `rested`: it paused and was taken up again, to go on to
    its end; the checkpoint remembers that. `split`: the images that are trained on and scored (as validation), one by
    one, instead of those of the trainer's data; then no model is written.
    """

    architecture: Architecture
    recipe: Recipe
    seed: int
    folder: str
    preview: tuple["Window", ...]
    parts: int = 1
    checkpoint: str = ""
    slot: str = ""
    rested: bool = False
    split: Split | None = None


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
class Measure:
    """Latency and memory of an architecture are to be measured, by a trainer without a job."""

    architecture: Architecture


@dataclass(frozen=True, slots=True)
class Stop:
    """The training is to end before its next step; `save`: with a checkpoint."""

    save: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """The training is to write a checkpoint and to end before its next step; it goes on if it cannot write one."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The training is to wait before its next step, until it is told to Go. Answered by one Held."""


@dataclass(frozen=True, slots=True)
class Go:
    """The training goes on."""


Request = Job | Measure | Stop | Pause | Hold | Go


@dataclass(frozen=True, slots=True)
class Ready:
    """The data are on the device; jobs can come."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """The training is at this step; said about once a second. `note`: something that a person should read."""

    step: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The training goes on from a checkpoint; its scores come again, the last one of this step. Said before any score.

    `stretches`: when it was trained up to there. `rested`: as in Job.
    """

    step: int
    stretches: tuple[Stretch, ...]
    rested: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The training waits, or has ended, or there is none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds and bytes of one 256x256 image (`unetsearch.network.measure`)."""

    latency: float
    memory: int


@dataclass(frozen=True, slots=True)
class Done:
    """The training is finished and its model written."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The training was ended by a Stop or a Pause."""


Cause = Literal["training", "memory", "storage"]


@dataclass(frozen=True, slots=True)
class Failed:
    """The training (or the measuring) failed.

    `cause`: `memory`, where there was too little; `storage`, where a file could not be written, so that no other
    training would fare better; else `training`. `fatal`: the process ends itself after it.
    """

    reason: str
    cause: Cause = "training"
    fatal: bool = False


Answer = Ready | Resumed | Score | Stepped | Held | Measured | Done | Stopped | Failed
