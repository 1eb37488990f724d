"""The slots of a study: warm trainer processes, of which each does one thing at a time.

A crash, a hang or a lack of memory costs one training; the slot gets a new process.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Self

from unetsearch.errors import WorkFailedError
from unetsearch.search.messages import (
    Answer,
    Done,
    Failed,
    Go,
    Held,
    Hold,
    Job,
    Measure,
    Measured,
    Pause,
    Ready,
    Resumed,
    Setup,
    Stepped,
    Stop,
    Stopped,
)
from unetsearch.search.slots import TrainerProcess
from unetsearch.space.architecture import Architecture
from unetsearch.training.score import Score

WAIT = 0.5
"""Seconds between two looks at the answers; a wait without end would hold back Ctrl-C on Windows."""

Told = Resumed | Score | Stepped | Done | Stopped | Failed
"""What the caller learns of a training; the last three end it."""


@dataclass(slots=True)
class Slot:
    """A process and what it does.

    `busy`: it has a job whose end the caller has not learnt yet. `at_work`: it has not ended its job, or its
    measuring, itself. `held`: it waits for a Go. `holds`: how many Holds it has not answered. `silent`: seconds that
    it was listened to without an answer.
    """

    process: TrainerProcess
    ready: bool = False
    busy: bool = False
    at_work: bool = False
    measuring: bool = False
    held: bool = False
    holds: int = 0
    silent: float = 0.0

    @property
    def free(self) -> bool:
        """Whether it is ready for a job."""
        return self.ready and not self.busy and not self.at_work


class Pool:
    """One process for each setup; all start at once, and each is idle as soon as it has its data.

    `stall`: seconds without a step after which a training is taken to hang. Where no process can be started, `next`
    and `measure` raise WorkFailedError: no other training would fare better.
    """

    def __init__(self, setups: Sequence[Setup], stall: float) -> None:
        self._setups = tuple(setups)
        self._stall = stall
        self._answers: SimpleQueue[tuple[TrainerProcess, Answer | None]] = SimpleQueue()
        self._ahead: deque[tuple[int, Told] | None] = deque()  # what `next` gives before it listens
        self._measured: list[Measured | Failed] = []
        self._closing = False
        self._heard = monotonic()
        self._slots: list[Slot] = []
        try:
            for setup in self._setups:
                self._slots.append(Slot(self._process(setup)))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def idle(self) -> tuple[int, ...]:
        """The slots that are ready for a job."""
        return tuple(index for index, slot in enumerate(self._slots) if slot.free)

    @property
    def busy(self) -> tuple[int, ...]:
        """The slots that have a job, until `next` gave its end."""
        return tuple(index for index, slot in enumerate(self._slots) if slot.busy)

    def start(self, slot: int, job: Job) -> None:
        """Gives an idle slot a job."""
        self._begin(slot, job).busy = True

    def stop(self, slot: int) -> None:
        """Ends the slot's training before its next step, without a checkpoint; `next` gives Stopped.

        Or Done or Failed, where that came first.
        """
        self._slots[slot].process.say(Stop(save=False))

    def pause(self, slot: int) -> None:
        """The same with a checkpoint. Where that cannot be written, the training goes on."""
        self._slots[slot].process.say(Pause())

    def next(self, timeout: float) -> tuple[int, Told] | None:
        """The next answer of any slot, or None after so many seconds, or earlier where a slot became idle."""
        until = monotonic() + timeout
        self._listen(0)
        while not self._ahead and (left := until - monotonic()) > 0:
            self._listen(left)
        told = self._ahead.popleft() if self._ahead else None
        if told is not None and isinstance(told[1], Done | Stopped | Failed):
            self._slots[told[0]].busy = False
        return told

    def measure(
        self, slot: int, architecture: Architecture, meanwhile: Callable[[], None] = lambda: None
    ) -> Measured | Failed:
        """Latency and memory of an architecture by an idle slot, with nothing else running.

        Every other training waits before its next step until that is done. Their answers come by `next` afterwards.
        `meanwhile` is called now and then.
        """
        working = [other for other in self._slots if other.at_work]
        try:
            for other in working:
                other.holds += 1
                other.process.say(Hold())
            while not all(other.ready and not other.holds for other in self._slots):
                self._listen(WAIT)
                meanwhile()
            self._measured.clear()
            self._begin(slot, Measure(architecture)).measuring = True
            while not self._measured:
                self._listen(WAIT)
                meanwhile()
            return self._measured.pop()
        finally:
            for other in working:
                other.process.say(Go())
                other.held, other.silent = False, 0.0

    def close(self, *, save_within: float = 0) -> None:
        """Ends all processes. Running trainings get so many seconds before to write their checkpoints."""
        self._closing = True
        working = [slot for slot in self._slots if slot.at_work and save_within > 0]
        until = monotonic() + save_within
        try:
            for slot in working:
                slot.process.say(Stop(save=True))
            while any(slot.at_work for slot in working) and (left := until - monotonic()) > 0:
                self._listen(left)
        finally:
            while self._slots:
                self._slots[-1].process.kill()
                self._slots.pop()

    def _process(self, setup: Setup) -> TrainerProcess:
        try:
            return TrainerProcess(setup, self._answers)
        except OSError as error:
            raise WorkFailedError(f"cannot start training: {error.strerror or error}") from error

    def _begin(self, index: int, request: Job | Measure) -> Slot:
        slot = self._slots[index]
        if not slot.free:
            raise ValueError(f"slot {index} is not idle")
        if not slot.process.alive:
            slot = self._replace(index)
        slot.at_work, slot.silent = True, 0.0
        slot.process.say(request)
        return slot

    def _listen(self, seconds: float) -> None:
        """Takes in the answers that are there, waiting for the first one so long, but never longer than WAIT."""
        try:
            self._hear(*self._answers.get(timeout=min(seconds, WAIT)))
            while True:
                self._hear(*self._answers.get_nowait())
        except Empty:
            self._end_hung()

    def _hear(self, process: TrainerProcess, answer: Answer | None) -> None:
        index = next((index for index, slot in enumerate(self._slots) if slot.process is process), None)
        if index is None:
            return  # the last words of a process that was replaced
        slot = self._slots[index]
        slot.silent = 0.0
        match answer:
            case None:
                self._bury(index)
            case Ready():
                slot.ready = True
                self._ahead.append(None)
            case Held():
                slot.holds -= 1
                slot.held = slot.at_work
            case Done() | Stopped() | Measured():
                self._end(index, answer)
            case Failed():
                self._end(index, answer, replace=answer.fatal)  # it ends itself: no job shall reach it
            case _:
                self._ahead.append((index, answer))

    def _end(self, index: int, answer: Done | Stopped | Failed | Measured, *, replace: bool = False) -> None:
        """The slot ended what it was at; `replace`: with its process."""
        slot = self._slots[index]
        if slot.measuring and isinstance(answer, Measured | Failed):
            self._measured.append(answer)
        elif not isinstance(answer, Measured):
            self._ahead.append((index, answer))
        slot.at_work = slot.measuring = False
        if replace and not self._closing:
            self._replace(index)

    def _bury(self, index: int) -> None:
        """A process is dead: in a job, that fails; between two jobs, nobody needs to know."""
        slot = self._slots[index]
        reason = slot.process.death()
        if slot.at_work and slot.ready:
            self._end(index, Failed(reason), replace=True)
        elif self._closing:
            slot.at_work = False
        elif slot.ready:
            self._replace(index)
        else:
            raise WorkFailedError(f"cannot start training: {reason}")

    def _replace(self, index: int) -> Slot:
        """A new process, which warms up; what the slot does stays what it was."""
        before = self._slots[index]
        before.process.kill()
        self._slots[index] = Slot(self._process(self._setups[index]), busy=before.busy)
        return self._slots[index]

    def _end_hung(self) -> None:
        """Ends what was silent for too long, counted in the time that was really listened: a suspended machine, or a
        caller that is busy elsewhere, ends nothing.
        """
        now = monotonic()
        waited, self._heard = min(now - self._heard, 2 * WAIT), now
        for index, slot in enumerate(self._slots):
            if not slot.at_work or not slot.ready or slot.held or self._closing:
                continue
            slot.silent += waited
            if slot.silent >= self._stall:
                what = "measuring" if slot.measuring else "training"
                self._end(index, Failed(f"no step within {_duration(self._stall)}: the {what} hangs"), replace=True)


def _duration(seconds: float) -> str:
    """`15m`, `1h30m`, `2.5s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest:g}s" if rest else ""]
    return "".join(parts) or "0s"
