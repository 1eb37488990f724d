import pytest
import torch

from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.graph.sizes import context, logits_side, min_side, node_sides
from unetsearch.network.cost import cost
from unetsearch.network.network import build_network


def unpadded(depth=4, **values):
    return build_graph(reference("unet-2015", width=4, depth=depth, **values))


def test_the_sizes_of_the_2015_figure():
    sides = node_sides(unpadded(), 572)
    assert [sides[f"X[{level},0]"] for level in range(5)] == [568, 280, 136, 64, 28]
    assert [sides[f"X[{level},{4 - level}]"] for level in (3, 2, 1, 0)] == [52, 100, 196, 388]
    assert logits_side(unpadded(), 572) == 388
    network = build_network(unpadded()).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 1, 572, 572)).shape == (1, 1, 388, 388)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("side", [92, 93, 100, 111])
def test_every_side_is_what_the_network_gives(depth, side):
    graph = unpadded(depth)
    with torch.no_grad():
        logits = build_network(graph).eval()(torch.randn(1, 1, side, side + 8))
    assert logits.shape[2:] == (logits_side(graph, side), logits_side(graph, side + 8))


@pytest.mark.parametrize(("depth", "smallest"), [(1, 18), (2, 44), (3, 92), (4, 188)])
def test_the_smallest_image(depth, smallest):
    graph = unpadded(depth)
    assert min_side(graph) <= smallest
    with torch.no_grad():
        network = build_network(graph).eval()
        side = min_side(graph)
        assert min(network(torch.randn(1, 1, side, side)).shape) >= 1
        with pytest.raises(RuntimeError):
            network(torch.randn(1, 1, side - 1, side - 1))
    with pytest.raises(ArchitectureError, match=rf"images of {side - 1} px are too small.* needs {side} px"):
        cost(graph, (side - 1, 200))
    assert min_side(build_graph(reference("unet", depth=depth))) == 2**depth


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 31, 64, 96, 256])
def test_the_context_of_a_crop(depth, side):
    graph = unpadded(depth)
    frame = context(graph, side)
    logits = logits_side(graph, frame.size)
    lost = frame.size - logits
    assert lost % 2 == 0  # the logits lie in the middle
    assert frame.size <= side + 2 * frame.margin <= frame.size + 1
    assert frame.offset == frame.margin - lost // 2 >= 0
    assert frame.offset + side <= logits
    assert frame.margin - lost // 2 < 2 ** (depth + 1)  # and not much more is read than must be


def test_padded_networks_need_no_context():
    frame = context(build_graph(reference("unet", depth=2)), 37)
    assert (frame.margin, frame.size, frame.offset) == (0, 37, 0)


def test_strided_networks_are_counted_at_the_padded_size():
    graph = build_graph(reference("resunet", width=4))
    assert graph.multiple == 8
    assert node_sides(graph, 97) == node_sides(graph, 104)
    assert cost(graph, (97, 60)).macs == cost(graph, (104, 64)).macs
