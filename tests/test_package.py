"""The wheel: installed anywhere, it brings its search spaces along."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_wheel_runs_quickstart_in_an_empty_folder(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("unetsearch-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(installed)
    shipped = {f"unetsearch/search_spaces/{path.name}" for path in (ROOT / "search_spaces").glob("*.yaml")}
    assert shipped | {"unetsearch/py.typed", "unetsearch/cli.py"} <= names
    assert not any(name.startswith(("tests/", "studies/")) for name in names)

    empty = tmp_path / "empty"
    empty.mkdir()
    short = ["--trials", "1", "--set", "training.steps=4", "--set", "training.evaluations=2", "--set", "baselines=[]"]

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(installed)}  # comes before what is installed
        return subprocess.run(
            [sys.executable, *arguments], cwd=empty, env=environment, capture_output=True, text=True, timeout=300
        )

    assert str(installed) in python("-c", "import unetsearch; print(unetsearch.__file__)").stdout
    done = python("-m", "unetsearch", "run", "quickstart", *short)
    assert done.returncode == 0, done.stderr
    assert (empty / "studies" / "quickstart-cells" / "report.html").is_file()
