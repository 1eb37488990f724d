import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph, prune
from unetsearch.graph.graph import Graph, node_name
from unetsearch.graph.references import reference
from unetsearch.space.architecture import Architecture, Skip

DEPTHS = range(1, 8)


def architecture(rule="plain", depth=3, **values):
    skip = Skip(rule=rule, channels=8 if rule == "full_scale" else None)
    channels = tuple(8 * 2**level for level in range(depth + 1))
    return Architecture(in_channels=1, out_channels=1, channels=channels, skip=skip, **values)


def sources(graph: Graph, name: str) -> list[str]:
    return [edge.source for edge in graph.by_name[name].inputs]


@pytest.mark.parametrize("depth", DEPTHS)
def test_numbers_of_nodes_and_edges_follow_from_the_rule(depth):
    plain, dense, full = (build_graph(architecture(rule, depth)) for rule in ("plain", "dense", "full_scale"))
    assert len(plain.nodes) == len(full.nodes) == 2 * depth + 1
    assert len(dense.nodes) == (depth + 1) * (depth + 2) // 2
    decoder = [node for node in full.nodes if node.column]
    assert [len(node.inputs) for node in decoder] == [depth + 1] * depth, "every level is a source of every node"
    for node in dense.nodes:
        if node.column:
            assert len(node.inputs) == node.column + 1
    assert plain.depth == dense.depth == full.depth == depth


def test_plain_joins_the_level_and_the_node_below():
    graph = build_graph(architecture("plain", 4))
    assert sources(graph, "X[3,1]") == ["X[3,0]", "X[4,0]"]
    assert sources(graph, "X[0,4]") == ["X[0,0]", "X[1,3]"]


def test_dense_is_the_triangle_of_unet_plus_plus():
    graph = build_graph(architecture("dense", 4))
    assert sources(graph, "X[0,4]") == ["X[0,0]", "X[0,1]", "X[0,2]", "X[0,3]", "X[1,3]"]
    assert sources(graph, "X[2,1]") == ["X[2,0]", "X[3,0]"]


def test_full_scale_reads_shallow_encoders_and_deep_decoders():
    graph = build_graph(architecture("full_scale", 4))
    assert sources(graph, "X[2,2]") == ["X[0,0]", "X[1,0]", "X[2,0]", "X[3,1]", "X[4,0]"]
    edges = graph.by_name["X[2,2]"].inputs
    assert [edge.levels for edge in edges] == [-2, -1, 0, 1, 2]
    assert [edge.resample for edge in edges] == ["max", "max", "none", "bilinear", "bilinear"]
    assert graph.by_name["X[2,2]"].channels == 5 * 8
    assert graph.heads[-1].kernel == 3


def test_heads_of_deep_supervision_end_with_the_final_one():
    heads = {
        rule: [head.node for head in build_graph(architecture(rule, 3, deep_supervision=True)).heads]
        for rule in ("plain", "dense", "full_scale")
    }
    assert heads == {
        "plain": ["X[2,1]", "X[1,2]", "X[0,3]"],
        "dense": ["X[0,1]", "X[0,2]", "X[0,3]"],
        "full_scale": ["X[3,0]", "X[2,1]", "X[1,2]", "X[0,3]"],
    }


@pytest.mark.parametrize("up", ["transposed", "bilinear", "nearest"])
def test_an_up_convolution_leads_to_the_channels_of_its_node_and_an_interpolation_keeps_them(up):
    edge = build_graph(architecture("plain", 2, up=up)).by_name["X[1,1]"].inputs[1]
    assert edge.resample == up
    assert edge.channels == (16 if up == "transposed" else 32)


@given(st.integers(2, 6), st.data())
def test_pruning_keeps_exactly_the_nested_network(depth, data):
    kept = data.draw(st.integers(1, depth))
    whole = build_graph(architecture("dense", depth, deep_supervision=True))
    small = prune(whole, kept)
    channels = whole.by_name["X[0,0]"].channels, len(small.nodes)
    assert channels[1] == (kept + 1) * (kept + 2) // 2
    assert small.hash == build_graph(architecture("dense", kept, deep_supervision=True)).hash
    assert [head.node for head in small.heads] == [node_name(0, j) for j in range(1, kept + 1)]


@pytest.mark.parametrize("rule", ["plain", "full_scale"])
def test_pruning_refuses_what_has_no_nested_network(rule):
    graph = build_graph(architecture(rule, 3, deep_supervision=True))
    with pytest.raises(ArchitectureError) as caught:
        prune(graph, 2)
    assert str(caught.value) == (
        "prune: no head on X[0,2]; a nested depth needs dense skips and deep supervision "
        "(this graph has heads of level 0 on X[0,3])"
    )


def test_references_are_the_published_settings():
    unet = reference("unet")
    assert (unet.channels, unet.skip.rule, unet.norm) == ((64, 128, 256, 512, 1024), "plain", "batch")
    assert reference("unet", norm=None).norm == "none"
    assert reference("unet++").deep_supervision
    assert reference("unet3+").skip.channels == 64
    assert reference("unet3+", width=8).skip.channels == 8, "the channels of an edge follow the width"


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "unett",
            {},
            "reference: expected one of unet, unet-2015, unet-lecture, unet++, unet++-lecture, unet3+, resunet, "
            "mobile-unet, eff-unet, got 'unett'; did you mean 'unet'?",
        ),
        ("unet", {"witdh": 8}, "reference unet: it has no value 'witdh'; did you mean 'width'?"),
        ("unet", {"channels": 8}, "reference unet: it has no value 'channels'"),
        ("unet", {"depth": 9}, "depth: expected 1 to 7, got 9"),
    ],
)
def test_references_say_what_is_wrong(name, values, message):
    with pytest.raises(ArchitectureError) as caught:
        reference(name, **values)
    assert str(caught.value).startswith(message)
