"""Parameter counts that are known from papers and from their authors' own designs."""

import pytest
import torch

from unetsearch.graph.build import build_graph, prune
from unetsearch.graph.references import reference
from unetsearch.network.cost import cost
from unetsearch.network.network import build_network

GOLDEN = [
    ("the 2015 U-Net", "unet", {"out_channels": 2, "norm": None}, 31_030_658),
    ("the same with BatchNorm, one class", "unet", {}, 31_036_481),
    ("depth 1", "unet", {"in_channels": 3, "width": 32, "depth": 1, "norm": None}, 101_537),
    ("depth 2", "unet", {"in_channels": 3, "width": 32, "depth": 2, "norm": None}, 466_529),
    ("depth 3", "unet", {"in_channels": 3, "width": 32, "depth": 3, "norm": None}, 1_925_601),
    ("depth 4", "unet", {"in_channels": 3, "width": 32, "depth": 4, "norm": None}, 7_760_097),
    ("U-Net++, four heads", "unet++", {"in_channels": 3, "norm": None}, 9_042_276),
    ("U-Net++, one head", "unet++", {"norm": None, "deep_supervision": False}, 9_041_601),
    ("U-Net 3+", "unet3+", {}, 26_970_625),
    ("U-Net 3+, five heads", "unet3+", {"deep_supervision": True}, 26_988_485),
]


@pytest.mark.parametrize(("name", "values", "params"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN])
def test_published_counts(name, values, params):
    graph = build_graph(reference(name, **values))
    assert cost(graph).params == params
    assert trained_parameters(graph) == params


def trained_parameters(graph):
    """Those of the module, each of which receives a gradient."""
    with torch.device("meta"):
        network = build_network(graph)
    outputs = network.outputs(torch.empty(2, graph.in_channels, 32, 32, device="meta"))
    sum(head.sum() for head in outputs.heads).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("depth", "params"), [(1, 101_537), (2, 511_714), (3, 2_205_603), (4, 9_042_276)])
def test_pruned_unet_plus_plus(depth, params):
    small = prune(build_graph(reference("unet++", in_channels=3, norm=None)), depth)
    assert cost(small).params == params
    assert trained_parameters(small) == params
