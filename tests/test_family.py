"""Properties of the whole of unet-family.yaml: what the search may draw builds, counts right and runs."""

import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from unetsearch.api import load_space
from unetsearch.graph.build import build_graph
from unetsearch.network.cost import cost
from unetsearch.network.network import build_network
from unetsearch.space.architecture import Architecture
from unetsearch.space.values import Choice

FAMILY = load_space("unet-family").for_data(3, 4)


@st.composite
def points(draw):
    """Hypothesis as a picker of the one walk."""

    def pick(name, value):
        if isinstance(value, Choice):
            return draw(st.sampled_from([option.value for option in value.options]), label=name)
        return value.at(draw(st.integers(0, value.size - 1), label=name))

    return FAMILY.draw(pick)


@pytest.mark.slow
@given(points())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_point_builds_and_its_cost_is_that_of_its_module(point):
    graph = build_graph(point.architecture)
    with torch.device("meta"):
        network = build_network(graph)
    counted = cost(graph)
    assert counted.params == sum(parameter.numel() for parameter in network.parameters())
    heads = network.outputs(torch.empty(1, 3, 97, 75, device="meta")).heads
    assert [tuple(head.shape) for head in heads] == [(1, 4, 97, 75)] * len(graph.heads)
    sum(head.sum() for head in heads).backward()
    assert counted.params == sum(p.numel() for p in network.parameters() if p.grad is not None)
    again = build_graph(Architecture.from_dict(point.architecture.to_dict()))
    assert again.hash == graph.hash


@pytest.mark.slow
def test_equal_graphs_and_only_they_have_equal_hashes():
    """Whatever choices led to them; and the hash decides what is counted the same."""
    seen = {}
    for point in FAMILY.enumerate():
        graph = build_graph(point.architecture)
        first = seen.setdefault(graph.hash, graph)
        assert (graph.nodes, graph.heads) == (first.nodes, first.heads)
    contents = {(graph.nodes, graph.heads) for graph in seen.values()}
    assert len(contents) == len(seen) < FAMILY.size


@pytest.mark.slow
def test_a_hundred_small_points_run_forward_and_backward_on_odd_sizes():
    by_size = sorted({build_graph(p.architecture) for p in FAMILY.enumerate()}, key=lambda graph: cost(graph).params)
    torch.manual_seed(0)
    for graph in by_size[:200:2]:
        network = build_network(graph)
        with FlopCounterMode(display=False) as flops, torch.no_grad():
            network.eval().outputs(torch.randn(1, 3, 97, 75))
        assert cost(graph, (97, 75)).macs == flops.get_total_flops() // 2
        network.train()
        outputs = network.outputs(torch.randn(2, 3, 97, 75)).heads
        assert all(head.shape == (2, 4, 97, 75) for head in outputs)
        sum((head**2).mean() for head in outputs).backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.slow
def test_the_thousand_largest_points_are_built_and_counted_quickly_in_little_memory():
    """In a process of its own, so that nothing is counted before: under 60 s, and no memory that grows with points."""
    code = """
import resource, time
from unetsearch.api import load_space
from unetsearch.search.candidate import Candidate
family = load_space("unet-family").for_data(3, 4)
points = sorted(family.enumerate(), key=lambda point: -sum(point.architecture.channels))[:1000]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
Candidate.at(points[0]).cost
before, started = peak(), time.perf_counter()
total = sum(Candidate.at(point).cost.params for point in points)
print(len(points), time.perf_counter() - started, peak() - before, total)
"""
    pytest.importorskip("resource", reason="this system does not tell a process's memory")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, seconds, megabytes, total = map(float, done.stdout.split())
    assert (count, seconds < 60, megabytes < 150) == (1000, True, True), done.stdout
    assert total > 10**9
