"""C sources that the machine's own compiler makes a library of, once: for loops that torch has not.

Where there is no compiler, or where it is switched off, those who ask get nothing, and do with torch alone.
"""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

from unetsearch.files import cache_folder

NATIVE = "UNETSEARCH_NATIVE"
"""The environment variable that switches this off where it is 0."""

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared")

SECONDS = 120
"""After which a compiler is given up. It takes one."""


@cache
def library(source: Path) -> ctypes.CDLL | None:
    """What a C source compiles to, its loops shared among torch's own threads; None where that cannot be had.

    It is kept in the cache folder, by its content, for this user and this kind of processor.
    """
    compiler = shutil.which(os.environ.get("CC") or "gcc")
    if os.environ.get(NATIVE) == "0" or sys.platform != "linux" or compiler is None:
        return None
    facts = (source.read_bytes(), compiler, FLAGS, _processor(), os.getuid())
    name = f"{source.stem}-{_digest(repr(facts).encode())}"
    try:
        loaded = ctypes.CDLL(str(_found(name) or _compiled(name, compiler, source)))
        return loaded if _shares_threads(loaded) else None
    except (OSError, AttributeError, subprocess.SubprocessError):
        return None


def _found(name: str) -> Path | None:
    """The library of that name, if this user made it and it is what was made."""
    for path in cache_folder().glob(f"{name}-*.so"):
        if path.stat().st_uid == os.getuid() and path.stem == f"{name}-{_digest(path.read_bytes())}":
            return path
        path.unlink(missing_ok=True)
    return None


def _compiled(name: str, compiler: str, source: Path) -> Path:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{name}.{os.getpid()}.part"
    try:
        command = [compiler, *FLAGS, str(source), "-o", str(beside), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        return beside.rename(folder / f"{name}-{_digest(beside.read_bytes())}.so")
    finally:
        beside.unlink(missing_ok=True)


def _shares_threads(loaded: ctypes.CDLL) -> bool:
    """Whether it has its threads from where torch has them: two pools would wait for one another's processors."""
    import torch

    of_torch = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    asked = [ctypes.cast(each.omp_get_num_threads, ctypes.c_void_p).value for each in (loaded, of_torch)]
    return asked[0] == asked[1]


def _processor() -> str:
    """What it can do, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return platform.machine() + next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
