import warnings

import pytest
import torch

from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.network import build_network
from unetsearch.space.recipe import Recipe
from unetsearch.training import compiled
from unetsearch.training.augment import Batch
from unetsearch.training.compiled import PAYS, compiler, pays, trained_outputs
from unetsearch.training.step import Step

CPU = torch.device("cpu")
LONG = Recipe(steps=PAYS // (8 * 96**2), crop=96, batch_size=8)
TINY = Recipe(crop=16, batch_size=2)

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")


def graph(name="unet++", **values):
    return build_graph(reference(name, width=4, **values))


def steps(network, number=4):
    torch.manual_seed(1)
    step = Step(network, TINY, CPU)
    for _ in range(number):
        images = torch.randn(2, 1, 16, 16)
        step(Batch(images, (images[:, 0] > 0).to(torch.uint8), None), 1e-2)
    return [parameter.detach().clone() for parameter in network.parameters()], step.loss_sum.item()


def equal(one, other):
    return one[1] == other[1] and all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))


def built():
    torch.manual_seed(0)
    return build_network(graph(depth=2, deep_supervision=True))


@needs_compiler
@pytest.mark.parametrize(
    ("name", "recipe", "device", "wanted"),
    [
        ("unet++", LONG, "cpu", True),
        ("unet++", Recipe(steps=LONG.steps - 1, crop=96, batch_size=8), "cpu", False),
        ("unet", LONG, "cpu", False),
        ("unet3+", LONG, "cpu", False),
        ("unet++", LONG, "cuda", False),
    ],
)
def test_only_long_dense_trainings_on_the_processor_are_compiled(name, recipe, device, wanted):
    assert pays(graph(name), recipe, torch.device(device)) is wanted


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not pays(graph(), LONG, CPU)


@needs_compiler
@pytest.mark.slow
def test_compiled_steps_are_those_of_the_network_and_repeat_bit_for_bit(monkeypatch):
    eager = steps(built())
    monkeypatch.setattr(compiled, "PAYS", 0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "trained without")
        first, second = steps(built()), steps(built())
    assert equal(first, second)
    assert not equal(first, eager)  # compiled it was
    assert first[1] == pytest.approx(eager[1], rel=0.02)


def test_what_cannot_be_compiled_is_trained_all_the_same(monkeypatch):
    def failing(function, **_):
        def call(*_):
            raise RuntimeError("no Python.h\nand more")

        return call

    network, images = built(), torch.randn(2, 1, 16, 16)
    plain = network.outputs(images).heads
    monkeypatch.setattr(compiled, "PAYS", 0)
    monkeypatch.setattr(compiled, "compiler", lambda: "g++")
    monkeypatch.setattr(torch, "compile", failing)
    outputs = trained_outputs(network, TINY, CPU)
    with pytest.warns(UserWarning, match=r"^trained without torch.compile: no Python.h$"):
        heads = outputs(images).heads
    assert all(torch.equal(one, other) for one, other in zip(heads, plain, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs(images)  # it is not tried again, nor told
