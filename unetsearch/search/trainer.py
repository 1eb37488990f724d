"""A trainer process: started by a slot, it trains what it is told and streams the scores back.

It never sees the study's storage. Run as `python -m unetsearch.search.trainer`, so that no script of the user's is
imported again; it ends when its input does.
"""

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

import numpy as np
import torch

from unetsearch.files import write_atomically
from unetsearch.graph.build import build_graph
from unetsearch.network.files import save_model
from unetsearch.network.network import Network, build_network
from unetsearch.search.messages import Done, Failed, Job, Ready, Setup
from unetsearch.training.batches import DeviceData, normalised, on_device
from unetsearch.training.inference import predict
from unetsearch.training.score import Score
from unetsearch.training.train import DivergedError, train

NO_MEMORY = ("can't allocate memory", "out of memory")
"""What torch says on a processor and on MPS."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers each Job with its scores and then Done or Failed, until the requests end: then the process ends too."""
    setup: Setup = pickle.load(requests)
    torch.set_num_threads(setup.threads)  # before any work: two trainers with all threads each are far slower
    data = on_device(setup.data, torch.device(setup.device))
    jobs: SimpleQueue[Job] = SimpleQueue()
    Thread(target=_listen, args=(requests, jobs), daemon=True).start()
    pickle.dump(Ready(), answers)
    answers.flush()
    while True:
        job = jobs.get()
        for answer in _answers(job, setup, data):
            pickle.dump(answer, answers)
            answers.flush()
            if isinstance(answer, Failed) and answer.fatal:
                os._exit(1)


def _listen(requests: BinaryIO, jobs: SimpleQueue[Job]) -> None:
    """Queues the jobs. When the requests end, the parent is gone: no training goes on without it, not for a step."""
    try:
        while True:
            jobs.put(pickle.load(requests))
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)


def _answers(job: Job, setup: Setup, data: DeviceData) -> Iterator[Score | Done | Failed]:
    try:
        torch.manual_seed(job.seed)
        network = build_network(build_graph(job.architecture)).to(setup.device)
        yield from train(network, data, job.recipe, job.seed)
        _save(network, job, setup)
        yield Done()
    except DivergedError as error:
        yield Failed(str(error))
    except Exception as error:  # whatever a network does to torch costs this trial and no other
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in NO_MEMORY):
            torch.cuda.empty_cache()
            yield Failed(f"out of memory: {_first_line(error)}", memory=True)
        else:  # after some errors a CUDA device answers nothing any more
            yield Failed(f"{type(error).__name__}: {_first_line(error)}", fatal=setup.device.startswith("cuda"))


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


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")


def main() -> None:
    """Serves over the standard streams; what else is printed goes to the error stream."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone; closing the streams would only raise again


if __name__ == "__main__":
    main()
