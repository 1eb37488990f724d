"""What an answer says of its own limits: trainings that are too short, not finished, or that there were none of."""

from dataclasses import replace

from tests.report.confirming import STEP, exact, network, noisy, plan_of, run_of, runs_of
from tests.report.test_answer import FINALISTS, GAINS, confirmed, told
from unetsearch.report.answer import answer
from unetsearch.report.confirmation import confirmation
from unetsearch.report.confirmed_scores import Unlearnt
from unetsearch.statistics.verdict import Needed

BUDGETS = plan_of(*FINALISTS, budgets=(1.0, 4.0))

SOME = "Learnt nothing in some trainings, so that little is known of how good they are"


def longer(gains, by_budget):
    """A confirmation with budgets; every network was tuned to the same rate."""
    plan = plan_of(*FINALISTS[:2], budgets=(1.0, *by_budget))
    runs = runs_of(plan, exact(gains))
    for budget, theirs in by_budget.items():
        for own in FINALISTS[:2]:
            runs.append(run_of(plan, own, 0, 0, {0: 0.5}, tuning=True, budget=budget))
        runs += runs_of(plan, theirs if callable(theirs) else exact(theirs), budget=budget)
    return answer(confirmation(plan, runs, FINALISTS), "cells")


def test_a_verdict_that_turns_with_longer_trainings_is_none():
    lines = longer({1: 0.0, 2: 0.0}, {4.0: {1: 0.0, 2: 64 * STEP}})
    assert lines[0] == (
        "cells: undecided between depths 1 and 2, it hangs on the length of the training: with the search's steps, "
        "depth 1 is enough: no other one is better (95 %); with 4 times the steps, depth 2 is enough: "
        "no other one is better (95 %)."
    )
    assert lines[1].startswith("Take #0, all the same (depth 1, ")
    assert not [line for line in lines if "it is the same" in line]


def test_a_verdict_that_stands_says_so():
    lines = longer({1: 0.0, 2: 0.0}, {0.5: {1: 64 * STEP, 2: 0.0}, 4.0: {1: 0.0, 2: STEP}})
    assert lines[0] == "cells: depth 1 is enough: no other one is better (95 %)."
    assert lines[1].startswith("Take #0 (depth 1, ")
    assert lines[2:4] == (
        "With 0.5 times the steps it is the same: depth 1 is enough: no other one is better (95 %).",
        "With 4 times the steps it is the same: depth 1 is enough: a better one gains at most 0.001 Dice (95 %).",
    )


def test_longer_trainings_that_do_not_settle_it_turn_nothing():
    few = noisy({1: 0.0, 2: 0.001}, 0.05)
    plan = plan_of(*FINALISTS[:2], budgets=(1.0, 4.0))
    tuned = [run_of(plan, own, 0, 0, {0: 0.5}, tuning=True, budget=4.0) for own in FINALISTS[:2]]
    runs, level = [*runs_of(plan, exact({1: 0.0, 2: 0.0})), *tuned], runs_of(plan, exact({1: 0.0, 2: 0.0}), budget=4.0)
    lines = answer(confirmation(plan, [*runs, *runs_of(plan, few, budget=4.0)], FINALISTS), "cells")
    assert lines[0] == "cells: depth 1 is enough: no other one is better (95 %)."
    assert "With 4 times the steps it is not settled: undecided between depths 1 and 2: no " in lines[2]
    plain = [*runs_of(plan, few), *tuned, *level]
    lines = answer(confirmation(plan, plain, FINALISTS), "cells")
    assert lines[0].startswith("cells: undecided between depths 1 and 2: no ")
    assert "With 4 times the steps it is settled: depth 1 is enough: no other one is better (95 %)." in lines


def test_longer_trainings_that_rule_the_decided_depth_out_turn_it_too():
    """They do not decide themselves, but not between depths of which it is one."""
    tuned = [run_of(BUDGETS, own, 0, 0, {0: 0.5}, tuning=True, budget=4.0) for own in FINALISTS]
    runs = [*runs_of(BUDGETS, exact({1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0})), *tuned]
    runs += runs_of(BUDGETS, noisy({1: -0.4, 2: 0.0, 3: 0.001, 4: 0.0}, 0.05), budget=4.0)
    found = confirmation(BUDGETS, runs, FINALISTS)
    assert found.factors[0].verdict.decided == 1
    assert found.turned == (1, 2, 3)
    assert answer(found, "cells")[0].startswith(
        "cells: undecided between depths 1, 2 and 3, it hangs on the length of the training: with the search's steps, "
        "depth 1 is enough: no other one is better (95 %); with 4 times the steps, undecided between depths 2 and 3: "
    )


def test_steps_that_were_asked_for_and_not_tested_are_told():
    lines = answer(confirmation(BUDGETS, runs_of(BUDGETS, exact(GAINS)), FINALISTS), "cells")
    assert lines[0] == "cells: depth 2 is enough: a better one gains at most 0.001 Dice (95 %)."
    assert "With 4 times the steps nothing is tested yet." in lines


def test_what_is_not_finished_says_so():
    plan = plan_of(*FINALISTS)
    runs = [run for run in runs_of(plan, exact(GAINS)) if run.key.fold < 2 or run.key.hash != FINALISTS[0].hash]
    lines = answer(confirmation(plan, runs, FINALISTS), "cells")
    assert lines[0].startswith("cells: so far, with 2 trainings to come, ")
    assert (
        "; 3 folds x 2 seeds (4 of these 6 tested every network, and are compared), 22 of 24 trainings, " in lines[-1]
    )


def test_a_single_training_to_come():
    plan = plan_of(*FINALISTS)
    lines = answer(confirmation(plan, runs_of(plan, exact(GAINS))[:-1], FINALISTS), "cells")
    assert lines[0].startswith("cells: so far, with 1 training to come, ")


def test_what_is_not_finished_says_so_without_a_verdict_on_depth_too():
    others = (FINALISTS[1], network(5, 2, name="unet++"))
    plan = plan_of(*others)
    lines = answer(confirmation(plan, runs_of(plan, exact(GAINS))[:-1], others), "cells")
    assert lines[0] == (
        "cells: so far, with 1 training to come, networks of one depth only were searched; about depth nothing is said."
    )
    assert lines[2].startswith("The skip rule plain is enough: ")


def test_depths_of_the_space_that_were_never_trained_are_named():
    plan = plan_of(*FINALISTS, labels={"depth": (1, 2, 3, 5, 6), "skip": ("plain",)})
    lines = told(plan, exact(GAINS))
    assert lines[0].startswith(
        "cells: of depths 1, 2 and 3 alone (depths 5 and 6 were not tested throughout): depth 2 "
    )


def test_a_network_that_the_search_pruned_has_no_weights():
    pruned = replace(FINALISTS[1], state="pruned")
    lines = told(plan_of(FINALISTS[0], pruned, *FINALISTS[2:]), exact(GAINS))
    assert " The search ended its own training early: no weights of it are kept." in lines[1]


def test_where_more_of_it_would_not_settle_it_that_is_said():
    plan = plan_of(*FINALISTS[:2])
    found = confirmation(plan, runs_of(plan, noisy({1: 0.0, 2: 0.0}, 0.9)), FINALISTS)
    depth = replace(found.factors[0], needed=Needed(None, None))
    line = "Neither more test images nor more folds alone would settle the depth, if what was found stays as it is."
    assert line in answer(replace(found, factors=(depth,)), "cells")


def test_a_network_that_learns_nothing_in_a_training_is_compared_as_all_are_and_named():
    """What it scores is what it does: the test images choose nothing, and no other network takes its place."""
    plan = plan_of(*FINALISTS)
    value = exact(GAINS)

    def collapsing(record, fold, seed, image):
        return 0.0 if (record, fold, seed) == (FINALISTS[2], 1, 0) else value(record, fold, seed, image)

    found = confirmed(plan, collapsing)
    lines = answer(found, "cells")
    assert [each.label for each in found.factors[0].standings] == [1, 2, 3]
    assert found.factors[0].verdict.decided is None, "depth 3 may be better by all that such a mean may be off"
    assert f"{SOME}: #3 in 1 of 6." in lines
    nested = replace(plan, nested=True, finalists=plan.finalists * 3)
    assert confirmed(nested, collapsing).unlearnt == (Unlearnt("#3 of the search without fold 2", 1, 2),)


def test_what_never_learns_is_told_apart_from_what_does_now_and_then():
    plan, value = plan_of(*FINALISTS), exact(GAINS)

    def collapsing(record, fold, seed, image):
        never, sometimes = record == FINALISTS[0], record == FINALISTS[2] and fold == 0
        return 0.0 if never or sometimes else value(record, fold, seed, image)

    lines = told(plan, collapsing)
    assert "Learnt nothing in any training: #0 (6 trainings)." in lines
    assert f"{SOME}: #3 in 2 of 6." in lines


def test_nested_a_baseline_that_learns_nothing_in_two_folds_is_named_once():
    plan, value = plan_of(nested=True, finalists=(FINALISTS,) * 3), exact(GAINS)

    def collapsing(record, fold, seed, image):
        return 0.0 if record.baseline and fold != 1 and seed == 0 else value(record, fold, seed, image)

    assert f"{SOME}: unet in 2 of 6." in told(plan, collapsing)


def test_an_image_without_foreground_hides_nobody_who_learns_nothing():
    """There an empty prediction scores 1, and one that is not empty 0."""
    plan, value = plan_of(*FINALISTS), exact(GAINS)

    def collapsing(record, fold, seed, image):
        if image < 2:
            return float(record != FINALISTS[1])
        return 0.0 if (record, fold, seed) == (FINALISTS[2], 1, 0) else value(record, fold, seed, image)

    assert confirmed(plan, collapsing).unlearnt == (Unlearnt("#3", 1, 6),)


def test_where_nobody_finds_anything_and_where_all_is_found_nobody_is_named():
    plan, value = plan_of(*FINALISTS), exact(GAINS)
    assert confirmed(plan, lambda record, fold, seed, image: 0.0).unlearnt == ()

    def perfect(record, fold, seed, image):
        return 1.0 if record == FINALISTS[2] else value(record, fold, seed, image)

    assert confirmed(plan, perfect).unlearnt == ()


def test_what_learns_nothing_with_more_steps_is_named_too():
    level = {1: 0.0, 2: 0.0}
    assert not [line for line in longer(level, {4.0: level}) if line.startswith("Learnt")]
    by_depth = {1: lambda image: 0.0, 2: lambda image: 0.5 + image / 64}
    lines = longer(level, {4.0: lambda record, fold, seed, image: by_depth[record.architecture.depth](image)})
    assert "Learnt nothing in any training: #0 (6 trainings with 4 times the steps)." in lines
    lines = longer(level, {4.0: lambda record, fold, seed, image: by_depth[1 + bool(fold)](image) + (image == 0) / 8})
    assert not [line for line in lines if line.startswith("Learnt")], "a Dice above 0 is something"
    lines = longer(
        level, {4.0: lambda record, fold, seed, image: by_depth[1 if record == FINALISTS[0] and fold else 2](image)}
    )
    assert f"{SOME}: #0 in 4 of 6 (4 times the steps)." in lines


def test_a_depth_that_learns_nothing_is_too_shallow():
    def blind(record, fold, seed, image):
        shallow = record.architecture.depth == 1
        return 0.05 * ((fold + seed) % 2) if shallow else exact(GAINS)(record, fold, seed, image)

    depth = confirmed(plan_of(*FINALISTS), blind).factors[0]
    assert (depth.standings[0].label, depth.verdict.decided) == (1, 2)
    assert depth.standings[0].lower > 0.4


def test_no_interval_of_a_score_reaches_beyond_it():
    found = confirmed(plan_of(*FINALISTS), noisy({1: 0.2, 2: 0.25, 3: 0.26, 4: 0.2}, 0.9))
    assert all(0 <= each.mean.low <= each.mean.high <= 1 for each in found.tested)
    assert any(each.mean.high == 1 for each in found.tested)
