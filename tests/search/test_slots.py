"""A real trainer process: it trains, fails, dies and comes back."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from unetsearch.errors import WorkFailedError
from unetsearch.graph.build import build_graph
from unetsearch.network.network import build_network
from unetsearch.search.messages import Job, Setup
from unetsearch.search.preview import load_previews, save_preview, windows
from unetsearch.search.slots import Slot, TrainingFailedError
from unetsearch.space.architecture import Architecture
from unetsearch.training.batches import normalised
from unetsearch.training.inference import predict


@pytest.fixture(scope="module")
def slot(data):
    with Slot(Setup(data, "cpu", 1)) as slot:
        yield slot


@pytest.fixture
def job(space, data, tmp_path):
    point = space.sample(0)
    return Job(point.architecture, point.recipe, 0, str(tmp_path / "models" / "0"), windows(data))


def test_a_job_streams_its_scores_and_leaves_its_model(slot, job, data, tmp_path):
    scores = list(slot.train(job))
    assert [score.step for score in scores] == [2, 4]
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


def test_the_same_job_gives_the_same_scores(slot, job):
    first, second = ([replace(score, seconds=0) for score in slot.train(job)] for _ in range(2))
    assert first == second


def test_a_training_that_fails_says_why_and_the_process_goes_on(slot, job):
    process = slot._process
    with pytest.raises(TrainingFailedError) as caught:
        list(slot.train(replace(job, recipe=replace(job.recipe, learning_rate=float("nan")))))
    assert str(caught.value) == "ValueError: Invalid learning rate: nan"
    assert not caught.value.memory
    assert len(list(slot.train(job))) == 2
    assert slot._process is process


def test_a_network_larger_than_the_memory_is_told_apart(slot, job):
    vast = replace(job.architecture, channels=(4, 2**16, 2**16))
    with pytest.raises(TrainingFailedError) as caught:
        list(slot.train(replace(job, architecture=vast)))
    assert caught.value.memory, caught.value


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_dies_costs_one_job(slot, job):
    scores = slot.train(job)
    next(scores)
    os.kill(slot._process.pid, signal.SIGKILL)
    with pytest.raises(TrainingFailedError, match="the trainer process was ended by signal 9"):
        list(scores)
    assert len(list(slot.train(job))) == 2


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_ends_at_once_when_its_parent_does(data, job, tmp_path):
    """In the middle of a training, long before the next evaluation would find nobody to tell."""
    parent, child = Slot(Setup(data, "cpu", 1)), None
    try:
        scores = parent.train(replace(job, recipe=replace(job.recipe, steps=10**6, evaluations=10**5)))
        next(scores)
        child = parent._process
        child.stdin.close()  # what the system does to the pipe of a parent that was killed
        assert child.wait(timeout=5) == 0
    finally:
        child.kill()
        parent.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_dies_between_two_jobs_is_replaced(slot, job):
    list(slot.train(job))
    os.kill(slot._process.pid, signal.SIGKILL)
    slot._process.wait()
    assert len(list(slot.train(job))) == 2


def test_a_process_that_cannot_start_says_what_it_printed(data, job):
    with (
        Slot(Setup(data, "nonsense", 1)) as slot,
        pytest.raises(WorkFailedError, match=r"cannot start training: .* ended with status 1: .*nonsense"),
    ):
        list(slot.train(job))


def test_no_file_of_the_working_folder_is_imported(data, job, tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise RuntimeError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    with Slot(Setup(data, "cpu", 1)) as slot:
        assert len(list(slot.train(job))) == 2


def test_previews_come_back_with_the_predictions_of_the_trials_named(slot, job, runner, data):
    save_preview(runner.folder, data, job.preview)
    list(slot.train(replace(job, folder=str(runner.folder.model("#7")))))
    shown = load_previews(runner.folder, ["#7", "#8"])
    assert [preview.stem for preview in shown] == ["c", "d"]
    assert shown[0].image.shape == shown[0].truth.shape == (24, 20)
    assert np.array_equal(shown[0].truth, data.masks[2])
    assert shown[0].image.dtype == np.uint8
    assert set(shown[0].predictions) == {"#7"}
    assert shown[0].predictions["#7"].shape == (24, 20)


def test_previews_of_large_images_are_their_middles(data):
    large = replace(data, masks=tuple(np.zeros((300, 700), np.uint8) for _ in range(5)))
    window = windows(large)[0]
    assert (window.top, window.bottom, window.left, window.right) == (22, 278, 222, 478)
