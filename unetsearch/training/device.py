"""Where a training runs, and in which precision."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import torch

from unetsearch.errors import UnetsearchError

CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Where Linux keeps the limits of containers, and tells which one a process is in."""


def find_device(name: str) -> torch.device:
    """`auto`: an NVIDIA GPU, else Apple's, else the processor; or a device by torch's name, such as `cuda:1`.

    Raises UnetsearchError where the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnetsearchError(f"--device {name}: no such device; expected auto, cpu, cuda, cuda:1 or mps") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise UnetsearchError(f"--device {name}: not supported; expected auto, cpu, cuda, cuda:1 or mps")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UnetsearchError(f"--device {name}: not available on this machine; auto takes what there is") from None
    return device


def slot_devices(device: torch.device, slots: int | None) -> tuple[torch.device, ...]:
    """The device of each slot. No number given: one slot a GPU, where `device` names no single one; else one.

    More slots than GPUs share them in turn.
    """
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 0
    devices = [torch.device("cuda", index) for index in range(gpus)] or [device]
    return tuple(devices[slot % len(devices)] for slot in range(slots or len(devices)))


def slot_threads(slots: int) -> int:
    """Threads of each slot's computation, so that together they have as many as one would."""
    return max(1, torch.get_num_threads() // slots)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the device computes in it, else nothing."""
    return torch.autocast(device.type, torch.bfloat16) if has_bfloat16(device) else nullcontext()


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last where convolutions are faster so; on MPS some backward passes fail with it."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16 (an emulation would be slower than float32)."""
    if device.type == "cuda":
        with torch.cuda.device(device):  # it asks the current one
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public question for a processor's bfloat16 instructions
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device (MPS shares the machine's); of a container, within its limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([psutil.virtual_memory().available, *map(_left, _containers())])


def all_memory(device: torch.device) -> int:
    """Bytes that the device has, free or not; to a container, its limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return min([psutil.virtual_memory().total, *(_number(folder / limit) for folder, limit, _ in _containers())])


def _containers() -> Iterator[tuple[Path, str, str]]:
    """The folders of the containers that this process is in, with the names of limit and use (version 2, or 1)."""
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, limit, used = CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, used = CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        own = root / path.lstrip("/")
        yield from ((folder, limit, used) for folder in (own, *own.parents) if folder.is_relative_to(root))


def _left(container: tuple[Path, str, str]) -> int:
    """What a container's limit leaves; its cache of files can be given back."""
    folder, limit, used = container
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        cache = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
        return max(0, _number(folder / limit) - int((folder / used).read_text()) + cache)
    except (OSError, ValueError):
        return sys.maxsize


def _number(file: Path) -> int:
    """Of a limit; as good as none where it is not there, or says `max`."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return sys.maxsize


def describe(device: torch.device) -> str:
    """The device in words for a person."""
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{name} ({precision}{threads})"
