"""One architecture as a page: one HTML file with the drawing and the table of its nodes, that opens offline."""

from collections.abc import Iterator, Sequence
from html import escape

from unetsearch.graph.drawing.notes import Notes, by_size, edge_words, sees
from unetsearch.graph.drawing.svg import draw_svg
from unetsearch.graph.graph import Graph

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; max-width: 1180px; padding: 0 24px 60px; }
h1 { font-size: 26px; margin: 28px 0 0; } h2 { font-size: 19px; margin: 34px 0 8px; }
p { margin: 4px 0; } .about { background: #f4f7f6; border-left: 4px solid #21918c; padding: 10px 18px; margin: 14px 0; }
.about p { margin: 6px 0; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; }
th, td { padding: 4px 14px 4px 0; text-align: right; vertical-align: top; white-space: nowrap; }
tr { border-bottom: 1px solid #eee; }
th { color: #666; font-weight: 600; } .l { text-align: left; } .r { min-width: 320px; white-space: normal; }
.note { color: #666; font-size: 13.5px; }
"""


def draw_page(graph: Graph, notes: Notes, title: str, words: Sequence[str], about: str = "") -> str:
    """The page as one HTML text. `words`: what the architecture is, a paragraph each; `about`: of a published one."""
    body = "\n".join(_parts(graph, notes, title, words, about))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - unetsearch</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _parts(graph: Graph, notes: Notes, title: str, words: Sequence[str], about: str) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    yield from (f"<p>{escape(paragraph)}</p>" for paragraph in words)
    if about:
        yield '<div class="about">' + "".join(f"<p>{escape(text)}</p>" for text in about.split("\n\n")) + "</div>"
    yield f'<div class="wide">{draw_svg(graph, notes)}</div>'
    yield '<p class="note">Point at a node or at an edge for what it is.</p>'
    yield "<h2>Nodes</h2>"
    yield _table(graph, notes)
    yield (
        f'<p class="note">Shapes: channels, height, width, for an image of {by_size(notes.size, "×")} px. '
        "Sees: the side of the square of image pixels that one pixel of the node can read. "
        "A node counts with the edges that lead to it and with its head.</p>"
    )


def _table(graph: Graph, notes: Notes) -> str:
    heads = {head.node: f"{head.kernel}×{head.kernel}" for head in graph.heads}
    names = [
        ("node", "l"),
        ("shape", ""),
        ("block", "l"),
        ("parameters", ""),
        ("MACs", ""),
        ("sees", ""),
        ("head", "l"),
    ]
    lines = [_row("th", [*names, ("reads", "l r")])]
    for node in graph.nodes:
        shape = f"{node.channels} × {by_size(notes.sizes[node.name], ' × ')}"
        costs = [(told.get(node.name, ""), "") for told in (notes.params, notes.macs)]
        reads = "; ".join(edge_words(edge) for edge in node.inputs)
        side = (sees(notes.fields[node.name]), "")
        cells = [(node.name, "l"), (shape, ""), (node.block.label, "l"), *costs, side]
        lines.append(_row("td", [*cells, (heads.get(node.name, ""), "l"), (reads, "l r")]))
    return f'<div class="wide"><table><thead>{lines[0]}</thead><tbody>{"".join(lines[1:])}</tbody></table></div>'


def _row(tag: str, cells: Sequence[tuple[str, str]]) -> str:
    return "<tr>" + "".join(f'<{tag} class="{kind}">{escape(text)}</{tag}>' for text, kind in cells) + "</tr>"
