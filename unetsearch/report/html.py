"""Pieces of the page: a figure, a table, a box of sentences."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go


def plot(figure: go.Figure) -> str:
    """A figure that draws itself when the page is opened."""
    return str(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """A table of texts; `left`: the columns that are words."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=l' if index in left else ''}>{escape(text)}</{tag}>" for index, text in enumerate(texts)
        )

    lines = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>{lines}</tbody></table></div>'


def box(lines: Sequence[str]) -> str:
    """The answer in sentences, where it is seen first."""
    return '<div class="answer">' + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</div>"
