"""Where the boxes of a drawing stand, and which way its edges take."""

from collections.abc import Mapping
from dataclasses import dataclass

from unetsearch.graph.drawing.notes import kind, near, place
from unetsearch.graph.drawing.routes import Box, Curve, over, route, straight
from unetsearch.graph.graph import INPUT, Edge, Graph, Node

WIDTH, HEIGHT = 80, 66
"""Pixels of a node."""

STEPS = ((58, 116), (74, 132), (92, 150))
"""Pixels from place to place and from level to level: the first ones at which every edge passes all boxes."""

LEFT, RIGHT, TOP, BOTTOM = 136, 110, 24, 36
"""Pixels around the nodes: the levels' words at the left, the logits at the right."""

GUIDANCE_HEIGHT = 34
MIN_WIDTH = 560

ARC = (15, 9)
"""Pixels above its level that a skip over one node reaches, and more for every further node."""

MAX_ARC = 90


@dataclass(frozen=True, slots=True)
class Layout:
    """The size of a drawing (px), the height of its levels, the boxes of nodes and image, the edges by (source, node).

    `hits`: how often edges touch boxes that they do not lead to.
    """

    width: int
    height: int
    level_height: int
    boxes: Mapping[str, Box]
    curves: Mapping[tuple[str, str], Curve]
    hits: int


def lay_out(graph: Graph) -> Layout:
    """The densest layout whose edges touch no box that they do not lead to, or the one where they do so least."""
    layouts = []
    for step_x, step_y in STEPS:
        layouts.append(_layout(graph, step_x, step_y))
        if not layouts[-1].hits:
            break
    return min(layouts, key=lambda layout: layout.hits)


def _layout(graph: Graph, step_x: int, step_y: int) -> Layout:
    image = -2 if "X[0,0]" in graph.by_name else 0  # where a stem fills no level 0, the image stands there
    top = max(_arc(graph, edge, node, step_y) for node in graph.nodes if not node.level for edge in node.inputs)
    places = {INPUT: (image, 0)} | {node.name: (place(node), node.level) for node in graph.nodes}
    boxes = {
        name: Box(LEFT + WIDTH / 2 + (across - image) * step_x, TOP + top + HEIGHT / 2 + level * step_y, WIDTH, HEIGHT)
        for name, (across, level) in places.items()
    }
    right = max(box.x for box in boxes.values()) + WIDTH / 2
    width = max(MIN_WIDTH, round(right + RIGHT))
    below = HEIGHT / 2 + BOTTOM + (GUIDANCE_HEIGHT if graph.guidance else 0)
    height = round(max(box.y for box in boxes.values()) + below)
    page = Box((LEFT + width) / 2, height / 2, width - LEFT - 4, height - 8)
    final = boxes[graph.heads[-1].node]
    logits = Box(final.x + (WIDTH + RIGHT) / 2, final.y, RIGHT - 4, 40)
    curves, hits = {}, 0
    for node in graph.nodes:
        for edge in node.inputs:
            source, target = boxes[edge.source], boxes[node.name]
            arc = _arc(graph, edge, node, step_y)
            if arc:
                shift = min(8.0 * _passed(graph, edge, node) - 14, 30.0)
                curve = over(source, target, arc, shift)
            elif near(graph, edge, node) or source.y == target.y:
                curve = straight(source, target)
            else:
                others = [box for name, box in boxes.items() if name not in (edge.source, node.name)]
                side = -1 if kind(edge) == "down" else 1  # into the free space inside the U, or around it
                curve, hit = route(source, target, [*others, logits], page, side, 0.05 * (abs(edge.levels) - 1))
                hits += hit
            curves[edge.source, node.name] = curve
    return Layout(width, height, step_y, boxes, curves, hits)


def _arc(graph: Graph, edge: Edge, node: Node, step_y: int) -> int:
    """How far above its level a skip passes the nodes between its ends; 0 where there are none."""
    count = _passed(graph, edge, node)
    most = step_y - HEIGHT - 8 if node.level else MAX_ARC
    return min(ARC[0] + ARC[1] * (count - 1), most) if count else 0


def _passed(graph: Graph, edge: Edge, node: Node) -> int:
    """The nodes that a skip of a level passes."""
    if kind(edge) != "same":
        return 0
    columns = range(graph.by_name[edge.source].column + 1, node.column)
    return sum(other.level == node.level and other.column in columns for other in graph.nodes)
