"""Arrays on the disk that are read as if they were in memory: made once, shared by all processes of a machine."""

import json
import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from unetsearch.files import cache_folder, replace_whole, write_atomically

VERSION = 5
"""Of the files, and of what is made from images and masks."""

ALIGNED = 64
"""Bytes at whose multiples arrays begin."""

DIGEST, LENGTH = sha256().digest_size, 8
"""Bytes of the digest before what is said of a file's arrays, and, at the end, of the length of both."""

UNFINISHED, UNUSED = 1, 60
"""Days after which half written files, and files that no study asked for, are removed."""

Array = NDArray[Any]


class Kept(np.ndarray[Any, Any]):
    """An array that lies in a file. Another process is given the place instead of the content."""

    place: "tuple[str, int] | None"

    @classmethod
    def at(cls, path: str, offset: int, dtype: str, shape: tuple[int, ...]) -> Self:
        """The array there. Changes stay in memory; nothing is written."""
        content = _mapped(path, Path(path).stat().st_ino)
        kept = super().__new__(cls, tuple(shape), np.dtype(dtype), content, offset)
        kept.place = path, offset
        return kept

    def __array_finalize__(self, base: object) -> None:
        self.place = None
        if isinstance(base, Kept) and base.place is not None:
            path, offset = base.place
            further = self.ctypes.data - base.ctypes.data
            if 0 <= further <= base.nbytes - self.nbytes:  # a part of it, not a copy
                self.place = path, offset + further

    def __reduce__(self) -> Any:
        if self.place is None or not self.flags.c_contiguous or not self._is_there():
            return np.array(self, subok=False).__reduce__()
        return Kept.at, (*self.place, self.dtype.str, self.shape)

    def _is_there(self) -> bool:
        """Whether another process finds the file; one that was removed is written again from what is mapped of it."""
        assert self.place is not None
        path = Path(self.place[0])
        content: Any = self.base
        while isinstance(content, np.ndarray):
            content = content.base
        assert isinstance(content, mmap.mmap)
        with suppress(OSError):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content)
            return True
        return False


@lru_cache(maxsize=64)
def _mapped(path: str, *_: int) -> mmap.mmap:
    """The content of a file, once while it is the same file."""
    with Path(path).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def key_of(*facts: object) -> str:
    """A name for what follows from these facts."""
    return sha256(repr((VERSION, *facts)).encode()).hexdigest()[:32]


def kept(key: str, make: Callable[[], Iterable[Array]]) -> Sequence[Array]:
    """What is kept under a key; else what is made is kept, one array at a time, and given as it lies on the disk.

    A file that is damaged is made anew. Of two processes that make it at once, each writes a file of its own, and the
    later one takes its place as a whole. Where the disk refuses, the arrays are given in memory.
    """
    return _found(key) or _keep(key, make)


def _found(key: str) -> Sequence[Array]:
    """The arrays under a key; none where there is no such file, or another content than was written."""
    path = cache_folder() / f"{key}.arrays"
    try:
        with path.open("rb") as file:
            file.seek(-LENGTH, os.SEEK_END)
            length = int.from_bytes(file.read(LENGTH), "little")
            file.seek(-LENGTH - length, os.SEEK_END)
            said = file.read(length)
        if sha256(said[DIGEST:]).digest() != said[:DIGEST]:
            return []
        index = json.loads(said[DIGEST:])
        arrays = [Kept.at(str(path), offset, dtype, shape) for offset, dtype, shape, _ in index]
        with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
            whole = list(pool.map(digest_of, arrays)) == [digest for *_, digest in index]
    except (OSError, ValueError, TypeError, OverflowError):  # cut off, at either end
        return []
    with suppress(OSError):
        os.utime(path)  # it is asked for
    return arrays if whole else []


def _keep(key: str, make: Callable[[], Iterable[Array]]) -> Sequence[Array]:
    folder = cache_folder()

    def write(file: BinaryIO) -> None:
        index = []
        for array in make():
            file.write(b"\0" * (-file.tell() % ALIGNED))
            index.append((file.tell(), array.dtype.str, array.shape, digest_of(array)))
            file.write(np.ascontiguousarray(array).data)
        said = json.dumps(index).encode()
        said = sha256(said).digest() + said
        file.write(said + len(said).to_bytes(LENGTH, "little"))

    try:
        folder.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        replace_whole(folder / f"{key}.arrays", write)
    except OSError:
        return list(make())
    return _found(key) or list(make())


def _tidy(folder: Path) -> None:
    """Removes what a killed process left half written, and what no study has asked for in a long time."""
    now = time()
    for file in folder.iterdir():
        days = UNFINISHED if file.suffix == ".part" else UNUSED
        with suppress(OSError):
            if file.suffix in (".part", ".arrays") and now - file.stat().st_mtime > days * 86400:
                file.unlink(missing_ok=True)


def digest_of(array: Array) -> str:
    """Of an array's type, shape and content."""
    content = sha256(f"{array.dtype.str} {array.shape}".encode())
    content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()
