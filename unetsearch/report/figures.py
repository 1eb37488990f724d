"""Figures of the views. Nothing is computed here, only drawn."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import log10
from typing import TypeVar

import plotly.graph_objects as go

from unetsearch.report.timeline import Timeline
from unetsearch.report.views import Curve, DepthRow, HypervolumePoint, NetworkPoint
from unetsearch.report.words import SCORES, amount, duration, in_order, mebibytes, milliseconds, scores
from unetsearch.space.settings import Objective

COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#d4a800", "#e8601c", "#9e0142")
"""One a depth from 1: viridis, darkened where it would be too pale on white."""

SYMBOLS = {"plain": "circle", "dense": "diamond", "full_scale": "square", "free": "cross"}
SKIP_WORDS = {"plain": "plain (U-Net)", "dense": "dense (U-Net++)", "full_scale": "full-scale (U-Net 3+)"}
BASELINE_PLACES = ("bottom left", "top center", "bottom right")
"""Of their names, by rising parameters: baselines lie close together."""
INK, GREY, RED, ORANGE = "#222222", "#9a9a9a", "#c0392b", "#e08214"

CURVES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "pruned": ("pruned", {"color": "rgba(224,130,20,0.45)", "width": 1}),
    "other": ("not on the front", {"color": "rgba(150,150,150,0.45)", "width": 1}),
    "failed": ("failed", {"color": RED, "width": 1, "dash": "dot"}),
    "baseline": ("baseline", {"color": RED, "width": 2, "dash": "dash"}),
    "front": ("on the front", {"color": COLOURS[2], "width": 2}),
}
"""Kinds of learning curves, what lies above last."""

OUTCOMES = {
    "complete": ("trained to the end", COLOURS[2]),
    "pruned": ("pruned", ORANGE),
    "infeasible": ("out of memory", GREY),
    "failed": ("failed", RED),
}
"""Of a training, in words and in colour."""

T = TypeVar("T")

NAMED_PAUSES = 6
"""At most so many pauses of the timeline have their length beside them."""

MANY = 1000
"""Networks of a depth from which on the dots beside its box are only the outliers."""


def colour(depth: int) -> str:
    """The colour of a depth, everywhere in the report."""
    return COLOURS[(depth - 1) % len(COLOURS)]


def front_figure(points: Sequence[NetworkPoint], by: Objective) -> go.Figure:
    """Parameters (log) against the score: colour by depth, symbol by skips, baselines with their names."""
    figure = go.Figure()
    searched = [point for point in points if not point.baseline]
    for depth, skip in sorted({(point.depth, point.skip) for point in searched}):
        here = [point for point in searched if (point.depth, point.skip) == (depth, skip)]
        figure.add_scatter(
            x=[point.params for point in here],
            y=[point.score for point in here],
            mode="markers",
            marker={
                "color": colour(depth),
                "symbol": SYMBOLS[skip],
                "size": [13 if point.on_front else 9 for point in here],
                "opacity": [1.0 if point.on_front else 0.55 for point in here],
                "line": {"color": INK, "width": [1.5 if point.on_front else 0 for point in here]},
            },
            text=[_hover(point, by) for point in here],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    _front_line(figure, points)
    baselines = sorted((point for point in points if point.baseline), key=lambda point: point.params)
    if baselines:
        figure.add_scatter(
            x=[point.params for point in baselines],
            y=[point.score for point in baselines],
            mode="markers+text",
            marker={"symbol": "star", "size": 15, "color": RED, "line": {"color": "white", "width": 1}},
            text=[point.name for point in baselines],
            customdata=[_hover(point, by) for point in baselines],
            hovertemplate="%{customdata}<extra></extra>",
            textposition=[BASELINE_PLACES[rank % len(BASELINE_PLACES)] for rank in range(len(baselines))],
            textfont={"color": RED},
            cliponaxis=False,
            name="baseline",
        )
    _legend_keys(figure, searched)
    figure.update_xaxes(type="log", title="parameters (logarithmic)", tickformat="~s", dtick=_ticks(points))
    figure.update_yaxes(title=_axis(by))
    return styled(figure, f"Parameters versus {SCORES[by]}", height=520)


def depth_figure(rows: Sequence[DepthRow], by: Objective) -> go.Figure:
    """The score of every network by depth: each a dot, the box its quartiles, the best one named with its size."""
    figure = go.Figure()
    for row in rows:
        figure.add_box(
            y=row.scores,
            x=[row.depth] * len(row.scores),
            marker={"color": colour(row.depth), "size": 6},
            boxpoints="all" if len(row.scores) < MANY else "outliers",
            jitter=0.4,
            pointpos=0,
            line={"width": 1.2},
            fillcolor="rgba(0,0,0,0.04)",
            hoverinfo="y",
            showlegend=False,
        )
    figure.add_scatter(
        x=[row.depth for row in rows],
        y=[row.best.score for row in rows],
        mode="lines+markers+text",
        line={"color": INK, "width": 1, "dash": "dot"},
        marker={"color": INK, "symbol": "line-ew-open", "size": 16},
        text=[f"{row.best.score:.3f}<br>{amount(row.best.params)}" for row in rows],
        textposition="top center",
        hovertext=[_hover(row.best, by) for row in rows],
        hoverinfo="text",
        name="best, with its parameters",
    )
    figure.update_xaxes(title="depth (down-samplings)", dtick=1)
    reached = [score for row in rows for score in row.scores]
    room = 0.12 * max(max(reached) - min(reached), 0.01) if reached else 0
    span = [min(reached) - room, max(reached) + 2 * room] if reached else None
    figure.update_yaxes(title=_axis(by), range=span)
    return styled(figure, f"{SCORES[by]} by depth")


def hypervolume_figure(points: Sequence[HypervolumePoint]) -> go.Figure:
    """How much of the plane of size and score the front covers, as the training went on."""
    figure = go.Figure()
    figure.add_scatter(
        x=[point.seconds / 60 for point in points],
        y=[point.value for point in points],
        mode="lines+markers",
        line={"shape": "hv", "color": colour(2)},
        text=[f"after {point.trials} networks, {duration(point.seconds)}: {point.value:.4f}" for point in points],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title="minutes of training, of all slots together", rangemode="tozero")
    figure.update_yaxes(title="hypervolume (at most 1)")
    return styled(figure, "Hypervolume over time (score by log parameters, 1 k to 1 G)")


def curves_figure(curves: Sequence[Curve], by: Objective) -> go.Figure:
    """The score after each evaluation; the front in colour, baselines dashed, pruned ones with a cross at their end.

    One trace a kind, whose curves are parted by gaps: a study of thousands stays light.
    """
    figure = go.Figure()
    for kind, (name, line) in CURVES.items():
        here = [curve for curve in curves if curve.kind == kind]
        if here:
            figure.add_scatter(
                x=_with_gaps(curve.steps for curve in here),
                y=_with_gaps(curve.scores for curve in here),
                text=_with_gaps([_curve_words(curve)] * len(curve.steps) for curve in here),
                mode="lines",
                line=line,
                name=name,
                legendgroup=kind,
                hovertemplate=f"%{{text}}<br>step %{{x}}, {SCORES[by]} %{{y:.4f}}<extra></extra>",
            )
    pruned = [curve for curve in curves if curve.kind == "pruned"]
    if pruned:
        figure.add_scatter(
            x=[curve.steps[-1] for curve in pruned],
            y=[curve.scores[-1] for curve in pruned],
            text=[_curve_words(curve) for curve in pruned],
            mode="markers",
            marker={"symbol": "x-thin", "size": 7, "line": {"color": ORANGE, "width": 1.5}},
            name="where they were pruned",
            legendgroup="pruned",
            hovertemplate=f"%{{text}}<br>{SCORES[by]} %{{y:.4f}} then<extra></extra>",
        )
    figure.update_xaxes(title="optimizer steps", rangemode="tozero")
    figure.update_yaxes(title=_axis(by))
    return styled(figure, "Learning curves")


def timeline_figure(line: Timeline) -> go.Figure:
    """One lane a slot, one bar a training, one colour an outcome."""
    figure = go.Figure()
    unit, per = (
        ("hours", 3600) if max((bar.start + bar.seconds for bar in line.bars), default=0) > 7200 else ("minutes", 60)
    )
    for outcome, (name, tint) in OUTCOMES.items():
        here = [bar for bar in line.bars if bar.outcome == outcome]
        if here:
            figure.add_bar(
                orientation="h",
                y=[bar.slot for bar in here],
                base=[round(bar.start / per, 4) for bar in here],
                x=[round(bar.seconds / per, 4) for bar in here],
                width=0.7,
                marker={"color": tint, "line": {"color": "white", "width": 0.5}},
                hovertext=[f"<b>{bar.name}</b>  {bar.words}" for bar in here],
                hovertemplate="%{hovertext}<extra></extra>",
                name=name,
            )
    for place, seconds in line.pauses:
        figure.add_vline(
            place / per,
            line={"color": GREY, "width": 1, "dash": "dot"},
            annotation_text=f"pause of {duration(seconds)}" if len(line.pauses) <= NAMED_PAUSES else "",
            annotation={"yanchor": "bottom", "xanchor": "center", "font": {"size": 11, "color": GREY}},
        )
    figure.update_xaxes(
        title=f"{unit}, without the times in which nothing was trained" if line.pauses else unit, rangemode="tozero"
    )
    figure.update_yaxes(
        title="slot",
        type="category",
        categoryorder="array",
        categoryarray=line.slots,
        autorange="reversed",
        automargin=True,
    )
    figure = styled(figure, "What each slot trained", height=min(1000, 140 + 34 * len(line.slots)))
    return figure.update_layout(barmode="overlay", showlegend=True)


def _axis(by: Objective) -> str:
    return f"{SCORES[by]} on the validation images"


def _with_gaps(rows: Iterable[Sequence[T]]) -> list[T | None]:
    """The rows one after the other, a None after each, where a line is not drawn on."""
    return [value for row in rows for value in (*row, None)]


def _curve_words(curve: Curve) -> str:
    return ", ".join(filter(None, (curve.name, curve.remark)))


def _front_line(figure: go.Figure, points: Sequence[NetworkPoint]) -> None:
    front = sorted((point for point in points if point.on_front), key=lambda point: (point.params, -point.score))
    heights = [-1.0, *accumulate((point.score for point in front), max)]
    # under other objectives than these two, some of the front lie below the line
    corners = [point for point, height in zip(front, heights, strict=False) if point.score > height]
    figure.add_scatter(
        x=[point.params for point in corners],
        y=[point.score for point in corners],
        mode="lines",
        line={"color": INK, "width": 1, "shape": "hv"},
        hoverinfo="skip",
        name="front",
    )


def _legend_keys(figure: go.Figure, points: Sequence[NetworkPoint]) -> None:
    """One key a depth and one a skip rule, in place of one for every combination."""
    keys = [(f"depth {depth}", colour(depth), "circle") for depth in sorted({point.depth for point in points})]
    skips = [skip for skip in SYMBOLS if skip in {point.skip for point in points}]
    keys += [(SKIP_WORDS.get(skip, skip), GREY, SYMBOLS[skip]) for skip in skips]
    for name, tint, symbol in keys:
        marker = {"color": tint, "symbol": symbol, "size": 10}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name)


def _ticks(points: Sequence[NetworkPoint]) -> int | str:
    """Of the parameters, as plotly names them: a decade each; also at 2 and 5; or at every digit."""
    sizes = [point.params for point in points]
    decades = log10(max(sizes) / min(sizes)) if sizes else 2
    return "D1" if decades < 1 else "D2" if decades < 2 else 1


def _hover(point: NetworkPoint, by: Objective) -> str:
    measured = "" if point.latency is None else f", {milliseconds(point.latency)}"
    measured += "" if point.memory is None else f", {mebibytes(point.memory)}"
    return (
        f"<b>{point.name}</b>  {point.words}<br>{scores(point.final, in_order(by))}<br>"
        f"{amount(point.params)} parameters, {amount(point.macs)}MACs{measured}, trained in {duration(point.seconds)}"
    )


def styled(figure: go.Figure, title: str, height: int = 420) -> go.Figure:
    """In the report's look, under a title."""
    return figure.update_layout(
        title={"text": title, "x": 0, "xref": "paper", "font": {"size": 17}},
        template="simple_white",
        height=height,
        margin={"l": 70, "r": 20, "t": 50, "b": 55},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"x": 1.01, "y": 1, "xanchor": "left", "font": {"size": 12}},
    ).update_yaxes(showgrid=True, gridcolor="#eeeeee")
