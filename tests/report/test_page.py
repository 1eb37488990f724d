import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from unetsearch.report.images import agreement, class_colours, shown_dice
from unetsearch.report.page import MOST_DRAWINGS, MOST_ROWS, render_page
from unetsearch.report.tables import front_rows, trial_rows
from unetsearch.report.words import SCORES
from unetsearch.report.write import write_report
from unetsearch.search.records import TrialRecord

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


def test_the_page_tells_of_pruning_and_of_slots(report, pruned_study):
    page = render_page(replace(report, records=pruned_study, previews=()))
    text = check(page)
    assert text.count("Pruning ended 2 of 4 trainings early and saved 25% of the optimizer steps.") == 2
    assert "What each slot trained" in page
    assert "<td class=l>pruned at 10 of 20 steps</td><td>0.3100</td>" in text
    assert "latency" not in text
    old = render_page(report)
    assert "What each slot trained" not in old, "an old study knows no slots"
    assert "Pruning" not in old


def test_a_study_in_which_all_were_pruned_shows_its_curves(report, pruned_study):
    page = render_page(replace(report, records=pruned_study[1:3], previews=()))
    assert "there is no result yet" in check(page)
    assert "where they were pruned" in page
    assert "Hypervolume over time" not in page


def test_latency_and_memory_stand_beside_the_other_costs(report, make):
    quick = replace(make(0, 0.7, depth=1), latency=0.00213, memory=3 * 2**20)
    slow = replace(make(1, 0.8), latency=0.12, memory=400 * 2**20)
    text = check(render_page(replace(report, records=(quick, slow), objectives=("dice", "latency"), previews=())))
    head = re.findall("<th[^>]*>(.*?)</th>", text)[:10]
    assert head[4:8] == ["parameters", "MACs", "latency", "memory"]
    assert "<td>2.13 ms</td><td>3.0 MiB</td>" in text
    assert "<td>120 ms</td><td>400 MiB</td>" in text
    rows = front_rows((quick, slow), ("dice", "latency"))
    assert [(row["latency"], row["memory"]) for row in rows] == [(0.00213, 3 * 2**20), (0.12, 400 * 2**20)]


@pytest.mark.parametrize(("by", "best"), [("dice", "#0"), ("iou", "#2"), ("object_f1", "#1")])
def test_the_page_speaks_of_the_score_and_shows_dice_beside_it(report, contrary, by, best):
    shown = replace(report.previews[0], predictions={f"#{i}": report.previews[0].truth for i in range(3)})
    page = render_page(replace(report, records=contrary(by), objectives=(by, "params"), previews=(shown,)))
    text = check(page)
    heads = [re.findall("<th[^>]*>(.*?)</th>", head) for head in re.findall("<thead>.*?</thead>", text)]
    front, depths, unscored = heads
    assert (
        front[2:5]
        == {
            "dice": ["Dice", "IoU", "parameters"],
            "iou": ["IoU", "Dice", "parameters"],
            "object_f1": ["F1 of objects", "Dice", "IoU"],
        }[by]
    )
    beside = [] if by == "dice" else ["its Dice"]
    assert depths[2:-1] == [f"best {SCORES[by]}", "median", "middle half", *beside, "its parameters", "its MACs"]
    assert unscored[2:-2] == [f"{word} by then" for word in dict.fromkeys((SCORES[by], "Dice"))]
    numbers = {"dice": "<td>0.3100</td>", "iou": "<td>0.2100</td><td>0.3100</td>"}
    assert numbers.get(by, "<td>0.1100</td><td>0.3100</td>") + "<td>5.00 k</td>" in text
    drawn = re.findall("<summary>(#[0-9]): (.*?), [0-9.]+ k parameters", text)
    assert drawn[0] == (best, {"dice": "Dice 0.9000", "iou": "IoU 0.6500, Dice 0.7000"}.get(
        by, "F1 of objects 0.8000, Dice 0.8000"))  # fmt: skip
    assert re.findall("<figcaption>(#[0-9]): Dice 1.000", text)[0] == best
    assert f"the {SCORES[by]} there is no final score" in text
    assert ("Dice on the validation images" in page) == (by == "dice")


def test_tables(records):
    rows = trial_rows(records)
    assert [row["trial"] for row in rows] == ["unet", "unet++", "0", "1", "2", "3", "4", "5"]
    assert [row["state"] for row in rows][-4:] == ["complete", "repeat", "infeasible", "failed"]
    assert (rows[5]["dice"], rows[5]["repeat_of"], rows[6]["dice"]) == (0.85, "#0", None)
    assert [row["trial"] for row in front_rows(records, OBJECTIVES)] == ["1", "0"]


def test_a_pruned_trial_has_no_final_score_in_the_tables_nor_has_its_repeat(pruned_study):
    rows = trial_rows(pruned_study)
    names = ("trial", "state", "dice", "last_dice", "steps_done", "steps", "slot", "parts")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("0", "complete", 0.8, 0.8, 20, 20, "0", 1),
        ("1", "pruned", None, 0.31, 10, 20, "1", 1),
        ("2", "pruned", None, 0.45, 10, 20, "1", 1),
        ("3", "complete", 0.7, 0.7, 20, 20, "0", 1),
        ("4", "repeat", None, 0.31, 10, 20, "", 1),
    ]
    assert [row["trial"] for row in front_rows(pruned_study, OBJECTIVES)] == ["3", "0"]
    assert [row["trial"] for row in front_rows(pruned_study[1:3], OBJECTIVES)] == []


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


def many(pruned_study, count):
    """A study's records, every second one pruned, all curves different."""
    trained, pruned = pruned_study[:2]
    for i in range(count):
        first = pruned if i % 2 else trained
        dice = 0.5 + (i * 37 % 400) / 1000
        curve = [replace(first.curve[0], step=k * 20 // 12, dice=dice * k / 12) for k in range(1, 7 if i % 2 else 13)]
        yield replace(first, number=i, params=first.params + i * 91 % 5000, curve=tuple(curve), slot=f"tower/{i % 8}",
                      finished=1000.0 + 50 * i)  # fmt: skip


def written(report, records, folder):
    """Seconds that it took to write a report, and the megabytes of its page beyond plotly."""
    started = perf_counter()
    page = write_report(folder, replace(report, records=tuple(records), previews=()))
    return perf_counter() - started, (page.stat().st_size - len(get_plotlyjs().encode())) / 1e6


def test_a_long_study_is_reported_in_seconds(report, pruned_study, tmp_path):
    seconds, size = written(report, many(pruned_study, 2000), tmp_path)
    assert seconds < 15
    assert size < 3


@pytest.mark.parametrize("objectives", [OBJECTIVES, ("dice", "params", "macs")])
def test_a_very_long_study_is_reported_in_half_a_minute(report, pruned_study, tmp_path, objectives):
    seconds, size = written(replace(report, objectives=objectives), many(pruned_study, 10_000), tmp_path)
    assert seconds < 30
    assert size < 15


def test_a_long_front_is_drawn_in_part_and_told(report, make):
    front = tuple(replace(make(i, 0.5 + i / 100), params=1000 + i) for i in range(MOST_DRAWINGS + 1))
    text = check(render_page(replace(report, records=front, previews=())))
    assert text.count("<svg") == MOST_DRAWINGS
    assert f"The {MOST_DRAWINGS} of the highest Dice, of {MOST_DRAWINGS + 1}." in text
    lost = [replace(make(i), state="failed", curve=(), reason=f"reason {i}") for i in range(MOST_ROWS + 1)]
    text = check(render_page(replace(report, records=tuple(lost), previews=())))
    assert f"{MOST_ROWS + 1} networks (here {MOST_ROWS}; trials.csv has all)" in text
    assert f"reason {MOST_ROWS - 1}<" in text
    assert f"reason {MOST_ROWS}<" not in text


def test_records_of_the_first_version_have_a_report(report, tmp_path):
    golden = Path(__file__).parents[1] / "golden" / "records.json"
    records = tuple(TrialRecord.from_dict(document) for document in json.loads(golden.read_text(encoding="utf-8")))
    text = check(write_report(tmp_path, replace(report, records=records, previews=())).read_text(encoding="utf-8"))
    assert "The front" in text
    rows = pd.read_csv(tmp_path / "trials.csv")
    assert list(rows["dice"].dropna()) == [round(r.final.dice, 6) for r in records if r.state in ("complete", "repeat")]
    assert set(rows["parts"]) == {1}
    assert rows["slot"].isna().all()


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
