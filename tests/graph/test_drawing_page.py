"""The page of a drawing."""

from html.parser import HTMLParser

from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing.notes import take_notes
from unetsearch.graph.drawing.page import draw_page
from unetsearch.graph.drawing.svg import draw_svg
from unetsearch.graph.references import about, reference


class Cells(HTMLParser):
    """The texts of a page's table, row by row, and every address it would load something from."""

    def __init__(self):
        super().__init__()
        self.rows, self.inside, self.loaded = [], False, []

    def handle_starttag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_a_page_has_the_drawing_the_nodes_and_the_paper():
    graph = build_graph(reference("unet", width=8, depth=1))
    notes = take_notes(graph, (32, 48), params={"X[1,0]": "5 k"}, macs={"X[1,0]": "6 M"})
    page = draw_page(graph, notes, "a < b", ["depth 1", "7 k parameters"], about("unet"))
    cells = Cells()
    cells.feed(page)
    assert cells.loaded == []
    assert cells.rows == [
        ["node", "shape", "block", "parameters", "MACs", "sees", "head", "reads"],
        ["X[0,0]", "8 × 32 × 48", "plain x2", "", "", "5 px", "", "input: as it is"],
        ["X[1,0]", "16 × 16 × 24", "plain x2", "5 k", "6 M", "14 px", "", "X[0,0]: max-pooled (1 level down)"],
        [
            "X[0,1]",
            "8 × 32 × 48",
            "plain x2",
            "",
            "",
            "18 px",
            "1×1",
            "X[0,0]: as it is; X[1,0]: by a transposed convolution (1 level up)",
        ],
    ]
    assert draw_svg(graph, notes) in page
    assert "<h1>a &lt; b</h1>" in page
    assert "<p>depth 1</p>" in page
    assert "Ronneberger et al. 2015, arXiv 1505.04597" in page
