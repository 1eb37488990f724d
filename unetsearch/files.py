"""How files are written so that none is ever half there, and where those lie that can be made again."""

import os
from pathlib import Path

import platformdirs

CACHE = "UNETSEARCH_CACHE"
"""The environment variable that names the folder of what is kept; left out, the system's own for such files."""


def cache_folder() -> Path:
    """Where that is kept between studies which can be made again."""
    return Path(os.environ.get(CACHE) or platformdirs.user_cache_dir("unetsearch", False))


def write_atomically(path: Path, content: bytes) -> None:
    """Writes beside, then renames: a reader finds the old file or the new one, never a part."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
