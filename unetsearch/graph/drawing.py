"""A graph drawn as its paper draws it: levels from top to bottom, the encoder falling, the decoder rising."""

from collections.abc import Mapping
from html import escape
from math import hypot

from unetsearch.graph.graph import INPUT, Edge, Graph, Node

CELL = 7
"""Characters a step to the right, in text."""

STEP_X, STEP_Y, WIDTH, HEIGHT, MARGIN = 62, 84, 58, 34, 46
"""Pixels between nodes, of a node, and around the drawing."""

LEGEND_WIDTH = 860
MAX_BOW = 2 * MARGIN - 8
"""A bow reaches half of this above its ends: never out of the drawing."""

COLOURS = {"same": "#6b7280", "up": "#2563eb", "down": "#d97706"}
KINDS = {
    "same": "same level (concatenated)",
    "up": "from a deeper level (up-sampled)",
    "down": "from a shallower level (down-sampled)",
}


def draw_text(graph: Graph) -> str:
    """A drawing for a terminal: channels of each node at its level; `*` marks a head, dots a skip of the level."""
    heads = {head.node for head in graph.heads}
    lines = []
    for level in range(graph.depth + 1):
        line = ""
        for node in sorted((node for node in graph.nodes if node.level == level), key=_place):
            start = _place(node) * CELL
            filling = "." if any(edge.levels == 0 and edge.source != INPUT for edge in node.inputs) else " "
            line = line.ljust(start - 1, filling) + " " * (start > 0) if len(line) < start else line
            line += f"{node.channels}{'*' if node.name in heads else ''} "
        lines.append(f"level {level}  {line.rstrip()}")
    return "\n".join([*lines, "numbers: channels; dots: skip connections of a level; *: a head"])


def draw_svg(graph: Graph, annotations: Mapping[str, str] | None = None) -> str:
    """A self-contained SVG: edges coloured by kind, channels in the nodes, heads marked.

    `annotations`: a line of text under a node, by its name.
    """
    heads = {head.node for head in graph.heads}
    width = max(_place(node) for node in graph.nodes) * STEP_X + WIDTH + 2 * MARGIN
    height = graph.depth * STEP_Y + HEIGHT + 2 * MARGIN + 26
    width = max(width, LEGEND_WIDTH)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        "<defs>",
        *(_arrow_head(kind) for kind in COLOURS),
        "</defs>",
    ]
    parts += [_edge(graph, edge, node) for node in graph.nodes for edge in node.inputs if edge.source != INPUT]
    parts += [_node(node, node.name in heads, (annotations or {}).get(node.name)) for node in graph.nodes]
    return "\n".join([*parts, _legend(height), "</svg>"])


def _place(node: Node) -> int:
    """Steps to the right: the encoder falls to the right, each column stands two steps further."""
    return node.level + 2 * node.column


def _centre(node: Node) -> tuple[float, float]:
    return MARGIN + _place(node) * STEP_X + WIDTH / 2, MARGIN + node.level * STEP_Y + HEIGHT / 2


def _kind(edge: Edge) -> str:
    return "same" if edge.levels == 0 else "up" if edge.levels > 0 else "down"


def _edge(graph: Graph, edge: Edge, node: Node) -> str:
    """A line between neighbours, a bow around what lies between others."""
    source = graph.by_name[edge.source]
    (x1, y1), (x2, y2) = _centre(source), _centre(node)
    kind = _kind(edge)
    near = abs(edge.levels) == 1 and abs(_place(source) - _place(node)) == 1
    crossed = edge.levels == 0 and any(
        other.level == node.level and _place(source) < _place(other) < _place(node) for other in graph.nodes
    )
    bow = 0.0 if near or (edge.levels == 0 and not crossed) else min(0.16 * hypot(x2 - x1, y2 - y1), MAX_BOW)
    length = max(hypot(x2 - x1, y2 - y1), 1)
    middle_x = (x1 + x2) / 2 + bow * (y2 - y1) / length
    middle_y = (y1 + y2) / 2 - bow * abs(x2 - x1) / length
    start, end = _border(x1, y1, middle_x, middle_y), _border(x2, y2, middle_x, middle_y)
    path = f"M{start[0]:.1f},{start[1]:.1f} Q{middle_x:.1f},{middle_y:.1f} {end[0]:.1f},{end[1]:.1f}"
    style = f'fill="none" stroke="{COLOURS[kind]}" stroke-width="1.4" opacity="0.85"'
    return f'<path d="{path}" {style} marker-end="url(#{kind})"/>'


def _border(x: float, y: float, towards_x: float, towards_y: float) -> tuple[float, float]:
    """Where the way from a node's centre leaves its box."""
    dx, dy = towards_x - x, towards_y - y
    scale = min(
        (WIDTH / 2 + 3) / abs(dx) if dx else float("inf"), (HEIGHT / 2 + 3) / abs(dy) if dy else float("inf"), 1.0
    )
    return x + dx * scale, y + dy * scale


def _node(node: Node, head: bool, annotation: str | None) -> str:
    x, y = _centre(node)
    fill = "#e8f3f1" if node.column == 0 else "#fdf6e3" if node.block.repeats > 1 else "#f3e8ff"
    left, top = x - WIDTH / 2, y - HEIGHT / 2
    border = 'stroke="#c0392b" stroke-width="2.4"' if head else 'stroke="#374151" stroke-width="1.2"'
    parts = [
        f"<g><title>{escape(node.name)}: {node.channels} channels, {node.block.kind} block</title>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{fill}" {border}/>',
        _text(x, y - 2, node.name, 'font-size="10.5" fill="#6b7280"'),
        _text(x, y + 12, str(node.channels), 'font-weight="600" fill="#111827"'),
    ]
    if annotation:
        parts.append(_text(x, y + HEIGHT / 2 + 13, annotation, 'font-size="10" fill="#374151"'))
    return "".join([*parts, "</g>"])


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" {style}>{escape(words)}</text>'


def _arrow_head(kind: str) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{COLOURS[kind]}"/></marker>'
    )


def _legend(height: float) -> str:
    parts, x, y = [], float(MARGIN), height - 18
    for kind, words in KINDS.items():
        parts.append(
            f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{COLOURS[kind]}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{x + 27}" y="{y}" font-size="11" fill="#374151">{words}</text>')
        x += 42 + 6.3 * len(words)
    parts.append(
        f'<rect x="{x}" y="{y - 10}" width="16" height="12" rx="3" fill="white" stroke="#c0392b" stroke-width="2"/>'
        f'<text x="{x + 21}" y="{y}" font-size="11" fill="#374151">a head</text>'
    )
    return "".join(parts)
