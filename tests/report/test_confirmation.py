"""What a confirmation says in numbers, from runs whose scores are known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.report.confirming import STEP, exact, failure, network, noisy, plan_of, run_of, runs_of
from unetsearch.report.confirmation import confirmation
from unetsearch.report.confirmed_scores import Unlearnt
from unetsearch.statistics.differences import compare
from unetsearch.statistics.gain import gain
from unetsearch.statistics.outcomes import cells_of
from unetsearch.statistics.verdict import needed, verdict

FINALISTS = (
    network(0, 1),
    network(1, 2),
    network(2, 2, name="unet++"),
    network(3, 3),
    network(0, 4, baseline="unet", width=32),
)


def cells(*rows):
    """The independent way: arrays (folds, seeds, images) to all pairs, images being groups."""
    values = np.stack(rows)
    count, folds, seeds, images = values.shape
    labels = np.repeat(np.arange(folds), seeds), np.tile(np.arange(seeds), folds)
    return compare(cells_of(values.reshape(count, -1, images), *labels, [f"g{index}" for index in range(images)]))


def array(plan, value, choose):
    """The scores (folds, seeds, images) of what `choose(fold)` names; NaN where a fold does not test an image."""
    shape = (plan.folds, plan.seeds, len(plan.groups))
    result = np.full(shape, np.nan)
    for fold, seed, image in np.ndindex(shape):
        if not plan.nested or image % plan.folds == fold:
            result[fold, seed, image] = value(choose(fold), fold, seed, image)
    return result


def test_crossed_numbers_are_those_of_an_independent_computation():
    plan, value = plan_of(*FINALISTS), noisy({1: 0.0, 2: 0.02, 3: 0.03, 4: 0.0}, 0.01)
    found = confirmation(plan, runs_of(plan, value), FINALISTS)
    arrays = [array(plan, value, lambda _, own=own: own) for own in FINALISTS]
    points, labels, order = cells(*arrays[:4]), [1, 2, 2, 3], [1, 2, 3]
    depth, skip = found.factors
    assert (depth.name, skip.name) == ("depth", "skip")
    assert depth.verdict == verdict(points, labels, order, 0.01)
    assert depth.needed == (None if depth.verdict.decided else needed(points, labels, order, 0.01, most_units=20))
    best = max((1, 2), key=lambda place: arrays[place].mean())
    assert [standing.record for standing in depth.standings] == [FINALISTS[0], FINALISTS[best], FINALISTS[3]]
    assert [standing.mean for standing in depth.standings] == pytest.approx(
        [arrays[place].mean() for place in (0, best, 3)]
    )
    assert depth.gains[2][0] == points.interval(3, 0)
    assert depth.gains[1][0] == points.interval(best, 0, 0.975), "one of two was chosen"
    assert depth.gains[2][0].low < arrays[3].mean() - arrays[0].mean() < depth.gains[2][0].high
    assert [standing.label for standing in skip.standings] == ["plain", "dense"], "the simple one first"
    assert skip.standings[0].record == FINALISTS[3]
    everyone = cells(*arrays)
    place = FINALISTS.index(depth.recommended)
    assert found.against.baseline == "unet"
    assert found.against.gain == gain(everyone, place, [4], 4).interval
    assert [tested.record for tested in found.tested] == list(FINALISTS)
    for tested, own in zip(found.tested, arrays, strict=True):
        alone = cells(own, np.zeros_like(own)).interval(0, 1)
        assert (tested.mean.low, tested.mean.high) == pytest.approx((alone.low, alone.high))
        assert tested.mean.estimate == pytest.approx(own.mean())
        assert tested.trainings == 6
    assert (found.done, found.of, found.images, found.groups, found.seconds) == (30, 30, 12, 12, 300.0)


def nested():
    """Three outer folds, whose searches chose other networks; the whole search chose #0, #1 and #3."""
    own = [(network(10 + fold, 1, 0.5), network(20 + fold, 2, 0.8 - 0.3 * (fold == 1))) for fold in range(3)]
    unet = FINALISTS[-1]
    return plan_of(nested=True, finalists=tuple((*of_fold, unet) for of_fold in own)), own, unet


def test_nested_numbers_are_those_of_what_each_search_chose():
    plan, own, unet = nested()
    value = noisy({1: 0.0, 2: 0.02, 4: 0.01}, 0.01)
    found = confirmation(plan, runs_of(plan, value), FINALISTS)
    shallow, deep, baseline = (
        array(plan, value, choose) for choose in (lambda fold: own[fold][0], lambda fold: own[fold][1], lambda _: unet)
    )
    (depth,) = found.factors
    assert depth.verdict == verdict(cells(shallow, deep), [1, 2], [1, 2], 0.01)
    assert [standing.mean for standing in depth.standings] == pytest.approx([np.nanmean(shallow), np.nanmean(deep)])
    whole = [standing.record for standing in depth.standings]
    assert whole == [FINALISTS[0], FINALISTS[1]], "shown as what the whole search has of that depth"
    # the search of fold 1 gave both the same score: it chose the smaller one
    choice = array(plan, value, lambda fold: own[fold][fold != 1])
    assert found.against.baseline == "unet"
    assert found.against.gain == gain(cells(baseline, choice), 1, [0], 1).interval
    assert {tested.record.name: tested.mean.estimate for tested in found.tested} == pytest.approx(
        {"#0": np.nanmean(choice), "unet": np.nanmean(baseline)}
    )
    assert (found.images, found.groups, found.done, found.of) == (12, 12, 18, 18)


def test_what_one_search_has_nothing_of_is_not_judged():
    plan, own, unet = nested()
    deeper = network(31, 3, 0.4)
    plan = replace(plan, finalists=((*own[0], deeper, unet), *plan.finalists[1:]))
    value = exact({1: 0.0, 2: 16 * STEP, 3: 64 * STEP, 4: 0.0})
    (depth,) = confirmation(plan, runs_of(plan, value), FINALISTS).factors
    assert depth.verdict.decided == 2
    assert (depth.verdict.reasons, depth.verdict.missing) == ((), (3,))


def test_a_depth_that_the_whole_search_lacks_is_not_judged():
    plan, _, unet = nested()
    records = (FINALISTS[0], unet)
    (depth,) = confirmation(plan, runs_of(plan, exact({1: 0.0, 2: 0.5, 4: 0.0})), records).factors
    assert (depth.verdict.decided, depth.verdict.possible) == (None, (1,))
    assert depth.verdict.reasons == ("1 is all there is: nothing to compare it with",)
    assert depth.verdict.missing == (2,)


def test_another_score_as_the_objective():
    """F1 of objects is what Dice lacks to 1, so that the order is turned round."""
    turned = [
        replace(own, curve=tuple(replace(score, object_f1=1 - score.dice) for score in own.curve)) for own in FINALISTS
    ]
    plan = plan_of(*turned, score="object_f1")
    runs = runs_of(plan, exact({1: 0.0, 2: 16 * STEP, 3: 32 * STEP, 4: 0.0}))
    found = confirmation(plan, runs, turned)
    assert found.score == "object_f1"
    assert found.factors[0].verdict.decided == 1
    assert found.factors[0].standings[2].loss == pytest.approx(32 * STEP)
    assert confirmation(replace(plan, score="dice"), runs, turned).factors[0].verdict.decided == 3


def test_nothing_is_confirmed_before_a_run_of_every_finalist():
    plan = plan_of(*FINALISTS)
    runs = runs_of(plan, exact({1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0}))
    assert confirmation(plan, [], FINALISTS) is None
    lacking = [run for run in runs if run.key.hash != FINALISTS[0].hash]
    assert confirmation(plan, lacking, FINALISTS) is None


def test_runs_that_some_finalist_lacks_do_not_count():
    plan, value = plan_of(*FINALISTS), noisy({1: 0.0, 2: 0.02, 3: 0.03, 4: 0.0}, 0.01)
    runs = runs_of(plan, value)
    first = [run for run in runs if run.key.seed == 0]
    some = [run for run in runs if run.key.seed == 1 and run.key.hash == FINALISTS[3].hash]
    partial = confirmation(plan, [*first, *some], FINALISTS)
    whole = confirmation(replace(plan, seeds=1), first, FINALISTS)
    assert (partial.factors, partial.tested, partial.against) == (whole.factors, whole.tested, whole.against)
    assert (partial.done, partial.of, partial.left_out) == (18, 30, ())


def test_trainings_of_other_plans_do_not_count():
    plan, value = plan_of(*FINALISTS), noisy({1: 0.0, 2: 0.02, 3: 0.03, 4: 0.0}, 0.01)
    runs = runs_of(plan, value)
    better = exact({1: 0.4, 2: 0.0, 3: 0.0, 4: 0.0})
    others = [
        *runs_of(plan, better, design="crossed 5"),
        *runs_of(plan, better, design="nested 3"),
        *runs_of(plan, better, tuning=True, budget=4.0),
        *runs_of(plan_of(network(9, 1)), better),
        *(run for run in runs_of(replace(plan, seeds=3), better) if run.key.seed == 2),
    ]
    expected = confirmation(plan, runs, FINALISTS)
    found = confirmation(plan, [*others, *runs], FINALISTS)
    assert found == expected
    tuned = [run_of(plan, own, 0, 0, {0: 0.5}, tuning=True, budget=4.0) for own in FINALISTS]
    found = confirmation(plan, [*runs, *tuned, *runs_of(plan, better, budget=4.0)], FINALISTS)
    ((budget, longer),) = found.longer
    assert (budget, longer.verdict.decided) == (4.0, 1), "what was asked for once stays told"
    assert replace(found, longer=()) == expected


def test_trainings_from_seeds_of_an_earlier_plan_do_not_count():
    earlier = plan_of(*FINALISTS, seeds=3, budgets=(1.0, 4.0))
    plan = replace(earlier, seeds=1)
    usual, level = exact({1: 0.0, 2: 0.02, 3: 0.03, 4: 0.0}), exact({1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0})

    def collapsing(record, fold, seed, image):
        return 0.0 if record == FINALISTS[0] and seed else usual(record, fold, seed, image)

    tuned = [run_of(plan, own, 0, 0, {0: 0.5}, tuning=True, budget=4.0) for own in FINALISTS]
    runs = [*runs_of(earlier, collapsing), *tuned, *runs_of(earlier, level, budget=4.0)]
    assert confirmation(earlier, runs, FINALISTS).unlearnt == (Unlearnt("#0", 6, 9),)
    found = confirmation(plan, runs, FINALISTS)
    assert found == confirmation(plan, [run for run in runs if run.key.seed == 0], FINALISTS)
    assert (found.done, found.of, found.seconds, found.unlearnt) == (15, 15, 150.0, ())


def test_a_failure_from_a_seed_of_an_earlier_plan_leaves_nobody_out():
    plan = plan_of(*FINALISTS, seeds=1)
    later = runs_of(replace(plan, seeds=3), exact({1: 0.0, 2: 0.02, 3: 0.03, 4: 0.0}))
    failures = map_failures(run for run in later if run.key.seed == 2 and run.key.hash == FINALISTS[0].hash)
    runs = [run for run in later if run.key.seed == 0 and run.key.hash != FINALISTS[0].hash]
    assert confirmation(plan, runs, FINALISTS, failures) is None, "#0 is still to come"


def test_a_finalist_that_could_not_be_trained_is_left_out_and_named():
    plan, value = plan_of(*FINALISTS), noisy({1: 0.0, 2: 0.02, 3: 0.03, 4: 0.0}, 0.01)
    runs = runs_of(plan, value)
    kept = [run for run in runs if run.key.hash != FINALISTS[3].hash]
    failures = [failure(run) for run in runs if run.key.hash == FINALISTS[3].hash]
    found = confirmation(plan, kept, FINALISTS, failures)
    assert found.left_out == ("#3",)
    assert [standing.label for standing in found.factors[0].standings] == [1, 2]
    assert "#3" not in [tested.record.name for tested in found.tested]
    again = confirmation(plan, runs, FINALISTS, failures)
    assert again == confirmation(plan, runs, FINALISTS), "it was trained since"
    one = confirmation(plan, [run for run in runs if run != runs[0]], FINALISTS, [failure(runs[0])])
    assert (one.left_out, one.tested[0].trainings) == ((), 5), "one run of it failed: that run is left out for all"


def test_nested_the_next_best_stands_for_what_could_not_be_trained():
    plan, own, unet = nested()
    second = network(41, 2, 0.6)
    plan = replace(plan, finalists=((*own[0], second, unet), *plan.finalists[1:]))
    value = exact({1: 0.0, 2: 16 * STEP, 4: 0.0})
    runs = runs_of(plan, value)
    lost = [run for run in runs if run.key.hash == own[0][1].hash]
    found = confirmation(plan, [run for run in runs if run not in lost], FINALISTS, map_failures(lost))
    assert found.left_out == ("#20 of the search without fold 1",)
    assert [standing.loss for standing in found.factors[0].standings] == pytest.approx([16 * STEP, 0.0])


def map_failures(runs):
    return [failure(run) for run in runs]


def test_nested_a_fold_that_was_not_begun_is_no_failure():
    plan, _, _ = nested()
    runs = runs_of(plan, exact({1: 0.0, 2: 0.0, 4: 0.0}))
    found = confirmation(plan, [run for run in runs if run.key.fold == 0], FINALISTS)
    assert (found.left_out, found.images, found.done, found.of) == ((), 4, 6, 18)


def test_nothing_but_baselines_could_be_trained():
    plan = plan_of(*FINALISTS)
    runs = runs_of(plan, exact({1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0}))
    kept = [run for run in runs if run.key.hash == FINALISTS[4].hash]
    failures = map_failures(run for run in runs if run not in kept)
    found = confirmation(plan, kept, FINALISTS, failures)
    assert (found.factors, found.against) == ((), None)
    assert found.left_out == ("#0", "#1", "#2", "#3")


def test_the_rate_that_was_tuned_is_the_one_that_counts():
    plan = replace(plan_of(*FINALISTS[:2]), budgets=(1.0, 4.0))
    level = exact({1: 0.0, 2: 0.0})
    tunings = [
        run_of(plan, own, 0, 0, {0: 0.5 + (rate == 2.0) / 4}, tuning=True, budget=4.0, rate=rate)
        for own in FINALISTS[:2]
        for rate in (0.5, 1.0, 2.0)
    ]
    better, worse = (exact({1: 0.0, 2: gain * STEP}) for gain in (64, -64))
    runs = [*runs_of(plan, level), *tunings, *runs_of(plan, better, budget=4.0, rate=2.0)]
    old = runs_of(plan, worse, budget=4.0, rate=0.5)
    for order in ([*runs, *old], [*old, *runs]):
        found = confirmation(plan, order, FINALISTS)
        assert [(budget, factor.verdict.decided) for budget, factor in found.longer] == [(4.0, 2)]
        assert found.factors[0].verdict.decided == 1
