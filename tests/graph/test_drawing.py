from xml.etree import ElementTree

import pytest

from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing import COLOURS, draw_svg, draw_text
from unetsearch.graph.references import REFERENCES, reference

SVG = "{http://www.w3.org/2000/svg}"


def test_a_unet_in_text():
    assert draw_text(build_graph(reference("unet", width=8, depth=2))).splitlines() == [
        "level 0  8 ......................... 8*",
        "level 1         16 .......... 16",
        "level 2                32",
        "numbers: channels; dots: skip connections of a level; *: a head",
    ]


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("depth", [1, 4, 7])
def test_every_node_and_edge_is_drawn_once_inside_the_picture(name, depth):
    graph = build_graph(reference(name, width=8, depth=depth))
    root = ElementTree.fromstring(draw_svg(graph, {"X[0,0]": "9 k & more"}))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert all(texts.count(node.name) == 1 for node in graph.nodes)
    assert "9 k & more" in texts
    paths = root.findall(f"{SVG}path")
    edges = [edge for node in graph.nodes for edge in node.inputs if edge.source != "input"]
    assert len(paths) == len(edges)
    kinds = ["same" if e.levels == 0 else "up" if e.levels > 0 else "down" for e in edges]
    assert sorted(path.get("stroke") for path in paths) == sorted(COLOURS[kind] for kind in kinds)
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for rect in root.iter(f"{SVG}rect"):
        assert 0 <= float(rect.get("x", 0)) <= width - float(rect.get("width"))
        assert 0 <= float(rect.get("y", 0)) <= height - float(rect.get("height"))


def test_heads_are_marked():
    graph = build_graph(reference("unet++", width=8, depth=3))
    text = draw_text(graph)
    assert text.count("8*") == 3
    assert text.splitlines()[0].startswith("level 0  8 ..")
