import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing.notes import kind, place, take_notes, usual_size
from unetsearch.graph.drawing.svg import COLOURS, FILLS, GUIDANCE, HEAD, draw_svg
from unetsearch.graph.drawing.text import draw_text
from unetsearch.graph.references import REFERENCES, reference
from unetsearch.space.skip import Skip, free_edges, mend

SVG = "{http://www.w3.org/2000/svg}"


def free(depth, every):
    """Free skips with every so-manyth edge."""
    chosen = {}
    for node, source in list(free_edges(depth))[::every]:
        chosen.setdefault(node, []).append(source)
    plain = reference("unet", width=8, depth=depth)
    return build_graph(replace(plain, skip=Skip(rule="free", sources=mend(depth, chosen))))


def published(name, depth=None, **values):
    if depth is not None:
        values["depth"] = min(depth, 5) if REFERENCES[name]().get("encoder", "").startswith("timm/") else depth
    return build_graph(reference(name, **{"width": 8, **values}))


GRAPHS = {
    **{f"{name}-{depth}": published(name, depth) for name in REFERENCES for depth in (1, 4, 7)},
    "guided": published("unet3+", deep_supervision=True, guidance=True, out_channels=11, in_channels=3),
    "stem": published("mobile-unet", stem="plain"),
    "mean": published("unet++", combine="mean"),
    "efficient": published("unet", encoder="efficient"),
    **{f"free-{depth}-{every}": free(depth, every) for depth in (2, 3, 4, 5) for every in (1, 2, 3, 5)},
}
CROWDED = {"free-5-1"}  # every legal edge: 181; two find no way past all boxes


def test_a_unet_in_text():
    assert draw_text(build_graph(reference("unet", width=8, depth=2))).splitlines() == [
        "level",
        "0      8 ......................... 8*",
        r"           \                    /",
        "1             16 .......... 16",
        r"                  \      /",
        "2                    32",
        "",
        r"numbers: channels; \: down, 2 edges; /: up, 2 edges; ...: same level, 2 edges;",
        "*: the head",
    ]


def test_a_unet_3_plus_in_text_with_what_its_levels_see():
    graph = build_graph(reference("unet3+", width=8, depth=3, deep_supervision=True, guidance=True))
    assert draw_text(graph, take_notes(graph, (64, 96))).splitlines() == [
        "level  size   sees",
        "image  64x96         1 channel, read by X[0,0]",
        "0      64x96  5 px   8 ....................................... 32*^2",
        r"                         \                                  /",
        "1      32x48  14 px         16 ........................ 32*v1^1",
        r"                                \                    /",
        "2      16x24  32 px                32 .......... 32*v2",
        r"                                       \      /",
        "3      8x12   68 px                       64*+",
        "",
        r"numbers: channels; \: down, 3 edges; /: up, 3 edges; ...: same level, 3 edges;",
        "v: down from further up, 3 edges; ^: up from further down, 3 edges; *: a head (4",
        "in all); +: read by the classification-guided module; sees: the side of what a",
        "pixel of the encoder's node reads of the image",
    ]


def test_a_backbone_in_text():
    graph = published("mobile-unet")
    lines = draw_text(graph, take_notes(graph)).splitlines()
    assert lines[1].endswith("1 channel, read by X[1,0]")
    assert re.fullmatch(r"0 +256x256 +8\*", lines[2]), "no encoder at the image's own level, and no skip"
    assert re.fullmatch(r"1 +128x128 +\? +\[16\] \.+ 16", lines[4])
    assert "[..]: a stage of mobilenetv2_100" in " ".join(lines)
    seen = draw_text(graph, take_notes(graph, stages=[(-3, 3), (-9, 9), (-29, 29), None, None])).splitlines()
    assert [line.split()[2] for line in seen[4:14:2]] == ["7", "19", "59", "all", "all"]


@pytest.mark.parametrize("name", [name for name in GRAPHS if not name.endswith("-7")])
def test_text_fits_a_terminal_and_counts_every_edge(name):
    graph = GRAPHS[name]
    text = draw_text(graph, take_notes(graph))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    rows = lines[2 : 2 * graph.depth + 3 : 2]
    for level, row in enumerate(rows):
        nodes = sorted((node for node in graph.nodes if node.level == level), key=place)
        marks = re.findall(r"\[?\d+\S*", row[lines[1].index(f"{graph.in_channels} channel") :])
        assert [int(re.search(r"\d+", mark)[0]) for mark in marks] == [node.channels for node in nodes]
        heads = {head.node for head in graph.heads}
        assert ["*" in mark for mark in marks] == [node.name in heads for node in nodes]
    between = "".join(lines[3 : 2 * graph.depth + 2 : 2])
    kinds = [kind(edge) for node in graph.nodes for edge in node.inputs]
    for one, sign, far in (("down", "\\", r"v(\d+)"), ("up", "/", r"\^(\d+)")):
        marked = sum(map(int, re.findall(far, " ".join(rows))))
        assert between.count(sign) + marked == kinds.count(one)


def polyline(path):
    numbers = [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.get("d"))]
    assert len(numbers) == 4
    for step in range(1, 60):
        t = step / 60
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        yield tuple(sum(w * p[axis] for w, p in zip(weights, numbers, strict=True)) for axis in (0, 1))


def box(element):
    """Left, top, right, bottom of a group's rectangle."""
    rect = element.find(f"{SVG}rect")
    left, top, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return left, top, left + width, top + height


def groups(root, name):
    return [element for element in root.iter(f"{SVG}g") if element.get("class") == name]


def word_box(text):
    """Where a text stands: a character is at most 0.66 of the size of its font wide."""
    size = float(text.get("font-size", 11))
    width = 0.66 * size * len(text.text)
    left = float(text.get("x")) - (width / 2 if text.get("text-anchor") == "middle" else 0)
    return left, float(text.get("y")) - 0.75 * size, left + width, float(text.get("y")) + 0.2 * size


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def drawn(graph, **values):
    words = {node.name: f"{999 - index} k" for index, node in enumerate(graph.nodes)}
    return ElementTree.fromstring(draw_svg(graph, take_notes(graph, params=words, macs=words, **values)))


@pytest.mark.parametrize("name", GRAPHS)
def test_every_node_and_edge_is_drawn_once_and_nothing_overlaps(name):
    graph = GRAPHS[name]
    root = drawn(graph)
    nodes = groups(root, "node")
    names = [element.findall(f"{SVG}text")[0].text for element in nodes]
    assert names == [node.name for node in graph.nodes]
    edges = [edge for node in graph.nodes for edge in node.inputs]
    for one, colour in COLOURS.items():
        found = [element.find(f"{SVG}path").get("stroke") for element in groups(root, one)]
        assert found == [colour] * [kind(edge) for edge in edges].count(one)

    boxes = [box(element) for element in (*nodes, *groups(root, "image"), *groups(root, "guidance"))]
    words = [word_box(text) for text in root.iter(f"{SVG}text")]
    outside = [text for text in words if not any(overlap(text, other) for other in boxes)]
    assert len(outside) == len(words) - sum(
        len(list(g.iter(f"{SVG}text"))) for g in (*nodes, *groups(root, "image"))
    ) - len(groups(root, "guidance"))
    for index, one in enumerate(boxes):
        assert not any(overlap(one, other) for other in boxes[:index])
    for index, one in enumerate(words):
        assert not any(overlap(one, other) for other in words[:index])
    width, height = float(root.get("width")), float(root.get("height"))
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in boxes + words)
    for element in (*nodes, *groups(root, "image")):
        left, _, right, bottom = box(element)
        for text in map(word_box, element.iter(f"{SVG}text")):
            assert left < text[0] < text[2] < right
            assert text[3] < bottom


@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in CROWDED])
def test_edges_pass_the_nodes_that_they_do_not_lead_to(name):
    graph = GRAPHS[name]
    root = drawn(graph)
    boxes = {element.findall(f"{SVG}text")[0].text: box(element) for element in groups(root, "node")}
    boxes["input"] = box(groups(root, "image")[0])
    logits = [word_box(text) for text in groups(root, "logits")[0].iter(f"{SVG}text")]
    height = float(root.get("height"))
    for element in (element for one in COLOURS for element in groups(root, one)):
        node, source = re.match(r"(.*) reads (.*?):", element.find(f"{SVG}title").text).groups()
        others = [other for other in boxes if other not in (node, source)]
        for x, y in polyline(element.find(f"{SVG}path")):
            point = (x, y, x, y)
            assert not [other for other in others if overlap(point, boxes[other])], (source, node)
            assert not any(overlap(point, text) for text in logits)
            assert 0 < x < float(root.get("width"))
            assert 0 < y < height


def test_marks_of_a_drawing():
    root = drawn(GRAPHS["guided"])
    framed = [g for g in groups(root, "node") if g.find(f"{SVG}rect").get("stroke") == HEAD]
    assert len(framed) == 5
    (module,) = groups(root, "guidance")
    assert module.find(f"{SVG}rect").get("stroke") == GUIDANCE
    assert [text.text for text in groups(root, "logits")[0].iter(f"{SVG}text")] == ["logits", "11 maps"]
    assert [text.text for text in groups(drawn(GRAPHS["mean"]), "logits")[0].iter(f"{SVG}text")][1] == "mean of 4"
    assert not groups(drawn(GRAPHS["unet-4"]), "guidance")


def test_a_backbone_is_coloured_as_its_own_and_what_the_image_feeds_is_drawn():
    root = drawn(GRAPHS["stem"])
    fills = {g.findall(f"{SVG}text")[0].text: g.find(f"{SVG}rect").get("fill") for g in groups(root, "node")}
    assert fills["X[0,0]"] == FILLS["encoder"]
    assert {fills[f"X[{level},0]"] for level in range(1, 6)} == {FILLS["stage"]}
    assert {fills[f"X[{level},{5 - level}]"] for level in range(5)} == {FILLS["decoder"]}
    fed = [g.find(f"{SVG}title").text for g in groups(root, "input")]
    assert fed == ["X[0,0] reads input: as it is", "X[1,0] reads input: inside the backbone (1 level down)"]
    assert "stage of mobilenetv2_100" in [text.text for text in root.iter(f"{SVG}text")]


def test_a_pointer_on_a_node_tells_all_of_it():
    graph = build_graph(reference("unet3+", depth=1, deep_supervision=True))
    notes = take_notes(graph, params={"X[0,1]": "12 k"}, macs={"X[0,1]": "3 M"})
    titles = [g.find(f"{SVG}title").text for g in groups(ElementTree.fromstring(draw_svg(graph, notes)), "node")]
    assert titles[2].splitlines() == [
        "X[0,1]: plain x1, 128 channels",
        "256×256 px of a 256×256 image",
        "12 k parameters",
        "3 M MACs",
        "sees 20×20 px of the image",
        "reads X[0,0]: as it is, then 3x3 to 64 channels",
        "reads X[1,0]: bilinear (1 level up), then 3x3 to 64 channels",
        "has a head of 3x3",
    ]
    assert "X[0,0]: plain x2, 64 channels" in draw_svg(graph), "without notes, what the graph itself tells"


def test_levels_tell_their_size_and_what_they_see():
    texts = [text.text for text in drawn(GRAPHS["unet-2015-4"]).iter(f"{SVG}text")]
    assert [texts[index + 1 : index + 3] for index, text in enumerate(texts) if text.startswith("level ")] == [
        ["568×568 px", "sees 5 px"],
        ["280×280 px", "sees 14 px"],
        ["136×136 px", "sees 32 px"],
        ["64×64 px", "sees 68 px"],
        ["28×28 px", "sees 140 px"],
    ]
    assert "sees all of it" in [text.text for text in drawn(GRAPHS["efficient"]).iter(f"{SVG}text")]


def test_the_usual_image_is_that_of_the_paper():
    assert usual_size(published("unet-2015")) == (572, 572)
    assert usual_size(published("unet", 7)) == (256, 256)
