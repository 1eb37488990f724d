"""Studies as processes of their own, to be killed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

START = (
    "import unetsearch.search.liveness as liveness; liveness.GRACE = {grace}; from unetsearch.cli import main; main()"
)
"""The command, with another time until a silent machine is taken for dead."""


def unetsearch(*arguments: object, grace: float = 120, **options) -> subprocess.Popen:
    """Starts the command; it leads a process group of its own."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"} | options.pop("env", {})
    command = [sys.executable, "-c", START.format(grace=grace), *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
    return subprocess.Popen(command, env=environment, start_new_session=True, **options)


def trainers(process: subprocess.Popen) -> list[int]:
    """The trainer processes of a study (Linux)."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in children.read_text().split()] if children.exists() else []


def kill(*pids: int) -> None:
    """Ends processes at once, those that still live."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
