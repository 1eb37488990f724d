"""The figures of a study as files beside its tables: `python studies/figures.py studies/dsb2018_fluo`.

Needs the `figures` extra (kaleido) and a Chrome or Chromium; `make figures` installs the first.
"""

import sys
from contextlib import closing
from pathlib import Path

from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing.svg import draw_svg
from unetsearch.report.confirmation_figures import confirmed_front_figure, profile_figure
from unetsearch.report.figures import curves_figure, depth_figure, front_figure, hypervolume_figure
from unetsearch.report.notes import counted_notes
from unetsearch.report.views import curves, depth_rows, hypervolume_over_time, network_points
from unetsearch.report.write import what_is_confirmed
from unetsearch.search.folder import open_folder
from unetsearch.search.opening import reopen
from unetsearch.search.records import front_of
from unetsearch.space.settings import ranked_by

WIDTH = 1000  # px


def write_figures(folder: Path) -> None:
    """Writes `front.png`, `depth.png`, `hypervolume.png`, `curves.png` and `best.svg`, the front's best network.

    Of a confirmed study, `confirmed.png` and for each factor the `depth-verdict.png` and so on as well.
    """
    with closing(reopen(open_folder(folder))) as opened:
        objectives, records, confirmed = (
            opened.space.objectives,
            opened.studies.records,
            what_is_confirmed(opened.studies),
        )
    by = ranked_by(objectives)
    points = network_points(records, objectives)
    figures = {
        "front": front_figure(points, by),
        "depth": depth_figure(depth_rows(points), by),
        "hypervolume": hypervolume_figure(hypervolume_over_time(records, by)),
        "curves": curves_figure(curves(records, objectives), by),
    }
    if confirmed is not None:
        figures["confirmed"] = confirmed_front_figure(confirmed)
        figures |= {f"{factor.name}-verdict": profile_figure(confirmed, factor) for factor in confirmed.factors}
    for name, figure in figures.items():
        figure.write_image(folder / f"{name}.png", width=WIDTH)
    best = max(front_of(records, objectives), key=lambda record: record.final.of(by))
    graph = build_graph(best.architecture)
    (folder / "best.svg").write_text(draw_svg(graph, counted_notes(graph)[0]), encoding="utf-8")


if __name__ == "__main__":
    write_figures(Path(sys.argv[1]))
