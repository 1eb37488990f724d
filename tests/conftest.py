import os
import sys
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # the others have the other cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from PIL import Image

from tests.search.postgres import postgres  # noqa: F401 (a fixture)
from unetsearch import cli


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Nothing is kept in the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNETSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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


TINY = """
name: tiny
architecture:
  depth: [1, 2]
  width: 4
  skip: [plain, full_scale]
training: {steps: 4, evaluations: 2, crop: 16, batch_size: 2}
baselines: [{unet: {depth: 2}}]
search: {trials: 2, pruner: none}
"""


def lay_out(path: Path, images: int = 8) -> None:
    """A small space and a small data set in a folder."""
    (path / "tiny.yaml").write_text(TINY)
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (path / "data" / folder).mkdir(parents=True)
    for index in range(images):
        mask = np.zeros((24, 20 + index), np.uint8)
        mask[4 + index : 12 + index, 5:12] = 255
        image = mask // 2 + random.integers(0, 60, mask.shape).astype(np.uint8)
        Image.fromarray(image).save(path / f"data/images/{index}.png")
        Image.fromarray(mask).save(path / f"data/masks/{index}.png")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with a small space and a small data set in it."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command in this process: its exit status, what it printed, and what it complained."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unetsearch", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run
