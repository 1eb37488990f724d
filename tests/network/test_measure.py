import pytest
import torch
from torch import nn

from tests.gpu import gpu
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.graph.sizes import context
from unetsearch.network.measure import _Live, measure
from unetsearch.network.network import build_network

CPU = torch.device("cpu")
MAP = 256 * 256 * 4
"""Bytes of one channel at full size."""


def network(name="unet", **values):
    return build_network(build_graph(reference(name, **values)))


def bytes_of(net):
    return sum(tensor.nbytes for tensor in (*net.parameters(), *net.buffers()))


def test_memory_by_hand():
    """Width 4, depth 1, no norm: most is alive in the second convolution of X[0,1].

    There are X[0,0] (4 maps at full size), X[1,0] (8 maps at half the side), the up-convolution's 4, their
    concatenation's 8, the first convolution's 4, the second one's 4; and the image and the weights.
    """
    net = network(width=4, depth=1, norm=None)
    _, memory = measure(net, CPU)
    assert memory == (4 + 8 / 4 + 4 + 8 + 4 + 4) * MAP + MAP + bytes_of(net)


def test_memory_is_the_same_every_time_and_more_for_more():
    memories = [measure(network(width=width, depth=depth), CPU)[1] for width, depth in ((4, 2), (4, 2), (8, 2), (4, 4))]
    assert memories[0] == memories[1] < memories[3] < memories[2]
    plain, nested = measure(network(width=4, depth=2), CPU), measure(network("unet++", width=4, depth=2), CPU)
    assert plain[1] < nested[1]


def test_what_is_freed_is_not_counted_on():
    """A chain of ten convolutions holds two features at a time; ten that are kept for the end are all alive."""
    layers = [nn.Conv2d(1, 1, 1, bias=False) for _ in range(10)]

    def chain(x):
        for layer in layers:
            x = layer(x)
        return x

    def kept(x):
        return torch.cat([layer(x) for layer in layers], 1)

    x = torch.zeros(1, 1, 32, 32)
    peaks = []
    for function in (chain, kept):
        function(x)
        live = _Live()
        with torch.inference_mode(), live:
            result = function(x)
        assert live.bytes == result.nbytes, "the rest is gone"
        peaks.append(live.peak // x.nbytes)
    assert peaks == [2, 20]


def test_features_are_freed_after_their_last_use(monkeypatch):
    net = network(width=4, depth=3)
    _, freed = measure(net, CPU)
    net._last_uses = {name: [] for name in net._last_uses}
    _, held = measure(net, CPU)
    assert held > freed


def test_views_and_changes_in_place_take_nothing():
    x = torch.zeros(1, 1, 32, 32)
    live = _Live()
    with torch.inference_mode(), live:
        y = x[:, :, :16].view(-1).relu_()
        y += 1
    assert live.peak == 0


def test_latency_is_that_of_one_image():
    slow, _ = measure(network(width=16, depth=3), CPU)
    fast, _ = measure(network(width=4, depth=1), CPU)
    assert 0 < fast < slow < 30


def test_an_unpadded_network_reads_the_image_that_gives_it_as_many_logits():
    net = network("unet-2015", width=4, depth=2)
    seen = []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    measure(net, CPU)
    side = context(net.graph, 256).size
    assert side > 256
    assert set(seen) == {(1, 1, side, side)}


def test_the_network_is_left_in_evaluation_mode():
    net = network(width=4, depth=1).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    measure(net, CPU)
    assert not net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.cuda
@gpu
def test_other_data_on_the_gpu_are_not_counted():
    net, device = network(width=8, depth=2), torch.device("cuda")
    _, memory = measure(net, device)
    there = torch.zeros(2**28, device=device)
    assert measure(net, device)[1] == pytest.approx(memory, rel=0.01)
    assert memory < there.nbytes
