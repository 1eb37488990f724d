"""C sources that the machine's own compiler makes a library of, once: for loops that torch has not.

Where there is no compiler, or where it is switched off, those who ask get nothing, and do with torch alone.
"""

import ctypes
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import torch  # first: a library then has its threads from there

from unetsearch.files import cache_folder

NATIVE = "UNETSEARCH_NATIVE"
"""The environment variable that switches this off where it is 0."""

FLAGS = ("-std=gnu11", "-O3", "-fno-trapping-math", "-march=native", "-fopenmp", "-fPIC", "-shared")

SECONDS = 20
"""After which a compiler is given up. It takes one."""


def loops(module: str, source: str, **functions: Sequence[type]) -> ctypes.CDLL | None:
    """What a C source beside a module (its __file__) is `built` to, its functions with the types of their arguments.

    They return nothing.
    """
    found = built(Path(module).with_name(source))
    if found is not None:
        for name, types in functions.items():
            function = getattr(found, name)
            function.argtypes, function.restype = types, None
    return found


@cache
def built(source: Path) -> ctypes.CDLL | None:
    """What a C source compiles to, its loops shared among torch's own threads; None where that cannot be had.

    It is kept below the cache folder, where no other user writes, by its content and that of the headers beside it, for
    this kind of processor.
    """
    if os.environ.get(NATIVE) == "0" or sys.platform != "linux":
        return None
    try:
        compiler = shlex.split(os.environ.get("CC") or "gcc")
        contents = [path.read_bytes() for path in (source, *sorted(source.parent.glob("*.h")))]
        facts = (contents, compiler, FLAGS, _processor(), platform.libc_ver())
        name = f"{source.stem}-{_digest(repr(facts).encode())}"
        loaded = _loaded(_own_folder(), name, source, compiler)
        return loaded if _shares_threads(loaded) else None
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError):
        return None


def _own_folder() -> Path:
    """Who could write there could have this user run what he likes. Raises OSError where another can."""
    folder = cache_folder().resolve() / f"native-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o022:
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


def _loaded(folder: Path, name: str, source: Path, compiler: Sequence[str]) -> ctypes.CDLL:
    """The library of that name; what is damaged is made anew."""
    for path in folder.glob(f"{name}-*.so"):
        try:
            if path.stem == f"{name}-{_digest(path.read_bytes())}":
                return ctypes.CDLL(str(path))
        except OSError:  # no library, or gone by now
            pass
        path.unlink(missing_ok=True)
    beside = folder / f"{name}.{uuid4().hex}.part"
    try:
        command = [*compiler, *FLAGS, str(source), "-o", str(beside), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        return ctypes.CDLL(str(beside.rename(folder / f"{name}-{_digest(beside.read_bytes())}.so")))
    finally:
        beside.unlink(missing_ok=True)


def _shares_threads(loaded: ctypes.CDLL) -> bool:
    """Whether it has its threads from where torch has them: two pools would wait for one another's processors."""
    of_torch = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    asked = [ctypes.cast(each.omp_get_num_threads, ctypes.c_void_p).value for each in (loaded, of_torch)]
    return asked[0] == asked[1]


def _processor() -> str:
    """What it can do, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return platform.machine() + next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
