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
    made = Candidate.of(architecture, Recipe()).record(number, baseline=baseline, finished=finished or number)
    curve = tuple(score(step, dice * share, classes) for step, share in ((10, 0.5), (20, 1.0)))
    return replace(made, curve=curve, seconds=60.0)


@pytest.fixture
def make():
    return record


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
