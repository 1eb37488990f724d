"""Every skip rule with every encoder family at every depth: what a network must be able to do, whatever it is."""

from copy import deepcopy
from random import Random

import pytest
import torch

from unetsearch.api import reference
from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph
from unetsearch.network.backbones import find_backbone
from unetsearch.network.cost import cost
from unetsearch.network.files import load_model, save_model
from unetsearch.network.network import build_network
from unetsearch.space.skip import free_edges
from unetsearch.space.space import make_architecture

FAMILIES = ("plain", "residual", "mobile", "efficient")
ENCODERS = (*FAMILIES, "timm/lcnet_050", "timm/convnext_atto")
SKIPS = ("plain", "dense", "full_scale", "free", "free projected")


def architecture(skip, encoder, depth, **values):
    """Narrow, flat, of three classes from two channels; free skips as drawn from the depth as a seed."""
    rule, _, projected = skip.partition(" ")
    if rule == "free":
        random, chosen = Random(depth), {}
        for node, source in free_edges(depth):
            if random.random() < 0.3:
                chosen.setdefault(node, []).append(source)
        values["sources"] = tuple(chosen.items())
    if rule == "full_scale" or projected:
        values["channels"] = 4
    values = {"width": 4, "growth": 1.0, "skip": rule, "encoder": encoder, "depth": depth, **values}
    backbones = {encoder: find_backbone(encoder)} if encoder.startswith("timm/") else {}
    return make_architecture(values, in_channels=2, out_channels=3, backbones=backbones)


CELLS = [(skip, encoder, depth) for skip in SKIPS for encoder in FAMILIES for depth in range(1, 8)]
CELLS += [(skip, "timm/lcnet_050", depth) for skip in SKIPS for depth in range(1, 6)]
CELLS += [(skip, "timm/convnext_atto", depth) for skip in SKIPS for depth in range(2, 6)]


@pytest.mark.slow
@pytest.mark.parametrize(("skip", "encoder", "depth"), CELLS, ids=lambda value: str(value))
def test_every_cell(skip, encoder, depth, tmp_path):
    torch.manual_seed(depth)
    own = architecture(
        skip,
        encoder,
        depth,
        deep_supervision=depth % 2 == 0,
        guidance=depth == 3,
        combine="mean" if depth % 4 == 0 else "final",
        stem="none" if encoder.startswith("timm/") and depth % 2 else "plain",
    )
    graph = build_graph(own)
    network = build_network(graph)
    side = 2**depth

    heads = network.outputs(torch.randn(2, 2, side + 3, 2 * side - 1))  # odd sizes, batch statistics
    assert [head.shape for head in heads.heads] == [(2, 3, side + 3, 2 * side - 1)] * len(graph.heads)
    loss = sum((head**2).mean() for head in heads.heads)
    if heads.presence is not None:
        assert heads.presence.shape == (2, 3)
        loss = loss + (heads.presence**2).mean()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert cost(graph).params == sum(gradient.numel() for gradient in gradients.values())

    network.eval()
    one = torch.randn(1, 2, side, side + 1)  # the smallest image, a batch of one
    with torch.no_grad():
        logits = network(one)
        assert logits.shape == (1, 3, side, side + 1)
        assert logits.isfinite().all()
        assert torch.equal(deepcopy(network)(one), logits)
        save_model(network, own, tmp_path)
        again, loaded = load_model(tmp_path)
        assert again == own
        assert torch.equal(loaded(one), logits)


EXPORTED = [(skip, "plain") for skip in SKIPS] + [("plain", encoder) for encoder in ENCODERS]


@pytest.mark.slow
@pytest.mark.parametrize(("skip", "encoder"), EXPORTED)
def test_export_with_any_size(skip, encoder):
    """torch.export with dynamic height and width, used at sizes that it was not exported with."""
    torch.manual_seed(0)
    network = build_network(build_graph(architecture(skip, encoder, 3, deep_supervision=True))).eval()
    height, width = torch.export.Dim("height", min=16, max=512), torch.export.Dim("width", min=16, max=512)
    exported = torch.export.export(
        network,
        (torch.randn(1, 2, 66, 77),),
        dynamic_shapes={"x": {2: height, 3: width}},
        prefer_deferred_runtime_asserts_over_guards=True,
    ).module()
    for size in ((66, 77), (64, 72), (97, 75), (33, 50)):
        x = torch.randn(1, 2, *size)
        with torch.no_grad():
            torch.testing.assert_close(exported(x), network(x))


def test_free_skips_alone_need_sources():
    with pytest.raises(ArchitectureError, match="reference unet: it has no value 'sources'"):
        reference("unet", sources=())
