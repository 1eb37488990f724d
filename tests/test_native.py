"""C sources are compiled once a machine; where they cannot be, nothing is lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unetsearch import native

SOURCE = """
#include <omp.h>
int threads(void) { int count = 0;
#pragma omp parallel num_threads(3) reduction(+: count)
    count++;
    return count; }
"""

compiles = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="no gcc on this machine, or no Linux"
)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("UNETSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    path = tmp_path / "counting.c"
    path.write_text(SOURCE)
    return path


def library(source):
    """As in a new process."""
    return native.library.__wrapped__(source)


def kept(tmp_path):
    return list((tmp_path / "cache").glob("*"))


@pytest.fixture
def runs(monkeypatch):
    """The commands that compile."""
    commands, run = [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **more: commands.append(command) or run(command, **more))
    return commands


@compiles
def test_it_compiles_once_and_is_found_again(source, runs, tmp_path):
    assert library(source).threads() == 3
    assert library(source).threads() == 3
    assert len(runs) == 1
    assert [path.suffix for path in kept(tmp_path)] == [".so"]
    source.write_text(SOURCE.replace("num_threads(3)", "num_threads(2)"))
    assert library(source).threads() == 2, "another source is another library"


@compiles
@pytest.mark.parametrize("content", [b"", b"no library", b"half"])
def test_a_damaged_library_is_made_anew(source, runs, tmp_path, content):
    library(source)
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.unlink()  # the one that is in use stays as it is
    path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    assert library(source).threads() == 3
    assert len(runs) == 2
    assert [each.read_bytes()[:4] for each in kept(tmp_path)] == [b"\x7fELF"]


@compiles
def test_processes_that_begin_together_all_have_it(source, tmp_path):
    code = (
        "import pathlib, sys; from unetsearch import native; print(native.library(pathlib.Path(sys.argv[1])).threads())"
    )
    command = [sys.executable, "-c", code, str(source)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in processes] == ["3"] * 4
    assert {path.suffix for path in kept(tmp_path)} == {".so"}, "nothing half made is left"


@compiles
def test_another_users_library_is_not_run(source, runs, tmp_path, monkeypatch):
    library(source)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert library(source) is not None
    assert len(runs) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda patch, _: patch.setenv("UNETSEARCH_NATIVE", "0"),
        lambda patch, _: patch.setenv("CC", "no-such-compiler"),
        lambda patch, _: patch.setattr(sys, "platform", "win32"),
        lambda _, source: source.write_text("this is no C"),
        lambda _, source: source.write_text("int threads(void) { return 1; }"),  # knows of no threads
        lambda patch, source: patch.setenv("UNETSEARCH_CACHE", str(source / "below a file")),
        lambda patch, _: patch.setattr(native, "SECONDS", 1e-6),
    ],
    ids=["switched off", "no compiler", "another system", "no C", "no threads", "no cache", "hangs"],
)
def test_without_it_there_is_nothing_and_no_error(source, tmp_path, monkeypatch, spoil):
    spoil(monkeypatch, source)
    assert library(source) is None
    assert not [path for path in kept(tmp_path) if path.suffix != ".so"]


def test_the_sources_come_with_the_package():
    package = Path(native.__file__).parent
    assert {path.name for path in package.rglob("*.c")} == {"norm.c", "sample.c"}
