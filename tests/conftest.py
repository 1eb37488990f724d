import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # the others have the other cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import sqlalchemy
from PIL import Image

import unetsearch
from tests.search.postgres import postgres  # noqa: F401 (a fixture)
from unetsearch import cli


def pytest_collection_modifyitems(items):
    """Whole studies first, which take longest: at the end no core waits for another's."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    items[:] = [*reversed(slow), *quick]  # the studies are of the last modules


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Nothing is kept in the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNETSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cut():
    """SQLite need not wait for the disk at each commit: no test cuts the power, and killed processes lose nothing."""

    def hurry(connection, _):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hurry)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hurry)


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


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of the study that `unetsearch run tiny.yaml --data data --out study` leaves."""
    folder = tmp_path_factory.mktemp("finished")
    lay_out(folder)
    unetsearch.run(folder / "tiny.yaml", data=folder / "data", out=folder / "study")
    return folder / "study"


@pytest.fixture
def study(here, finished) -> Path:
    """That study in the working folder, the test's own to spoil."""
    shutil.copytree(finished, "study")
    return Path("study")


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
