"""A real trainer process by itself: what it is told, what it answers, how it ends."""

import io
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from queue import Empty

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.search.trainers import Trainer, longer, posix, scores
from unetsearch.data.dataset import Split
from unetsearch.graph.build import build_graph
from unetsearch.network.network import build_network
from unetsearch.search.messages import (
    Done,
    Failed,
    Go,
    Held,
    Hold,
    Measure,
    Measured,
    Pause,
    Setup,
    Stepped,
    Stop,
    Stopped,
)
from unetsearch.search.parent import Parent
from unetsearch.search.slots import THREADS, environment
from unetsearch.search.trainer import NO_MEMORY, failure
from unetsearch.space.architecture import Architecture
from unetsearch.training.inference import predict
from unetsearch.training.score import Score
from unetsearch.training.sources import normalised


def run_there(trainer, code):
    """Runs code in the trainer process, by what unpickling allows."""

    class Code:
        def __reduce__(self):
            return exec, (code,)

    trainer.process.say(Code())


def test_a_job_streams_its_scores_and_leaves_its_model(trainer, job, data, tmp_path):
    answers = trainer.train(job)
    assert answers[0] == Stepped(1), "the first step is told at once"
    assert [score.step for score in scores(answers)] == [2, 4]
    assert answers[-1] == Done()
    folder = tmp_path / "models" / "0"
    assert {path.name for path in folder.iterdir()} == {"architecture.yaml", "predictions.npz", "weights.safetensors"}
    architecture = Architecture.from_dict(yaml.safe_load((folder / "architecture.yaml").read_text()))
    assert architecture == job.architecture
    network = build_network(build_graph(architecture))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    window = job.preview[0]
    again = predict(network, [torch.from_numpy(normalised(data.images[window.index]))])[0]
    with np.load(folder / "predictions.npz") as predictions:
        assert (window.of(again.numpy()) == predictions["0"]).mean() > 0.99


def test_the_same_job_gives_the_same_scores(trainer, job):
    first, second = (scores(trainer.train(job)) for _ in range(2))
    assert first == second


def test_a_job_on_another_split_is_scored_image_by_image_and_leaves_no_model(trainer, job, data, tmp_path):
    """And nothing of it stays for the next job."""
    before = scores(trainer.train(job))
    own = data.split
    other = Split(train=own.train[1:], validation=(*own.test, own.train[0]), test=(), by="x")
    apart = replace(job, split=other, folder=str(tmp_path / "apart"))
    answers = trainer.train(apart)
    assert answers[-1] == Done()
    for score in scores(answers):
        assert {name: len(values) for name, values in score.by_image.items()} == {
            name: len(other.validation) for name in ("dice", "iou")
        }
        assert sum(score.by_image["dice"]) / len(other.validation) == pytest.approx(score.dice)
        assert Score.from_dict(score.to_dict()) == score
    assert not (tmp_path / "apart").exists()
    assert scores(trainer.train(job)) == before
    assert all(score.by_image == {} for score in before)
    assert scores(answers) == scores(trainer.train(apart)) != before


def test_a_training_that_fails_says_why_and_the_process_goes_on(trainer, job):
    broken = replace(job, recipe=replace(job.recipe, learning_rate=float("nan")))
    assert trainer.train(broken)[-1] == Failed("ValueError: Invalid learning rate: nan")
    assert trainer.train(job)[-1] == Done()


def test_a_network_larger_than_the_memory_is_told_apart(trainer, job):
    vast = trainer.train(replace(job, architecture=replace(job.architecture, channels=(4, 2**16, 2**16))))[-1]
    assert vast.cause == "memory", vast
    assert not vast.fatal
    assert trainer.train(job)[-1] == Done()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    ],
)
def test_too_little_memory_is_recognised_by_its_words(error):
    assert failure(error, cuda=True).cause == "memory"
    assert not failure(error, cuda=True).fatal
    assert failure(MemoryError(), cuda=False).reason == "out of memory"


def test_another_error_on_cuda_ends_the_process():
    error = RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be")
    reason = "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert failure(error, cuda=True) == Failed(reason, fatal=True)
    assert failure(error, cuda=False) == Failed(reason)
    assert len(NO_MEMORY) == len(set(NO_MEMORY))


def test_the_reason_is_told_before_a_broken_device_is_asked_for_anything(data, job):
    trainer = Trainer(Setup(data, "cpu", 1))
    run_there(
        trainer,
        "import sys\n"
        "there = sys.modules['__main__']\n"
        "def free(device): raise RuntimeError('the device is in no state to go on')\n"
        "there._free = free\n"
        "there.failure = lambda error, cuda, failed=there.Failed: failed('an illegal access', fatal=True)\n",
    )
    broken = replace(job, recipe=replace(job.recipe, learning_rate=float("nan")))
    try:
        assert trainer.train(broken)[-1] == Failed("an illegal access", fatal=True)
    finally:
        trainer.process.kill()


def test_less_memory_is_taken_in_parts(trainer, job):
    whole, parts = (scores(trainer.train(replace(job, parts=parts))) for parts in (1, 2))
    assert [score.step for score in parts] == [2, 4]
    assert parts[0].loss != whole[0].loss
    assert trainer.train(replace(job, parts=3))[-1] == Failed(
        "ValueError: a batch of 2 crops cannot be trained in 3 parts"
    )


def test_a_stop_ends_a_training_and_not_the_next_one(trainer, job):
    trainer.process.say(longer(job))
    trainer.until(Score)
    trainer.process.say(Stop(save=False))
    assert trainer.until(Stopped, Done, Failed)[-1] == Stopped()
    trainer.process.say(Stop(save=False))  # too late
    assert trainer.train(job)[-1] == Done()


def test_a_folder_that_cannot_be_made_is_named(trainer, job, tmp_path):
    (tmp_path / "models").write_text("a file")
    failed = trainer.train(job)[-1]
    assert failed.cause == "storage"
    assert failed.reason == f"the model cannot be written: {job.folder} (Not a directory)"


def test_a_held_training_waits_until_it_is_told_to_go(trainer, job):
    trainer.process.say(longer(job))
    trainer.until(Score)
    trainer.process.say(Hold())
    trainer.until(Held)
    with pytest.raises(Empty):
        trainer.answers.get(timeout=1.5)
    trainer.process.say(Go())
    assert isinstance(trainer.until(Score)[-1], Score)
    trainer.process.say(Hold())
    trainer.until(Held)
    trainer.process.say(Stop(save=False))
    assert trainer.hear() == Stopped(), "a Stop is heard in a wait too"
    trainer.process.say(Go())


def test_each_hold_is_answered_once_also_without_a_training(trainer, job):
    trainer.process.say(Hold())
    assert trainer.hear() == Held()
    trainer.process.say(Go())
    trainer.process.say(job)
    trainer.process.say(Hold())
    trainer.process.say(Go())
    answers = trainer.until(Done)
    if Held() not in answers:
        answers.append(trainer.hear())
    assert answers.count(Held()) == 1
    assert trainer.answers.empty()


def test_an_architecture_is_measured(trainer, job):
    trainer.process.say(Measure(job.architecture))
    small = trainer.hear()
    assert isinstance(small, Measured)
    trainer.process.say(Measure(replace(job.architecture, channels=tuple(4 * c for c in job.architecture.channels))))
    wide = trainer.hear()
    assert 0 < small.latency < wide.latency < 10
    assert small.memory < wide.memory


def test_the_number_of_threads_is_set_before_anything_is_loaded(trainer, tmp_path):
    path = tmp_path / "threads"
    run_there(
        trainer,
        "import os, torch\n"
        f"with open({str(path)!r}, 'w') as file:\n"
        "    print(torch.get_num_threads(), torch.get_num_interop_threads(), file=file)\n"
        "    print(os.environ['OMP_NUM_THREADS'], file=file)\n",
    )
    trainer.process.say(Hold())
    trainer.until(Held)  # requests are taken in their order
    trainer.process.say(Go())
    assert path.read_text().split() == ["1", "1", "1"]


@pytest.mark.parametrize("asked", ["1", "0"])
def test_determinism_can_be_asked_for(data, job, tmp_path, monkeypatch, asked):
    monkeypatch.setenv("UNETSEARCH_DETERMINISTIC", asked)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    trainer = Trainer(Setup(data, "cpu", 1))
    path = tmp_path / "asked"
    try:
        run_there(
            trainer,
            "import os, torch\n"
            f"with open({str(path)!r}, 'w') as file:\n"
            "    print(torch.are_deterministic_algorithms_enabled(), file=file)\n"
            "    print(os.environ.get('CUBLAS_WORKSPACE_CONFIG'), file=file)\n",
        )
        assert trainer.train(job)[-1] == Done()
    finally:
        trainer.process.kill()
    assert path.read_text().split() == (["True", ":4096:8"] if asked == "1" else ["False", "None"])


def test_the_environment_alone_sets_the_threads_of_torch_and_numpy():
    assert {environment(3)[name] for name in THREADS} == {"3"}
    code = "import torch; print(torch.get_num_threads())"
    there = {**os.environ, **environment(1)}
    assert subprocess.check_output([sys.executable, "-c", code], env=there, text=True).strip() == "1"


@posix
def test_signals_to_the_whole_group_are_the_parents_to_answer(trainer, job):
    trainer.process.say(longer(job, 100))
    trainer.until(Stepped)
    for name in (signal.SIGTERM, signal.SIGINT):
        os.kill(trainer.process.pid, name)
    assert trainer.until(Done, Failed)[-1] == Done()


def test_a_process_ends_at_once_when_its_parent_does(data, job):
    """In the middle of a training, long before the next evaluation would find nobody to tell."""
    trainer = Trainer(Setup(data, "cpu", 1))
    try:
        trainer.process.say(longer(job))
        trainer.until(Score)
        trainer.process._requests.put(None)  # closes the pipe, as the system does for a parent that was killed
        assert trainer.process._process.wait(timeout=5) == 0
    finally:
        trainer.process.kill()


def test_no_file_of_the_working_folder_is_imported(data, job, tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise RuntimeError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    trainer = Trainer(Setup(data, "cpu", 1))
    try:
        assert trainer.train(job)[-1] == Done()
    finally:
        trainer.process.kill()


def test_a_training_that_pauses_is_no_more_at_work_when_it_says_held():
    """It writes its checkpoint first: a measuring that begins then has the machine for itself."""
    said = io.BytesIO()
    parent = Parent(said)
    parent.hear(Measure(None))
    parent.hear(Pause())
    parent.hear(Hold())
    assert parent.heed(torch.device("cpu")) == Pause()
    assert said.getvalue() == b""
    parent.end(Stopped())
    said.seek(0)
    assert [pickle.load(said), pickle.load(said)] == [Stopped(), Held()]
