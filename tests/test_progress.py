"""What a person sees while a study runs."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import median
from time import perf_counter
from types import SimpleNamespace

import pytest
from rich.console import Console

from unetsearch.api import load_space
from unetsearch.graph.references import reference
from unetsearch.progress import Display
from unetsearch.report.views import hypervolume
from unetsearch.search.candidate import Candidate
from unetsearch.search.events import Continued, Ended, Finished, Lost, Noted, Progress, Scored, Started, Stepped
from unetsearch.search.records import TIME_SPENT, front_of
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score

CANDIDATE = Candidate.of(reference("unet", width=8, depth=2), Recipe(steps=100))


def score(step, dice):
    return Score(step=step, loss=0.4, dice=dice, iou=0.7, dice_by_class=(dice,), iou_by_class=(0.7,), seconds=3)


SCORE = score(100, 0.8)
PROGRESS = Progress(trials=1, of_trials=3, seconds=7, of_seconds=60)
MORE = Progress(trials=4, of_trials=8, seconds=60, of_seconds=None, pruned=2, failed=1, running=2, steps=300, saved=100)
DONE = replace(CANDIDATE.record(4, values={}), curve=(SCORE,), seconds=7.0)
PRUNED = replace(DONE, number=7, state="pruned", curve=(score(40, 0.6123),))
EVENTS = (
    Continued(finished=2, interrupted=1),
    Started(CANDIDATE.record(4), 0),
    Stepped("#4", 33),
    Scored("#4", score(50, 0.75)),
    Noted("#4: out of memory; once more, with each batch in two parts"),
    Started(CANDIDATE.record(4), 0),
    Stepped("#4", 20),
    Finished(DONE, PROGRESS),
    Finished(replace(DONE, number=5, state="repeat", repeat_of="#4"), PROGRESS),
    Finished(replace(DONE, number=6, state="failed", curve=(), reason="the loss was nan [/x]"), PROGRESS),
    Finished(PRUNED, MORE),
    Finished(replace(PRUNED, number=8, state="repeat", repeat_of="#7"), MORE),
    Ended("1 of 1 trials are trained"),
)


def shown(terminal, width=120):
    """What a display prints of a whole study."""
    console = Console(file=StringIO(), force_terminal=terminal, width=width, color_system=None)
    display = Display(console, clock=lambda: 0.0)
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
        "train   150 steps of 8 crops of 64x64 px",
        "study   studies/x (the same command continues it)",
        "continuing: 2 trials are trained; 1 interrupted ones are put back",
        "done: 1 of 1 trials are trained",
    ):
        assert line in text


def test_a_pipe_gets_a_line_for_every_event():
    lines = shown(terminal=False).splitlines()
    start = "    #4  depth 2, plain skips, plain encoder, 8-16-32, 29.5 k parameters, 400 MMACs"
    assert lines.count(start) == 2
    assert "    #4    step 50: Dice 0.7500" in lines
    assert "#4: out of memory; once more, with each batch in two parts" in lines
    front = "front 1, hypervolume 0.604"  # 0.8 * (9 - 4.47) / 6
    status = f"[1 of 3 trials, {front}, 7 s of 1 min 00 s, about 14 s left]"
    assert f"    #4  Dice 0.8000, IoU 0.7000, 29.5 k parameters   {status}" in lines
    assert f"    #5  the same network as #4: Dice 0.8000, not trained again   {status}" in lines
    assert f"    #6  failed: the loss was nan [/x]   {status}" in lines
    status = (
        f"[4 of 8 trials (1 trained to the end, 2 pruned, 1 failed), 25% of the steps saved, {front}, "
        "1 min 00 s, about 1 min 00 s left]"
    )
    assert f"    #7  pruned at step 40 of 100 (Dice 0.6123)   {status}" in lines
    assert (
        f"    #8  the same network as #7: pruned at step 40 of 100 (Dice 0.6123), not trained again   {status}" in lines
    )
    assert not [line for line in lines if "33" in line or "20/" in line], "steps make no lines"
    assert "\x1b" not in "".join(lines)


def screen(display):
    """The last picture of a terminal, line by line."""
    console = display.console
    with console.capture() as capture:
        console.print(display._render())
    return capture.get().rstrip("\n").splitlines()


def terminal(width=130, height=40, clock=lambda: 0.0):
    return Display(
        Console(file=StringIO(), force_terminal=True, width=width, height=height, color_system=None), clock=clock
    )


def test_what_was_picked_of_a_training_is_told():
    picked = {
        "architecture.depth": 2,
        "training.loss": "lovasz",
        "training.weight_map": True,
        "training.augmentation": 0.25,
    }
    record = replace(DONE, values=picked)
    told = "8-16-32, loss lovasz, weight_map true, augmentation 0.25"
    console = Console(file=StringIO(), width=180)
    display = Display(console)
    display.happened(Started(record, 0))
    display.front([record], ("dice", "params"))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines() if "lovasz" in line]
    assert len(lines) == 2
    assert all(told in line for line in lines), lines


def test_a_bar_a_slot_goes_with_its_trial():
    display = terminal()
    display._live = display  # no lines
    for number, slot in ((8, 1), (7, 0)):
        display.happened(Started(CANDIDATE.record(number), slot))
    display.happened(Scored("#7", score(50, 0.75)))
    display.happened(Stepped("#8", 20))
    bars = [line for line in screen(display) if "steps" in line]
    assert [line.split()[0] for line in bars] == ["#7", "#8"], "in the order of the slots"
    assert "depth 2, plain skips" in bars[0]
    assert " 50/100 steps 0:00:00 Dice 0.7500" in bars[0]
    assert " 20/100 steps" in bars[1]
    assert "the first networks are in training" in screen(display)[-1]
    display.happened(Finished(PRUNED, MORE))
    lines = screen(display)
    assert [line.split()[0] for line in lines if "/100 steps" in line] == ["#8"]
    assert "2 pruned, 1 failed), 1 running, 25% of the steps saved, 1 min 00 s, about" in lines[-1]
    display.happened(Lost("#8", "another machine has taken it over"))
    assert not [line for line in screen(display) if "/100 steps" in line]
    assert "#8: another machine has taken it over" in display.console.file.getvalue()
    display.happened(Started(CANDIDATE.record(9), 0))
    display.happened(Ended("done"))
    assert not [line for line in screen(display) if "/100 steps" in line]


def test_a_training_that_begins_again_has_one_bar_from_its_start():
    display = terminal()
    display._live = display
    for event in EVENTS[1:7]:
        display.happened(event) if not isinstance(event, Noted) else None
    bars = [line for line in screen(display) if "/100 steps" in line]
    assert len(bars) == 1
    assert " 20/100 steps" in bars[0]
    assert "Dice" not in bars[0]


def test_a_pruned_trial_is_not_taken_for_a_finished_one():
    display = terminal()
    display._live = display
    display.happened(Finished(PRUNED, MORE))
    row = next(line for line in screen(display) if "#7" in line)
    assert "(0.6123) │   - │" in row
    assert "pruned at 40 of 100 steps; depth 2" in row
    assert "front" not in screen(display)[-1]
    display = terminal()
    display._live = display
    display.happened(Finished(replace(PRUNED, reason=TIME_SPENT), MORE))
    row = next(line for line in screen(display) if "#7" in line)
    assert "ended, as the time was spent, at 40 of 100 steps; depth 2" in row


@pytest.mark.parametrize(("height", "slots", "bars"), [(24, 8, 8), (24, 1, 1), (14, 16, 4), (10, 8, 1), (60, 32, 32)])
def test_many_slots_leave_room_in_a_small_terminal(height, slots, bars):
    display = terminal(width=80, height=height)
    display._live = display
    for number in range(30):
        display.happened(Finished(replace(DONE, number=number), MORE))
    for slot in range(slots):
        display.happened(Started(CANDIDATE.record(30 + slot), slot))
    lines = screen(display)
    assert len(lines) < height
    assert len([line for line in lines if "/100 steps" in line]) == bars
    assert (f"... and {slots - bars} more" in lines) == (bars < slots)
    assert "about 1 min 00 s left" in " ".join(lines[-3:])
    assert "│   #29 │" in "".join(lines), "the last result stays in view"


def test_the_time_goes_on_while_something_runs():
    now = iter([0.0, 20.0, 90.0])
    display = terminal(clock=lambda: next(now))
    display._live = display
    display.happened(Started(CANDIDATE.record(8), 0))
    display._last = MORE, display._clock()
    assert "1 min 20 s, about 40 s left" in display._status
    assert display._status.endswith(", 2 min 30 s"), "later than its pace let hope: nothing is promised"


def test_front_and_hypervolume_are_those_of_all_records_whatever_the_order():
    found = [replace(DONE, number=i, params=1000 * (1 + i * 7 % 10), curve=(score(100, i / 20),)) for i in range(10)]
    one, other = terminal(), terminal()
    for record in found:
        one._learn([record])
        one._learn([record])  # known already
    other._learn(reversed([*found, PRUNED]))
    assert [record.name for record in one._front] == [record.name for record in front_of(found, ("dice", "params"))]
    assert {record.name for record in one._front} == {record.name for record in other._front}
    assert one._hypervolume == pytest.approx(other._hypervolume) == pytest.approx(hypervolume(found, "dice"))


def test_showing_costs_little_at_a_thousand_trials():
    display = terminal()
    display._live = display
    display._learn(
        replace(DONE, number=i, params=1000 + i * 37 % 999, curve=(score(100, i / 1001),)) for i in range(1000)
    )
    display.happened(Started(CANDIDATE.record(1000), 0))

    def seconds(event):
        started = perf_counter()
        display.happened(event)
        return perf_counter() - started

    assert median(seconds(Scored("#1000", score(step, 0.5))) for step in range(100)) < 0.002
    assert median(seconds(Finished(replace(DONE, number=number), MORE)) for number in range(1000, 1020)) < 0.02


def test_a_narrow_terminal_keeps_its_numbers_and_shortens_the_networks():
    last = last_table(shown(terminal=True, width=80))
    assert "│    #4 │   0.8000 │ 0.7000 │ 29.5 k │ 400 M │  7 s │ depth 2," in last
    assert all(len(line) <= 80 for line in last.splitlines())
    assert last.count("│    #4 │") == 1
    assert "…" in last


def test_a_terminal_keeps_a_table_of_what_is_settled_without_repeats():
    last = last_table(shown(terminal=True))
    assert "│    #4 │   0.8000 │ 0.7000 │ 29.5 k │ 400 M │  7 s │ depth 2, plain skips" in last
    assert "│    #6 │        - │      - │" in last
    assert "failed: the loss was nan [/x]; depth 2" in last
    assert "│    #7 │ (0.6123) │      - │" in last
    assert "#5" not in last
    assert "#8" not in last


def last_table(text):
    """What stays on the screen: from the last table's frame to its status line."""
    return text.partition("The front")[0].rpartition("┏")[2]
