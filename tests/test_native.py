"""C sources are compiled once a machine; where they cannot be, nothing is lost."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.compiler import compiled
from unetsearch import native

PACKAGE = Path(native.__file__).parent

SOURCE = """
#include <omp.h>
int threads(void) { int count = 0;
#pragma omp parallel num_threads(3) reduction(+: count)
    count++;
    return count; }
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("UNETSEARCH_CACHE", str(tmp_path / "cache"))
    for name in ("CC", "UNETSEARCH_NATIVE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "counting.c"
    path.write_text(SOURCE)
    return path


def built(source):
    """As in a new process."""
    return native.built.__wrapped__(source)


def kept(tmp_path):
    return list((tmp_path / "cache").glob("native-*/*"))


@pytest.fixture
def runs(monkeypatch):
    """The commands that compile."""
    commands, run = [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **more: commands.append(command) or run(command, **more))
    return commands


@compiled
def test_it_compiles_once_and_is_found_again(source, runs, tmp_path):
    assert built(source).threads() == 3
    assert built(source).threads() == 3
    assert len(runs) == 1
    assert [path.suffix for path in kept(tmp_path)] == [".so"]
    source.write_text(SOURCE.replace("num_threads(3)", "num_threads(2)"))
    assert built(source).threads() == 2, "another source is another library"
    source.write_text(
        SOURCE.replace("num_threads(3)", "num_threads(COUNT)").replace("#include", '#include "counting.h"\n#include')
    )
    for count in (1, 3):
        source.with_suffix(".h").write_text(f"#define COUNT {count}\n")
        assert built(source).threads() == count, "and so is one of another header"


@compiled
@pytest.mark.parametrize("content", [b"", b"no library", b"half"])
def test_a_damaged_library_is_made_anew(source, runs, tmp_path, content):
    built(source)
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.unlink()  # the one that is in use stays as it is
    path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    assert built(source).threads() == 3
    assert len(runs) == 2
    assert [each.read_bytes()[:4] for each in kept(tmp_path)] == [b"\x7fELF"]


@compiled
def test_processes_that_begin_together_all_have_it(source, tmp_path):
    code = (
        "import pathlib, sys; from unetsearch import native; print(native.built(pathlib.Path(sys.argv[1])).threads())"
    )
    command = [sys.executable, "-c", code, str(source)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in processes] == ["3"] * 4
    assert {path.suffix for path in kept(tmp_path)} == {".so"}, "nothing half made is left"


@compiled
def test_threads_that_ask_together_all_have_it(source):
    with ThreadPoolExecutor(4) as threads:
        assert [found.threads() for found in threads.map(built, [source] * 4)] == [3] * 4


@compiled
def test_nothing_is_loaded_from_where_others_can_write(source, tmp_path, monkeypatch):
    assert built(source) is not None
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    assert built(source) is None
    folder.chmod(0o700)
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert built(source) is None
    folder.unlink()
    elsewhere.rename(folder)
    assert built(source) is not None
    folder.rename(folder.with_name("native-12345"))
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert built(source) is None, "what is there is another's"


@compiled
def test_a_compiler_may_have_arguments_and_a_cache_no_slash(source, runs, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "gcc -O1")
    monkeypatch.setenv("UNETSEARCH_CACHE", "here")
    monkeypatch.chdir(tmp_path)
    assert built(source).threads() == 3
    assert runs[0][:2] == ["gcc", "-O1"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda patch, _: patch.setenv("UNETSEARCH_NATIVE", "0"),
        lambda patch, _: patch.setenv("CC", "no-such-compiler"),
        lambda patch, _: patch.setenv("CC", "gcc 'unbalanced"),
        lambda patch, _: patch.setattr(sys, "platform", "win32"),
        lambda _, source: source.write_text("this is no C"),
        lambda _, source: source.write_text("int threads(void) { return 1; }"),  # knows of no threads
        lambda patch, source: patch.setenv("UNETSEARCH_CACHE", str(source / "below a file")),
        lambda patch, _: patch.setattr(native, "SECONDS", 1e-6),
        lambda patch, _: patch.setattr(native, "_processor", lambda: Path("/no/such/file").read_text()),
    ],
    ids=[
        "switched off",
        "no compiler",
        "no command",
        "another system",
        "no C",
        "no threads",
        "no cache",
        "hangs",
        "no cpuinfo",
    ],
)
def test_without_it_there_is_nothing_and_no_error(source, tmp_path, monkeypatch, spoil):
    spoil(monkeypatch, source)
    assert built(source) is None
    assert not [path for path in kept(tmp_path) if path.suffix != ".so"]


SOURCES = sorted(PACKAGE.rglob("*.c"))


@compiled
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_projects_own_sources_compile_and_have_torchs_threads(path):
    assert native.built(path) is not None


def test_there_are_four_of_them():
    assert {path.name for path in SOURCES} == {"concatenation.c", "norm.c", "pixels.c", "pooling.c"}


@compiled
@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or "avx512f" not in Path("/proc/cpuinfo").read_text(),
    reason="no AVX-512 here: the other tests are of the code without it",
)
def test_processors_without_avx512_compute_the_same():
    tests = [PACKAGE.parent / "tests" / name for name in ("network/test_norm.py", "network/test_pooling.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)]
    done = subprocess.run(
        command, cwd=PACKAGE.parent, env=os.environ | {"CC": "gcc -mno-avx512f"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
