import sys

import psutil
import pytest
import torch

from unetsearch.errors import UnetsearchError
from unetsearch.training import device
from unetsearch.training.device import find_device, free_memory

GIB = 2**30


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Files as Linux has them in a container: writes what they say, and gives the memory that is left."""

    def left(limit, used, stat):
        files = tuple(tmp_path / name for name in ("limit", "used", "stat"))
        for file, text in zip(files, (limit, used, stat), strict=True):
            file.write_text(text)
        monkeypatch.setattr(device, "CONTAINERS", (files, tuple(tmp_path / "no" / name for name in "abc")))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB}))
        return free_memory(torch.device("cpu"))

    return left


def test_memory_is_what_the_container_leaves(container):
    stat = f"anon 5\ninactive_file {GIB}\n"
    assert container(f"{8 * GIB}\n", f"{3 * GIB}\n", stat) == 6 * GIB, "the cache can be given back"
    assert container(f"{8 * GIB}\n", f"{9 * GIB}\n", "anon 5\n") == 0
    assert container(f"{800 * GIB}\n", f"{3 * GIB}\n", stat) == 64 * GIB, "the machine has no more"


@pytest.mark.parametrize("limit", ["max\n", "", "9223372036854771712\n"])
def test_a_container_without_a_limit_has_the_machines(container, limit):
    assert container(limit, f"{3 * GIB}\n", "anon 5\n") == 64 * GIB


def test_without_a_container_it_is_the_machines(tmp_path, monkeypatch):
    assert device._left((tmp_path / "a", tmp_path / "b", tmp_path / "c")) == sys.maxsize
    monkeypatch.setattr(device, "CONTAINERS", ())
    assert free_memory(torch.device("cpu")) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_an_unknown_device_says_what_would_do():
    with pytest.raises(UnetsearchError) as caught:
        find_device("gpu")
    assert str(caught.value) == "--device gpu: no such device; expected auto, cpu, cuda, cuda:1 or mps"
    assert find_device("cpu").type == "cpu"
