"""Free skips: every draw becomes a network, the published rules are corners, equal graphs have equal hashes."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsearch.api import load_space
from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.graph.skips import dense, full_scale, plain
from unetsearch.network.backbones import find_backbone
from unetsearch.space.architecture import Architecture
from unetsearch.space.document import parse_space
from unetsearch.space.skip import Skip, decoder_positions, free_edges, legal_sources, mend, parse_sources
from unetsearch.space.space import make_architecture

RULES = {"plain": plain, "dense": dense, "full_scale": full_scale}


def free(depth, sources, **values):
    values = {"depth": depth, "width": 8, "skip": "free", "sources": tuple(sources), **values}
    return make_architecture(values, in_channels=1, out_channels=1)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rule", RULES)
def test_the_published_rules_are_corners(rule, depth):
    channels = 8 if rule == "full_scale" else None
    corner = free(depth, RULES[rule](depth), channels=channels)
    published = make_architecture(
        {"depth": depth, "width": 8, "skip": rule, "channels": channels}, in_channels=1, out_channels=1
    )
    assert build_graph(corner).hash == build_graph(published).hash


def test_a_deeply_supervised_dense_corner():
    corner = build_graph(free(3, dense(3), deep_supervision=True))
    assert corner.hash == build_graph(reference("unet++", width=8, depth=3)).hash


@pytest.mark.parametrize(("depth", "choices"), [(1, 2), (2, 11), (3, 35), (4, 85)])
def test_what_there_is_to_choose(depth, choices):
    edges = list(free_edges(depth))
    assert len(edges) == len(set(edges)) == choices
    assert all(source[1] < node[1] and sum(source) <= depth for node, source in edges)
    for rule in RULES.values():
        for node, sources in rule(depth):
            assert node in decoder_positions(depth)
            assert set(sources) <= set(legal_sources(depth, node))


@given(st.integers(1, 5), st.randoms(use_true_random=False), st.floats(0, 1), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_choice_becomes_a_network_of_its_depth(depth, random, density, projected):
    chosen = {}
    for node, source in free_edges(depth):
        if random.random() < density:
            chosen.setdefault(node, []).append(source)
    graph = build_graph(free(depth, chosen.items(), channels=8 if projected else None, deep_supervision=True))
    assert graph.depth == depth  # the graph itself checks that each node reads something and is read
    assert graph.heads[-1].node == f"X[0,{depth}]"
    drawn = {f"X[{n[0]},{n[1]}]": {f"X[{s[0]},{s[1]}]" for s in read} for n, read in chosen.items()}
    for node in graph.nodes:
        if node.column:
            read = {edge.source for edge in node.inputs}
            below = f"X[{node.level + 1},{node.column - 1}]"
            bottleneck = {f"X[{depth},0]"} if node.name == f"X[0,{depth}]" else set()
            kept = drawn.get(node.name) or {below}
            assert kept <= read <= kept | bottleneck


def test_the_rule_of_mending():
    assert mend(1, {}) == (((0, 1), ((1, 0),)),)
    # nothing chosen: the way of a U-Net without skips
    assert mend(3, {}) == (((2, 1), ((3, 0),)), ((1, 2), ((2, 1),)), ((0, 3), ((1, 2),)))
    # the last node reads the image's level alone: nothing reads the bottleneck, so it does
    assert mend(2, {(0, 2): [(0, 0)], (1, 1): [(1, 0)]}) == (((0, 2), ((0, 0), (2, 0))),)
    # levels that have no encoder node are not read
    assert mend(2, {(0, 2): [(0, 0), (2, 0)]}, top=1) == (((0, 2), ((2, 0),)),)


def test_choices_that_lead_nowhere_make_no_other_network():
    idle = {(0, 2): [(0, 0), (2, 0)], (0, 1): [(0, 0)], (1, 1): [(1, 0)]}
    used = {(0, 2): [(2, 0), (0, 0)]}
    one, other = (build_graph(free(2, chosen.items())) for chosen in (idle, used))
    assert one.hash == other.hash
    assert [node.name for node in one.nodes] == ["X[0,0]", "X[1,0]", "X[2,0]", "X[0,2]"]


def test_a_space_of_free_skips_counts_and_lists_every_point():
    space = parse_space(
        "architecture: {depth: [1, 2], width: 4, skip: [plain, {free: {deep_supervision: [true, false]}}]}", "x"
    )
    assert space.size == (1 + 2 * 2**2) + (1 + 2 * 2**11)
    points = list(space.enumerate())
    assert len(points) == space.size
    assert len({tuple(point.values.items()) for point in points}) == space.size
    shallow = {build_graph(p.architecture).hash for p in points if p.architecture.depth == 1}
    # plain, without and with skip; without the way up nothing is a network of depth 1
    assert len(shallow) == 2


def test_depth_is_drawn_before_its_edges():
    space = load_space("free-skips")
    assert space.size > 10**26
    for seed in range(30):
        point = space.sample(seed)
        names = list(point.values)
        edges = [name for name in names if name.startswith("skip.free.X")]
        assert len(edges) == len(list(free_edges(point.architecture.depth)))
        assert names.index("depth") < names.index(edges[0])
        assert space.sample(seed).architecture == point.architecture


def test_around_a_backbone_nothing_is_idle():
    random, backbone = Random(0), find_backbone("timm/convnext_atto")
    for _ in range(40):
        chosen = {}
        for node, source in free_edges(3):
            if random.random() < 0.2:
                chosen.setdefault(node, []).append(source)
        values = {
            "depth": 3,
            "width": 8,
            "skip": "free",
            "sources": tuple(chosen.items()),
            "encoder": "timm/convnext_atto",
        }
        for stem in ("plain", "none"):
            made = make_architecture(
                values | {"stem": stem},
                in_channels=1,
                out_channels=1,
                backbones={"timm/convnext_atto": backbone},
            )
            assert build_graph(made).depth == 3


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"X[0,1]": ["X[1,0]"]}, "skip.sources: X[0,2], which has the final head, is missing"),
        ({"X[0,2]": ["X[3,0]"]}, "skip.sources: X[0,2] cannot read X[3,0]; it may read any node of an earlier column"),
        ({"X[0,2]": ["X[1,1]"], "X[1,1]": ["X[0,1]"]}, "skip.sources: X[1,1] cannot read X[0,1]"),
        ({"X[0,2]": ["X[1,1]", "X[2,0]"]}, "skip.sources: X[0,2] reads X[1,1], whose own sources are missing"),
        ({"X[2,1]": ["X[2,0]"]}, "skip.sources: X[2,1] is no decoder node of depth 2"),
        ({"X[0,2]": "X[2,0]"}, "skip.sources: expected node names with lists of node names"),
        ({"Y": ["X[2,0]"]}, "skip.sources: expected a node such as X[0,1], got 'Y'"),
    ],
)
def test_written_by_hand(sources, message):
    with pytest.raises(ArchitectureError) as caught:
        Skip(rule="free", sources=parse_sources(sources)).check_depth(2)
    assert str(caught.value).startswith(message)


def test_written_by_hand_and_idle():
    architecture = free(2, dense(2)).to_dict()
    architecture["skip"]["sources"]["X[0,2]"] = ["X[1,1]"]
    with pytest.raises(ArchitectureError, match=r"graph: nothing uses X\[0,1\]"):
        build_graph(Architecture.from_dict(architecture))
