"""Figures of what was confirmed. Nothing is computed here, only drawn."""

import plotly.graph_objects as go

from unetsearch.report.confirmation import Confirmation, Factor
from unetsearch.report.figures import GREY, INK, RED, colour, styled
from unetsearch.report.words import SCORES, amount, topology


def profile_figure(confirmed: Confirmation, factor: Factor) -> go.Figure:
    """What each depth loses against the best one, with its bounds and the margin; labels with their parameters."""
    word = SCORES[confirmed.score]
    losses = [standing.loss for standing in factor.standings]
    figure = go.Figure()
    figure.add_scatter(
        x=[str(standing.label) for standing in factor.standings],
        y=losses,
        mode="markers+text",
        marker={
            "size": 12,
            "color": [
                colour(standing.label) if isinstance(standing.label, int) else INK for standing in factor.standings
            ],
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [0.0 if each.upper is None else each.upper - each.loss for each in factor.standings],
            "arrayminus": [0.0 if each.lower is None else max(each.loss - each.lower, 0) for each in factor.standings],
            "color": GREY,
        },
        text=[f"{amount(standing.record.params)}" for standing in factor.standings],
        textposition="middle right",
        cliponaxis=False,
        hovertext=[
            f"<b>{each.record.name}</b> {topology(each.record.architecture)}<br>{word} {each.mean:.4f}, "
            f"{amount(each.record.params)} parameters, {amount(each.record.macs)}MACs"
            for each in factor.standings
        ],
        hoverinfo="text",
        showlegend=False,
    )
    margin = factor.verdict.margin
    figure.add_hline(
        margin,
        line={"color": RED, "width": 1, "dash": "dash"},
        annotation_text=f"margin {margin:g}",
        annotation_position="top left",
    )
    figure.update_xaxes(title="depth (down-samplings)" if factor.name == "depth" else factor.name, type="category")
    figure.update_yaxes(title=f"loss in {word} against the best", autorange="reversed", zeroline=True)
    title = f"What each {'depth' if factor.name == 'depth' else factor.name} loses, at most and at least (95 %)"
    return styled(figure, title)


def matrix_figure(confirmed: Confirmation, factor: Factor) -> go.Figure:
    """How much better each depth (row) is than each other one (column), with its interval."""
    labels = [str(standing.label) for standing in factor.standings]
    texts = [
        [
            ""
            if row == column
            else f"{gain.estimate:+.4f}"
            + ("" if gain.low is None or gain.high is None else f"<br>{gain.low:+.4f} to {gain.high:+.4f}")
            for column, gain in enumerate(gains)
        ]
        for row, gains in enumerate(factor.gains)
    ]
    values = [[gain.estimate for gain in gains] for gains in factor.gains]
    span = max((abs(value) for row in values for value in row), default=0.0) or 1.0
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=labels,
            y=labels,
            text=texts,
            texttemplate="%{text}",
            colorscale="RdBu",
            zmin=-span,
            zmax=span,
            hoverinfo="skip",
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    figure.update_xaxes(title="than this one", type="category", side="bottom")
    figure.update_yaxes(title=f"{factor.name} that is better", type="category", autorange="reversed")
    word = SCORES[confirmed.score]
    return styled(
        figure, f"Gain in {word} of the row over the column (95 %, each pair by itself)", height=160 + 62 * len(labels)
    )


def confirmed_front_figure(confirmed: Confirmation) -> go.Figure:
    """Parameters against score: what the search saw, faded, and what the test says, with its interval."""
    word = SCORES[confirmed.score]
    figure = go.Figure()
    for tested in confirmed.tested:
        record = tested.record
        tint = RED if record.baseline else colour(record.architecture.depth)
        bounds = tested.mean.low is not None and tested.mean.high is not None
        low, high = (tested.mean.low or 0.0, tested.mean.high or 0.0) if bounds else (0.0, 0.0)
        figure.add_scatter(
            x=[record.params, record.params],
            y=[record.final.of(confirmed.score), tested.mean.estimate],
            mode="lines+markers",
            marker={
                "color": tint,
                "size": [8, 12],
                "opacity": [0.3, 1.0],
                "symbol": "star" if record.baseline else "circle",
            },
            line={"color": GREY, "width": 1, "dash": "dot"},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [0.0, high - tested.mean.estimate if bounds else 0.0],
                "arrayminus": [0.0, tested.mean.estimate - low if bounds else 0.0],
                "color": tint,
                "thickness": 1.2,
            },
            hovertext=[
                f"<b>{tested.name}</b> {topology(record.architecture)}<br>{word} {value:.4f} {where}"
                for value, where in (
                    (record.final.of(confirmed.score), "in the search"),
                    (tested.mean.estimate, f"on the test images, {tested.trainings} trainings"),
                )
            ],
            hoverinfo="text",
            name=tested.name,
        )
    figure.update_xaxes(type="log", title="parameters (logarithmic)")
    figure.update_yaxes(title=word)
    return styled(figure, f"{word} in the search (faded) and on the test images (95 %, each by itself)", height=520)
