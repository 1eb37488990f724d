from dataclasses import replace

import pytest

from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph
from unetsearch.graph.graph import Graph
from unetsearch.graph.references import reference


def graph(**values) -> Graph:
    return build_graph(reference("unet++", width=8, depth=3, **values))


def test_the_hash_sees_no_names_and_no_order_of_inputs():
    plain = graph()
    moved = []
    for node in plain.nodes:
        edges = tuple(
            replace(edge, source=edge.source.replace(",", ",1") if edge.source != "input" else edge.source)
            for edge in reversed(node.inputs)
        )
        moved.append(replace(node, column=int(f"1{node.column}"), inputs=edges))
    heads = tuple(replace(head, node=head.node.replace(",", ",1")) for head in plain.heads)
    renamed = replace(plain, nodes=tuple(moved), heads=heads)
    assert {node.name for node in renamed.nodes}.isdisjoint({node.name for node in plain.nodes})
    assert renamed.hash == plain.hash


@pytest.mark.parametrize(
    "values",
    [
        {"width": 12},
        {"deep_supervision": False},
        {"norm": None},
        {"activation": "gelu"},
        {"up": "bilinear"},
        {"down": "average"},
        {"encoder": "residual"},
        {"dropout": 0.1},
        {"bias": True},
        {"in_channels": 3},
        {"out_channels": 3},
        {"growth": 1.5},
        {"depth": 2},
    ],
)
def test_the_hash_sees_whatever_makes_another_network(values):
    other = build_graph(reference("unet++", **{"width": 8, "depth": 3, **values}))
    assert other.hash != graph().hash


def test_the_hash_tells_one_shared_node_from_two_equal_ones():
    base = build_graph(reference("unet", width=4, depth=2))
    first, below = base.by_name["X[0,0]"], base.by_name["X[1,0]"]
    twin = replace(below, column=7)
    side = replace(first.inputs[0], source=below.name, levels=1, resample="nearest", channels=below.channels)
    one, other = (replace(first, column=column, inputs=(side,)) for column in (1, 2))
    last = replace(
        first,
        column=3,
        inputs=tuple(replace(side, source=f"X[0,{c}]", levels=0, resample="none", channels=4) for c in (1, 2)),
    )
    head = replace(base.heads[0], node="X[0,3]")
    shared = replace(base, nodes=(first, below, one, other, last), heads=(head,))
    apart = replace(
        base,
        nodes=(first, below, twin, one, replace(other, inputs=(replace(side, source=twin.name),)), last),
        heads=(head,),
    )
    assert shared.hash != apart.hash


def test_an_integer_is_no_other_network_than_its_float():
    hashes = {build_graph(reference("unet", width=4, dropout=dropout)).hash for dropout in (0, 0.0)}
    assert len(hashes) == 1


def test_values_that_change_no_edge_give_the_same_hash():
    first, second = (build_graph(reference("unet3+", width=8, up=up)) for up in ("transposed", "nearest"))
    assert first.hash == second.hash, "full-scale edges lead up by bilinear interpolation, whatever `up` says"


def test_the_hash_is_the_same_in_every_process():
    assert build_graph(reference("unet", width=8, depth=2)).hash == "56625145fbe63dc6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: {"nodes": g.nodes[1:]}, "graph: node X[1,0] reads X[0,0], which no earlier node gives"),
        (lambda g: {"nodes": (*g.nodes, g.nodes[0])}, "graph: node X[0,0] appears twice"),
        (lambda g: {"heads": ()}, "graph: heads need nodes, got no head"),
        (lambda g: {"heads": (replace(g.heads[0], node="X[9,9]"),)}, "graph: heads need nodes, got ['X[9,9]']"),
        (lambda g: {"nodes": (replace(g.nodes[0], inputs=()), *g.nodes[1:])}, "graph: node X[0,0] has no input"),
        (
            lambda g: {"heads": (replace(g.heads[0], node="X[0,1]"),)},
            "graph: nothing uses X[0,3]",
        ),
    ],
)
def test_a_graph_that_cannot_be_executed_is_refused(change, message):
    valid = graph()
    with pytest.raises(ArchitectureError) as caught:
        replace(valid, **change(valid))
    assert str(caught.value) == message


def test_an_edge_that_lies_about_its_levels_is_refused():
    valid = graph()
    node = valid.by_name["X[0,1]"]
    wrong = replace(node, inputs=(node.inputs[0], replace(node.inputs[1], levels=2)))
    with pytest.raises(ArchitectureError, match=r"the edge X\[1,0\] to X\[0,1\] says \+2 levels, but spans \+1"):
        replace(valid, nodes=tuple(wrong if n.name == node.name else n for n in valid.nodes))
