"""Parameter counts that are known from papers and from their authors' own designs."""

import pytest
import torch

from unetsearch.api import reference
from unetsearch.graph.build import build_graph, prune
from unetsearch.network.cost import cost
from unetsearch.network.network import build_network

GOLDEN = [
    ("the 2015 U-Net, padded", "unet", {"out_channels": 2, "norm": None}, 31_030_658),
    ("the 2015 U-Net", "unet-2015", {"out_channels": 2}, 31_030_658),
    ("the same with BatchNorm, one class", "unet", {}, 31_036_481),
    ("a lecture's U-Net", "unet-lecture", {"in_channels": 3, "out_channels": 11}, 30_953_867),
    ("depth 1", "unet", {"in_channels": 3, "width": 32, "depth": 1, "norm": None}, 101_537),
    ("depth 2", "unet", {"in_channels": 3, "width": 32, "depth": 2, "norm": None}, 466_529),
    ("depth 3", "unet", {"in_channels": 3, "width": 32, "depth": 3, "norm": None}, 1_925_601),
    ("depth 4", "unet", {"in_channels": 3, "width": 32, "depth": 4, "norm": None}, 7_760_097),
    ("U-Net++, four heads", "unet++", {"in_channels": 3, "norm": None}, 9_042_276),
    ("U-Net++, one head", "unet++", {"norm": None, "deep_supervision": False}, 9_041_601),
    ("a lecture's U-Net++", "unet++-lecture", {"in_channels": 3}, 36_629_828),
    ("the same of width 32", "unet++-lecture", {"in_channels": 3, "width": 32}, 9_163_428),
    ("U-Net 3+", "unet3+", {}, 26_970_625),
    ("U-Net 3+, five heads", "unet3+", {"deep_supervision": True}, 26_988_485),
    ("U-Net 3+, guided", "unet3+", {"deep_supervision": True, "guidance": True}, 26_990_535),
    ("Deep Residual U-Net", "resunet", {"in_channels": 3}, 8_216_769),
]


@pytest.mark.parametrize(("name", "values", "params"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN])
def test_published_counts(name, values, params):
    graph = build_graph(reference(name, **values))
    assert cost(graph).params == params
    assert trained_parameters(graph) == params


def trained_parameters(graph):
    """Those of the module, each of which receives a gradient."""
    side = 32 if graph.padded else 188
    with torch.device("meta"):
        network = build_network(graph)
        outputs = network.outputs(torch.empty(2, graph.in_channels, side, side))
        total = sum(head.sum() for head in outputs.heads)
        if outputs.presence is not None:
            total += outputs.presence.sum()
        total.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("depth", "params"), [(1, 101_537), (2, 511_714), (3, 2_205_603), (4, 9_042_276)])
def test_pruned_unet_plus_plus(depth, params):
    small = prune(build_graph(reference("unet++", in_channels=3, norm=None)), depth)
    assert cost(small).params == params
    assert trained_parameters(small) == params


def norm(channels):
    return 2 * channels


def inverted(before, after, expansion, kernel, squeezed=0):
    """Expansion, depthwise and projection with their norms; squeeze-and-excitation to `squeezed` channels."""
    middle = before * expansion
    total = kernel * kernel * middle + norm(middle) + middle * after + norm(after)
    if expansion > 1:
        total += before * middle + norm(middle)
    if squeezed:
        total += middle * squeezed + squeezed + squeezed * middle + middle
    return total


def decoder(encoder, widths, out_channels):
    """Of a U-Net whose deepest node has encoder[-1] channels: up-convolution, two convolutions with norms, the head."""
    total, below = 0, encoder[-1]
    for level in reversed(range(len(widths))):
        skip = encoder[level - 1] if level else 0  # nothing on the image's own level
        width = widths[level]
        total += below * width * 4 + width
        total += 9 * (width + skip) * width + norm(width) + 9 * width * width + norm(width)
        below = width
    return total + below * out_channels + out_channels


def test_mobile_unet_by_hand():
    """MobileNetV2's table (Sandler et al. 2018): expansion t, channels c, repeats n; the stem 3x3 to 32."""
    total, channels = 9 * 3 * 32 + norm(32), 32
    for t, c, n in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)):
        for _ in range(n):
            total += inverted(channels, c, t, 3)
            channels = c
    assert total == 1_811_712
    whole = total + decoder((16, 24, 32, 96, 320), (16, 32, 64, 128, 256), 1)
    graph = build_graph(reference("mobile-unet", in_channels=3))
    assert whole == 4_163_777 == cost(graph).params == trained_parameters(graph)


def test_eff_unet_by_hand():
    """EfficientNet-B0's table (Tan and Le 2019): expansion, kernel, channels, repeats; a quarter is squeezed."""
    total, channels = 9 * 3 * 32 + norm(32), 32
    table = (
        (1, 3, 16, 1),
        (6, 3, 24, 2),
        (6, 5, 40, 2),
        (6, 3, 80, 3),
        (6, 5, 112, 3),
        (6, 5, 192, 4),
        (6, 3, 320, 1),
    )
    for t, k, c, n in table:
        for _ in range(n):
            total += inverted(channels, c, t, k, squeezed=channels // 4)
            channels = c
    assert total == 3_595_388
    whole = total + decoder((16, 24, 40, 112, 320), (16, 32, 64, 128, 256), 1)
    graph = build_graph(reference("eff-unet", in_channels=3))
    assert whole == 5_993_533 == cost(graph).params == trained_parameters(graph)


def test_resunet_by_hand():
    """Of its 8,216,769 parameters 8,210,368 are convolution weights, 6,400 those of norms, one the head's bias."""
    convolutions = 9 * 3 * 64 + 9 * 64 * 64 + 3 * 64
    norms = norm(64)
    for before, after in ((64, 128), (128, 256), (256, 512), (512 + 256, 256), (256 + 128, 128), (128 + 64, 64)):
        convolutions += 9 * before * after + 9 * after * after + before * after
        norms += norm(before) + norm(after)
    assert convolutions + 64 == 8_210_368
    assert norms == 6_400
    assert convolutions + 64 + norms + 1 == cost(build_graph(reference("resunet", in_channels=3))).params


BACKBONES = ("resnet18", "resnet34", "mobilenetv2_100", "efficientnet_b0", "convnext_atto")


@pytest.mark.parametrize("stem", ["plain", "none"])
@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_are_cut_at_every_depth_they_allow(name, stem):
    """Counted, executed and trained parameters are the same: none sits in a stage behind the cut."""
    architecture = reference("unet", width=8, in_channels=3, encoder=f"timm/{name}", stem=stem)
    assert len(architecture.encoder.depths) == (4 if name == "convnext_atto" else 5)
    for depth in architecture.encoder.depths:
        graph = build_graph(reference("unet", width=8, depth=depth, in_channels=3, encoder=f"timm/{name}", stem=stem))
        assert len(graph.stages) == depth - architecture.encoder.first_level + 1
        assert cost(graph).params == trained_parameters(graph)


@pytest.mark.parametrize(
    ("name", "cut", "whole"), [("mobilenetv2_100", 55_488, 1_811_712), ("efficientnet_b0", 65_730, 3_595_388)]
)
def test_a_cut_backbone_alone(name, cut, whole):
    graph = build_graph(reference("unet", depth=5, in_channels=3, encoder=f"timm/{name}", stem="none"))
    nodes = cost(graph).nodes
    assert sum(nodes[f"X[{level},0]"].params for level in range(1, 4)) == cut
    assert sum(nodes[f"X[{level},0]"].params for level in range(1, 6)) == whole
