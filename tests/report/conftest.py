"""Records as a study leaves them, made up."""

from dataclasses import replace

import numpy as np
import pytest

from unetsearch.graph.references import reference
from unetsearch.report.views import ReportData
from unetsearch.search.candidate import Candidate
from unetsearch.search.preview import Shown
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score


def score(step, dice, classes=2):
    return Score(
        step=step,
        loss=1 - dice,
        dice=dice,
        iou=dice / (2 - dice),
        dice_by_class=(dice,) * (classes - 1),
        iou_by_class=(dice / (2 - dice),) * (classes - 1),
        seconds=step / 10,
    )


def record(number, dice=0.8, *, name="unet", baseline=None, classes=2, finished=None, **values):
    architecture = reference(name, **{"width": 8, "depth": 2, **values})
    made = Candidate.of(architecture, Recipe(steps=20, evaluations=2)).record(
        number, baseline=baseline, finished=finished or number
    )
    curve = tuple(score(step, dice * share, classes) for step, share in ((10, 0.5), (20, 1.0)))
    return replace(made, curve=curve, seconds=60.0)


@pytest.fixture
def make():
    return record


@pytest.fixture
def pruned_study(make):
    """Slots 0 and 1: two trained to the end, two pruned (one of them at half of its 20 steps), a repeat of one."""
    first = replace(make(0, 0.8, depth=3), slot="0", seconds=100.0, finished=1100.0)
    half = replace(make(1, 0.5), state="pruned", curve=(score(10, 0.31),), slot="1", seconds=40.0, finished=1040.0)
    other = replace(half, number=2, curve=(score(10, 0.45),), seconds=50.0, finished=1095.0)
    last = replace(make(3, 0.7, depth=1), slot="0", seconds=100.0, finished=1210.0)
    again = replace(half, number=4, state="repeat", repeat_of="#1", seconds=0.0, finished=1211.0, slot="")
    return (first, half, other, last, again)


@pytest.fixture
def records():
    """Two baselines, a front of depths 1 and 3, one beaten, one repeat, one over a limit, one failed."""
    first = record(0, 0.85, depth=3)
    return (
        record(0, 0.84, baseline="unet", depth=4, finished=-2),
        record(1, 0.80, baseline="unet++", name="unet++", depth=4, finished=-1),
        first,
        record(1, 0.70, depth=1),
        record(2, 0.65, depth=2),
        replace(first, number=3, state="repeat", repeat_of="#0", seconds=0.0),
        replace(record(4, width=64), state="infeasible", curve=(), seconds=0.0, reason="over the limit of params"),
        replace(record(5, 0.3, width=16), state="failed", curve=(score(10, 0.3),), reason="the loss was <nan>"),
    )


def contrary_records(by):
    """Records that Dice, IoU and F1 of objects rank differently, as a study of the objectives (`by`, params) has them.

    Two baselines, three searched networks, and one pruned after half of its steps.
    """
    rows = (
        ("unet", 4, 100_000, (0.84, 0.50, 0.60)),
        ("unet++", 4, 100_000, (0.80, 0.40, 0.70)),
        ("#0", 3, 100_000, (0.90, 0.60, 0.50)),
        ("#1", 3, 10_000, (0.80, 0.55, 0.80)),
        ("#2", 1, 1_000, (0.70, 0.65, 0.75)),
        ("#3", 2, 5_000, (0.31, 0.21, 0.11)),
    )
    made = []
    for place, (name, depth, params, (dice, iou, f1)) in enumerate(rows):
        baseline = None if name.startswith("#") else name
        number = place if baseline else int(name[1:])
        known = f1 if by == "object_f1" else None
        curve = tuple(
            replace(score(step, dice * share), iou=iou * share, object_f1=known and known * share)
            for step, share in ((10, 0.5), (20, 1.0))
        )
        trained = record(number, baseline=baseline, name=baseline or "unet", depth=depth, finished=place)
        made.append(replace(trained, params=params, curve=curve, slot="0"))
    *trained, last = made
    cut = replace(last.curve[1], step=10)
    return (*trained, replace(last, state="pruned", curve=(cut,)))


@pytest.fixture
def contrary():
    return contrary_records


@pytest.fixture
def report(records):
    truth = np.zeros((12, 10), np.uint8)
    truth[2:6, 2:6] = 1
    shown = Shown("cell <1>", (truth * 200).astype(np.uint8), truth, {"#0": truth, "unet": np.roll(truth, 2, 0)})
    return ReportData(
        name="nuclei <b>",
        data_name="cells & co",
        notes=("two classes: 0 and 255",),
        classes=("background", "cell"),
        records=records,
        objectives=("dice", "params"),
        settings_yaml="name: nuclei\n",
        previews=(shown,),
        seconds=420.0,
        versions={"unetsearch": "0.1.0", "device": "cpu"},
    )
