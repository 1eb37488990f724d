from dataclasses import replace

import pytest

from unetsearch.report.figures import timeline_figure
from unetsearch.report.timeline import Bar, timeline


def test_lanes_and_bars(pruned_study):
    found = timeline(pruned_study, "dice")
    assert found.slots == ("0", "1")
    assert [(bar.name, bar.slot, bar.outcome, bar.start, bar.seconds) for bar in found.bars] == [
        ("#0", "0", "complete", 0, 100),
        ("#1", "1", "pruned", 0, 40),
        ("#2", "1", "pruned", 45, 50),
        ("#3", "0", "complete", 110, 100),
    ]
    assert found.bars[1] == Bar(
        name="#1",
        slot="1",
        outcome="pruned",
        start=0,
        seconds=40,
        words="pruned at 10 of 20 steps, Dice 0.3100, depth 2, 40 s",
    )


def test_a_pause_of_all_slots_is_left_out_and_told(pruned_study):
    """200 s of training with a gap of 10 s; then a pause of an hour, and 200 s more with another gap of 10 s."""
    assert timeline(pruned_study, "dice").pauses == (), "10 s are not more than a twentieth of 200 s"
    more = [replace(pruned_study[0], number=number, finished=finished) for number, finished in ((5, 4910), (6, 5020))]
    found = timeline((*pruned_study, *more), "dice")
    assert found.pauses == ((210, 3600),)
    assert [(bar.name, bar.start) for bar in found.bars[-3:]] == [("#3", 110), ("#5", 210), ("#6", 320)]
    figure = timeline_figure(found)
    assert [line.x0 for line in figure.layout.shapes] == [210 / 60]
    assert figure.layout.annotations[0].text == "pause of 1 h 00 min"
    assert figure.layout.xaxis.title.text == "minutes, without the times in which nothing was trained"


@pytest.mark.parametrize(
    ("by", "words"),
    [("dice", "Dice 0.3100"), ("iou", "IoU 0.2100, Dice 0.3100"), ("object_f1", "F1 of objects 0.1100, Dice 0.3100")],
)
def test_bars_tell_the_score_and_dice(contrary, by, words):
    assert timeline(contrary(by), by).bars[-1].words == f"pruned at 10 of 20 steps, {words}, depth 2, 1 min 00 s"


def test_slots_are_sorted_by_machine_and_number(make):
    slots = ["b/2", "b/10", "a/0", "b/1"]
    records = [replace(make(i), slot=slot) for i, slot in enumerate(slots)]
    assert timeline(records, "dice").slots == ("a/0", "b/1", "b/2", "b/10")


def test_old_studies_know_no_slots(records):
    found = timeline(records, "dice")
    assert (found.slots, found.bars, found.pauses) == ((), (), ())


def test_the_figure_has_one_trace_an_outcome_and_one_lane_a_slot(pruned_study):
    figure = timeline_figure(timeline(pruned_study, "dice"))
    assert [(trace.name, trace.y) for trace in figure.data] == [
        ("trained to the end", ("0", "0")),
        ("pruned", ("1", "1")),
    ]
    assert figure.data[1].base == pytest.approx((0, 0.75), abs=1e-3)
    assert figure.data[1].x == pytest.approx((40 / 60, 50 / 60), abs=1e-3)
    assert figure.data[1].hovertext[0].startswith("<b>#1</b>  pruned at 10 of 20 steps, Dice 0.3100")
    assert figure.layout.yaxis.categoryarray == ("0", "1")
    assert figure.layout.barmode == "overlay", "bars of one lane stand behind each other, not on top of each other"
