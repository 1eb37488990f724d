import logging
from dataclasses import replace

import pytest
import torch

from unetsearch.data.load import load_data
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.network import build_network
from unetsearch.search.pruner import Rule
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training import compiled
from unetsearch.training.augment import Batch
from unetsearch.training.compiled import EARLIEST_END, NARROWEST, compiled_after, compiler
from unetsearch.training.device_data import on_device
from unetsearch.training.step import Step
from unetsearch.training.train import train

CPU = torch.device("cpu")
LONG = Recipe(steps=2000, evaluations=1, crop=96, batch_size=8)
TINY = Recipe(steps=6, evaluations=3, crop=16, batch_size=3)

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")


def graph(name="unet++", **values):
    return build_graph(reference(name, **{"width": 8, **values}))


@needs_compiler
@pytest.mark.parametrize(
    ("name", "values", "recipe", "device", "wanted"),
    [
        ("unet++", {}, {}, "cpu", 0),
        ("unet++", {"width": 4}, {"steps": LONG.steps - 1}, "cpu", None),
        ("unet++", {"width": 16}, {}, "cpu", None),
        ("unet++", {"width": 16}, {"steps": 2 * LONG.steps}, "cpu", 0),
        ("unet++", {"width": 20}, {"steps": 10 * LONG.steps}, "cpu", None),
        ("unet++", {}, {"steps": LONG.steps - 1}, "cpu", None),
        ("unet++", {}, {"evaluations": 12}, "cpu", None),  # judged on its way, it may end early
        ("unet++", {}, {"evaluations": 12, "steps": 2 * LONG.steps}, "cpu", LONG.steps // 3),
        ("unet++", {}, {"evaluations": 4, "steps": 2 * LONG.steps}, "cpu", LONG.steps // 2),
        ("unet++", {}, {"evaluations": 12, "steps": 6 * LONG.steps - 12}, "cpu", LONG.steps - 2),
        ("unet++", {}, {"evaluations": 12, "steps": 6 * LONG.steps}, "cpu", 0),  # by then it has paid
        ("unet", {}, {}, "cpu", None),
        ("unet3+", {}, {}, "cpu", None),
        ("unet++", {}, {}, "cuda", None),
    ],
)
def test_only_long_trainings_of_narrow_dense_networks_are_compiled(name, values, recipe, device, wanted):
    found = compiled_after(graph(name, **values), replace(LONG, **recipe), torch.device(device))
    assert found == (wanted if wanted is None else pytest.approx(wanted, abs=1))


def test_a_search_ends_nothing_before():
    assert min(Rule().rungs) == EARLIEST_END


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert compiled_after(graph(), LONG, CPU) is None


def network():
    torch.manual_seed(0)
    return build_network(graph(width=4, depth=2, dropout=0.1, deep_supervision=True))


def trained(data, *, until=None, state=None):
    """The scores and weights of a training; or its state after so many steps."""
    made, kept = network(), {}

    def pulse(step, snapshot):
        if step == until:
            kept.update(snapshot())
            raise InterruptedError

    try:
        scores = [score.dice for score in train(made, data, TINY, 1, state=state, pulse=pulse)]
    except InterruptedError:
        return kept
    return scores, [parameter.detach().clone() for parameter in made.parameters()]


def equal(one, other):
    return one[0] == other[0] and all(torch.equal(a, b) for a, b in zip(one[1], other[1], strict=True))


@needs_compiler
@pytest.mark.slow
def test_compiled_trainings_repeat_bit_for_bit_and_go_on_where_they_were(monkeypatch, caplog):
    """With dropout; compiled after the first evaluation, where the two steps before it do not pay for it."""
    caplog.set_level(logging.INFO, "unetsearch")
    data = on_device(load_data(DataSettings(path="cells")), CPU)
    data = replace(data, validation=data.validation[:2])
    eager = trained(data)
    monkeypatch.setattr(compiled, "PAYS", 3 * TINY.batch_size * TINY.crop**2 / NARROWEST)
    first, state = trained(data), trained(data, until=3)
    assert equal(first, trained(data, state=state))
    assert first[0][0] == eager[0][0]
    assert first[0] == pytest.approx(eager[0], abs=0.05)
    assert not equal(first, eager), "compiled it was"
    assert not caplog.records


def test_what_cannot_be_compiled_is_trained_all_the_same(monkeypatch, tmp_path, caplog):
    def steps(*, compiles):
        step = Step(network(), TINY, CPU)
        random = torch.Generator().manual_seed(0)
        for number in range(3):
            if compiles and number == 1:
                step.compile()
            images = torch.randn(2, 1, 16, 16, generator=random)
            torch.manual_seed(number)
            step(Batch(images, (images[:, 0] > 0).to(torch.uint8), None), 1e-2)
        return step.loss_sum.item(), step

    def failing(function, **_):
        def call(*_):
            raise RuntimeError("no Python.h\nand more")

        return call

    plain, _ = steps(compiles=False)
    for failure in (failing, lambda function, **_: (_ for _ in ()).throw(OSError("/tmp is full"))):
        monkeypatch.setattr(torch, "compile", failure)
        caplog.clear()
        caplog.set_level(logging.INFO, "unetsearch")
        found, step = steps(compiles=True)
        assert found == plain
        (told,) = caplog.messages
        assert told in ("trained without torch.compile: no Python.h", "trained without torch.compile: /tmp is full")
        assert step._outputs == step._eager
