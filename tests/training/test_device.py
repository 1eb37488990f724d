import psutil
import pytest
import torch

from unetsearch.errors import UnetsearchError
from unetsearch.training import device
from unetsearch.training.device import all_memory, find_device, free_memory

GIB = 2**30


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Files as Linux has them for a process in /jobs/7: writes them, and gives the memory that is left."""
    monkeypatch.setattr(device, "CGROUPS", tmp_path)
    monkeypatch.setattr(device, "OWN_CGROUP", tmp_path / "own")
    memory = {"available": 64 * GIB, "total": 96 * GIB}
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), memory))

    def left(version, limits):
        (tmp_path / "own").write_text("0::/jobs/7\n" if version == 2 else "5:cpu:/x\n4:memory:/jobs/7\n")
        root, names = tmp_path, ("memory.max", "memory.current")
        if version == 1:
            root, names = tmp_path / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        for folder, (limit, used, stat) in limits.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for name, text in zip((*names, "memory.stat"), (limit, used, stat), strict=True):
                (root / folder / name).write_text(f"{text}\n")
        return free_memory(torch.device("cpu"))

    return left


STAT = f"anon 5\ninactive_file {GIB}"


def test_memory_is_what_the_container_leaves(container):
    assert container(2, {"jobs/7": (8 * GIB, 3 * GIB, STAT)}) == 6 * GIB, "the cache can be given back"
    assert container(2, {"jobs/7": (8 * GIB, 9 * GIB, "anon 5")}) == 0
    assert container(2, {"jobs/7": (800 * GIB, 3 * GIB, STAT)}) == 64 * GIB, "the machine has no more"


def test_the_tightest_of_the_containers_around_counts(container):
    limits = {"jobs/7": ("max", 3 * GIB, STAT), "jobs": (5 * GIB, 3 * GIB, "anon 1"), "": ("max", 9, "anon 1")}
    assert container(2, limits) == 2 * GIB
    assert all_memory(torch.device("cpu")) == 5 * GIB


def test_version_1_counts_its_cache_with_what_is_below(container):
    stat = f"inactive_file 5\ntotal_inactive_file {2 * GIB}"
    assert container(1, {"jobs/7": (8 * GIB, 4 * GIB, stat)}) == 6 * GIB
    assert container(1, {"jobs/7": (9223372036854771712, 4 * GIB, stat)}) == 64 * GIB, "no limit"


def test_without_a_limit_or_a_container_it_is_the_machines(container, tmp_path, monkeypatch):
    assert container(2, {"jobs/7": ("max", 3 * GIB, STAT)}) == 64 * GIB
    assert all_memory(torch.device("cpu")) == 96 * GIB
    assert container(2, {"jobs/7": ("", 3 * GIB, STAT)}) == 64 * GIB
    monkeypatch.setattr(device, "OWN_CGROUP", tmp_path / "nowhere")
    assert free_memory(torch.device("cpu")) == 64 * GIB


def test_an_unknown_device_says_what_would_do():
    with pytest.raises(UnetsearchError) as caught:
        find_device("gpu")
    assert str(caught.value) == "--device gpu: no such device; expected auto, cpu, cuda, cuda:1 or mps"
    assert find_device("cpu").type == "cpu"
