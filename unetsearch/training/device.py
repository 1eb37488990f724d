"""Where a training runs, and in which precision."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import torch

from unetsearch.errors import UnetsearchError

CGROUP = Path("/sys/fs/cgroup")
CONTAINERS = (
    (CGROUP / "memory.max", CGROUP / "memory.current", CGROUP / "memory.stat"),
    (
        CGROUP / "memory/memory.limit_in_bytes",
        CGROUP / "memory/memory.usage_in_bytes",
        CGROUP / "memory/memory.stat",
    ),
)
"""Where Linux tells a container's limit, what it uses and how much of that is a cache: version 2 and 1."""


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
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public question for a processor's bfloat16 instructions
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device (MPS shares the machine's); of a container, within its limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([psutil.virtual_memory().available, *map(_left, CONTAINERS)])


def _left(files: tuple[Path, Path, Path]) -> int:
    """What a container's limit leaves; its cache of files can be given back."""
    limit, used, stat = files
    try:
        cache = dict(line.split() for line in stat.read_text().splitlines())
        return max(0, int(limit.read_text()) - int(used.read_text()) + int(cache.get("inactive_file", 0)))
    except (OSError, ValueError):  # no container, or one without a limit (`max`)
        return sys.maxsize


def describe(device: torch.device) -> str:
    """The device in words for a person."""
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{name} ({precision}{threads})"
