"""A graph drawn for a terminal: levels from top to bottom, the encoder falling, the decoder rising."""

from collections import Counter
from textwrap import wrap

from unetsearch.graph.drawing.notes import Notes, by_size, kind, near, place, sees
from unetsearch.graph.graph import INPUT, Graph, Node, Stage

MAX_CELL, MIN_CELL = 7, 4
"""Characters a step to the right."""


def draw_text(graph: Graph, notes: Notes | None = None, columns: int = 80) -> str:
    r"""Channels of each node at its level and place, in lines of at most `columns` where the depth allows it.

    `\` and `/` lead to the next level, dots are skips of a level, `v2^1` counts what comes from further up and down;
    `*` marks a head. With `notes`, each level's size and what its encoder node sees of the image, in px.
    """
    labels = _labels(graph, notes)
    marks = {node.name: _mark(graph, node) for node in graph.nodes}
    steps = max(place(node) for node in graph.nodes)
    last = max(len(marks[node.name]) for node in graph.nodes if place(node) == steps)
    cell = max(MIN_CELL, min(MAX_CELL, (columns - len(labels[0]) - last) // max(steps, 1)))
    lines = [labels[0].rstrip()]
    if notes is not None:
        readers = ", ".join(node.name for node in graph.nodes if any(e.source == INPUT for e in node.inputs))
        lines.append(f"{labels[1]}{_channels(graph.in_channels)}, read by {readers}")
    for level in range(graph.depth + 1):
        lines.append((labels[level + 2] + _level(graph, level, marks, cell)).rstrip())
        if level < graph.depth:
            lines.append((" " * len(labels[0]) + _between(graph, level, cell)).rstrip())
    return "\n".join([*lines, "", *wrap("; ".join(_legend(graph, notes)), columns)])


def _labels(graph: Graph, notes: Notes | None) -> list[str]:
    """What stands at the left: of the head line, of the image, of each level; all of one width."""
    levels = range(graph.depth + 1)
    table = [["level"], ["image"], *([str(level)] for level in levels)]
    if notes is not None:
        table[0] += ["size", "sees"]
        table[1] += [by_size(notes.size), ""]
        for level in levels:
            nodes = [node for node in graph.nodes if node.level == level]
            encoder = [node for node in nodes if node.column == 0]
            table[level + 2] += [by_size(notes.sizes[(encoder or nodes)[0].name])]
            table[level + 2] += [sees(notes.fields[encoder[0].name]) if encoder else ""]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "  " for row in table]


def _mark(graph: Graph, node: Node) -> str:
    """`64*`, `[24]` of a backbone, `320v3^1` with what comes from further up and from further down."""
    text = f"[{node.channels}]" if isinstance(node.block, Stage) else str(node.channels)
    text += "*" * any(head.node == node.name for head in graph.heads) + "+" * (node.name == graph.guidance)
    far = Counter(kind(edge) for edge in node.inputs if not near(graph, edge, node))
    return text + (f"v{far['down']}" if far["down"] else "") + (f"^{far['up']}" if far["up"] else "")


def _level(graph: Graph, level: int, marks: dict[str, str], cell: int) -> str:
    line = ""
    for node in sorted((node for node in graph.nodes if node.level == level), key=place):
        start = place(node) * cell
        skips = any(kind(edge) == "same" for edge in node.inputs)
        if len(line) < start:
            line = line.ljust(start - 1, "." if skips else " ") + " "
        line += marks[node.name] + " "
    return line


def _between(graph: Graph, level: int, cell: int) -> str:
    r"""What leads from a level to the next one, `\`, and from there up, `/`."""
    signs = {}
    for node in graph.nodes:
        for edge in node.inputs:
            upper = min(node.level, node.level + edge.levels)
            if upper == level and near(graph, edge, node):
                signs[(place(node) - 1) * cell + cell // 2 + 1] = "/" if edge.levels > 0 else "\\"
    return "".join(signs.get(column, " ") for column in range(max(signs, default=0) + 1))


def _legend(graph: Graph, notes: Notes | None) -> list[str]:
    drawn, far = Counter[str](), Counter[str]()
    for node in graph.nodes:
        for edge in node.inputs:
            (drawn if near(graph, edge, node) or edge.levels == 0 else far)[kind(edge)] += 1
    words = ["numbers: channels"]
    words += [f"\\: down, {_edges(drawn['down'])}", f"/: up, {_edges(drawn['up'])}"]
    words += [f"...: same level, {_edges(drawn['same'])}"] if drawn["same"] else []
    words += [f"v: down from further up, {_edges(far['down'])}"] if far["down"] else []
    words += [f"^: up from further down, {_edges(far['up'])}"] if far["up"] else []
    words += [f"*: a head ({len(graph.heads)} in all)" if len(graph.heads) > 1 else "*: the head"]
    words += ["+: read by the classification-guided module"] if graph.guidance else []
    words += [f"[..]: a stage of {graph.stages[0].backbone.name}"] if graph.stages else []
    words += ["sees: the side of what a pixel of the encoder's node reads of the image"] if notes is not None else []
    return words


def _edges(count: int) -> str:
    return f"{count} edge{'s' * (count != 1)}"


def _channels(count: int) -> str:
    return f"{count} channel{'s' * (count > 1)}"
