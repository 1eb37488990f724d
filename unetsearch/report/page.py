"""The page: one HTML file with everything in it, that opens without a network."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

from plotly.offline import get_plotlyjs

from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing.svg import draw_svg
from unetsearch.report.confirmation_page import confirmed_parts
from unetsearch.report.effort import by_hand
from unetsearch.report.figures import curves_figure, depth_figure, front_figure, hypervolume_figure, timeline_figure
from unetsearch.report.html import box, plot, table
from unetsearch.report.images import agreement, class_colours, data_uri, shown_dice
from unetsearch.report.notes import counted_notes
from unetsearch.report.timeline import timeline
from unetsearch.report.views import (
    DepthRow,
    NetworkPoint,
    ReportData,
    curves,
    depth_rows,
    hypervolume_over_time,
    network_points,
    saving,
    summary,
)
from unetsearch.report.words import (
    SCORES,
    amount,
    duration,
    in_order,
    mebibytes,
    milliseconds,
    remark,
    score_text,
    scores,
    topology,
    with_dice,
)
from unetsearch.search.preview import Shown
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.space.settings import Objective

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
    if report.confirmed is not None:
        yield from confirmed_parts(report.confirmed, report.data_name)
        yield "<h2>What the search saw</h2>"
    effort = by_hand(report.records, report.size)
    yield box((*summary(report.records, points, report.by), *([effort] if effort else [])))
    if points:
        yield from _results(report, points)
    yield from _search(report)
    if points:
        yield from _drawings(report)
        yield from _pictures(report)
    yield from _unscored(report.records, report.by)
    yield "<h2>Data and settings</h2>"
    yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in report.notes) + "</ul>"
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield f'<p class="note">{escape(versions)}</p>'
    yield f"<details><summary>study.yaml</summary><pre>{escape(report.settings_yaml)}</pre></details>"


def _results(report: ReportData, points: Sequence[NetworkPoint]) -> Iterator[str]:
    yield "<h2>The front</h2>"
    yield '<p class="note">Outlined: no other beats it in every objective. Point at one for its architecture.</p>'
    yield plot(front_figure(points, report.by))
    yield _front_table([point for point in points if point.on_front or point.baseline], report.by)
    yield "<h2>Depth</h2>"
    rows = depth_rows(points)
    yield plot(depth_figure(rows, report.by))
    yield _depth_table(rows, report.by)


def _search(report: ReportData) -> Iterator[str]:
    """What the search did with its time; nothing where nothing was trained."""
    volumes, lines = hypervolume_over_time(report.records, report.by), curves(report.records, report.objectives)
    lanes = timeline(report.records, report.by)
    if not (volumes or lines or lanes.slots):
        return
    yield "<h2>The search</h2>"
    if volumes:
        yield plot(hypervolume_figure(volumes))
    if lines:
        yield plot(curves_figure(lines, report.by))
    if words := saving(report.records).words:
        mark = f"A cross marks where: the {SCORES[report.by]} there is no final score."
        yield f'<p class="note">{escape(words)} {mark}</p>'
    if lanes.slots:
        yield plot(timeline_figure(lanes))


def _front_table(points: Sequence[NetworkPoint], by: Objective) -> str:
    def score(name: Objective) -> Callable[[NetworkPoint], str]:
        return lambda point: score_text(point.final, name)

    columns: dict[str, Callable[[NetworkPoint], str]] = {
        "trial": lambda point: point.name,
        "": lambda point: "front" if point.on_front else "",
        **{SCORES[name]: score(name) for name in in_order(by)},
        "parameters": lambda point: amount(point.params),
        "MACs": lambda point: amount(point.macs),
        "latency": lambda point: "" if point.latency is None else milliseconds(point.latency),
        "memory": lambda point: "" if point.memory is None else mebibytes(point.memory),
        "trained in": lambda point: duration(point.seconds),
        "network": lambda point: point.words,
    }
    for name in (SCORES["object_f1"], "latency", "memory"):
        if not any(columns[name](point) for point in points):
            del columns[name]  # known where they are objectives
    rows = [[text(point) for text in columns.values()] for point in sorted(points, key=lambda point: point.params)]
    return table(list(columns), rows, left=(0, 1, len(columns) - 1))


def _depth_table(rows: Sequence[DepthRow], by: Objective) -> str:
    beside = with_dice(by)[1:]
    lines = [
        [
            str(row.depth),
            str(len(row.scores)),
            f"{row.best.score:.4f}",
            f"{row.median:.4f}",
            f"{row.low:.4f} to {row.high:.4f}",
            *(score_text(row.best.final, name) for name in beside),
            amount(row.best.params),
            amount(row.best.macs),
            f"{row.best.name}: {row.best.words}",
        ]
        for row in rows
    ]
    costs = ("its parameters", "its MACs")
    its = [f"its {SCORES[name]}" for name in beside]
    head = ["depth", "networks", f"best {SCORES[by]}", "median", "middle half", *its, *costs, "the best"]
    return table(head, lines, left=(len(head) - 1,))


def _drawings(report: ReportData) -> Iterator[str]:
    yield "<h2>Architectures of the front</h2>"
    by = report.by
    records = _best_first(front_of(report.records, report.objectives), by)
    if len(records) > MOST_DRAWINGS:
        yield f'<p class="note">The {MOST_DRAWINGS} of the highest {SCORES[by]}, of {len(records)}.</p>'
    for index, record in enumerate(records[:MOST_DRAWINGS]):
        graph = build_graph(record.architecture)
        drawing = f'<div class="drawing">{draw_svg(graph, counted_notes(graph)[0])}</div>'
        title = f"{record.name}: {scores(record.final, with_dice(by))}, {amount(record.params)} parameters"
        words = f"{title}, {topology(record.architecture)}"
        state = " open" if index < OPEN_DRAWINGS else ""
        yield f"<details{state}><summary>{escape(words)}</summary>{drawing}</details>"


def _best_first(records: Sequence[TrialRecord], by: Objective) -> list[TrialRecord]:
    return sorted(records, key=lambda record: -record.final.of(by))


def _pictures(report: ReportData) -> Iterator[str]:
    trained = [record for record in report.records if record.distinct]
    names = [record.name for record in _best_first(trained, report.by)]
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


def _unscored(records: Sequence[TrialRecord], by: Objective) -> Iterator[str]:
    lost = [record for record in records if record.state in ("failed", "infeasible", "pruned")]
    if not lost:
        return
    lost.sort(key=lambda record: record.state == "pruned")  # what went wrong first
    rows = [
        [
            record.name,
            remark(record),
            *(score_text(record.final, name) if record.curve else "" for name in with_dice(by)),
            amount(record.params),
            topology(record.architecture),
        ]
        for record in lost[:MOST_ROWS]
    ]
    then = [f"{SCORES[name]} by then" for name in with_dice(by)]
    head = ["trial", "what became of it", *then, "parameters", "network"]
    listed = table(head, rows, left=(0, 1, len(head) - 1))
    more = f" (here {MOST_ROWS}; trials.csv has all)" if len(lost) > MOST_ROWS else ""
    yield f"<h2>Not trained to the end</h2><details><summary>{len(lost)} networks{more}</summary>{listed}</details>"
