"""Which networks of a search are trained again, from records made by hand."""

from dataclasses import replace

import pytest

from unetsearch.graph.references import reference
from unetsearch.search.candidate import Candidate
from unetsearch.search.finalists import best_of_each, candidates, chosen, finalists, ranked
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score

OBJECTIVES = ("dice", "params")


def score(step, dice):
    return Score(
        step=step, loss=0.5, dice=dice, iou=1 - dice, dice_by_class=(dice,), iou_by_class=(1 - dice,), seconds=1.0
    )


def record(number, dice, depth, *, params, baseline=None, name="unet", state="complete", **values):
    """Pruned ones end at half of their steps."""
    architecture = reference(name, **{"width": 4 + 4 * number, "depth": depth, **values})
    made = Candidate.of(architecture, Recipe(steps=20, evaluations=2)).record(number, baseline=baseline)
    step = 20 if state == "complete" else 10
    return replace(made, state=state, params=params, curve=(score(step, dice),))


def names(records):
    return [record.name for record in records]


def test_the_front_two_of_each_depth_one_of_each_skip_and_encoder_and_the_baselines():
    records = (
        record(0, 0.70, 4, params=900, baseline="unet"),
        record(0, 0.90, 3, params=500),  # the front, the best of all
        record(1, 0.89, 3, params=600),  # the second of depth 3
        record(2, 0.88, 3, params=650),  # the third: left out
        record(3, 0.80, 1, params=100),  # the front
        record(4, 0.60, 1, params=150),  # the second of depth 1
        record(5, 0.50, 1, params=160),  # the third: left out
        record(6, 0.55, 3, params=700, name="unet++"),  # the best of dense skips
        record(7, 0.52, 3, params=710, name="unet++"),  # left out
        record(8, 0.51, 3, params=800, name="resunet"),  # the best of residual encoders
    )
    assert names(finalists(records, OBJECTIVES)) == ["#3", "#4", "#0", "#1", "#6", "#8", "unet"]
    assert names(chosen(records, OBJECTIVES)) == ["#3", "#0", "#6", "#8"], "of a repeated search what it chose alone"


def test_a_score_that_ranks_otherwise_chooses_others():
    records = (record(0, 0.9, 2, params=100), record(1, 0.8, 2, params=90), record(2, 0.7, 2, params=80))
    assert names(best_of_each(records, "depth", "dice")) == ["#0"]
    assert names(best_of_each(records, "depth", "iou")) == ["#2"]
    assert names(finalists(records, ("iou",))) == ["#2", "#1"], "the front of IoU alone, and the second of its depth"


def test_a_baseline_that_is_a_point_of_the_space_is_a_candidate():
    baseline, other = (record(place, 0.9, 2, params=100 + place, baseline=f"unet{place}") for place in range(2))
    repeat = replace(baseline, number=3, baseline=None, state="repeat", repeat_of="unet0")
    weak = record(2, 0.5, 2, params=200)
    assert names(candidates((baseline, other, repeat, weak))) == ["unet0", "#2"]
    assert names(candidates((baseline, other, weak))) == ["#2"]
    assert names(finalists((baseline, other, repeat, weak), OBJECTIVES)) == ["unet0", "unet1", "#2"]


def test_a_depth_of_pruned_trials_is_represented_by_its_best_one():
    whole = record(0, 0.7, 2, params=100)
    low, high = (record(number, dice, 3, params=300, state="pruned") for number, dice in ((1, 0.6), (2, 0.65)))
    assert names(finalists((whole, low, high), OBJECTIVES)) == ["#0", "#2"]
    better = record(3, 0.2, 3, params=400)
    assert names(finalists((whole, low, high, better), OBJECTIVES)) == ["#0", "#3"], "one trained to the end is there"
    assert names(ranked((low, high, better, whole), "dice")) == ["#0", "#3", "#2", "#1"]


def test_each_network_is_a_finalist_once():
    candidate = record(0, 0.8, 2, params=100)
    twin = replace(candidate, number=1)
    baseline = replace(candidate, number=0, baseline="unet")
    for records in ((candidate, twin), (baseline, candidate)):
        assert [each.hash for each in finalists(records, OBJECTIVES)] == [candidate.hash]


@pytest.mark.parametrize(
    "state", [{"state": "failed"}, {"state": "infeasible", "curve": ()}, {"state": "repeat", "repeat_of": "#9"}]
)
def test_what_was_not_trained_is_no_candidate(state):
    left_out = replace(record(1, 0.99, 5, params=10), **state)
    kept = record(0, 0.5, 2, params=100)
    assert names(finalists((left_out, kept), OBJECTIVES)) == ["#0"]
    assert finalists((left_out,), OBJECTIVES) == ()
