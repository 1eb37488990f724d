"""What a person sees while a study runs."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from unetsearch.api import load_space
from unetsearch.graph.references import reference
from unetsearch.progress import Display
from unetsearch.search.candidate import Candidate
from unetsearch.search.events import Continued, Ended, Finished, Progress, Scored, Started
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score

CANDIDATE = Candidate.of(reference("unet", width=8, depth=2), Recipe(steps=100))
SCORE = Score(step=50, loss=0.4, dice=0.8, iou=0.7, dice_by_class=(0.8,), iou_by_class=(0.7,), seconds=3)
PROGRESS = Progress(trials=1, of_trials=3, seconds=7, of_seconds=60)
DONE = replace(CANDIDATE.record(4, values={}), curve=(SCORE,), seconds=7.0)
EVENTS = (
    Continued(finished=2, interrupted=1),
    Started("#4", CANDIDATE),
    Scored("#4", SCORE),
    Finished(DONE, PROGRESS),
    Finished(replace(DONE, number=5, state="repeat", repeat_of="#4"), PROGRESS),
    Finished(replace(DONE, number=6, state="failed", curve=(), reason="the loss was nan [/x]"), PROGRESS),
    Ended("1 of 1 trials are trained"),
)


def shown(terminal, width=120):
    """What a display prints of a whole study."""
    console = Console(file=StringIO(), force_terminal=terminal, width=width, color_system=None)
    display = Display(console)
    with display.live():
        data = SimpleNamespace(notes=("two classes", "split at random"))
        display.prepared(data, load_space("quickstart"), Path("studies/x"), "cpu")
        for event in EVENTS:
            display.happened(event)
    display.front([DONE], ("dice", "params"))
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_it_begins_with_what_is_searched_on_what_and_where(terminal):
    text = shown(terminal)
    for line in (
        "space   quickstart: 80 points; until 16 trials",
        "data    two classes",
        "data    split at random",
        "device  cpu",
        "study   studies/x (the same command continues it)",
        "continuing: 2 trials are trained; 1 interrupted ones are put back",
        "done: 1 of 1 trials are trained",
    ):
        assert line in text


def test_a_pipe_gets_a_line_for_every_event():
    lines = shown(terminal=False).splitlines()
    assert "    #4  depth 2, plain skips, plain encoder, 8-16-32, 29.5 k parameters, 400 MMACs" in lines
    assert "    #4    step 50: Dice 0.8000" in lines
    status = "[1 of 3 trials, 7 s of 1 min 00 s]"
    assert f"    #4  Dice 0.8000, IoU 0.7000, 29.5 k parameters   {status}" in lines
    assert f"    #5  the same network as #4: Dice 0.8000, not trained again   {status}" in lines
    assert f"    #6  failed: the loss was nan [/x]   {status}" in lines
    assert "\x1b" not in "".join(lines)


def test_a_narrow_terminal_keeps_its_numbers_and_shortens_the_networks():
    last = shown(terminal=True, width=80).rpartition("1 of 3 trials, 7 s of 1 min 00 s")[2].partition("The front")[0]
    assert "│    #4 │ 0.8000 │ 0.7000 │ 29.5 k │ 400 M │  7 s │ depth 2," in last
    assert all(len(line) <= 80 for line in last.splitlines())
    assert last.count("│    #4 │") == 1
    assert "…" in last


def test_a_terminal_keeps_a_table_of_what_is_settled_without_repeats():
    last = shown(terminal=True).rpartition("1 of 3 trials, 7 s of 1 min 00 s")[2]
    assert "│    #4 │ 0.8000 │ 0.7000 │ 29.5 k │ 400 M │  7 s │ depth 2, plain skips" in last
    assert "│    #6 │      - │      - │" in last
    assert "failed: the loss was nan [/x]; depth 2" in last
    assert "#5" not in last
