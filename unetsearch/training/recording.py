"""Work that is done again and again: on CUDA it is recorded once and then replayed (CUDA graphs)."""

import os
import warnings
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from unetsearch.errors import first_line

GRAPHS = "UNETSEARCH_CUDA_GRAPHS"
"""Where this environment variable is 0, nothing is recorded on CUDA."""

WARM_UP = 3
"""So often work is done before it is recorded: by then optimizers have their state, and cuDNN its algorithms."""

WAITS = "called a synchronizing CUDA operation"
"""What torch warns of where work waits for a CUDA device."""

Work = Callable[[], None]

T = TypeVar("T")


class Recorder(Protocol):
    """How work is recorded."""

    def warm(self, work: Work) -> None:
        """Does it once."""
        ...

    def record(self, work: Work) -> Work | None:
        """Does it once more, and gives what does it from now on; None where it waits for the device.

        Raises RuntimeError where it cannot be recorded for another reason: after that the device may be in no state to
        go on.
        """
        ...


class Repeated(Generic[T]):
    """One function of tensors whose shapes stay, called again and again. They may lie on the processor.

    `record`: how it is recorded after a warm-up; None: never. What a recorded one gives is written over by the next
    call.
    """

    def __init__(self, device: torch.device, record: Recorder | None) -> None:
        self._device = device
        self._record = record
        self._done = 0
        self._still: tuple[Tensor, ...] = ()  # where recorded work reads
        self._given: list[T] = []
        self._replay: Work | None = None

    def __call__(self, function: Callable[..., T], *tensors: Tensor) -> T:
        """What the function gives, the same one every time. It is not kept: it may know of this."""
        if self._record is None:
            on_cuda = self._device.type == "cuda"
            return function(*(tensor.to(self._device, non_blocking=on_cuda) for tensor in tensors))
        if not self._still:
            self._still = tuple(torch.empty_like(tensor, device=self._device) for tensor in tensors)
        for still, tensor in zip(self._still, tensors, strict=True):
            still.copy_(tensor, non_blocking=True)
        if self._replay is not None:
            self._replay()
            return self._given[-1]

        def work() -> None:
            self._given.append(function(*self._still))

        if self._done < WARM_UP:
            self._record.warm(work)
        else:
            self._replay = self._record.record(work)
            if self._replay is None:
                self._record, self._still = None, ()
        self._done += 1
        given, *self._given = self._given  # what a recording would give is not there yet
        return given


def recorder(device: torch.device) -> Recorder | None:
    """How one work is recorded there: not at all but on CUDA, where it is not switched off."""
    return CudaGraphs(device) if device.type == "cuda" and os.environ.get(GRAPHS) != "0" else None


class CudaGraphs:
    """Records one work on a CUDA device: none of its kernels is begun by Python any more.

    A recording that fails because the work waits for the device would leave it in no state to go on. So it is watched
    once before that. Work that may run at the same time wants another one: the stream's memory is used again.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm(self, work: Work) -> None:
        """On a stream of its own, as what is to be recorded wants to be warmed up."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            work()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def record(self, work: Work) -> Work | None:
        """As in Recorder."""
        if self._waits(work):
            torch.cuda.empty_cache()  # what the warm-up took serves its stream only
            return None
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        try:
            # other threads, such as one that reads ahead, may go on with their own work meanwhile
            with (
                torch.cuda.device(self._device),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
            ):
                work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise RuntimeError(f"a CUDA graph cannot be recorded ({first_line(error)}): set {GRAPHS}=0") from None
        finally:
            torch.cuda.set_stream(stream)  # a recording that fails leaves its own behind
        return graph.replay

    def _waits(self, work: Work) -> bool:
        """Does the work, and gives whether it waited for the device. What else it warns of was told in the warm-up."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                self.warm(work)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        return any(str(warning.message).startswith(WAITS) for warning in seen)
