"""Finalists trained again: in which order, how, and what is kept, on a pool that does not train."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from tests.search.confirming import SPLITS, TEST, ConfirmPool, finalist
from unetsearch.errors import WorkFailedError
from unetsearch.search.confirm import Repetition, longer, measured, planned, tuned_rate, tunings
from unetsearch.search.confirmed import Plan, open_confirmed
from unetsearch.search.events import Confirming, Noted, Repeated
from unetsearch.search.messages import Failed, Stepped

SEED = 10


@pytest.fixture
def confirmed(runner, space):
    with closing(runner.open(space)) as studies:
        yield open_confirmed(studies)


@pytest.fixture
def plan():
    chosen = (finalist(0, 1), finalist(1, 2))
    return Plan(nested=False, folds=2, seeds=2, margin=0.01, groups=tuple("abcdef"), finalists=(chosen,))


@pytest.fixture
def repeat(runner, confirmed):
    """Runs through what is wanted, as one command would; gives the events."""

    def run(wanted, pool, seconds=None):
        repetition = Repetition(wanted, confirmed, pool, runner.folder, seed=SEED, seconds=seconds)
        try:
            return list(repetition.run())
        finally:
            repetition.close()

    return run


def seen(jobs):
    """(depth, the training images, seed) of each job."""
    return [(job.architecture.depth, job.split.train, job.seed) for job in jobs]


def test_seed_by_seed_and_fold_by_fold_all_finalists(plan, repeat, confirmed):
    pool = ConfirmPool()
    events = repeat(planned(plan, SPLITS), pool)
    parts = [split.train for split in SPLITS]
    seeds = {(seed, fold): SEED + 1 + 20 * seed + fold for seed in (0, 1) for fold in (0, 1)}
    expected = [(depth, parts[fold], value) for (_, fold), value in seeds.items() for depth in (1, 2)]
    assert seen(pool.jobs) == expected, "never the seed of the search, and never one twice"
    assert all(job.split.validation == TEST and job.split.test == () for job in pool.jobs)
    assert [type(event) for event in events] == [Confirming, *[Repeated] * 8, Confirming]
    assert [(event.done, event.of) for event in (events[0], events[-1])] == [(0, 8), (8, 8)]
    assert {(run.key.hash, run.key.fold, run.key.seed) for run in confirmed.runs} == {
        (record.hash, fold, seed) for record in plan.finalists[0] for fold in (0, 1) for seed in (0, 1)
    }
    one = next(run for run in confirmed.runs if run.key == planned(plan, SPLITS)[0].key)
    assert (one.images, one.scores["dice"]) == (TEST, (0.14, 0.15))


def test_latency_is_measured_once_a_network_and_never_where_the_search_did(plan, confirmed):
    first, second = plan.finalists[0]
    pool = ConfirmPool()
    measured([first, replace(second, latency=0.5)], confirmed, pool)
    assert pool.measured == [first.architecture]
    assert confirmed.latency == {first.hash: 0.01, second.hash: 0.5}
    measured([first, second], confirmed, pool)
    assert len(pool.measured) == 1

    class Small(ConfirmPool):
        def measure(self, slot, architecture):
            return Failed("no memory", "memory")

    third = finalist(2, 3)
    measured([third], confirmed, Small())
    assert third.hash not in confirmed.latency


def test_nested_trains_each_fold_s_own_finalists_on_all_that_it_does_not_test(plan, repeat):
    first, second = plan.finalists[0]
    plan = replace(plan, nested=True, seeds=1, finalists=((first,), (first, second)))
    splits = (replace(SPLITS[0], test=(5,)), replace(SPLITS[1], test=(4,)))
    pool = ConfirmPool()
    repeat(planned(plan, splits), pool)
    assert seen(pool.jobs) == [(1, (0, 1, 2, 3), SEED + 1), *((depth, (0, 1, 2, 3), SEED + 2) for depth in (1, 2))]
    assert [job.split.validation for job in pool.jobs] == [(5,), (4,), (4,)]


def test_the_recipe_is_the_search_s_own_scored_once_at_its_end(plan, repeat):
    pool = ConfirmPool()
    repeat(planned(plan, SPLITS)[:1], pool)
    (job,) = pool.jobs
    assert job.recipe == replace(plan.finalists[0][0].recipe, evaluations=1)
    assert (job.parts, job.preview, job.folder) == (1, (), "")
    again = replace(plan, budgets=(4.0,))
    wanted = tunings(again, SPLITS[:1], 4.0)[0]
    base = plan.finalists[0][0].recipe
    assert wanted.recipe == replace(
        base, steps=4 * base.steps, learning_rate=wanted.key.rate * base.learning_rate, evaluations=1
    )


def test_a_network_that_stands_twice_is_trained_once(plan):
    twin = replace(plan.finalists[0][0], baseline="unet")
    plan = replace(plan, finalists=((twin, *plan.finalists[0]),))
    assert len(planned(plan, SPLITS)) == 8


def test_what_is_done_is_not_trained_again(plan, repeat):
    wanted = planned(plan, SPLITS)
    repeat(wanted[:3], ConfirmPool())
    pool = ConfirmPool()
    events = repeat(planned(plan, SPLITS), pool)
    assert seen(pool.jobs) == [
        (each.record.architecture.depth, each.split.train, SEED + 1 + 20 * each.key.seed + each.key.fold)
        for each in wanted[3:]
    ]
    assert (events[0].done, events[0].of) == (3, 8)
    more = ConfirmPool()
    repeat(planned(replace(plan, seeds=3), SPLITS), more)
    new = [SEED + 41, SEED + 41, SEED + 42, SEED + 42]
    assert [job.seed for job in more.jobs] == new, "of more seeds only the new ones"
    assert repeat(planned(plan, SPLITS), ConfirmPool(fail={1: AssertionError("nothing is left to train")}))


def test_another_number_of_folds_is_another_training(plan, repeat):
    repeat(planned(plan, SPLITS), ConfirmPool())
    for other, splits in (
        (replace(plan, folds=1), SPLITS[:1]),
        (replace(plan, nested=True, finalists=plan.finalists * 2), SPLITS),
    ):
        pool = ConfirmPool()
        repeat(planned(other, splits), pool)
        assert len(pool.jobs) == 2 * 2 * len(splits)


def test_time_that_is_spent_begins_nothing_new_and_ends_nothing(plan, repeat, confirmed, clock, monkeypatch):
    """Each training takes 2 s; two run side by side, so that their answers come 2 s apart each."""
    monkeypatch.setattr("unetsearch.search.confirm.time", clock)
    events = repeat(planned(plan, SPLITS), ConfirmPool(clock=clock), seconds=5)
    assert len(confirmed.runs) == 3, "the third one was begun at 4 s"
    assert events[-1] == Confirming(3, 8, 6.0, 6.0, 5)
    assert repeat(planned(plan, SPLITS), ConfirmPool(clock=clock), seconds=6)[-1] == Confirming(3, 8, 6.0, 6.0, 6)
    pool = ConfirmPool(clock=clock, size=2)
    events = repeat(planned(plan, SPLITS), pool, seconds=7)
    assert (len(confirmed.runs), pool.most) == (5, 2), "both that run are finished"
    assert events[-1] == Confirming(5, 8, 10.0, 10.0, 7), "side by side time counts once"


def test_a_failure_is_tried_once_more_and_then_left_out(plan, repeat, confirmed, diverged):
    pool = ConfirmPool(fail={1: diverged, 3: diverged, 4: diverged})
    events = repeat(planned(plan, SPLITS), pool)
    assert [event.text for event in events if isinstance(event, Noted)] == [
        "#0 without fold 1, seed 1: the loss was nan; once more",
        "#1 without fold 1, seed 1: the loss was nan; once more",
        "#1 without fold 1, seed 1: the loss was nan; left out",
    ]
    assert seen(pool.jobs)[:5] == [(1, (0, 1), 11)] * 2 + [(2, (0, 1), 11)] * 2 + [(1, (2, 3), 12)]
    assert len(confirmed.runs) == 7
    assert [(failure.key, failure.reason) for failure in confirmed.failures] == [
        (planned(plan, SPLITS)[1].key, "the loss was nan")
    ]
    pool = ConfirmPool()
    repeat(planned(plan, SPLITS), pool)
    assert seen(pool.jobs) == [(2, (0, 1), 11)], "the same command tries it again"


def test_out_of_memory_goes_on_in_two_parts(plan, repeat, confirmed):
    pool = ConfirmPool(fail={1: Failed("out of memory", "memory")})
    events = repeat(planned(plan, SPLITS)[:2], pool)
    assert [event.text for event in events if isinstance(event, Noted)] == [
        "#0 without fold 1, seed 1: out of memory; once more"
    ]
    assert [job.parts for job in pool.jobs] == [1, 2, 1]
    assert pool.jobs[0] == replace(pool.jobs[1], parts=1)
    assert len(confirmed.runs) == 2


def test_what_a_trainer_notes_is_told(plan, repeat):
    class Noting(ConfirmPool):
        def train(self, job, number):
            yield Stepped(1)
            yield Stepped(2, "no checkpoint: it cannot be written")
            yield from super().train(job, number)

    events = repeat(planned(plan, SPLITS)[:1], Noting())
    assert [event.text for event in events if isinstance(event, Noted)] == [
        "#0 without fold 1, seed 1: no checkpoint: it cannot be written"
    ]


def test_a_full_disk_ends_it_and_keeps_what_is_finished(plan, runner, repeat, confirmed, monkeypatch):
    repeat(planned(plan, SPLITS)[:1], ConfirmPool())

    def full(_):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(confirmed.study, "add_trial", full)
        with pytest.raises(WorkFailedError) as caught:
            repeat(planned(plan, SPLITS), ConfirmPool())
    assert str(caught.value) == (
        f"{runner.folder.database}: the disk is full; free some space and run the same command again; "
        "what is finished is kept"
    )
    assert len(confirmed.runs) == 1
    pool = ConfirmPool()
    repeat(planned(plan, SPLITS), pool)
    assert len(pool.jobs) == 7


def test_tunings_are_scored_on_validation_images_and_see_no_test_image(plan, repeat, confirmed):
    pool = ConfirmPool()
    repeat(tunings(plan, SPLITS[:1], 4.0), pool)
    assert [(job.split.train, job.split.validation, job.split.test) for job in pool.jobs] == [((0, 1), (2, 3), ())] * 6
    rates = [0.004 * rate for rate in (0.5, 1.0, 2.0)]
    assert [(job.architecture.depth, job.recipe.learning_rate, job.recipe.steps) for job in pool.jobs] == [
        (depth, pytest.approx(rate), 16) for depth in (1, 2) for rate in rates
    ]
    assert all(run.key.tuning and run.images == (2, 3) for run in confirmed.runs)
    assert planned(plan, SPLITS)[0].key.words == "without fold 1, seed 1"
    wanted = tunings(plan, SPLITS[:1], 4.0)[0]
    assert wanted.key.words == "without fold 1, seed 1, 4 times the steps, 0.5 times the rate (tuning)"


def test_longer_trainings_take_the_rate_that_was_best_in_tuning(plan, repeat, confirmed):
    """Depth 1 learns best at half the rate, depth 2 at twice."""

    class Tuned(ConfirmPool):
        def value(self, job, image):
            best = {1: 0.002, 2: 0.008}[job.architecture.depth]
            return 0.9 - abs(job.recipe.learning_rate - best)

    assert longer(plan, SPLITS, 4.0, confirmed.runs) == [], "nothing is tuned yet"
    repeat(tunings(plan, SPLITS[:1], 4.0), Tuned())
    records = plan.finalists[0]
    for fold in (0, 1):
        found = [tuned_rate(plan, confirmed.runs, record, fold, 4.0) for record in records]
        assert found == ([0.5, 2.0] if fold == 0 else [None, None]), "tuned once, and not without each fold"
    assert tuned_rate(plan, confirmed.runs, records[0], 0, 2.0) is None
    pool = Tuned()
    repeat(longer(plan, SPLITS, 4.0, confirmed.runs), pool)
    assert len(pool.jobs) == 8
    assert {(job.architecture.depth, job.recipe.learning_rate) for job in pool.jobs} == {(1, 0.002), (2, 0.008)}
    assert all(job.split.validation == TEST for job in pool.jobs)
    assert {job.recipe.steps for job in pool.jobs} == {16}


def test_nested_each_fold_tunes_for_itself(plan, repeat, confirmed):
    class Tuned(ConfirmPool):
        def value(self, job, image):
            best = 0.002 if job.split.train == SPLITS[0].train else 0.008
            return 0.9 - abs(job.recipe.learning_rate - best)

    record = plan.finalists[0][0]
    plan = replace(plan, nested=True, finalists=((record,), (record,)))
    splits = (replace(SPLITS[0], test=(4,)), replace(SPLITS[1], test=(5,)))
    pool = Tuned()
    repeat(tunings(plan, splits, 4.0), pool)
    assert [job.split.validation for job in pool.jobs] == [(2, 3)] * 3 + [(0, 1)] * 3
    found = [tuned_rate(plan, confirmed.runs, record, fold, 4.0) for fold in (0, 1)]
    assert found == [0.5, 2.0]


def test_the_best_two_of_each_depth_are_tuned(plan):
    chosen = tuple(finalist(number, 1, dice=0.5 + number / 100) for number in range(4))
    wanted = tunings(replace(plan, finalists=(chosen,)), SPLITS[:1], 4.0)
    assert [each.record.name for each in wanted[::3]] == ["#3", "#2"]
