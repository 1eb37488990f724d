import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder of a public image set by its name; skips where UNETSEARCH_DATA does not hold it."""

    def folder(name: str) -> Path:
        root = os.environ.get("UNETSEARCH_DATA")
        if not root:
            pytest.skip("UNETSEARCH_DATA is not set: the folder of the public image sets")
        path = Path(root) / name
        if not path.is_dir():
            pytest.skip(f"UNETSEARCH_DATA holds no {name}")
        return path

    return folder
