"""Trainings on an NVIDIA GPU."""

import warnings
from dataclasses import replace

import pytest
import torch

from tests.gpu import gpu
from tests.training.recorded import Watched
from tests.training.test_train import RECIPE, data, network
from unetsearch.data.load import load_data
from unetsearch.space.recipe import MS_SSIM_SIDE
from unetsearch.space.settings import DataSettings
from unetsearch.training.batches import TOGETHER
from unetsearch.training.device_data import on_device
from unetsearch.training.recording import GRAPHS, WARM_UP
from unetsearch.training.train import train

RECORDED = TOGETHER * (WARM_UP + 1)
"""By this step batches and steps were."""


def watch(monkeypatch):
    """The recorders of the trainings from here on."""
    watched = []

    def recorder(device):
        watched.append(Watched(device))
        return watched[-1]

    monkeypatch.setattr("unetsearch.training.train.recorder", recorder)
    return watched


@pytest.mark.cuda
@gpu
def test_training_on_a_gpu(monkeypatch):
    clean = data()
    train_ = replace(clean.train, pixels=clean.train.pixels.cuda(), masks=clean.train.masks.cuda())
    validation = tuple(replace(pair, image=pair.image.cuda()) for pair in clean.validation)
    on_gpu = replace(clean, train=train_, validation=validation)
    watched = watch(monkeypatch)
    scores = list(train(network().cuda(), on_gpu, RECIPE, seed=0))
    assert scores[-1].dice > 0.8
    assert [each.recorded for each in watched] == [1, 1], "batches and steps"


@pytest.mark.cuda
@gpu
@pytest.mark.parametrize("graphs", ["0", "1"])
def test_a_step_on_a_gpu_waits_for_nothing(graphs, monkeypatch):
    """From the one after that by which all is recorded on, augmentation and weight map included."""
    monkeypatch.setenv(GRAPHS, graphs)
    source = on_device(load_data(DataSettings(path="cells")), torch.device("cuda"))
    recipe = replace(
        RECIPE, augmentation=1.0, weight_map=True, crop=32, class_weights="median_frequency", evaluations=1
    )

    def pulse(step, _):
        if step == RECORDED + 1:
            warnings.simplefilter("ignore")  # that this mode is a prototype
            torch.cuda.set_sync_debug_mode("error")
        if step == RECORDED + 2 * TOGETHER:
            raise KeyboardInterrupt

    try:
        with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
            list(train(network().cuda(), source, recipe, 0, pulse=pulse))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda
@gpu
def test_a_loss_that_waits_for_the_gpu_is_trained_by_python(monkeypatch):
    source = on_device(load_data(DataSettings(path="cells")), torch.device("cuda"))
    recipe = replace(RECIPE, loss="ms_ssim", crop=MS_SSIM_SIDE, steps=RECORDED, evaluations=1)
    watched = watch(monkeypatch)
    (score,) = train(network().cuda(), source, recipe, 0)
    assert 0 < score.loss < 1
    assert sorted(each.given_up for each in watched) == [0, 1], "the step, and not the batches"
