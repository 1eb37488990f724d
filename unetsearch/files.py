"""How files are written so that none is ever half there, and where those lie that can be made again."""

import os
from collections.abc import Callable
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import platformdirs

CACHE = "UNETSEARCH_CACHE"
"""The environment variable that names the folder of what is kept; left out, the system's own for such files."""


def cache_folder() -> Path:
    """Where that is kept between studies which can be made again."""
    return Path(os.environ.get(CACHE) or platformdirs.user_cache_dir("unetsearch", False))


def write_atomically(path: Path, content: bytes | mmap) -> None:
    """`replace_whole` with this content."""
    replace_whole(path, lambda file: file.write(content))


def replace_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes beside, then renames: a reader finds the old file or the new one, never a part.

    Several processes and threads may do so at once. Raises OSError where the disk refuses; nothing is left beside then.
    """
    beside = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with beside.open("wb") as file:
            write(file)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
