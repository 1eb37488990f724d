"""A slot: one warm trainer process. A crash in it costs one training; the next one gets a new process."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO, Any, Self

from unetsearch.errors import WorkFailedError
from unetsearch.search.messages import Done, Failed, Job, Ready, Setup
from unetsearch.training.score import Score

WAIT = 0.5
"""Seconds between two looks at the queue; a wait without end would hold back Ctrl-C on Windows."""


class TrainingFailedError(RuntimeError):
    """A training failed; the message is the reason. `memory`: for lack of memory."""

    def __init__(self, reason: str, *, memory: bool = False) -> None:
        super().__init__(reason)
        self.memory = memory


class Slot:
    """Trains one job at a time in a process of its own, which is started by the first job and kept warm.

    A process that died is replaced by a new one for the next job.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def train(self, job: Job) -> Iterator[Score]:
        """Yields the job's scores as they come. Raises TrainingFailedError, also where the process dies.

        Raises WorkFailedError where no process can be started.
        """
        self.warm_up()
        self._say(job)
        while not isinstance(answer := self._next(), Done):
            if isinstance(answer, Failed):
                if answer.fatal:
                    self.close()  # it is ending itself: the next job must not reach it
                raise TrainingFailedError(answer.reason, memory=answer.memory)
            if not isinstance(answer, Score):
                raise TrainingFailedError(self._death())
            yield answer

    def warm_up(self) -> None:
        """Starts the process, if none is alive, and waits until it has its data.

        Raises WorkFailedError where it dies of that: no other training would fare better.
        """
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._start()
            if self._next() is None:
                raise WorkFailedError(f"cannot start training: {self._death()}")

    def close(self) -> None:
        """Ends the process, in the middle of a training too."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, self._log):
                if stream is not None:
                    with suppress(OSError):  # what was left unsaid to a process that died
                        stream.close()

    def _start(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "unetsearch.search.trainer"],  # -P: no file of the working folder is imported
            env=os.environ | {"PYTHONPATH": _python_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._answers = SimpleQueue()
        Thread(target=_forward, args=(self._process.stdout, self._answers), daemon=True).start()
        self._say(self.setup)

    def _say(self, message: Setup | Job) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
        except (BrokenPipeError, OSError):
            pass  # the process died: the reading side finds out and says why

    def _next(self) -> Score | Ready | Done | Failed | None:
        """The next answer; None where the process is dead."""
        while True:
            try:
                return self._answers.get(timeout=WAIT)  # type: ignore[no-any-return]
            except Empty:
                continue

    def _death(self) -> str:
        """Why the process died, from its status and the last line it printed; clears it away."""
        assert self._process is not None
        assert self._log is not None
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        self.close()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"the trainer process {how}" + (f": {lines[-1]}" if lines else "")


def _python_path() -> str:
    """Where the new process finds what this one found: also a checkout that is not installed."""
    entries = [entry for entry in sys.path if entry and isinstance(entry, str)]
    return os.pathsep.join([*entries, str(Path(__file__).resolve().parents[2])])


def _forward(stream: IO[bytes], answers: SimpleQueue[Any]) -> None:
    """Passes on what the process says; None when it says no more."""
    try:
        while True:
            answers.put(pickle.load(stream))
    except Exception:  # the end of the stream, or half a message of a process that died
        answers.put(None)
