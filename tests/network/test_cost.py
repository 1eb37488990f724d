import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.cost import cost
from unetsearch.network.network import build_network


@pytest.mark.parametrize("name", ["unet", "unet++", "unet3+"])
@pytest.mark.parametrize("encoder", ["plain", "residual"])
@pytest.mark.parametrize("down", ["max", "strided"])
@pytest.mark.parametrize("size", [(64, 64), (75, 50)])
def test_costs_are_those_of_the_module_as_it_runs(name, encoder, down, size):
    graph = build_graph(reference(name, width=8, depth=3, encoder=encoder, down=down, deep_supervision=True))
    counted = cost(graph, size)
    network = build_network(graph).eval()
    values = 0

    def count(module, _, output):
        nonlocal values
        values += output.numel()

    for module in network.modules():
        if not list(module.children()) and module is not network.resize:
            module.register_forward_hook(count)
    network.resize.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        network.outputs(torch.randn(1, 1, *size))
    assert counted.macs == flops.get_total_flops() // 2
    assert counted.params == sum(parameter.numel() for parameter in network.parameters())
    assert counted.activation_bytes == 4 * values


def test_by_hand():
    """One 3x3 convolution pair a node at depth 1, without norm: counted on paper."""
    counted = cost(build_graph(reference("unet", width=4, depth=1, norm=None)), (8, 8))
    params = {
        "X[0,0]": (9 * 1 * 4 + 4) + (9 * 4 * 4 + 4),
        "X[1,0]": (9 * 4 * 8 + 8) + (9 * 8 * 8 + 8),
        "X[0,1]": (4 * 8 * 4 + 4) + (9 * 8 * 4 + 4) + (9 * 4 * 4 + 4) + (4 + 1),
    }
    macs = {
        "X[0,0]": 64 * 9 * (4 + 16),
        "X[1,0]": 16 * 9 * (32 + 64),
        "X[0,1]": 16 * 4 * 32 + 64 * 9 * (32 + 16) + 64 * 4,
    }
    assert {name: node.params for name, node in counted.nodes.items()} == params
    assert {name: node.macs for name, node in counted.nodes.items()} == macs
    assert (counted.params, counted.macs) == (sum(params.values()), sum(macs.values()))


def test_counting_takes_no_memory_and_little_time():
    counted = cost(build_graph(reference("unet++", width=64, depth=7)), (1024, 1024))
    assert counted.params > 500_000_000
    assert counted.activation_bytes > 2**30


def test_batch_norm_has_no_macs():
    with_norm, without = (cost(build_graph(reference("unet", width=8, norm=norm))) for norm in ("batch", None))
    assert with_norm.macs == without.macs
