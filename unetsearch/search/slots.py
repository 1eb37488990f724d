"""One trainer process, from its start to its end, as the parent sees it."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from unetsearch.search.messages import Answer, Request, Setup

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What the libraries under torch and numpy read when they are loaded."""

PATIENCE = 5.0
"""Seconds for a process whose answers ended to end itself."""


class TrainerProcess:
    """Starts at once; its `setup` is sent without waiting, and every answer comes as (this process, the answer).

    (this process, None) comes last: it says no more, mostly because it is dead.
    """

    def __init__(self, setup: Setup, answers: "SimpleQueue[tuple[TrainerProcess, Answer | None]]") -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the process
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "unetsearch.search.trainer",
                ],  # -P: no file of the working folder is imported
                env=os.environ | environment(setup.threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
            )
        except BaseException:
            self._log.close()
            raise
        self._requests: SimpleQueue[Setup | Request | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._send, daemon=True),
            Thread(target=self._receive, args=(answers,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._requests.put(setup)

    @property
    def pid(self) -> int:
        """The system's number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def say(self, request: Request) -> None:
        """Sends a request, without waiting. To a process that died it goes nowhere."""
        self._requests.put(request)

    def kill(self) -> None:
        """Ends it, in the middle of a training too, and clears away what it leaves. May be called again."""
        self._process.kill()
        self._process.wait()
        self._requests.put(None)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._log.close()

    def death(self) -> str:
        """Why it died, from its status and the last line it printed; clears it away."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        status = self._process.poll()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        self.kill()
        how = "spoke no more" if status is None else f"ended with status {status}"
        if status is not None and status < 0:
            how = f"was ended by signal {-status}"
        return f"the trainer process {how}" + (f": {lines[-1]}" if lines else "")

    def _send(self) -> None:
        """Writes the requests in their order. A process that is slow to read them holds up no other."""
        stream: Any = self._process.stdin
        with suppress(OSError), stream:  # what was left unsaid to a process that died
            while (request := self._requests.get()) is not None:
                pickle.dump(request, stream)
                stream.flush()

    def _receive(self, answers: "SimpleQueue[tuple[TrainerProcess, Answer | None]]") -> None:
        stream: Any = self._process.stdout
        with stream, suppress(Exception):  # the end of the stream, or half a message of a process that died
            while True:
                answers.put((self, pickle.load(stream)))
        answers.put((self, None))


def environment(threads: int) -> Mapping[str, str]:
    """What a trainer process finds in its environment: its number of threads, before anything is loaded that asks.

    And where this process found its modules: also a checkout that is not installed.
    """
    entries = [entry for entry in sys.path if entry and isinstance(entry, str)]
    path = os.pathsep.join([*entries, str(Path(__file__).resolve().parents[2])])
    return {"PYTHONPATH": path} | {name: str(threads) for name in THREADS}
