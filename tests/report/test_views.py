from dataclasses import replace

import pytest

from unetsearch.report.views import (
    Curve,
    curves,
    depth_rows,
    hypervolume,
    hypervolume_over_time,
    network_points,
    saving,
    summary,
)

OBJECTIVES = ("dice", "params")


def test_every_trained_network_is_a_point_once(records):
    points = network_points(records, OBJECTIVES)
    assert [(point.name, point.baseline, point.on_front) for point in points] == [
        ("unet", True, False),
        ("unet++", True, False),
        ("#0", False, True),
        ("#1", False, True),
        ("#2", False, False),
    ]
    assert points[2].words == "depth 3, plain skips, plain encoder, 8-16-32-64"
    assert (points[2].score, points[2].depth, points[2].skip) == (0.85, 3, "plain")


def test_other_objectives_make_another_front(records):
    assert [p.name for p in network_points(records, ("dice",)) if p.on_front] == ["#0"]


def test_depths(records, make):
    rows = depth_rows(network_points((*records, make(9, 0.9, depth=4), make(10, 0.6, depth=4)), OBJECTIVES))
    assert [(row.depth, row.best.name, len(row.scores)) for row in rows] == [
        (1, "#1", 1),
        (2, "#2", 1),
        (3, "#0", 1),
        (4, "#9", 4),
    ]
    assert (rows[3].median, rows[3].low, rows[3].high) == pytest.approx((0.82, 0.75, 0.855))
    assert (rows[0].low, rows[0].median, rows[0].high) == (0.7, 0.7, 0.7)


def test_curves(records):
    found = curves(records, OBJECTIVES)
    assert [(curve.name, curve.kind) for curve in found] == [
        ("unet", "baseline"),
        ("unet++", "baseline"),
        ("#0", "front"),
        ("#1", "front"),
        ("#2", "other"),
        ("#5", "failed"),
    ]
    assert found[2] == Curve(name="#0", kind="front", steps=(10, 20), scores=(0.425, 0.85))


def test_the_hypervolume_grows_with_the_trained_networks(records):
    points = hypervolume_over_time(records, "dice")
    assert [point.trials for point in points] == [1, 2, 3, 4, 5]
    assert [point.seconds for point in points] == [60, 120, 180, 240, 300]
    values = [point.value for point in points]
    assert values == sorted(values)
    assert points[-1].value > points[-2].value - 1e-12
    assert 0 < values[-1] < 1
    assert hypervolume_over_time((), "dice") == ()
    assert hypervolume(records, "dice") == hypervolume(records[::-1], "dice") == pytest.approx(values[-1])
    assert hypervolume((), "dice") == hypervolume(records[-2:], "dice") == 0


def test_the_hypervolume_by_hand(make):
    """Six decades from 1 k parameters on: Dice 0.5 in the first one, 0.8 in the second, 0.9 in the other four."""
    sizes = {1_000: 0.5, 10_000: 0.8, 100_000: 0.9, 31_623: 0.6, 100: 0.4, 10**10: 1.0}
    found = [replace(make(i, dice), params=params) for i, (params, dice) in enumerate(sizes.items())]
    expected = [3.0, 4.5, 4.9, 4.9, 4.9, 4.9]
    for count, volume in enumerate(expected, start=1):
        assert 6 * hypervolume(found[:count], "dice") == pytest.approx(volume), "what comes later takes nothing away"


def test_a_pruned_training_is_a_curve_and_no_point(pruned_study):
    assert [point.name for point in network_points(pruned_study, OBJECTIVES)] == ["#0", "#3"]
    assert [(row.depth, row.best.name) for row in depth_rows(network_points(pruned_study, OBJECTIVES))] == [
        (1, "#3"),
        (3, "#0"),
    ]
    found = curves(pruned_study, OBJECTIVES)
    assert [(curve.name, curve.kind) for curve in found] == [
        ("#0", "front"),
        ("#1", "pruned"),
        ("#2", "pruned"),
        ("#3", "front"),
    ]
    assert found[1] == Curve(name="#1", kind="pruned", steps=(10,), scores=(0.31,), remark="pruned at 10 of 20 steps")
    assert hypervolume(pruned_study, "dice") == hypervolume((pruned_study[0], pruned_study[3]), "dice")
    assert [point.trials for point in hypervolume_over_time(pruned_study, "dice")] == [1, 2]
    assert hypervolume_over_time(pruned_study, "dice")[-1].seconds == 290, "pruned trainings cost time too"


def test_what_pruning_saved_by_hand(pruned_study):
    """Of 4 trainings of 20 steps, two were ended after 10: 60 steps done, 20 saved. The repeat cost and saved none."""
    found = saving(pruned_study)
    assert (found.pruned, found.trainings, found.steps, found.saved) == (2, 4, 60, 20)
    assert found.words == "Pruning ended 2 of 4 trainings early and saved 25% of the optimizer steps."
    lines = summary(pruned_study, network_points(pruned_study, OBJECTIVES), "dice")
    assert found.words in lines
    assert lines[-1].startswith("Points of the space: 2 trained, 2 ended early, 1 known already. These")
    assert summary(pruned_study[1:2], (), "dice") == (
        "Points of the space: 1 ended early; there is no result yet.",
        "Pruning ended 1 of 1 training early and saved 50% of the optimizer steps.",
    )


def test_trainings_that_the_time_ended_are_no_savings(pruned_study):
    first, half, other, *rest = pruned_study
    late = replace(other, reason="the time was spent")
    found = saving([first, half, late, *rest])
    assert (found.pruned, found.late, found.trainings, found.steps, found.saved) == (1, 1, 4, 60, 10)
    assert found.words == (
        "Pruning ended 1 of 4 trainings early and saved 14% of the optimizer steps. "
        "1 of 4 trainings was ended early, since the time was spent."
    )
    assert saving([first, late, replace(late, number=5)]).words == (
        "2 of 3 trainings were ended early, since the time was spent."
    )


def test_a_failed_training_saves_nothing(records):
    assert (saving(records).saved, saving(records).words) == (0, "")


def test_out_of_memory_and_parts_are_said(make):
    half = replace(make(0), parts=2)
    assert network_points([half], OBJECTIVES)[0].words.endswith("8-16-32, batches in 2 parts (out of memory)")
    lost = replace(make(1), state="infeasible", curve=make(1).curve[:1], parts=2, reason="out of memory")
    assert [curve.kind for curve in curves([lost], OBJECTIVES)] == ["failed"]
    assert curves([lost], OBJECTIVES)[0].remark == "infeasible: out of memory; batches in 2 parts (out of memory)"


def test_the_summary_says_what_was_found_and_what_it_is_worth(records):
    lines = summary(records, network_points(records, OBJECTIVES), "dice")
    assert lines == (
        "The highest Dice: 0.8500, by #0 (depth 3, plain skips, plain encoder, 8-16-32-64; 121 k parameters).",
        "Against the strongest baseline (unet, Dice 0.8400, 486 k parameters) the best network that was searched for "
        "has +0.0100 Dice.",
        "Networks within 0.01 of the best Dice have depths 3, 4.",
        "Points of the space: 3 trained, 1 known already, 1 infeasible, 1 failed. These scores chose the networks "
        "on one validation split, so the best of them is flattered, and differences of about a point of Dice can "
        "turn with the seed.",
    )


def test_a_smaller_network_that_is_as_good_is_named(make):
    pair = (make(0, 0.9, depth=3), make(1, 0.895, depth=1))
    lines = summary(pair, network_points(pair, OBJECTIVES), "dice")
    assert lines[1].startswith("The smallest network within 0.01 of it: 0.8950, by #1")
    assert lines[1].endswith("It has 5% of the best's parameters.")


def test_nothing_trained(records):
    assert summary((), (), "dice") == ("Nothing was trained; there is no result yet.",)
    assert summary(records[-2:], (), "dice") == (
        "Points of the space: 1 infeasible, 1 failed; there is no result yet.",
    )


BEST = {"dice": "#0", "iou": "#2", "object_f1": "#1"}
"""Of the contrary records, by the score."""


@pytest.mark.parametrize(
    ("by", "front", "volume"),
    [
        ("dice", ["#0", "#1", "#2"], (0.7 + 0.8 + 4 * 0.9) / 6),
        ("iou", ["#2"], 0.65),
        ("object_f1", ["#1", "#2"], (0.75 + 5 * 0.8) / 6),
    ],
)
def test_the_first_maximised_objective_ranks_the_networks(contrary, by, front, volume):
    records, objectives = contrary(by), ("params", by)
    points = network_points(records, objectives)
    assert [point.score for point in points] == [record.final.of(by) for record in records[:-1]]
    assert [point.name for point in points if point.on_front] == front
    assert max(points, key=lambda point: point.score).name == BEST[by]
    assert curves(records, objectives)[3].scores == tuple(score.of(by) for score in records[3].curve)
    assert hypervolume(records, by) == pytest.approx(volume)
    assert hypervolume_over_time(records, by)[-1].value == pytest.approx(volume)


@pytest.mark.parametrize(("by", "best"), [("dice", "#0"), ("iou", "#0"), ("object_f1", "#1")])
def test_the_best_of_a_depth_is_that_of_the_highest_score(contrary, by, best):
    rows = depth_rows(network_points(contrary(by), (by, "params")))
    assert [(row.depth, row.best.name) for row in rows if row.depth < 4] == [(1, "#2"), (3, best)]
    assert {point.score for point in network_points(contrary(by), (by,)) if point.depth == 3} == set(rows[1].scores)


def test_a_later_score_is_told_and_ranks_nothing(contrary):
    """Dice is named before F1 of objects."""
    points = network_points(contrary("object_f1"), ("params", "dice", "object_f1"))
    assert [point.score for point in points] == [0.84, 0.80, 0.90, 0.80, 0.70]
    assert points[3].final.object_f1 == 0.8


def test_the_summary_speaks_of_the_score(contrary):
    """By Dice the strongest baseline would be unet, and #0 the best."""
    records = contrary("object_f1")
    lines = summary(records, network_points(records, ("object_f1", "params")), "object_f1")
    assert lines[0] == (
        "The highest F1 of objects: 0.8000, by #1 (depth 3, plain skips, plain encoder, 8-16-32-64; 10.0 k parameters)."
    )
    assert lines[1] == (
        "Against the strongest baseline (unet++, F1 of objects 0.7000, 100 k parameters) the best network that was "
        "searched for has +0.1000 F1 of objects."
    )
    assert lines[2] == "Networks within 0.01 of the best F1 of objects have depth 3."
    assert lines[-1].endswith("differences of about a point of F1 of objects can turn with the seed.")
    assert not [line for line in lines if "Dice" in line]
    records = contrary("iou")
    lines = summary(records, network_points(records, ("iou", "params")), "iou")
    assert lines[0].startswith("The highest IoU: 0.6500, by #2")
    assert "unet, IoU 0.5000, 100 k parameters" in lines[1]
    assert "has +0.1500 IoU." in lines[1]
