"""What a network takes as it runs: the latency and the memory of one image."""

from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unetsearch.graph.sizes import context
from unetsearch.network.cost import COST_IMAGE_SIZE
from unetsearch.network.network import Network

WARM_UP = 0.1
"""Seconds of runs that are not timed, and of runs that are."""
TIMED = 0.4

FEWEST = 3
"""Runs that are timed at least."""


def measure(network: Network, device: torch.device) -> tuple[float, int]:
    """Seconds and bytes that `network(x)` takes for one 256x256 image, in float32. Moves it, sets evaluation mode.

    float32 is what an exported model computes in, on any device. An unpadded network reads the larger image that gives
    it 256x256 logits. The seconds are the median of the runs of about half a second. The bytes are the most in use
    at any moment: weights, image, features. On CUDA they are what its allocator counts, with the work space of
    kernels; elsewhere those of the tensors alive, the same in every run.
    """
    network.to(device).eval()
    height, width = (context(network.graph, side).size for side in COST_IMAGE_SIZE)
    x = torch.zeros(1, network.graph.in_channels, height, width, device=device)
    with torch.inference_mode():
        memory = peak_bytes(lambda: network(x), device) + _bytes(network, x)
        _run(network, x, WARM_UP, 1)
        return median(_run(network, x, TIMED, FEWEST)), memory


def _run(network: Network, x: Tensor, seconds: float, fewest: int) -> list[float]:
    """The seconds of each of so many runs as fit into `seconds`."""
    synchronize = torch.get_device_module(x.device).synchronize
    times: list[float] = []
    while len(times) < fewest or sum(times) < seconds:
        started = perf_counter()
        network(x)
        synchronize()
        times.append(perf_counter() - started)
    return times


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most bytes that some work takes at any moment, beside what was there before. Does it twice.

    Only the second time counts: libraries take what they keep the first time.
    """
    if device.type != "cuda":
        for _ in range(2):
            live = _Live()
            with live:
                work()
        return live.peak
    work()
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


def _bytes(network: Network, x: Tensor) -> int:
    """Of what is there before the run: weights and image."""
    return sum(int(tensor.nbytes) for tensor in (*network.parameters(), *network.buffers(), x))


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that operations make, from their making until nothing holds them any more."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self._known: dict[int, ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = {_storage(value)._cdata for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and _storage(value)._cdata not in given:
                self._count(_storage(value))
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._known:
            size = storage.nbytes()
            self._known[storage._cdata] = ref(storage, partial(self._forget, storage._cdata, size))
            self.bytes += size
            self.peak = max(self.peak, self.bytes)

    def _forget(self, address: int, size: int, _: ref[torch.UntypedStorage]) -> None:
        del self._known[address]
        self.bytes -= size


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()
