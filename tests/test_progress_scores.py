"""Which scores a person sees while a study runs, by its objectives."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.test_progress import CANDIDATE, DONE, PROGRESS, PRUNED, score, screen, terminal
from unetsearch.progress import Display
from unetsearch.search.events import Finished, Scored, Started


def test_the_front_shows_latency_and_memory_where_they_are_objectives():
    display = terminal()
    measured = replace(DONE, latency=0.0123, memory=42 * 2**20)
    display.front([measured], ("dice", "latency"))
    assert "12.3 ms │ 42 MiB │" in display.console.file.getvalue()
    display = terminal()
    display.front([measured], ("dice", "params"))
    assert "12.3 ms" not in display.console.file.getvalue()


def judged(display, objectives):
    """The display of a study with these objectives: three are trained, one is pruned, one runs."""
    display._objectives = objectives
    curves = {1: (1000, 0.7, 0.75, 0.5), 2: (10_000, 0.8, 0.8, 0.6), 3: (100_000, 0.9, 0.5, 0.7)}
    for number, (params, dice, f1, iou) in curves.items():
        final = replace(score(100, dice), object_f1=f1, iou=iou)
        display.happened(Finished(replace(DONE, number=number, params=params, curve=(final,)), PROGRESS))
    early = replace(score(40, 0.6123), object_f1=0.4123, iou=0.5123)
    display.happened(Finished(replace(PRUNED, curve=(early,)), PROGRESS))
    display.happened(Finished(replace(PRUNED, number=8, state="repeat", repeat_of="#7", curve=(early,)), PROGRESS))
    display.happened(Started(CANDIDATE.record(9), 0))
    display.happened(Scored("#9", early))
    return display


@pytest.mark.parametrize(
    ("objectives", "front", "reached", "final"),
    [
        (("object_f1", "params"), "front 2, hypervolume 0.792", "F1 of objects 0.4123, Dice 0.6123",
         "F1 of objects 0.5000, Dice 0.9000, IoU 0.7000"),
        (("params", "iou"), "front 3, hypervolume 0.650", "IoU 0.5123, Dice 0.6123",
         "IoU 0.7000, Dice 0.9000, F1 of objects 0.5000"),
    ],
)  # fmt: skip
def test_lines_tell_the_score_first_and_dice_beside_it(objectives, front, reached, final):
    console = Console(file=StringIO(), width=120, color_system=None)
    lines = judged(Display(console, clock=lambda: 0.0), objectives).console.file.getvalue().splitlines()
    assert f"    #9    step 40: {reached}" in lines
    found = {line.split()[0]: line for line in lines}
    assert found["#3"].startswith(f"    #3  {final}, 100 k parameters   [")
    assert front in found["#3"]
    assert found["#7"].startswith(f"    #7  pruned at step 40 of 100 ({reached})   [")
    assert f"the same network as #7: pruned at step 40 of 100 ({reached}), not trained again" in found["#8"]


@pytest.mark.parametrize("width", [80, 130])
def test_the_table_in_a_terminal_begins_with_the_score(width):
    display = terminal(width=width)
    display._live = display
    lines = screen(judged(display, ("object_f1", "params")))
    assert [cell.strip() for cell in lines[1].split("┃")[1:4]] == ["trial", "F1 of objects", "Dice"]
    rows = [line.split("│") for line in lines if line.startswith("│")]
    assert [[cell.strip() for cell in row[1:4]] for row in rows] == [
        ["#1", "0.7500", "0.7000"],
        ["#2", "0.8000", "0.8000"],
        ["#3", "0.5000", "0.9000"],
        ["#7", "(0.4123)", "-"],
    ]
    assert "40/100 steps 0:00:00 F1 of objects 0.4123" in next(line for line in lines if "#9" in line)
    assert max(map(len, lines)) <= width
    display = terminal(width=width)
    display.front(judged(display, ())._trained, ("object_f1", "params"))
    head = display.console.file.getvalue().partition("The front")[2].splitlines()[2]
    assert [cell.strip() for cell in head.split("┃")[1:5]] == ["trial", "F1 of objects", "Dice", "IoU"]
