"""Figures of the views."""

from dataclasses import replace

import pytest

from unetsearch.report.figures import curves_figure, depth_figure, front_figure, hypervolume_figure
from unetsearch.report.views import curves, depth_rows, hypervolume_over_time, network_points

OBJECTIVES = ("dice", "params")


VOID = {"meta", "img", "br", "line", "rect", "path"}


def test_figures_show_the_views(records):
    points = network_points(records, OBJECTIVES)
    front = front_figure(points, "dice")
    drawn = [
        (x, y)
        for trace in front.data
        if trace.x and trace.mode != "lines"
        for x, y in zip(trace.x, trace.y, strict=True)
        if x
    ]
    assert sorted(drawn) == sorted((point.params, point.score) for point in points)
    assert front.layout.xaxis.type == "log"
    baselines = next(trace for trace in front.data if trace.name == "baseline")
    assert baselines.text == ("unet", "unet++")
    line = next(trace for trace in front.data if trace.name == "front")
    assert list(line.y) == [0.7, 0.85]
    boxes = [trace for trace in depth_figure(depth_rows(points), "dice").data if trace.type == "box"]
    assert [set(trace.x) for trace in boxes] == [{1}, {2}, {3}, {4}]
    assert list(hypervolume_figure(hypervolume_over_time(records, "dice")).data[0].x) == [1, 2, 3, 4, 5]
    shown = [trace.name for trace in curves_figure(curves(records, OBJECTIVES), "dice").data]
    assert shown == ["not on the front", "failed", "baseline", "on the front"]


@pytest.mark.parametrize(("times", "ticks"), [(1.1, "D1"), (20, "D2"), (500, 1)])
def test_sizes_are_read_off_whatever_they_span(records, times, ticks):
    first = network_points(records, OBJECTIVES)[0]
    axis = front_figure([first, replace(first, params=int(times * first.params))], "dice").layout.xaxis
    assert (axis.dtick, axis.tickformat) == (ticks, "~s")


def test_pruned_curves_are_marked_where_they_end(pruned_study):
    drawn = {trace.name: trace for trace in curves_figure(curves(pruned_study, OBJECTIVES), "dice").data}
    assert list(drawn) == ["pruned", "on the front", "where they were pruned"]
    assert drawn["pruned"].x == (10, None, 10, None), "one trace, its curves parted by gaps"
    assert drawn["on the front"].y == (0.4, 0.8, None, 0.35, 0.7, None)
    assert drawn["on the front"].text == ("#0", "#0", None, "#3", "#3", None)
    ends = drawn["where they were pruned"]
    assert (ends.mode, ends.x, ends.y) == ("markers", (10, 10), (0.31, 0.45))
    assert ends.text == ("#1, pruned at 10 of 20 steps", "#2, pruned at 10 of 20 steps")
    assert drawn["pruned"].legendgroup == ends.legendgroup != drawn["on the front"].legendgroup


def test_under_other_objectives_the_line_goes_over_the_front(make):
    """#1 is on the front for its latency alone: smaller in nothing else than #0."""
    made = (make(0, 0.8, depth=1), make(1, 0.7, depth=2), make(2, 0.9, depth=3))
    points = network_points(
        [replace(record, latency=latency) for record, latency in zip(made, (3.0, 1.0, 4.0), strict=True)],
        ("dice", "params", "latency"),
    )
    assert all(point.on_front for point in points)
    line = next(trace for trace in front_figure(points, "dice").data if trace.name == "front")
    assert line.y == (0.8, 0.9)


WORDS = {"dice": "Dice", "iou": "IoU", "object_f1": "F1 of objects"}


@pytest.mark.parametrize("by", WORDS)
def test_figures_draw_and_name_the_score(contrary, by):
    records, objectives, word = contrary(by), (by, "params"), WORDS[by]
    points = network_points(records, objectives)
    figures = {
        f"Parameters versus {word}": front_figure(points, by),
        f"{word} by depth": depth_figure(depth_rows(points), by),
        "Learning curves": curves_figure(curves(records, objectives), by),
    }
    for title, figure in figures.items():
        assert figure.layout.title.text == title
        assert figure.layout.yaxis.title.text == f"{word} on the validation images"
    front, depths, lines = figures.values()
    line = next(trace for trace in front.data if trace.name == "front")
    assert line.y == {"dice": (0.7, 0.8, 0.9), "iou": (0.65,), "object_f1": (0.75, 0.8)}[by]
    baselines = next(trace for trace in front.data if trace.name == "baseline")
    assert baselines.y == {"dice": (0.84, 0.80), "iou": (0.50, 0.40), "object_f1": (0.60, 0.70)}[by]
    best = next(trace for trace in depths.data if trace.name == "best, with its parameters")
    assert best.text[1] == {"dice": "0.900<br>100 k", "iou": "0.600<br>100 k", "object_f1": "0.800<br>10.0 k"}[by]
    hover = {
        "dice": "Dice 0.8000, IoU 0.4000<br>",
        "iou": "IoU 0.4000, Dice 0.8000<br>",
        "object_f1": "F1 of objects 0.7000, Dice 0.8000, IoU 0.4000<br>",
    }
    assert hover[by] in baselines.customdata[1]
    assert all(f" {word} %{{y:.4f}}" in trace.hovertemplate.replace("<br>", " ") for trace in lines.data)


def test_the_front_begins_at_its_smallest_network_though_it_finds_no_object(contrary):
    *others, smallest, _ = contrary("object_f1")
    blind = replace(smallest, curve=(replace(smallest.final, object_f1=0.0),))
    points = network_points([*others, blind], ("object_f1", "params"))
    line = next(trace for trace in front_figure(points, "object_f1").data if trace.name == "front")
    assert (line.x, line.y) == ((1_000, 10_000), (0.0, 0.8))
