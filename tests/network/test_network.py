from collections import Counter

import pytest
import torch
from torch import nn

from unetsearch.graph.build import build_graph, prune
from unetsearch.graph.references import reference
from unetsearch.network.network import build_network, carry_weights
from unetsearch.network.nodes import module_name

RULES = ["unet", "unet++", "unet3+"]


def network(name="unet", seed=0, **values):
    torch.manual_seed(seed)
    return build_network(build_graph(reference(name, **{"width": 4, "depth": 3, **values})))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("encoder", ["plain", "residual"])
@pytest.mark.parametrize("size", [(97, 75), (8, 8), (33, 8)])
def test_any_size_comes_back_with_every_head_at_the_input_size(name, encoder, size):
    net = network(name, encoder=encoder, deep_supervision=True)
    x = torch.randn(2, 1, *size)
    heads = net.outputs(x).heads
    assert [tuple(head.shape) for head in heads] == [(2, 1, *size)] * len(net.graph.heads)
    sum((head**2).mean() for head in heads).backward()
    without = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("values", [{"up": "bilinear"}, {"up": "nearest"}, {"down": "average"}, {"down": "strided"}])
@pytest.mark.parametrize("norm", ["batch", "group", None])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu", "gelu"])
def test_every_block_value_builds_and_runs_forward_and_backward(values, norm, activation):
    net = network("unet++", encoder="residual", norm=norm, activation=activation, dropout=0.1, **values)
    loss = (net(torch.randn(2, 1, 27, 19)) ** 2).mean()
    loss.backward()
    assert torch.isfinite(loss)
    kinds = Counter(type(module).__name__ for module in net.modules())
    assert ("BatchNorm" in kinds, "GroupNorm" in kinds) == (norm == "batch", norm == "group")
    assert kinds[{"relu": "ReLU", "leaky_relu": "LeakyReLU", "silu": "SiLU", "gelu": "GELU"}[activation]] > 0


def test_forward_is_the_final_head():
    net = network("unet++").eval()
    x = torch.randn(1, 1, 24, 40)
    assert torch.equal(net(x), net.outputs(x).heads[-1])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("unet", {}),
        ("unet-2015", {}),
        ("unet++", {"combine": "mean"}),
        ("unet3+", {"guidance": True}),
        ("mobile-unet", {}),
    ],
)
def test_it_compiles_as_a_whole(name, values):
    torch.compiler.reset()
    network = build_network(build_graph(reference(name, width=4, **values)))
    images = torch.randn(2, network.graph.in_channels, 188, 188)
    found = torch.compile(network, fullgraph=True, backend="eager")(images)
    assert found.shape == network(images).shape


def test_one_pixel_bottleneck_in_evaluation():
    assert network(depth=4).eval()(torch.randn(1, 1, 16, 16)).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_a_pruned_network_with_the_same_weights_gives_the_same_logits(depth, encoder):
    whole = network("unet++", depth=4, encoder=encoder)
    x = torch.randn(2, 1, 45, 38)
    whole.outputs(x)  # moves the running statistics, which must be carried too
    small = build_network(prune(whole.graph, depth))
    carry_weights(whole, small)
    assert torch.equal(small.eval()(x), whole.eval().outputs(x).heads[depth - 1])


def test_carrying_weights_refuses_another_network():
    with pytest.raises(KeyError):
        carry_weights(network(depth=2), network(depth=3))


def test_features_are_freed_after_their_last_use():
    net = network("unet", depth=2)
    assert net._last_uses == {
        "X[0,0]": ["input"],
        "X[1,0]": [],
        "X[2,0]": [],
        "X[1,1]": ["X[1,0]", "X[2,0]"],
        "X[0,2]": ["X[0,0]", "X[1,1]", "X[0,2]"],
    }


def test_the_plain_unet_is_the_wiring_of_the_paper():
    """An independent U-Net of a few lines, with the network's weights, gives the same logits."""
    net = network("unet", depth=2).eval()
    weights = iter([module for module in net.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)])
    ups = [module for module in net.modules() if isinstance(module, nn.ConvTranspose2d)]

    def double(x):
        for _ in range(2):
            x = torch.relu(next_norm(next_conv(x)))
        return x

    def next_conv(x):
        return next(weights)(x)

    def next_norm(x):
        return next(weights)(x)

    pool = torch.nn.functional.max_pool2d
    x = torch.randn(1, 1, 16, 24)
    first = double(x)
    second = double(pool(first, 2))
    third = double(pool(second, 2))
    up = torch.nn.functional.conv_transpose2d
    fourth = double(torch.cat([second, up(third, ups[0].weight, ups[0].bias, 2)], 1))
    fifth = double(torch.cat([first, up(fourth, ups[1].weight, ups[1].bias, 2)], 1))
    torch.testing.assert_close(next_conv(fifth), net(x))


def test_the_dense_unet_is_the_wiring_of_the_paper():
    """X[0,2] = H([X[0,0], X[0,1], U(X[1,1])]), and so on (arXiv 1912.05074, equation 1)."""
    net = network("unet++", depth=2).eval()

    def node(name, *inputs):
        return net.nodes[module_name(name)].block(torch.cat(inputs, 1))

    def up(name, source, x):
        edge = net.nodes[module_name(name)].edges[module_name(source)].up
        return torch.nn.functional.conv_transpose2d(x, edge.weight, edge.bias, 2)

    pool = torch.nn.functional.max_pool2d
    x = torch.randn(1, 1, 16, 24)
    x00 = node("X[0,0]", x)
    x10 = node("X[1,0]", pool(x00, 2))
    x20 = node("X[2,0]", pool(x10, 2))
    x01 = node("X[0,1]", x00, up("X[0,1]", "X[1,0]", x10))
    x11 = node("X[1,1]", x10, up("X[1,1]", "X[2,0]", x20))
    x02 = node("X[0,2]", x00, x01, up("X[0,2]", "X[1,1]", x11))
    expected = [net.heads[module_name(name)](y) for name, y in (("X[0,1]", x01), ("X[0,2]", x02))]
    torch.testing.assert_close(net.outputs(x).heads, expected)


def test_the_full_scale_unet_is_the_wiring_of_the_paper():
    """Every edge resamples first and is projected then; five (here three) edges a decoder node (arXiv 2004.08790)."""
    net = network("unet3+", depth=2, width=8, channels=4).eval()

    def block(name, x):
        return net.nodes[module_name(name)].block(x)

    def project(name, source, x):
        return net.nodes[module_name(name)].edges[module_name(source)].projection(x)

    def up(x, factor):
        return torch.nn.functional.interpolate(x, scale_factor=factor, mode="bilinear")

    pool = torch.nn.functional.max_pool2d
    x = torch.randn(1, 1, 16, 24)
    e0 = block("X[0,0]", x)
    e1 = block("X[1,0]", pool(e0, 2))
    e2 = block("X[2,0]", pool(e1, 2))
    d1 = [
        project("X[1,1]", "X[0,0]", pool(e0, 2)),
        project("X[1,1]", "X[1,0]", e1),
        project("X[1,1]", "X[2,0]", up(e2, 2)),
    ]
    d1 = block("X[1,1]", torch.cat(d1, 1))
    assert d1.shape[1] == 3 * 4
    d0 = [
        project("X[0,2]", "X[0,0]", e0),
        project("X[0,2]", "X[1,1]", up(d1, 2)),
        project("X[0,2]", "X[2,0]", up(e2, 4)),
    ]
    d0 = block("X[0,2]", torch.cat(d0, 1))
    torch.testing.assert_close(net(x), net.heads[module_name("X[0,2]")](d0))


def test_a_residual_block_leaves_its_input_alone_and_adds_it():
    net = network("unet", depth=1, encoder="residual", norm=None, width=8, growth=1.0)
    block = net.nodes[module_name("X[1,0]")].block
    assert block.shortcut is None, "equal channels need no projection"
    x = torch.randn(1, 8, 6, 6)
    before = x.clone()
    with torch.no_grad():
        for parameter in block.body.parameters():
            parameter.zero_()
        assert torch.equal(block(x), before)
    assert torch.equal(x, before), "an activation in place would have changed what the shortcut reads"


def test_initial_activations_neither_vanish_nor_explode():
    torch.manual_seed(0)
    logits = network("unet", depth=5, norm=None, width=16)(torch.randn(2, 1, 64, 64))
    assert 0.05 < logits.std() < 20
