import pytest
import torch

from unetsearch.api import reference
from unetsearch.graph.build import build_graph, prune
from unetsearch.network.guidance import guided, mean_of
from unetsearch.network.network import build_network


def probabilities(logits):
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


@pytest.mark.parametrize("classes", [1, 3])
def test_the_ensemble_is_the_mean_of_the_heads_probabilities(classes):
    torch.manual_seed(0)
    graph = build_graph(reference("unet++", out_channels=classes, width=4, depth=3, combine="mean"))
    network = build_network(graph).eval()
    x = 3 * torch.randn(2, 1, 41, 30)
    with torch.no_grad():
        heads = network.outputs(x).heads
        expected = torch.stack([probabilities(head) for head in heads]).mean(0)
        torch.testing.assert_close(probabilities(network(x)), expected, rtol=0, atol=1e-6)
        assert (expected - probabilities(heads[-1])).abs().max() > 0.01


def test_the_mean_of_sure_heads_is_still_a_number():
    heads = [torch.full((1, 1, 2, 2), 90.0), torch.full((1, 1, 2, 2), 80.0)]
    assert mean_of(heads).isfinite().all()
    assert mean_of([-head for head in heads]).max() < -79


@pytest.mark.parametrize("classes", [1, 3])
def test_an_absent_class_ends_near_zero_and_a_present_one_stays(classes):
    logits = 5 * torch.randn(2, classes, 6, 6)
    presence = torch.full((2, classes), 12.0)
    torch.testing.assert_close(probabilities(guided(logits, presence)), probabilities(logits), rtol=0, atol=1e-4)
    presence[0, -1] = -12
    absent = probabilities(guided(logits, presence))
    assert absent[0, -1].max() < 1e-5  # however sure the pixels were
    torch.testing.assert_close(absent[1], probabilities(logits)[1], rtol=0, atol=1e-4)


def test_one_class_is_guided_by_the_product_of_probabilities():
    logits, presence = torch.randn(2, 1, 5, 5), torch.tensor([[0.3], [-2.0]])
    expected = logits.sigmoid() * presence.sigmoid()[:, :, None, None]
    torch.testing.assert_close(guided(logits, presence).sigmoid(), expected)


@pytest.mark.parametrize("name", ["unet", "unet++", "unet3+"])
def test_presence_trains_the_encoder_by_its_own_loss(name):
    network = build_network(build_graph(reference(name, out_channels=3, width=4, depth=3, guidance=True)))
    outputs = network.outputs(torch.randn(2, 1, 40, 40))
    assert outputs.presence.shape == (2, 3)
    (outputs.presence**2).sum().backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    encoder = [key for key in gradients if key.startswith("nodes.x") and "_0." in key.split(".")[1] + "."]
    assert len(encoder) >= 4 * 6
    assert all(gradients[key].abs().sum() > 0 for key in encoder if key.endswith("0.weight"))
    assert all(gradient is None for key, gradient in gradients.items() if key.startswith("heads."))


def test_the_output_is_guided_and_the_heads_are_not():
    network = build_network(build_graph(reference("unet3+", width=4, depth=2, guidance=True))).eval()
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        network.presence.convolution.bias.copy_(torch.tensor([40.0, -40.0]))
        assert network(x).sigmoid().max() < 1e-6
        assert network.outputs(x).heads[-1].sigmoid().max() > 0.1


def test_guidance_goes_with_the_bottleneck_when_it_is_pruned():
    graph = build_graph(reference("unet++", width=4, depth=3, guidance=True, combine="mean"))
    assert graph.guidance == "X[3,0]"
    assert (prune(graph, 3).guidance, prune(graph, 3).combine) == ("X[3,0]", "mean")
    assert (prune(graph, 2).guidance, prune(graph, 2).combine) == (None, "mean")
    assert prune(graph, 1).combine == "final"


def test_what_an_absent_class_loses_the_background_gets():
    logits, presence = torch.randn(2, 3, 5, 5), torch.randn(2, 3)
    found, before = guided(logits, presence).softmax(1), logits.softmax(1)
    gates = presence.sigmoid()[:, :, None, None]
    torch.testing.assert_close(found[:, 1:], before[:, 1:] * gates[:, 1:])
    torch.testing.assert_close(found[:, 0], before[:, 0] + (before[:, 1:] * (1 - gates[:, 1:])).sum(1))
