"""Figures of the views. Nothing is computed here, only drawn."""

from collections.abc import Sequence

import plotly.graph_objects as go

from unetsearch.report.views import Curve, DepthRow, HypervolumePoint, NetworkPoint
from unetsearch.report.words import amount, duration

COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#d4a800", "#e8601c", "#9e0142")
"""One a depth from 1: viridis, darkened where it would be too pale on white."""

SYMBOLS = {"plain": "circle", "dense": "diamond", "full_scale": "square", "free": "cross"}
SKIP_WORDS = {"plain": "plain (U-Net)", "dense": "dense (U-Net++)", "full_scale": "full-scale (U-Net 3+)"}
BASELINE_PLACES = ("bottom left", "top center", "bottom right")
"""Of their names, by rising parameters: baselines lie close together."""
INK, GREY, RED = "#222222", "#9a9a9a", "#c0392b"


def colour(depth: int) -> str:
    """The colour of a depth, everywhere in the report."""
    return COLOURS[(depth - 1) % len(COLOURS)]


def front_figure(points: Sequence[NetworkPoint]) -> go.Figure:
    """Parameters (log) against Dice: colour by depth, symbol by skips, baselines with their names."""
    figure = go.Figure()
    searched = [point for point in points if not point.baseline]
    for depth, skip in sorted({(point.depth, point.skip) for point in searched}):
        here = [point for point in searched if (point.depth, point.skip) == (depth, skip)]
        figure.add_scatter(
            x=[point.params for point in here],
            y=[point.dice for point in here],
            mode="markers",
            marker={
                "color": colour(depth),
                "symbol": SYMBOLS[skip],
                "size": [13 if point.on_front else 9 for point in here],
                "opacity": [1.0 if point.on_front else 0.55 for point in here],
                "line": {"color": INK, "width": [1.5 if point.on_front else 0 for point in here]},
            },
            text=[_hover(point) for point in here],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    _front_line(figure, points)
    baselines = sorted((point for point in points if point.baseline), key=lambda point: point.params)
    if baselines:
        figure.add_scatter(
            x=[point.params for point in baselines],
            y=[point.dice for point in baselines],
            mode="markers+text",
            marker={"symbol": "star", "size": 15, "color": RED, "line": {"color": "white", "width": 1}},
            text=[point.name for point in baselines],
            customdata=[_hover(point) for point in baselines],
            hovertemplate="%{customdata}<extra></extra>",
            textposition=[BASELINE_PLACES[rank % len(BASELINE_PLACES)] for rank in range(len(baselines))],
            textfont={"color": RED},
            name="baseline",
        )
    _legend_keys(figure, searched)
    figure.update_xaxes(type="log", title="parameters (logarithmic)", dtick="D1" if _narrow(points) else 1)
    figure.update_yaxes(title="Dice on the validation images")
    return _styled(figure, "Parameters versus Dice", height=520)


def depth_figure(rows: Sequence[DepthRow]) -> go.Figure:
    """Dice of every network by depth: each a dot, the box its quartiles, the best one named with its size."""
    figure = go.Figure()
    for row in rows:
        figure.add_box(
            y=row.dices,
            x=[row.depth] * len(row.dices),
            marker={"color": colour(row.depth), "size": 6},
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            line={"width": 1.2},
            fillcolor="rgba(0,0,0,0.04)",
            hoverinfo="y",
            showlegend=False,
        )
    figure.add_scatter(
        x=[row.depth for row in rows],
        y=[row.best.dice for row in rows],
        mode="lines+markers+text",
        line={"color": INK, "width": 1, "dash": "dot"},
        marker={"color": INK, "symbol": "line-ew-open", "size": 16},
        text=[f"{row.best.dice:.3f}<br>{amount(row.best.params)}" for row in rows],
        textposition="top center",
        hovertext=[_hover(row.best) for row in rows],
        hoverinfo="text",
        name="best, with its parameters",
    )
    figure.update_xaxes(title="depth (down-samplings)", dtick=1)
    dices = [dice for row in rows for dice in row.dices]
    room = 0.12 * max(max(dices) - min(dices), 0.01) if dices else 0
    figure.update_yaxes(
        title="Dice on the validation images", range=[min(dices) - room, max(dices) + 2 * room] if dices else None
    )
    return _styled(figure, "Dice by depth")


def hypervolume_figure(points: Sequence[HypervolumePoint]) -> go.Figure:
    """How much of the plane of size and Dice the front covers, as the training went on."""
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
    figure.update_xaxes(title="minutes of training", rangemode="tozero")
    figure.update_yaxes(title="hypervolume (1: the most there can be)")
    return _styled(figure, "Hypervolume over time")


def curves_figure(curves: Sequence[Curve]) -> go.Figure:
    """Dice after each evaluation; the front in colour, baselines dashed, failed trainings dotted."""
    styles = {
        "other": {"color": "rgba(150,150,150,0.45)", "width": 1},
        "failed": {"color": RED, "width": 1, "dash": "dot"},
        "baseline": {"color": RED, "width": 2, "dash": "dash"},
        "front": {"color": colour(3), "width": 2},
    }
    names = {"other": "not on the front", "failed": "failed", "baseline": "baseline", "front": "on the front"}
    figure = go.Figure()
    for kind, line in styles.items():
        here = [curve for curve in curves if curve.kind == kind]
        for first, curve in zip([True] + [False] * len(here), here, strict=False):
            figure.add_scatter(
                x=curve.steps,
                y=curve.dices,
                mode="lines",
                line=line,
                name=names[kind],
                legendgroup=kind,
                showlegend=first,
                hovertemplate=f"{curve.name}: step %{{x}}, Dice %{{y:.4f}}<extra></extra>",
            )
    figure.update_xaxes(title="optimizer steps", rangemode="tozero")
    figure.update_yaxes(title="Dice on the validation images")
    return _styled(figure, "Learning curves")


def _front_line(figure: go.Figure, points: Sequence[NetworkPoint]) -> None:
    front = sorted((point for point in points if point.on_front), key=lambda point: point.params)
    figure.add_scatter(
        x=[point.params for point in front],
        y=[point.dice for point in front],
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


def _narrow(points: Sequence[NetworkPoint]) -> bool:
    """Whether the parameters span less than two decades, so that more ticks are wanted."""
    sizes = [point.params for point in points]
    return bool(sizes) and max(sizes) < 100 * min(sizes)


def _hover(point: NetworkPoint) -> str:
    return (
        f"<b>{point.name}</b>  {point.words}<br>Dice {point.dice:.4f}, IoU {point.iou:.4f}<br>"
        f"{amount(point.params)} parameters, {amount(point.macs)}MACs, trained in {duration(point.seconds)}"
    )


def _styled(figure: go.Figure, title: str, height: int = 420) -> go.Figure:
    return figure.update_layout(
        title={"text": title, "x": 0, "xref": "paper", "font": {"size": 17}},
        template="simple_white",
        height=height,
        margin={"l": 70, "r": 20, "t": 50, "b": 55},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"x": 1.01, "y": 1, "xanchor": "left", "font": {"size": 12}},
    ).update_yaxes(showgrid=True, gridcolor="#eeeeee")
