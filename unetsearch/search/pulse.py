"""What happens between two steps of a training, and its checkpoint."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from time import monotonic, time

import torch

from unetsearch.errors import first_line
from unetsearch.search.messages import Job, Pause, Resumed, Setup, Stepped, Stop
from unetsearch.search.parent import Parent
from unetsearch.search.records import Stretch
from unetsearch.training.checkpoint import CheckpointError, State, read_checkpoint, write_checkpoint

SAY_EVERY = 1.0
"""Seconds between two answers about the step."""


class StoppedError(Exception):
    """The parent wants the training to end."""


class Pulse:
    """What happens between two steps of a training: it says where it is, obeys, and writes its checkpoint."""

    def __init__(self, job: Job, setup: Setup, parent: Parent) -> None:
        self.job = job
        self.setup = setup
        self.parent = parent
        self.key = key_of(job, setup)
        self.stretches: tuple[Stretch, ...] = ()  # in which it was trained before
        self.begun = time()
        self.rested = job.rested
        self.said = float("-inf")
        self.written = monotonic()
        self.unwritable = False

    def __call__(self, step: int, snapshot: Callable[[], State]) -> None:
        """Raises StoppedError where the training is to end here."""
        if monotonic() - self.said >= SAY_EVERY:
            self.parent.say(Stepped(step))
            self.said = monotonic()
        match self.parent.heed(torch.device(self.setup.device)):
            case Stop(save=False):
                forget(self.job)
                raise StoppedError
            case Stop():
                self.write(step, snapshot)
                raise StoppedError
            case Pause():
                if self.write(step, snapshot):
                    raise StoppedError
            case None:
                if monotonic() - self.written >= self.setup.checkpoint_every:
                    self.write(step, snapshot)

    def write(self, step: int, snapshot: Callable[[], State]) -> bool:
        """Writes the checkpoint, if there is to be one. That it cannot is said once. Gives whether it is written."""
        if not self.job.checkpoint:
            return False
        stretches = [list(stretch) for stretch in (*self.stretches, Stretch(self.job.slot, self.begun, time()))]
        known = {"stretches": stretches, "rested": self.rested}
        try:
            write_checkpoint(Path(self.job.checkpoint), self.key, {**snapshot(), **known})
        except (OSError, MemoryError) as error:
            if not self.unwritable:
                self.unwritable = True
                self.parent.say(Stepped(step, f"no checkpoint: {self.job.checkpoint} cannot be written ({why(error)})"))
            return False
        finally:
            self.written = monotonic()
        return True

    def read(self) -> State | None:
        """The state to go on from. That a checkpoint is of no use is said; the training begins anew."""
        if not self.job.checkpoint:
            return None
        try:
            state = read_checkpoint(Path(self.job.checkpoint), self.key)
        except FileNotFoundError:
            return None
        except CheckpointError as error:
            self.parent.say(Stepped(0, f"{error}: the training begins anew"))
            return None
        self.stretches = tuple(Stretch(*stretch) for stretch in state["stretches"])
        self.rested = self.rested or state["rested"]
        last = state["scores"][-1]["step"] if state["scores"] else 0
        self.parent.say(Resumed(last, self.stretches, self.rested))
        return state


def forget(job: Job) -> None:
    """Removes the checkpoint."""
    if job.checkpoint:
        with suppress(OSError):
            Path(job.checkpoint).unlink(missing_ok=True)


def key_of(job: Job, setup: Setup) -> str:
    """Which training a checkpoint is of. Its parts may be others: less memory, the same training."""
    document = [job.architecture.to_dict(), job.recipe.to_dict(), job.seed, setup.data.fingerprint, torch.__version__]
    document += [] if job.split is None else [asdict(job.split)]
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def why(error: BaseException) -> str:
    """What the system says of an error, or else its first line."""
    return str(getattr(error, "strerror", None) or first_line(error))
