"""The pruning rule on populations whose right decision is known by hand."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from unetsearch.search.candidate import Candidate
from unetsearch.search.pruner import Finished, Pruner, Rule, foretold, gains, kept, rungs
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import SearchSettings
from unetsearch.space.space import SearchSpace
from unetsearch.training.score import Score

RULE = Rule(peers=3, floor=0.5)

# three networks of 10, 20 and 40 units that gained .1, .2 and .3 from the rung to their end
FINISHED = Finished(np.array([0.6, 0.6, 0.5]), np.array([0.7, 0.8, 0.8]), np.array([[10.0], [20.0], [40.0]]))


def judged(scores, costs, finished=FINISHED, optimism=0.5, rule=RULE):
    costs = np.array(costs, dtype=float).reshape(len(scores), -1)
    return kept(np.array(scores), costs, finished, optimism, rule).tolist()


def test_what_is_foretold_to_be_beaten_by_a_network_that_costs_no_more_is_ended():
    """The median gain is .2. At 20 units .8 is to be beaten, at 15 only .7, below 10 nothing."""
    assert judged([0.61, 0.59, 0.59, 0.51, 0.49, 0.41], [20, 20, 15, 15, 15, 5]) == [
        True,
        False,
        True,
        True,
        False,
        True,
    ]


def test_equal_is_not_better():
    assert judged([0.6], [20]) == [False], "foretold .8, and .8 is there for as much"


def test_optimism_is_the_margin():
    assert judged([0.55], [20], optimism=0.5) == [False]
    assert judged([0.55], [20], optimism=1.0) == [True], "the greatest gain so far was .3"


def test_a_network_below_the_floor_is_ended_however_small():
    assert judged([0.15, 0.25], [1, 1]) == [False, True], "half of the best is .4; .35 and .45 are foretold"


def test_nobody_is_judged_before_there_are_enough_peers():
    two = Finished(FINISHED.then[:2], FINISHED.final[:2], FINISHED.costs[:2])
    assert judged([0.0], [99], two) == [True]
    none = Finished(np.zeros(0), np.zeros(0), np.zeros((0, 1)))
    assert judged([0.0], [99], none) == [True]


def test_with_several_costs_only_what_is_dearer_in_none_beats():
    finished = Finished(FINISHED.then, FINISHED.final, np.array([[10.0, 9.0], [20.0, 9.0], [40.0, 1.0]]))
    assert judged([0.59, 0.59], [(20, 8), (40, 2)], finished) == [True, False]


def test_without_costs_the_best_is_to_be_beaten():
    finished = Finished(FINISHED.then, FINISHED.final, np.zeros((3, 0)))
    assert kept(np.array([0.59, 0.61]), np.zeros((2, 0)), finished, 0.5, RULE).tolist() == [False, True]


def test_the_order_changes_nothing():
    scores, costs = [0.61, 0.59, 0.3, 0.5], [20, 20, 5, 15]
    expected = dict(zip(zip(scores, costs, strict=True), judged(scores, costs), strict=True))
    for order in permutations(range(4)):
        mixed = [(scores[i], costs[i]) for i in order]
        assert judged(*map(list, zip(*mixed, strict=True))) == [expected[pair] for pair in mixed]
    for order in map(list, permutations(range(3))):
        finished = Finished(FINISHED.then[order], FINISHED.final[order], FINISHED.costs[order])
        assert judged(scores, costs, finished) == list(expected.values())


def test_what_a_network_adds_to_the_front():
    """Costs 10 to 1000 are 0, .5 and 1 of their range; what is as dear as the dearest adds next to nothing."""
    final, costs = np.array([0.6, 0.8]), np.array([[100.0], [1000.0]])
    added = gains(np.array([0.6, 0.7, 0.9, 0.5]), np.array([[10.0], [100.0], [1000.0], [1000.0]]), final, costs)
    assert added == pytest.approx([0.5 * 0.6, 0.5 * 0.1, 0.0, 0.0], abs=2e-3)
    assert added[2] > 0 == added[3]


def test_before_anything_is_finished_the_smaller_of_equals_adds_more():
    none, nothing = np.zeros(0), np.zeros((0, 1))
    assert foretold(np.array([0.4]), Finished(none, none, nothing), 0.5).tolist() == [0.4]
    added = gains(np.array([0.6, 0.6, 0.1]), np.array([[10.0], [100.0], [10.0]]), none, nothing)
    assert added[0] > added[2] > added[1]


def test_gains_without_costs_and_with_several():
    final = np.array([0.6, 0.8])
    assert gains(np.array([0.7, 0.9]), np.zeros((2, 0)), final, np.zeros((2, 0))) == pytest.approx([0.0, 0.1])
    costs = np.array([[10.0, 1.0], [10.0, 10.0]])
    added = gains(np.array([0.7, 0.7]), np.array([[1.0, 10.0], [10.0, 10.0]]), final, costs)
    assert added[0] > added[1] == 0.0, "one is the cheapest in its first cost, the other beaten"


@pytest.mark.parametrize(
    ("steps", "evaluations", "expected"),
    [
        (240, 12, [40, 60, 80, 120]),
        (600, 12, [100, 150, 200, 300]),
        (150, 5, [30, 60, 90]),
        (100, 2, [50]),
        (100, 1, []),
    ],
)
def test_rungs_are_evaluations_and_never_the_last(steps, evaluations, expected):
    assert list(rungs(Recipe(steps=steps, evaluations=evaluations), Rule())) == expected


def test_less_is_granted_the_later_it_is():
    granted = list(rungs(Recipe(steps=240, evaluations=12), Rule()).values())
    assert granted == pytest.approx([0.95, 0.9, 0.9, 0.8])
    assert rungs(Recipe(steps=100, evaluations=10), Rule())[20] == pytest.approx(0.93)


SPACE = SearchSpace(name="x", recipe=Recipe(steps=120, evaluations=12))
CANDIDATE = Candidate.at(SPACE.sample(0))


def trial(number, dices, **changes):
    """A record whose Dice are known after each tenth step."""
    curve = tuple(
        Score(step=10 * part, loss=0, dice=dice, iou=0, dice_by_class=(dice,), iou_by_class=(0,), seconds=0)
        for part, dice in enumerate(dices, start=1)
    )
    return replace(CANDIDATE.record(number), curve=curve, **changes)


def taught(space=SPACE):
    """Three are finished, which gained .58 from the first rung, and .42 from the middle, to their .8."""
    pruner = Pruner(space)
    pruner.learn(trial(number, np.linspace(0.1, 0.8, 12)) for number in range(3))
    return pruner


def test_a_search_judges_at_rungs_only():
    pruner = taught()
    assert pruner.verdict(trial(9, [0.05], params=10**9)) == "on", "a twelfth is no rung"
    assert pruner.verdict(trial(9, [0.05] * 2, params=10**9)) == "end"
    assert pruner.verdict(trial(9, [0.2] * 2, params=10**9)) == "pause"
    assert pruner.verdict(trial(9, [0.05] * 2, params=1)) == "pause", "nothing so small is finished"
    assert pruner.verdict(trial(9, [0.1] * 3, params=1)) == "on"
    assert pruner.verdict(trial(9, [0.1] * 5, params=10**9)) == "on", "five twelfths are no rung"
    assert pruner.verdict(trial(9, [0.1] * 6, params=10**9)) == "end"


def test_no_baseline_is_ended_and_nobody_without_a_pruner_or_a_score():
    bad = trial(9, [0.01] * 2, params=10**9)
    assert taught().verdict(bad) == "end"
    assert taught().verdict(replace(bad, baseline="unet")) == "on"
    assert taught(replace(SPACE, search=SearchSettings(pruner="none"))).verdict(bad) == "on"
    assert taught(replace(SPACE, objectives=("params", "macs"))).verdict(bad) == "on"


def test_pruned_and_repeated_trials_are_no_peers():
    pruner = Pruner(SPACE)
    curve = np.linspace(0.1, 0.8, 12)
    pruner.learn(trial(number, curve[:6], state="pruned") for number in range(3))
    pruner.learn(trial(number, curve, state="repeat", repeat_of="#0") for number in range(3, 6))
    pruner.learn([trial(6, curve), trial(7, curve)])
    pruner.learn([trial(6, curve), trial(7, curve)])
    assert pruner.peers == 2
    assert pruner.verdict(trial(9, [0.01] * 2, params=10**9)) == "pause", "two are finished, three are needed"


def test_the_most_promising_one_is_the_one_that_adds_most_to_the_front():
    pruner, params = taught(), CANDIDATE.cost.params
    large, small, bad = (
        trial(9, [0.1, 0.2], params=params * 2),
        trial(8, [0.1, 0.2], params=params // 2),
        trial(7, [0.0, 0.0], params=params // 2),
    )
    for order in permutations([large, small, bad]):
        assert order[pruner.best(order)] is small
    further = trial(6, [0.1, 0.2, 0.3], params=params // 2)
    assert pruner.best([small, further]) == 1, "after a quarter of the steps .3 foretells .87, .2 before that .84"


def test_a_training_that_is_through_is_kept():
    assert taught().keeps(trial(9, [0.01] * 12, params=10**9))


@pytest.mark.parametrize("objectives", [("object_f1", "dice", "params"), ("params", "object_f1")])
def test_the_first_score_of_the_objectives_judges(objectives):
    """High Dice helps nobody whose F1 of objects foretells nothing, nor does low Dice harm."""
    pruner = Pruner(replace(SPACE, objectives=objectives))

    def seen(number, found, dices):
        made = trial(number, dices)
        curve = (replace(score, object_f1=f1) for score, f1 in zip(made.curve, found, strict=True))
        return replace(made, curve=tuple(curve), params=10**9 if number == 9 else made.params)

    pruner.learn(seen(number, np.linspace(0.1, 0.8, 12), [0.5] * 12) for number in range(3))
    assert pruner.peers == 3
    assert pruner.verdict(seen(9, [0.05] * 2, [0.3] * 2)) == "end"
    assert pruner.verdict(seen(9, [0.2] * 2, [0.0] * 2)) == "pause"
