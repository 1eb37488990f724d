"""The page: one HTML file with everything in it, that opens without a network."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing.svg import draw_svg
from unetsearch.report.figures import curves_figure, depth_figure, front_figure, hypervolume_figure, timeline_figure
from unetsearch.report.images import agreement, class_colours, data_uri, shown_dice
from unetsearch.report.notes import counted_notes
from unetsearch.report.timeline import timeline
from unetsearch.report.views import (
    NetworkPoint,
    ReportData,
    curves,
    depth_rows,
    hypervolume_over_time,
    network_points,
    saving,
    summary,
)
from unetsearch.report.words import amount, duration, mebibytes, milliseconds, remark, topology
from unetsearch.search.preview import Shown
from unetsearch.search.records import TrialRecord, front_of

OPEN_DRAWINGS = 3
"""So many architectures are drawn in full view, the rest opens with a click."""

MOST_DRAWINGS = 24
"""At most so many architectures are drawn."""

MOST_ROWS = 200
"""At most so many of the trials without a final score are listed; the tables have all."""

SHOWN_NETWORKS = 6
"""At most so many predictions stand beside an image."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; max-width: 1180px; padding: 0 24px 60px; }
h1 { font-size: 26px; margin: 28px 0 0; } h2 { font-size: 19px; margin: 40px 0 8px; }
.sub { color: #666; margin: 2px 0 18px; }
.answer { background: #f4f7f6; border-left: 4px solid #21918c; padding: 10px 18px; }
.answer p { margin: 6px 0; }
table { border-collapse: collapse; font-size: 13.5px; } .wide { overflow-x: auto; }
th, td { padding: 4px 12px 4px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
th { color: #666; font-weight: 600; } .l { text-align: left; }
.pictures { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 18px; }
figure { margin: 0; width: 130px; } figure img { width: 130px; image-rendering: pixelated; border: 1px solid #ddd; }
figcaption { font-size: 12.5px; color: #444; }
pre { background: #f6f6f6; padding: 12px; overflow-x: auto; font-size: 13px; }
details { margin: 8px 0; } summary { cursor: pointer; color: #21618c; }
.drawing { overflow-x: auto; } .drawing svg { min-width: 640px; max-width: 100%; height: auto; }
.note { color: #666; font-size: 13.5px; }
.key i { display: inline-block; width: 11px; height: 11px; margin: 0 4px 0 12px; border: 1px solid #999; }
"""


def render_page(report: ReportData) -> str:
    """The whole report as one HTML text. Reads nothing, asks no network."""
    points = network_points(report.records, report.objectives)
    body = "\n".join(_parts(report, points))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.name)} - unetsearch</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head>\n<body>\n{body}\n</body></html>\n"
    )


def _parts(report: ReportData, points: Sequence[NetworkPoint]) -> Iterator[str]:
    yield f"<h1>{escape(report.name)}</h1>"
    yield (
        f'<p class="sub">{escape(report.data_name)} &middot; {duration(report.seconds)} of training &middot; '
        f"{escape(report.versions.get('device', ''))}</p>"
    )
    yield (
        '<div class="answer">'
        + "".join(f"<p>{escape(line)}</p>" for line in summary(report.records, points))
        + "</div>"
    )
    if points:
        yield from _results(report, points)
    yield from _search(report)
    if points:
        yield from _drawings(report)
        yield from _pictures(report)
    yield from _unscored(report.records)
    yield "<h2>Data and settings</h2>"
    yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in report.notes) + "</ul>"
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield f'<p class="note">{escape(versions)}</p>'
    yield f"<details><summary>study.yaml</summary><pre>{escape(report.settings_yaml)}</pre></details>"


def _results(report: ReportData, points: Sequence[NetworkPoint]) -> Iterator[str]:
    yield "<h2>The front</h2>"
    yield '<p class="note">Outlined: no other beats it in every objective. Point at one for its architecture.</p>'
    yield _plot(front_figure(points))
    yield _front_table([point for point in points if point.on_front or point.baseline])
    yield "<h2>Depth</h2>"
    yield _plot(depth_figure(depth_rows(points)))
    yield _depth_table(points)


def _search(report: ReportData) -> Iterator[str]:
    """What the search did with its time; nothing where nothing was trained."""
    volumes, lines = hypervolume_over_time(report.records), curves(report.records, report.objectives)
    lanes = timeline(report.records)
    if not (volumes or lines or lanes.slots):
        return
    yield "<h2>The search</h2>"
    if volumes:
        yield _plot(hypervolume_figure(volumes))
    if lines:
        yield _plot(curves_figure(lines))
    if words := saving(report.records).words:
        yield f'<p class="note">{escape(words)} A cross marks where: the Dice there is no final score.</p>'
    if lanes.slots:
        yield _plot(timeline_figure(lanes))


def _plot(figure: go.Figure) -> str:
    return str(
        figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=l' if index in left else ''}>{escape(text)}</{tag}>" for index, text in enumerate(texts)
        )

    lines = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>{lines}</tbody></table></div>'


def _front_table(points: Sequence[NetworkPoint]) -> str:
    columns: dict[str, Callable[[NetworkPoint], str]] = {
        "trial": lambda point: point.name,
        "": lambda point: "front" if point.on_front else "",
        "Dice": lambda point: f"{point.dice:.4f}",
        "IoU": lambda point: f"{point.iou:.4f}",
        "object F1": lambda point: "" if point.object_f1 is None else f"{point.object_f1:.4f}",
        "parameters": lambda point: amount(point.params),
        "MACs": lambda point: amount(point.macs),
        "latency": lambda point: "" if point.latency is None else milliseconds(point.latency),
        "memory": lambda point: "" if point.memory is None else mebibytes(point.memory),
        "trained in": lambda point: duration(point.seconds),
        "network": lambda point: point.words,
    }
    for name, field in {"object F1": "object_f1", "latency": "latency", "memory": "memory"}.items():
        if all(getattr(point, field) is None for point in points):
            del columns[name]  # known where they are objectives
    rows = [[text(point) for text in columns.values()] for point in sorted(points, key=lambda point: point.params)]
    return _table(list(columns), rows, left=(0, 1, len(columns) - 1))


def _depth_table(points: Sequence[NetworkPoint]) -> str:
    rows = [
        [
            str(row.depth),
            str(len(row.dices)),
            f"{row.best.dice:.4f}",
            f"{row.median:.4f}",
            f"{row.low:.4f} to {row.high:.4f}",
            amount(row.best.params),
            amount(row.best.macs),
            f"{row.best.name}: {row.best.words}",
        ]
        for row in depth_rows(points)
    ]
    head = ["depth", "networks", "best Dice", "median", "middle half", "its parameters", "its MACs", "the best"]
    return _table(head, rows, left=(7,))


def _drawings(report: ReportData) -> Iterator[str]:
    yield "<h2>Architectures of the front</h2>"
    records = sorted(front_of(report.records, report.objectives), key=lambda record: -record.final.dice)
    if len(records) > MOST_DRAWINGS:
        yield f'<p class="note">The {MOST_DRAWINGS} of the highest Dice, of {len(records)}.</p>'
    for index, record in enumerate(records[:MOST_DRAWINGS]):
        graph = build_graph(record.architecture)
        drawing = f'<div class="drawing">{draw_svg(graph, counted_notes(graph)[0])}</div>'
        title = f"{record.name}: Dice {record.final.dice:.4f}, {amount(record.params)} parameters"
        words = f"{title}, {topology(record.architecture)}"
        state = " open" if index < OPEN_DRAWINGS else ""
        yield f"<details{state}><summary>{escape(words)}</summary>{drawing}</details>"


def _pictures(report: ReportData) -> Iterator[str]:
    by_dice = sorted((record for record in report.records if record.distinct), key=lambda record: -record.final.dice)
    names = [record.name for record in by_dice]
    shown = [shown for shown in report.previews if shown.predictions]
    if not shown:
        return
    yield "<h2>Predictions on validation images</h2>"
    if len(report.classes) == 2:
        colours = (("#fff", "found"), ("#3b82f6", "missed"), ("#ef4444", "not there"), ("#5a5a5a", "not scored"))
        keys = "".join(f'<i style="background:{colour}"></i>{word}' for colour, word in colours)
        yield f'<p class="note key">{keys}</p>'
    for preview in shown:
        yield f'<div class="pictures">{"".join(_row(preview, names, len(report.classes)))}</div>'


def _row(preview: Shown, names: Sequence[str], classes: int) -> Iterator[str]:
    yield _picture(data_uri(preview.image), preview.stem)
    yield _picture(data_uri(class_colours(preview.truth)), "truth")
    for name in [name for name in names if name in preview.predictions][:SHOWN_NETWORKS]:
        prediction = preview.predictions[name]
        picture = agreement(prediction, preview.truth) if classes == 2 else class_colours(prediction)
        yield _picture(data_uri(picture), f"{name}: Dice {shown_dice(prediction, preview.truth, classes):.3f}")


def _picture(address: str, caption: str) -> str:
    return f'<figure><img src="{address}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _unscored(records: Sequence[TrialRecord]) -> Iterator[str]:
    lost = [record for record in records if record.state in ("failed", "infeasible", "pruned")]
    if not lost:
        return
    lost.sort(key=lambda record: record.state == "pruned")  # what went wrong first
    rows = [
        [
            record.name,
            remark(record),
            f"{record.final.dice:.4f}" if record.curve else "",
            amount(record.params),
            topology(record.architecture),
        ]
        for record in lost[:MOST_ROWS]
    ]
    table = _table(["trial", "what became of it", "Dice by then", "parameters", "network"], rows, left=(0, 1, 4))
    more = f" (here {MOST_ROWS}; trials.csv has all)" if len(lost) > MOST_ROWS else ""
    yield f"<h2>Not trained to the end</h2><details><summary>{len(lost)} networks{more}</summary>{table}</details>"
