"""A graph drawn as its paper draws it: the encoder falling, the decoder rising, an SVG that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import atan2, cos, pi, sin

from unetsearch.graph.drawing.layout import Layout, lay_out
from unetsearch.graph.drawing.notes import Kind, Notes, by_size, edge_words, kind, node_words, place, sees
from unetsearch.graph.drawing.routes import Box, Point
from unetsearch.graph.graph import INPUT, Edge, Graph, Node, Stage

COLOURS: Mapping[Kind, str] = {"input": "#111827", "same": "#64748b", "up": "#2563eb", "down": "#d97706"}
KINDS: Mapping[Kind, str] = {
    "same": "same level: concatenated",
    "up": "up: from a deeper level",
    "down": "down: from a shallower level",
}
FILLS = {"image": "#ffffff", "encoder": "#dff3ee", "stage": "#e9e3fb", "decoder": "#fdf3d6"}
HEAD, GUIDANCE = "#dc2626", "#9333ea"
FONT = 'font-family="system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif"'


def draw_svg(graph: Graph, notes: Notes | None = None) -> str:
    """A self-contained SVG: nodes at level and column, edges coloured by kind, channels in the nodes, heads marked.

    `notes` add sizes, parameters, what each level sees of the image, and what a pointer on a node tells.
    """
    page = lay_out(graph)
    legend, height = _legend(graph, notes, page)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {page.width} {height}" width="{page.width}" '
        f'height="{height}" {FONT} font-size="11">',
        f'<rect width="{page.width}" height="{height}" fill="white"/>',
    ]
    parts += _levels(graph, notes, page)
    parts += [_edge(edge, node, page) for node in graph.nodes for edge in node.inputs]
    parts += [_image(graph, notes, page), _logits(graph, page)]
    parts += [_guidance(page.boxes[graph.guidance])] if graph.guidance else []
    parts += [_node(graph, node, notes, page.boxes[node.name]) for node in graph.nodes]
    return "\n".join([*parts, legend, "</svg>"])


def _edge(edge: Edge, node: Node, page: Layout) -> str:
    curve, colour = page.curves[edge.source, node.name], COLOURS[kind(edge)]
    numbers = [f"{x:.1f},{y:.1f}" for x, y in (curve.start, curve.first, curve.second, curve.end)]
    dashes = ' stroke-dasharray="5 3"' if kind(edge) == "same" else ""
    return (
        f'<g class="{kind(edge)}"><title>{escape(f"{node.name} reads {edge_words(edge)}")}</title>'
        f'<path d="M{numbers[0]} C{" ".join(numbers[1:])}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>'
        f"{_arrow_head(curve.second, curve.end, colour)}</g>"
    )


def _arrow_head(before: Point, tip: Point, colour: str) -> str:
    angle = atan2(tip[1] - before[1], tip[0] - before[0])
    corners = [tip]
    for turn in (pi - 0.42, pi + 0.42):
        corners.append((tip[0] + 8 * cos(angle + turn), tip[1] + 8 * sin(angle + turn)))
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" fill="{colour}"/>'


def _node(graph: Graph, node: Node, notes: Notes | None, box: Box) -> str:
    fill = FILLS["decoder" if node.column else "stage" if isinstance(node.block, Stage) else "encoder"]
    heads = [head for head in graph.heads if head.node == node.name]
    border = f'stroke="{HEAD}" stroke-width="2.6"' if heads else 'stroke="#475569" stroke-width="1.1"'
    lines = [(node.name, 'font-size="10" fill="#64748b"'), (str(node.channels), 'font-size="15" font-weight="700"')]
    if notes is not None:
        lines.append((by_size(notes.sizes[node.name], "×"), 'font-size="10.5" fill="#334155"'))
        lines += [(notes.params[node.name], 'font-size="10.5" fill="#334155"')] if node.name in notes.params else []
    title = escape("\n".join(node_words(graph, node, notes)))
    return f'<g class="node"><title>{title}</title>{_rect(box, fill, border)}{_lines(box, lines)}</g>'


def _image(graph: Graph, notes: Notes | None, page: Layout) -> str:
    lines = [("image", 'font-size="10" fill="#64748b"'), (str(graph.in_channels), 'font-size="15" font-weight="700"')]
    lines += [(by_size(notes.size, "×"), 'font-size="10.5" fill="#334155"')] if notes is not None else []
    border = f'stroke="{COLOURS["input"]}" stroke-width="1.6" stroke-dasharray="2 2"'
    return f'<g class="image">{_rect(page.boxes[INPUT], FILLS["image"], border)}{_lines(page.boxes[INPUT], lines)}</g>'


def _logits(graph: Graph, page: Layout) -> str:
    """What leaves the final head, at its right."""
    box = page.boxes[graph.heads[-1].node]
    start = box.x + box.width / 2 + 2
    count = f"{graph.out_channels} map{'s' * (graph.out_channels > 1)}"
    words = f"mean of {len(graph.heads)}" if graph.combine == "mean" else count
    style = f'fill="{HEAD}"'
    parts = [
        f'<line x1="{start}" y1="{box.y}" x2="{start + 24}" y2="{box.y}" stroke="{HEAD}" stroke-width="2"/>',
        _arrow_head((start, box.y), (start + 30, box.y), HEAD),
        _text(start + 35, box.y - 1, "logits", f'font-weight="600" {style}'),
        _text(start + 35, box.y + 13, words, style),
    ]
    return f'<g class="logits">{"".join(parts)}</g>'


def _guidance(box: Box) -> str:
    """The classification-guided module, below the node that it reads."""
    y = box.y + box.height / 2
    pill = Box(box.x, y + 25, 138, 18)
    border = f'stroke="{GUIDANCE}" stroke-width="1.4"'
    parts = [
        f'<line x1="{box.x}" y1="{y}" x2="{box.x}" y2="{y + 16}" {border}/>',
        _rect(pill, "#faf5ff", border),
        _text(pill.x, pill.y + 4, "is the class in it?", f'fill="{GUIDANCE}" text-anchor="middle"'),
    ]
    return f'<g class="guidance">{"".join(parts)}</g>'


def _levels(graph: Graph, notes: Notes | None, page: Layout) -> Iterator[str]:
    """A band a level, with its size and what its encoder node sees, at the left."""
    for level in range(graph.depth + 1):
        nodes = sorted((node for node in graph.nodes if node.level == level), key=place)
        y = page.boxes[nodes[0].name].y
        colour = "#f8fafc" if level % 2 == 0 else "#ffffff"
        start, end = y - page.level_height / 2 if level else 0.0, y + page.level_height / 2
        yield f'<rect x="0" y="{start:.1f}" width="{page.width}" height="{end - start:.1f}" fill="{colour}"/>'
        yield _text(14, y - 10, f"level {level}", 'font-size="12.5" font-weight="600" fill="#0f172a"')
        if notes is None:
            continue
        yield _text(14, y + 6, f"{by_size(notes.sizes[nodes[0].name], '×')} px", 'fill="#475569"')
        side = notes.fields[nodes[0].name]
        if nodes[0].column == 0 and side is not None:
            words = sees(side).replace("all", "all of it")
            yield _text(14, y + 21, f"sees {words}", 'fill="#475569"')


def _legend(graph: Graph, notes: Notes | None, page: Layout) -> tuple[str, int]:
    """What the colours mean, in rows below the drawing, of what there is in it; and the height of the whole."""
    kinds = {kind(edge) for node in graph.nodes for edge in node.inputs}
    items = [(_sample(one), words) for one, words in KINDS.items() if one in kinds]
    fills = {"encoder": "encoder", "stage": "", "decoder": "decoder"}
    own = any(node.column == 0 and not isinstance(node.block, Stage) for node in graph.nodes)
    if graph.stages:
        fills["stage"] = f"stage of {graph.stages[0].backbone.name}"
    for name, words in fills.items():
        if words and (name != "encoder" or own):
            items.append((_patch(FILLS[name], 'stroke="#475569"'), words))
    items.append((_patch("white", f'stroke="{HEAD}" stroke-width="2.4"'), "has a head"))
    if graph.guidance:
        items.append((_patch("#faf5ff", f'stroke="{GUIDANCE}"'), "classification-guided module"))
    inside = "in a node: channels" + (", height×width" if notes else "")
    items.append(("", inside + (", parameters" if notes and notes.params else "")))
    return _rows(items, page)


def _rows(items: Sequence[tuple[str, str]], page: Layout) -> tuple[str, int]:
    parts, x, y = [], 14.0, page.height + 14.0
    for sample, words in items:
        width = (32 if sample else 0) + 6.7 * len(words)
        if x > 14 and x + width > page.width - 14:
            x, y = 14.0, y + 20
        parts.append(f'<g transform="translate({x:.1f},{y:.1f})">{sample}</g>' if sample else "")
        parts.append(_text(x + (32 if sample else 0), y, words, 'fill="#334155"'))
        x += width + 20
    return f'<g class="legend">{"".join(parts)}</g>', round(y + 14)


def _sample(one: Kind) -> str:
    dashes = ' stroke-dasharray="5 3"' if one == "same" else ""
    line = f'<line x1="0" y1="-4" x2="20" y2="-4" stroke="{COLOURS[one]}" stroke-width="1.8"{dashes}/>'
    return line + _arrow_head((0, -4), (26, -4), COLOURS[one])


def _patch(fill: str, border: str) -> str:
    return f'<rect x="3" y="-11" width="20" height="14" rx="4" fill="{fill}" {border}/>'


def _rect(box: Box, fill: str, border: str) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width}" height="{box.height}" rx="7" fill="{fill}" {border}/>'
    )


def _lines(box: Box, lines: Sequence[tuple[str, str]]) -> str:
    """Lines of text in the middle of a box."""
    top = box.y - 7.5 * len(lines) + 9
    return "".join(
        _text(box.x, top + 15 * index + 2 * (index > 0), words, f'text-anchor="middle" {style}')
        for index, (words, style) in enumerate(lines)
    )


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
