"""The moving average of weights against the sum it stands for."""

import pytest
import torch

from unetsearch.api import reference
from unetsearch.graph.build import build_graph
from unetsearch.network.network import build_network
from unetsearch.space.recipe import Recipe
from unetsearch.training.average import Average, new_weight


def averaged(recipe, values):
    """The average of a network whose every number is one of the values after each step."""
    network = build_network(build_graph(reference("unet", width=4, depth=1)))
    average = Average(network, recipe)
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.fill_(value)
        average.update(step)
    numbers = [tensor for tensor in average.network.state_dict().values() if tensor.is_floating_point()]
    assert all(torch.equal(tensor, torch.full_like(tensor, numbers[0].flatten()[0].item())) for tensor in numbers)
    return float(numbers[0].flatten()[0])


def test_it_reaches_back_over_a_share_of_the_steps():
    values = [3.0, 1.0, 4.0, 1.0, 5.0]
    expected = values[0]
    for step, value in enumerate(values[1:], start=2):
        expected += (value - expected) / (1 + 0.2 * step)
    assert averaged(Recipe(reach=0.2), values) == pytest.approx(expected)
    assert averaged(Recipe(reach=0.0), values) == 5.0


def test_its_age_is_the_share_of_the_steps_whatever_the_length():
    """The mean age of what is averaged, as a share of the steps: 0.2 / 1.2 in the limit."""
    for steps in (300, 3000):
        age, recipe = 0.0, Recipe(reach=0.2)
        for step in range(2, steps + 1):
            age = (age + 1) * (1 - new_weight(recipe, step))
        assert age / steps == pytest.approx(0.2 / 1.2, rel=0.02)


def test_a_decay_a_step_may_be_given_instead():
    assert averaged(Recipe(averaging=0.75), [0.0, 8.0, 0.0]) == pytest.approx(1.5)
    assert averaged(Recipe(averaging=0.0), [0.0, 8.0, 2.0]) == 2.0
    assert "reach" not in Recipe(averaging=0.9).to_dict()
    assert "averaging" not in Recipe().to_dict()


def test_counters_are_those_of_the_newest_weights():
    network = build_network(build_graph(reference("unet", width=4, depth=1)))
    average = Average(network, Recipe())
    for step in (1, 2, 3):
        network.train()(torch.randn(2, 1, 8, 8))
        average.update(step)
    counts = [value for name, value in average.network.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts
    assert all(int(count) == 3 for count in counts)
