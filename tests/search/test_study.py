from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from unetsearch.search.events import Ended, Finished, Scored, Started
from unetsearch.search.folder import create_folder
from unetsearch.space.settings import Baseline, LimitSettings, SearchSettings
from unetsearch.space.values import Choice, Option


def states(records):
    return [record.state for record in records]


def test_a_search_trains_as_many_as_were_asked_for_and_says_what_happens(runner, space):
    events, records = runner.run(space)
    trained = [record for record in records if record.state == "complete"]
    assert len(trained) == 5
    assert len({record.hash for record in trained}) == 5
    assert [type(event) for event in events if isinstance(event, Started)] == [Started] * 5
    assert len([event for event in events if isinstance(event, Scored)]) == 10
    assert events[-1] == Ended("5 of 5 trials are trained")
    last = [event for event in events if isinstance(event, Finished)][-1]
    assert (last.progress.trials, last.progress.of_trials) == (5, 5)


def test_totals_are_totals(runner, space, fake_pool):
    runner.run(space, trials=3)
    pool = fake_pool()
    events, records = runner.run(space, pool, trials=5)
    assert len(pool.jobs) == 2, "continuing goes up to the total, it does not add it"
    assert (events[0].finished, events[0].interrupted) == (3, 0)
    again = fake_pool()
    runner.run(space, again, trials=5)
    assert again.jobs == []
    assert len({record.hash for record in records if record.state == "complete"}) == 5


def test_time_is_a_total_too(runner, endless, fake_pool, clock):
    timed = replace(endless, search=SearchSettings(trials=100, time=35))
    events, _ = runner.run(timed, fake_pool(clock=clock))  # every answer takes a second, a training three
    assert events[-1] == Ended("the time is spent: 36 of 35 s of training, 12 of 100 trials")
    pool = fake_pool()
    runner.run(timed, pool)
    assert pool.jobs == []


def test_a_small_space_is_enumerated_and_ends(runner, space, fake_pool):
    pool = fake_pool()
    events, records = runner.run(space, pool, trials=100)
    assert space.size == 12
    assert len(pool.jobs) == 9, "three of the twelve points are networks that others are too"
    assert events[-1] == Ended("every point of the space within the limits is trained")
    assert states(records) == ["complete"] * 9
    again = fake_pool()
    runner.run(space, again, trials=100)
    assert again.jobs == []


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_samplers_train_nothing_twice_and_end_where_all_is_trained(runner, space, fake_pool, sampler):
    pool = fake_pool()
    events, records = runner.run(replace(space, search=SearchSettings(trials=100, sampler=sampler)), pool)
    assert len(pool.jobs) == 9
    assert events[-1] == Ended("every point of the space within the limits is trained")
    repeats = [record for record in records if record.state == "repeat"]
    assert repeats
    for record in repeats:
        first = next(other for other in records if other.name == record.repeat_of)
        assert (record.hash, record.curve, first.state) == (first.hash, first.curve, "complete")


def test_points_over_a_limit_cost_no_training_and_no_trial(runner, space, fake_pool):
    pool = fake_pool()
    limited = replace(space, limits=LimitSettings(params=5000))
    _, records = runner.run(limited, pool, trials=100)
    assert {record.state for record in records} == {"complete", "infeasible"}
    over = [record for record in records if record.state == "infeasible"]
    assert all(record.params > 5000 and record.reason == "over the limit of params" for record in over)
    assert all(record.params <= 5000 for record in records if record.state == "complete")
    assert len(pool.jobs) == len(records) - len(over)
    study = runner.open(limited).search
    trials = {trial.number: trial for trial in study.trials}
    for record in over:
        assert trials[record.number].values == [0.0, record.params]
        assert trials[record.number].constraints["params"] > 0
    feasible = trials[next(record.number for record in records if record.state == "complete")]
    assert feasible.constraints["params"] <= 0


def test_a_space_with_nothing_within_its_limits_ends(runner, space, endless, fake_pool):
    for some, reason in (
        (space, "every point of the space within the limits is trained"),
        (endless, "2,000 random draws found no untrained point within the limits"),
    ):
        pool = fake_pool()
        impossible = replace(some, name=f"{some.name}{len(some.training)}", limits=LimitSettings(params=10))
        events, _ = runner.run(impossible, pool)
        assert pool.jobs == []
        assert events[-1] == Ended(reason)


def test_a_failed_training_costs_one_trial_and_is_told_why(runner, endless, fake_pool, diverged):
    pool = fake_pool(fail={2: diverged})
    _, records = runner.run(endless, pool)
    assert states(records) == ["complete", "failed", "complete", "complete", "complete"]
    assert records[1].reason == "the loss was nan"
    assert len(records[1].curve) == 1
    assert not records[1].scored
    trial = runner.open(endless).search.trials[1]
    assert trial.state == optuna.trial.TrialState.FAIL


def test_a_network_that_fails_again_is_not_tried_a_third_time(runner, space, fake_pool, diverged):
    class Deep(fake_pool):
        def train(self, job, number):
            if job.architecture.depth == 3:
                yield diverged
            yield from super().train(job, number)

    for sampler in ("tpe", "random", "enumerate"):
        searched = replace(space, search=SearchSettings(trials=30, sampler=sampler))
        own = replace(runner, folder=create_folder(runner.folder.path / sampler))
        own.run(searched, Deep())
        events, records = own.run(searched, Deep())
        failed = [record.hash for record in records if record.state == "failed"]
        assert len(set(failed)) == 3, "three networks have depth 3"
        assert all(failed.count(hash_) <= 2 for hash_ in failed)
        assert events[-1].reason == (
            f"every point of the space within the limits is trained; {len(failed)} of the trials failed"
        )
        learnt = [record for record in records if record.reason == "failed 2 times: the loss was nan"]
        assert all(record.state == "infeasible" for record in learnt)


def test_a_network_of_a_listed_space_that_failed_once_is_tried_again_in_the_same_run(
    runner, space, fake_pool, diverged
):
    pool = fake_pool(fail={3: diverged})
    _, records = runner.run(replace(space, search=SearchSettings(trials=100, sampler="enumerate")), pool)
    assert states(records).count("failed") == 1
    assert len({record.hash for record in records if record.distinct}) == 9
    assert len(pool.jobs) == 10


def test_failures_in_a_row_end_a_run(runner, endless, fake_pool, diverged):
    pool = fake_pool(fail=dict.fromkeys(range(1, 100), diverged))
    events, records = runner.run(endless, pool, trials=50)
    assert states(records) == ["failed"] * 5
    assert events[-1] == Ended("5 trainings in a row failed, the last one: the loss was nan")


def test_a_baseline_that_failed_is_tried_again(runner, space, fake_pool, diverged):
    based = replace(space, baselines=(Baseline(name="unet", values={"depth": 2}),))
    runner.run(based, fake_pool(fail={1: diverged}), trials=1)
    _, records = runner.run(based, trials=1)
    assert [record.state for record in records if record.baseline] == ["failed", "complete"]


@pytest.mark.parametrize("size", [1, 2])
def test_a_baseline_that_always_fails_is_left_out_in_the_end(runner, space, fake_pool, diverged, size):
    class Deep(fake_pool):
        def train(self, job, number):
            return iter([diverged]) if job.architecture.depth == 3 else super().train(job, number)

    shallow = {**space.architecture, "depth": Choice((Option(1), Option(2)))}
    based = replace(space, architecture=shallow, baselines=(Baseline(name="unet", values={"depth": 3}),))
    events, records = runner.run(based, Deep(size=size), trials=3)
    assert [record.state for record in records if record.baseline] == ["failed", "failed"]
    assert [record.state for record in records if not record.baseline] == ["complete"] * 3
    assert events[-1] == Ended("3 of 3 trials are trained")


def test_a_list_is_walked_to_its_end_whatever_is_over_its_limits(runner, space, fake_pool):
    wide = Choice(tuple(Option(4 * width) for width in range(15, 0, -1)))
    large = replace(
        space,
        architecture={**space.architecture, "width": wide},
        limits=LimitSettings(params=1700),
        search=SearchSettings(trials=10, sampler="enumerate"),
    )
    pool = fake_pool()
    events, records = runner.run(large, pool)
    assert len(records) > 100
    assert {job.architecture.channels for job in pool.jobs} == {(4, 8)}
    assert events[-1] == Ended("every point of the space within the limits is trained")


def test_an_interruption_loses_the_running_trial_only(runner, endless, fake_pool):
    pool = fake_pool(fail={3: KeyboardInterrupt()})
    search = runner.search(endless, pool)
    with pytest.raises(KeyboardInterrupt):
        list(search.run())
    lost = pool.jobs[2]
    after = fake_pool()
    events, records = runner.run(endless, after)
    assert (events[0].finished, events[0].interrupted) == (2, 1)
    assert len(after.jobs) == 3
    assert (after.jobs[0].architecture, after.jobs[0].recipe) == (lost.architecture, lost.recipe), "it is put back"
    assert states(records) == ["complete"] * 5


def test_a_kill_between_record_and_values_loses_nothing(runner, endless, fake_pool, monkeypatch):
    monkeypatch.setattr("unetsearch.search.settling._tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        runner.run(endless)
    monkeypatch.undo()
    pool = fake_pool()
    events, records = runner.run(endless, pool)
    assert (events[0].finished, events[0].interrupted) == (1, 0)
    assert len(pool.jobs) == 4
    assert len({record.number for record in records}) == 5


def test_baselines_come_first_in_a_study_of_their_own(runner, space, fake_pool):
    pool = fake_pool()
    with_baselines = replace(
        space, baselines=(Baseline(name="unet3+"), Baseline(name="unet", values={"width": 12, "depth": 2}))
    )
    _, records = runner.run(with_baselines, pool)
    assert [record.baseline for record in records[:2]] == ["unet3+", "unet"]
    assert pool.jobs[0].architecture.channels[0] == 4, "the smallest width of the space"
    assert pool.jobs[1].architecture.channels == (12, 24, 48)
    studies = runner.open(with_baselines)
    assert [len(study.trials) for study in (studies.baselines, studies.search)] == [2, 5]
    again = fake_pool()
    runner.run(with_baselines, again)
    assert again.jobs == []


def test_a_point_that_is_a_baseline_is_not_trained_again(runner, space, fake_pool):
    with_baseline = replace(space, baselines=(Baseline(name="unet", values={"depth": 2}),))
    pool = fake_pool()
    _, records = runner.run(with_baseline, pool, trials=100)
    assert len(pool.jobs) == 9
    repeat = [record for record in records if record.state == "repeat"]
    assert [(record.repeat_of, record.architecture.depth) for record in repeat] == [("unet", 2)]


def test_a_continued_study_does_not_repeat_its_random_points(runner, endless):
    random = replace(endless, search=SearchSettings(trials=3, sampler="random"))
    runner.run(random)
    _, records = runner.run(random, trials=6)
    rates = [record.recipe.learning_rate for record in records]
    assert len(set(rates)) == 6


def test_the_same_seed_gives_the_same_search(tmp_path, runner, endless):
    def values(name, seed):
        settings = SearchSettings(trials=12, seed=seed)
        elsewhere = replace(runner, folder=create_folder(tmp_path / name))
        _, records = elsewhere.run(replace(endless, search=settings))
        return [record.values for record in records]

    first = values("one", 1)
    assert first == values("two", 1)
    assert first != values("three", 2)


def test_models_of_trials_that_left_the_front_are_removed(runner, endless, fake_pool):
    class Saving(fake_pool):
        def train(self, job, number):
            Path(job.folder).mkdir(parents=True)
            (Path(job.folder) / "weights.safetensors").write_bytes(b"w")
            yield from super().train(job, number)

    _, records = runner.run(endless, Saving(), trials=12)
    kept = {path.name for path in (runner.folder.path / "models").iterdir()}
    front = {
        str(record.number)
        for record in records
        if not any(
            other.params <= record.params
            and other.final.dice >= record.final.dice
            and (other.params, other.final.dice) != (record.params, record.final.dice)
            for other in records
        )
    }
    assert kept == front
    assert len(front) < 12
    (runner.folder.model("#99") / "sub").mkdir(parents=True)  # what a kill between training and record leaves
    runner.run(endless, trials=12)
    assert {path.name for path in (runner.folder.path / "models").iterdir()} == front


def test_auto_begins_with_the_smallest_network_the_greatest_and_two_between(runner, endless, fake_pool):
    """Also in a second run, and after what was interrupted."""
    pool = fake_pool(fail={2: KeyboardInterrupt()})
    search = runner.search(endless, pool)
    with pytest.raises(KeyboardInterrupt):
        list(search.run())
    after = fake_pool()
    _, records = runner.run(endless, after)
    assert after.jobs[0].architecture == pool.jobs[1].architecture
    params = [record.params for record in records]
    assert params[0] == min(params) < params[1] == max(params)
