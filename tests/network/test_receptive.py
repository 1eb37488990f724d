"""Receptive fields computed against receptive fields measured, and the measurement against known backbones."""

from dataclasses import replace
from math import inf

import pytest
import torch

from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph
from unetsearch.graph.receptive import receptive_fields
from unetsearch.graph.references import reference
from unetsearch.graph.sizes import context
from unetsearch.network.backbones import find_backbone
from unetsearch.network.network import build_network
from unetsearch.network.nodes import module_name
from unetsearch.network.receptive import make_positive, stage_extents
from unetsearch.space.skip import Skip, free_edges, mend

BRIGHTNESS = 1e-9


def measured(graph, height=128):
    """The side that a pixel of each node reads, by gradients: the largest of a period in the image's middle."""
    if not graph.padded:
        height = context(graph, height).size
    width = 2**graph.depth if graph.padded else context(graph, 1).size
    network = make_positive(build_network(graph))
    features = {}
    for node in graph.nodes:
        if module_name(node.name) in network.nodes:
            hooked = network.nodes[module_name(node.name)]
            hooked.register_forward_hook(lambda _, __, output, name=node.name: features.update({name: output}))
    image = torch.full((1, 1, height, width), BRIGHTNESS, dtype=torch.float64, requires_grad=True)
    network.outputs(image)
    sides = {}
    for node in graph.nodes:
        if node.name not in features:
            continue  # a backbone's
        feature = features[node.name]
        rows, columns = feature.shape[-2:]
        period = 2 ** (graph.depth - node.level)
        sides[node.name] = 0
        for row in range(rows // 2 - period // 2, rows // 2 - period // 2 + period):
            pixel = feature[0, :, row, columns // 2].sum()
            (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
            read = gradient[0, 0].any(1).nonzero().flatten()
            first, last = int(read[0]), int(read[-1])
            if (first, last) == (0, height - 1):
                sides[node.name] = inf
                continue
            assert first > 0, "the image is too small to measure"
            assert last < height - 1, "the image is too small to measure"
            sides[node.name] = max(sides[node.name], last - first + 1)
    return sides


def check(height=128, name="unet", **values):
    graph = build_graph(reference(name, width=4, growth=1.0, **values))
    computed = receptive_fields(graph)
    assert measured(graph, height) == computed
    assert all(side is not None for side in computed.values())


@pytest.mark.parametrize("name", ["unet", "unet++", "unet3+"])
@pytest.mark.parametrize("encoder", ["plain", "residual", "mobile"])
@pytest.mark.parametrize("down", ["max", "average", "strided", "in_block"])
def test_computed_as_measured_for_every_rule_and_family(name, encoder, down):
    check(128, name, encoder=encoder, down=down, depth=2)


@pytest.mark.parametrize("name", ["unet", "unet++", "unet3+"])
@pytest.mark.parametrize("up", ["transposed", "bilinear", "bilinear_aligned", "nearest"])
def test_computed_as_measured_for_every_up_sampling(name, up):
    check(128, name, up=up, depth=2, decoder="residual")


@pytest.mark.parametrize("name", ["unet", "unet++", "unet3+", "unet-lecture", "unet++-lecture", "resunet"])
@pytest.mark.parametrize("depth", [1, 3])
def test_computed_as_measured_for_the_published_networks(name, depth):
    check(256, name, depth=depth)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_computed_as_measured_for_unpadded_convolutions(depth):
    check(160, "unet-2015", depth=depth)


@pytest.mark.parametrize("up", ["transposed", "bilinear_aligned", "nearest"])
@pytest.mark.parametrize("channels", [None, 4])
@pytest.mark.parametrize("seed", range(3))
def test_computed_as_measured_for_free_skips(free, up, channels, seed):
    graph = build_graph(free(seed, up=up, channels=channels))
    assert any(edge.levels > 1 for node in graph.nodes for edge in node.inputs)
    assert measured(graph, 256) == receptive_fields(graph)


@pytest.fixture
def free():
    """Free skips of depth 3 with every second edge or so, by a seed."""

    def architecture(seed, up, channels):
        chosen = {}
        generator = torch.Generator().manual_seed(seed)
        for node, source in free_edges(3):
            if torch.rand((), generator=generator) < 0.5:
                chosen.setdefault(node, []).append(source)
        plain = reference("unet", width=4, growth=1.0, depth=3, up=up)
        return replace(plain, skip=Skip(rule="free", channels=channels, sources=mend(3, chosen)))

    return architecture


def test_squeeze_and_excitation_reads_the_whole_image():
    check(64, encoder="efficient", depth=1)


def test_group_normalisation_does_not_count():
    check(norm="group", depth=1)


def test_a_wrong_field_would_be_noticed():
    graph = build_graph(reference("unet", width=4, depth=1))
    other = build_graph(reference("unet", width=4, depth=1, up="bilinear"))
    assert measured(graph)["X[0,1]"] != receptive_fields(other)["X[0,1]"]


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("resnet18", [7, 43, 99, 211, 435]),  # 435: Araujo et al., "Computing receptive fields", 2019
        ("mobilenetv2_100", [7, 19, 59, 267, 491]),  # 491: likewise
        ("efficientnet_b0", [None] * 5),
        ("regnety_002", [3, None, None, None, None]),  # its stem squeezes nothing yet
    ],
)
def test_backbones_see_what_is_known_of_them(name, sides):
    extents = stage_extents(name, 5)
    assert [extent and extent[1] - extent[0] + 1 for extent in extents] == sides
    assert stage_extents(name, 2) == extents[:2]


def test_what_reads_a_backbone_is_computed_as_measured():
    architecture = reference("unet++", width=4, growth=1.0, depth=3, encoder="timm/resnet18", describe=find_backbone)
    graph = build_graph(architecture)
    computed = receptive_fields(graph, stage_extents("resnet18", len(graph.stages)))
    found = measured(graph, 512)
    assert found == {name: computed[name] for name in found}
    assert computed["X[3,0]"] == 99
    assert len(found) == len(graph.nodes) - 3


def test_what_cannot_be_measured_says_so():
    with pytest.raises(ArchitectureError, match="timm/resnetv2_50x1_bit: its receptive fields cannot be measured"):
        stage_extents("resnetv2_50x1_bit", 2)
