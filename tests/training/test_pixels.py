"""What is read at its places without windows is what windows give at the same places."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.compiler import compiled
from unetsearch.data.load import load_data
from unetsearch.data.separation import Targets
from unetsearch.space.settings import DataSettings
from unetsearch.training import pixels
from unetsearch.training.augment import BLUR, Batch, bands_of, blurred, sampled
from unetsearch.training.crops import Drawing
from unetsearch.training.device_data import on_device
from unetsearch.training.pixels import blur, can_blur, can_read, read_at
from unetsearch.training.sources import Resident

CPU = torch.device("cpu")


def resident(channels=3, weights=True):
    random = np.random.default_rng(0)
    sizes = [(40, 30), (21, 50), (33, 33)]
    images = [random.normal(size=(channels, *size)).astype(np.float32) for size in sizes]
    masks = [random.integers(0, 4, size).astype(np.uint8) for size in sizes]
    source = Resident.of(images, masks, CPU)
    maps = [random.random(mask.shape, np.float32) for mask in masks]
    return source.with_targets(Targets(masks, maps)) if weights else source


def read(source, window=28, count=5):
    fields = np.zeros((2, 16, 16), np.float32)
    drawing = Drawing(source.places, batch_size=count, fields=fields, window=window, foreground=0.5, seed=0)
    return source.read(drawing.batch(0, np.random.default_rng(0)))


@compiled
@pytest.mark.parametrize(("channels", "weights", "inner"), [(1, True, 16), (3, False, 16), (4, True, 10)])
def test_it_reads_what_the_windows_show(channels, weights, inner):
    source = resident(channels, weights)
    (lines,) = read(source)
    torch.manual_seed(0)
    for reach in (0.9, 1.0, 4.0):  # within the window, up to its border, far beyond it
        places = (torch.rand(5, 16, 16, 2) * 2 - 1) * reach
        maps = source.pixels, source.masks, source.weights
        for given in (lines, lines.long()):
            found, wanted = Batch(*read_at(maps, places, inner, given)), sampled(source.windows(lines), places, inner)
            assert found.images.shape == wanted.images.shape == (5, channels, 16, 16)
            assert (found.images - wanted.images).abs().max() < 1e-4
            assert torch.equal(found.masks, wanted.masks)
            assert found.masks.shape == (5, inner, inner)
            assert found.masks.dtype == torch.uint8
            assert (found.weights is None) == (not weights)
            if weights:
                assert torch.equal(found.weights, wanted.weights)
        assert torch.equal(source.sampled(places, inner, lines).images, found.images), "it is what a training takes"


@compiled
def test_every_corner_of_the_window_is_itself():
    source = resident()
    (lines,) = read(source)
    line = torch.linspace(-1, 1, 28)
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).expand(5, -1, -1, -1)
    found, windows = source.sampled(places, 28, lines), source.windows(lines)
    assert torch.equal(found.masks, windows.masks)
    assert (found.images - windows.images).abs().max() < 1e-4


@compiled
@pytest.mark.parametrize("place", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_places_that_are_none_read_nothing_that_is_not_there(place):
    source = resident()
    found = source.sampled(torch.full((5, 16, 16, 2), place), 16, *read(source))
    assert found.images.isfinite().all()
    assert found.masks.max() < 4


@compiled
@pytest.mark.parametrize("separated", [False, True])
def test_the_maps_of_a_training_are_those_that_can_be_read(separated):
    data = on_device(load_data(DataSettings(path="cells")), CPU)
    source = data.separated if separated else data.train
    assert can_read((source.pixels, source.masks, source.weights))
    assert (source.weights is None) == (not separated)


@compiled
def test_maps_as_they_are_kept_are_read_and_others_by_their_windows():
    source = resident()
    maps = source.pixels, source.masks, source.weights
    assert can_read(maps)
    assert not can_read((source.pixels, source.masks, source.weights.half()))
    assert not can_read((source.pixels, source.masks.int(), None))
    assert not can_read((source.pixels.double(), source.masks, None))
    narrow, places = replace(source, weights=source.weights.half()), torch.rand(5, 16, 16, 2) * 2 - 1
    found, wanted = (each.sampled(places, 16, *read(source)) for each in (narrow, source))
    assert torch.equal(found.weights, wanted.weights.half().float())


def test_without_a_compiler_windows_are_read(monkeypatch):
    source = resident()
    places, (lines,) = torch.rand(5, 16, 16, 2) * 2 - 1, read(source)
    monkeypatch.setattr(pixels, "_loops", lambda: None)
    found, wanted = source.sampled(places, 16, lines), sampled(source.windows(lines), places, 16)
    assert torch.equal(found.images, wanted.images)
    assert torch.equal(found.masks, wanted.masks)


@compiled
@pytest.mark.parametrize(("channels", "side"), [(1, 16), (3, 33), (2, 1), (1, 2)])
def test_blur_is_that_of_torch(channels, side):
    torch.manual_seed(0)
    images, shares = torch.randn(5, channels, side, side), torch.rand(5)
    wanted = images.lerp(blurred(images, bands_of(side, torch.device("cpu"))), shares[:, None, None, None])
    blur(images, BLUR, shares)
    assert (images - wanted).abs().max() < 1e-6
    assert can_blur(images)
    assert not can_blur(images.double())
    assert not can_blur(torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last))
