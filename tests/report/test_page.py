import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from unetsearch.report.figures import curves_figure, depth_figure, front_figure, hypervolume_figure
from unetsearch.report.images import agreement, class_colours, shown_dice
from unetsearch.report.page import render_page
from unetsearch.report.tables import front_rows, trial_rows
from unetsearch.report.views import curves, depth_rows, hypervolume_over_time, network_points
from unetsearch.report.words import amount, duration, topology, training
from unetsearch.report.write import write_report

OBJECTIVES = ("dice", "params")


VOID = {"meta", "img", "br", "line", "rect", "path"}


class Checker(HTMLParser):
    """Every element is closed, and nothing is fetched."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not value.startswith(("data:", "#")):
                self.fetched.append(value)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def check(page):
    checker = Checker()
    checker.feed(re.sub(r"<script.*?</script>", "<script></script>", page, flags=re.S))
    assert checker.open == []
    assert checker.fetched == []
    return re.sub(r"<script.*?</script>", "", page, flags=re.S)


def test_the_page_is_whole_and_asks_no_network(report):
    text = check(render_page(report))
    for part in (
        "The front",
        "Depth",
        "The search",
        "Architectures of the front",
        "Predictions",
        "Not trained to the end",
    ):
        assert part in text
    assert "nuclei &lt;b&gt;" in text
    assert "cells &amp; co" in text
    assert "the loss was &lt;nan&gt;" in text
    assert "cell &lt;1&gt;" in text
    assert text.count("<svg") == 2
    assert text.count("data:image/png;base64,") == 4
    assert "#0: Dice 1.000" in text
    assert "unet: Dice 0.500" in text


@pytest.mark.parametrize("some", [slice(0, 0), slice(-2, None), slice(0, 2), slice(2, 3)])
def test_odd_studies_have_a_page_too(report, records, some):
    text = check(render_page(replace(report, records=records[some], previews=())))
    scored = any(record.state == "complete" for record in records[some])
    assert ("there is no result yet" in text) == (not scored)


def test_several_classes(report, make):
    records = (make(0, 0.5, classes=4, out_channels=4),)
    truth = np.array([[0, 1], [2, 255]], np.uint8)
    shown = replace(report.previews[0], truth=truth, image=np.zeros((2, 2, 3), np.uint8), predictions={"#0": truth})
    classes = ("background", "a", "b", "c")
    check(render_page(replace(report, records=records, classes=classes, previews=(shown,))))
    row = trial_rows(records, classes)[0]
    assert (row["dice_a"], row["dice_b"], row["dice_c"]) == (0.5, 0.5, 0.5)


def test_figures_show_the_views(records):
    points = network_points(records, OBJECTIVES)
    front = front_figure(points)
    drawn = [
        (x, y)
        for trace in front.data
        if trace.x and trace.mode != "lines"
        for x, y in zip(trace.x, trace.y, strict=True)
        if x
    ]
    assert sorted(drawn) == sorted((point.params, point.dice) for point in points)
    assert front.layout.xaxis.type == "log"
    baselines = next(trace for trace in front.data if trace.name == "baseline")
    assert baselines.text == ("unet", "unet++")
    line = next(trace for trace in front.data if trace.name == "front")
    assert list(line.y) == [0.7, 0.85]
    boxes = [trace for trace in depth_figure(depth_rows(points)).data if trace.type == "box"]
    assert [set(trace.x) for trace in boxes] == [{1}, {2}, {3}, {4}]
    assert list(hypervolume_figure(hypervolume_over_time(records)).data[0].x) == [1, 2, 3, 4, 5]
    shown = [trace.name for trace in curves_figure(curves(records, OBJECTIVES)).data if trace.showlegend]
    assert shown == ["not on the front", "failed", "baseline", "on the front"]


def test_tables(records):
    rows = trial_rows(records)
    assert [row["trial"] for row in rows] == ["unet", "unet++", "0", "1", "2", "3", "4", "5"]
    assert [row["state"] for row in rows][-4:] == ["complete", "repeat", "infeasible", "failed"]
    assert (rows[5]["dice"], rows[5]["repeat_of"], rows[6]["dice"]) == (0.85, "#0", None)
    assert [row["trial"] for row in front_rows(records, OBJECTIVES)] == ["1", "0"]


def test_files_are_written_and_read_back(report, tmp_path):
    page = write_report(tmp_path, report)
    assert page == tmp_path / "report.html"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert list(trials["dice"].dropna()) == [0.84, 0.8, 0.85, 0.7, 0.65, 0.85]
    assert list(pd.read_csv(tmp_path / "front.csv")["trial"]) == [1, 0]
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "trials.csv", "front.csv"}
    write_report(tmp_path, replace(report, records=()))
    assert (tmp_path / "front.csv").read_text() == "\n"


@pytest.mark.slow
def test_a_long_study_is_reported_in_seconds(report, make):
    from time import perf_counter

    many = tuple(replace(make(0, 0.5 + (i * 37 % 400) / 1000), number=i, finished=i) for i in range(1000))
    started = perf_counter()
    render_page(replace(report, records=many))
    assert perf_counter() - started < 20


def test_pictures():
    truth = np.array([[1, 1, 0, 0, 255]], np.uint8)
    prediction = np.array([[1, 0, 1, 0, 1]], np.uint8)
    assert agreement(prediction, truth).tolist() == [
        [[255, 255, 255], [59, 130, 246], [239, 68, 68], [0, 0, 0], [90, 90, 90]]
    ]
    assert shown_dice(prediction, truth, 2) == 0.5
    assert shown_dice(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), 2) == 1
    assert (
        class_colours(np.array([[0, 1, 8, 255]], np.uint8))[0, 1].tolist()
        == class_colours(np.array([[8]], np.uint8))[0, 0].tolist()
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (942, "942"),
        (1200, "1.20 k"),
        (51_234, "51.2 k"),
        (1_925_601, "1.93 M"),
        (137_900_000, "138 M"),
        (2.04e10, "20.4 G"),
    ],
)
def test_amounts(number, words):
    assert amount(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.4, "4 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_networks_in_words(make):
    deep = make(0, name="unet3+", depth=1, deep_supervision=True, encoder="residual").architecture
    assert topology(deep) == "depth 1, full-scale skips of 8 (deep supervision), residual encoder, 8-16"
    unusual = make(0, norm="group", up="bilinear", dropout=0.1, depth=1).architecture
    assert topology(unusual) == "depth 1, plain skips, plain encoder, 8-16, norm group, up bilinear, dropout 0.1"
    assert training({"depth": 3, "training.learning_rate": 0.0041234, "training.loss": "dice"}) == (
        "learning_rate 0.00412, loss dice"
    )
