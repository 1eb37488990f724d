"""A trainer process: started by a slot, it trains what it is told and streams the scores back.

It never sees the study's storage. Run as `python -m unetsearch.search.trainer`, so that no script of the user's is
imported again; it ends when its input does.
"""

import gc
import os
import pickle
import signal
import sys
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

import numpy as np
import torch

from unetsearch.errors import first_line
from unetsearch.files import write_atomically
from unetsearch.graph.build import build_graph
from unetsearch.network.files import save_model
from unetsearch.network.measure import measure
from unetsearch.network.network import Network, build_network
from unetsearch.search.loaded import Loaded
from unetsearch.search.messages import (
    Answer,
    Done,
    Failed,
    Job,
    Measure,
    Measured,
    Ready,
    Setup,
    Stopped,
)
from unetsearch.search.parent import Parent
from unetsearch.search.pulse import Pulse, StoppedError, forget, why
from unetsearch.training.device import memory_format
from unetsearch.training.device_data import DeviceData
from unetsearch.training.inference import predict
from unetsearch.training.sources import normalised
from unetsearch.training.train import DivergedError, train

NO_MEMORY = (
    "can't allocate memory",  # DefaultCPUAllocator on Linux and macOS
    "not enough memory",  # and on Windows
    "out of memory",  # CUDA, MPS
    "cudaErrorMemoryAllocation",
    "STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN
    "unable to find an engine",  # cuDNN, where no algorithm's work space fits
    "Unable to find a valid cuDNN algorithm",
)
"""What torch says where memory is short."""

DETERMINISTIC = "UNETSEARCH_DETERMINISTIC"
"""Where this environment variable is set, but to 0, the same seed gives the same curve on CUDA too, only slower."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers each request, a training by its scores and then Done, Stopped or Failed, until the requests end.

    Then the process ends too.
    """
    setup: Setup = pickle.load(requests)
    torch.set_num_threads(setup.threads)  # before any work: two trainers with all threads each are far slower
    torch.set_num_interop_threads(1)
    if os.environ.get(DETERMINISTIC, "0") not in ("", "0"):
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # else cuBLAS is not deterministic
        torch.use_deterministic_algorithms(True, warn_only=True)
    device = torch.device(setup.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    loaded = Loaded(setup, device)
    gc.freeze()  # what is loaded by now stays: looking for garbage in it takes longer than a step
    work: SimpleQueue[Job | Measure] = SimpleQueue()
    parent = Parent(answers)
    Thread(target=_listen, args=(requests, parent, work), daemon=True).start()
    parent.say(Ready())
    while True:
        request = work.get()
        answer = _answer(request, setup, loaded, parent)
        if isinstance(request, Job) and (
            answer == Done() or (isinstance(answer, Failed) and answer.cause == "training")
        ):
            forget(request)  # from there a training that failed would only fail again
        fatal = isinstance(answer, Failed) and answer.fatal
        if not fatal:  # else the device may answer nothing any more
            _free(device)  # for the other trainers on this device, before the parent gives them more to do
        parent.end(answer)
        if fatal:
            os._exit(1)


def _listen(requests: BinaryIO, parent: Parent, work: SimpleQueue[Job | Measure]) -> None:
    """Passes on the requests. When they end, the parent is gone: no training goes on without it, not for a step."""
    try:
        while True:
            request = pickle.load(requests)
            parent.hear(request)
            if isinstance(request, Job | Measure):
                work.put(request)
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)


def _answer(request: Job | Measure, setup: Setup, loaded: Loaded, parent: Parent) -> Answer:
    """What came of a request. The errors, whose tracebacks hold tensors, are gone with this call."""
    try:
        if isinstance(request, Measure):
            return _measured(request, setup)
        return _trained(request, setup, loaded.of(request.split), parent)
    except StoppedError:
        return Stopped()
    except DivergedError as error:
        return Failed(str(error))
    except Exception as error:  # whatever a network does to torch costs this trial and no other
        return failure(error, cuda=setup.device.startswith("cuda"))


def _trained(job: Job, setup: Setup, data: DeviceData, parent: Parent) -> Answer:
    torch.manual_seed(job.seed)
    network = build_network(build_graph(job.architecture)).to(setup.device)
    pulse = Pulse(job, setup, parent)
    elsewhere = job.split is not None
    state = pulse.read()
    for score in train(
        network, data, job.recipe, job.seed, parts=job.parts, by_image=elsewhere, state=state, pulse=pulse
    ):
        parent.say(score)
    if elsewhere:
        return Done()
    try:
        _save(network, job, setup)
    except OSError as error:
        where = error.filename or job.folder
        return Failed(f"the model cannot be written: {where} ({why(error)})", "storage")
    return Done()


def _measured(request: Measure, setup: Setup) -> Measured:
    """In the layout that the network is trained and predicts in."""
    device = torch.device(setup.device)
    network = build_network(build_graph(request.architecture)).to(memory_format=memory_format(device))
    return Measured(*measure(network, device))


def failure(error: Exception, *, cuda: bool) -> Failed:
    """What an error of torch means for the trial and, after some on CUDA, for the process."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in NO_MEMORY):
        return Failed(f"out of memory: {first_line(error)}".removesuffix(": "), "memory")
    # after some errors a CUDA device answers nothing any more
    return Failed(f"{type(error).__name__}: {first_line(error)}", fatal=cuda)


def _free(device: torch.device) -> None:
    """Gives back the memory of what is over; torch's optimizers and schedules hold one another."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _save(network: Network, job: Job, setup: Setup) -> None:
    """Weights, architecture and the predictions of the preview images, in the job's folder."""
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = [torch.from_numpy(normalised(setup.data.images[window.index])) for window in job.preview]
    predictions = [label.numpy() for label in predict(network, [image.to(setup.device) for image in images])]
    shown: dict[str, Any] = {
        str(position): window.of(label)
        for position, (window, label) in enumerate(zip(job.preview, predictions, strict=True))
    }
    buffer = BytesIO()
    np.savez_compressed(buffer, **shown)
    write_atomically(folder / "predictions.npz", buffer.getvalue())
    save_model(network, job.architecture, folder)


def main() -> None:
    """Serves over the standard streams; what else is printed goes to the error stream."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and a cluster's warning are the parent's to answer
        signal.signal(ignored, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone; closing the streams would only raise again


if __name__ == "__main__":
    main()
