"""Where channels lie last, some operations are not torch's own: the values and gradients are."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from tests.compiler import compiled
from tests.network.laid import TYPES, assert_near, gradients, last, lying_last
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network import concatenation, folded, layout
from unetsearch.network.concatenation import concatenated
from unetsearch.network.depthwise import Depthwise
from unetsearch.network.network import build_network
from unetsearch.network.nodes import GraphNode
from unetsearch.network.norm import BatchNorm
from unetsearch.network.pooling import MaxPool
from unetsearch.network.resample import TransposedConvolution


@TYPES
@pytest.mark.parametrize("size", [None, (13, 16)])
def test_transposed_convolution(size, dtype, near):
    own, x = TransposedConvolution(6, 4, 2, stride=2), lying_last(3, 6, 6, 8, dtype=dtype)
    padding = [1, 0] if size else [0, 0]
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = own(x, size)
        wanted = functional.conv_transpose2d(x, own.weight, own.bias, 2, output_padding=padding)
    assert "BiasApart" in found.grad_fn.name()
    assert torch.equal(found, wanted)
    assert_near(gradients(own, found, x), gradients(own, wanted, x), near)
    with torch.no_grad():
        assert_near([own(x.float(), size)], [wanted.float()], near)


@pytest.fixture(params=[pytest.param("concatenation.c", marks=compiled), "torch alone"])
def either_way(request, monkeypatch):
    """With a compiler and as without one."""
    if request.param == "torch alone":
        monkeypatch.setattr(concatenation, "_loops", lambda: None)
    else:
        monkeypatch.setattr(concatenation, "_copy_by_torch", None)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("channels", [(8, 8), (8, 16, 4), (3, 5), (2, 3, 2), (12, 24), (16, 32, 64, 40)])
@pytest.mark.parametrize("sides", [(4, 6), (37, 29)])
def test_concatenation(channels, dtype, sides):
    features = [lying_last(2, size, *sides, dtype=dtype) for size in channels]
    found, wanted = concatenated(features), torch.cat(features, 1)
    assert "Concatenated" in found.grad_fn.name()
    assert torch.equal(found, wanted)
    assert last(found)
    weights = torch.randn_like(wanted)
    ours, theirs = (torch.autograd.grad((each * weights).sum(), features) for each in (found, wanted))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
        assert last(one)


@compiled
def test_concatenation_in_any_shares(monkeypatch):
    monkeypatch.setattr(layout, "SHARE", 1)
    features, threads = [lying_last(3, size, 21, 10) for size in (8, 3)], torch.get_num_threads()
    wanted = torch.cat(features, 1)
    weights = torch.randn_like(wanted)
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            found = concatenated(features)
            assert torch.equal(found, wanted)
            gradients = torch.autograd.grad(found, features, weights.contiguous())  # they lie as they may
            assert torch.equal(torch.cat(gradients, 1), weights)
    finally:
        torch.set_num_threads(threads)


def test_concatenation_of_what_lies_differently():
    features = [lying_last(2, 3, 4, 6), torch.randn(2, 5, 4, 6)]
    assert torch.equal(concatenated(features), torch.cat(features, 1))
    features = [lying_last(2, 3, 4, 6), lying_last(2, 5, 4, 6, dtype=torch.bfloat16)]
    assert concatenated(features).dtype == torch.float32
    assert concatenated(features[:1]) is features[0]
    for other in (lying_last(2, 5, 5, 6), lying_last(1, 5, 4, 6)):
        with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
            concatenated([lying_last(2, 3, 4, 6), other])


@pytest.mark.usefixtures("either_way")
def test_concatenation_of_what_begins_anywhere_in_memory():
    amidst = torch.randn(129)[1:].view(1, 4, 4, 8).permute(0, 3, 1, 2)
    strided = torch.randn(5000).as_strided((1, 8, 4, 4), (7, 1, 32, 8))
    assert torch.equal(concatenated([amidst, strided]), torch.cat([amidst, strided], 1))


@pytest.mark.parametrize(
    "module",
    [MaxPool(2), BatchNorm(16), lambda x: concatenated([x, x])],
    ids=["pooling", "norm", "concatenation"],
)
def test_what_memory_does_not_say_is_left_to_torch(module):
    """Loops in C read memory: numbers that are negated only when they are read, and tensors that have none."""
    x = lying_last(2, 16, 8, 8)
    wanted = module(torch.neg(x))
    assert torch.allclose(module(torch._neg_view(x)), wanted, atol=1e-5)
    assert torch.allclose(module(nn.Parameter(-x.detach())), wanted, atol=1e-5)
    gradient = torch.randn_like(wanted)
    found, usual = (torch.autograd.grad(module(x), x, each)[0] for each in (torch._neg_view(gradient), -gradient))
    assert torch.allclose(found, usual, atol=1e-5)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert module(x).shape == wanted.shape
    if not isinstance(module, BatchNorm):
        traced = make_fx(module)(x.detach())
        assert torch.allclose(traced(torch.neg(x.detach())), wanted)


def test_depthwise_convolutions_are_trained_in_float32():
    network = build_network(build_graph(reference("unet", encoder="timm/efficientnet_b0", stem="none", width=8)))
    depthwise = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.groups > 1]
    found = {(type(each) is Depthwise, each.stride[0] > 1 or each.kernel_size[0] > 3) for each in depthwise}
    assert found == {(True, True), (False, False)}
    module = next(each for each in depthwise if type(each) is Depthwise)
    x = lying_last(2, module.in_channels, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(x)
    assert found.dtype == torch.bfloat16
    wanted = functional.conv2d(x, module.weight, None, module.stride, module.padding, groups=module.groups)
    assert torch.equal(found, wanted.bfloat16())
    assert_near(gradients(module, found.float(), x), gradients(module, wanted, x), 1e-2)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            assert module(x).dtype == torch.bfloat16
        assert module.bfloat16()(x).dtype == torch.bfloat16


@pytest.mark.parametrize("encoder", ["plain", "residual", "mobile", "efficient"])
@pytest.mark.parametrize("skip", ["same", "dense", "full"])
def test_networks_have_the_same_gradients_whichever_way_channels_lie(encoder, skip, monkeypatch):
    monkeypatch.setattr(folded, "LEAST", 1)
    values = {
        "same": ("unet", {}),
        "dense": ("unet++", {"deep_supervision": False}),
        "full": ("unet3+", {"channels": 4}),
    }
    name, more = values[skip]
    torch.manual_seed(0)
    network = build_network(build_graph(reference(name, width=4, depth=2, encoder=encoder, **more))).double()
    images, weights = torch.randn(2, 4, 1, 16, 16, dtype=torch.float64)

    def found():
        network.zero_grad()
        logits = network(images)
        (logits * weights).sum().backward()
        return [logits.detach(), *(parameter.grad.clone() for parameter in network.parameters())]

    first = found()
    network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    laid = []
    for module in network.modules():
        if isinstance(module, GraphNode):
            module.register_forward_hook(lambda _, __, output: laid.append(last(output)))
    second = found()
    assert all(laid), "else operations go back and forth between layouts"
    for one, other in zip(second, first, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_trace_can_be_saved(tmp_path):
    network = build_network(build_graph(reference("unet++", width=4, depth=2, up="transposed"))).eval()
    images = torch.randn(1, 1, 16, 16).contiguous(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    torch.jit.trace(network, images).save(str(tmp_path / "traced.pt"))
    found = torch.jit.load(str(tmp_path / "traced.pt"))(images)
    assert torch.allclose(found, network(images), atol=1e-6)
