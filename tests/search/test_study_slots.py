"""What a search makes of its slots: side by side, out of memory, pruned, measured."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from unetsearch.errors import WorkFailedError
from unetsearch.graph.build import build_graph
from unetsearch.search.events import Finished, Noted, Rested, Scored, Started
from unetsearch.search.folder import create_folder
from unetsearch.search.messages import Failed
from unetsearch.space.settings import SearchSettings


def states(records):
    return [record.state for record in records]


def test_time_in_which_two_slots_train_counts_once(runner, endless, fake_pool, clock):
    timed = replace(endless, search=SearchSettings(trials=100, time=35))
    _, records = runner.run(timed, fake_pool(clock=clock, size=2))
    spans = [(record.finished - record.seconds, record.finished) for record in records]
    assert 35 <= max(end for _, end in spans) - min(start for start, _ in spans) <= 41
    assert sum(record.seconds for record in records) > 60


def test_trainers_that_cannot_start_end_the_run_before_a_trial_is_asked_for(runner, endless, fake_pool):
    class Broken(fake_pool):
        def next(self, timeout):
            raise WorkFailedError("cannot start training")

    with pytest.raises(WorkFailedError):
        runner.run(endless, Broken(size=0))
    assert runner.open(endless).search.trials == []
    _, records = runner.run(endless)
    assert states(records) == ["complete"] * 5


def test_out_of_memory_is_infeasible_so_that_the_sampler_learns_it(runner, endless, fake_pool):
    memory = Failed("out of memory", cause="memory")
    pool = fake_pool(fail={1: memory, 2: memory})
    _, records = runner.run(endless, pool)
    assert states(records)[0] == "infeasible"
    assert [job.parts for job in pool.jobs[:3]] == [1, 2, 1], "it is tried once more with smaller parts"
    trial = runner.open(endless).search.trials[0]
    assert trial.values == [0.0, records[0].params]
    assert trial.constraints["memory"] == 1


def test_a_lack_of_memory_is_met_with_smaller_parts(runner, endless, fake_pool):
    pool = fake_pool(fail={1: Failed("out of memory", cause="memory")})
    events, records = runner.run(endless, pool)
    assert states(records) == ["complete"] * 5
    assert [record.parts for record in records] == [2, 1, 1, 1, 1]
    assert [len(record.curve) for record in records] == [2] * 5, "the curve of the first try is left out"
    assert Noted("#0: out of memory; once more, with each batch in two parts") in events


def test_a_model_that_cannot_be_written_ends_the_run_and_loses_no_trial(runner, endless, fake_pool):
    pool = fake_pool(fail={2: Failed("the disk is full", cause="storage")})
    with pytest.raises(WorkFailedError, match="#1 cannot be written: the disk is full"):
        runner.run(endless, pool)
    events, records = runner.run(endless)
    assert (events[0].finished, events[0].interrupted) == (1, 1)
    assert states(records) == ["complete"] * 5


def test_no_slot_idles_while_there_is_work(runner, endless, fake_pool):
    pool = fake_pool(size=3)
    _, records = runner.run(endless, pool, trials=7)
    assert len(pool.jobs) == 7, "a total counts what runs"
    assert pool.most == 3
    assert {record.slot for record in records} == {"0", "1", "2"}


def test_slots_train_no_network_twice(runner, space, fake_pool):
    for sampler in ("tpe", "random", "enumerate"):
        own = replace(runner, folder=create_folder(runner.folder.path / sampler))
        pool = fake_pool(size=4)
        _, records = own.run(replace(space, search=SearchSettings(trials=100, sampler=sampler)), pool)
        assert len(pool.jobs) == 9
        assert len({record.hash for record in records if record.distinct}) == 9


def test_latency_and_memory_are_measured_once_an_architecture_while_nothing_runs(runner, endless, fake_pool):
    pool = fake_pool(size=2)
    measured = replace(endless, objectives=("dice", "latency", "memory"))
    _, records = runner.run(measured, pool, trials=12)
    assert all(record.latency == 0.01 * record.architecture.depth for record in records)
    graphs = {build_graph(record.architecture).hash for record in records}
    assert len(pool.measured) == len(set(pool.measured)) == len(graphs) < 12
    trial = runner.open(measured).search.trials[0]
    assert trial.values == [records[0].final.dice, records[0].latency, records[0].memory]
    again = fake_pool()
    runner.run(measured, again, trials=30)
    assert not set(again.measured) & set(pool.measured), "what is known is not measured again"


def test_a_pruned_training_is_ended_and_told(runner, endless, fake_pool):
    """Deep networks score worst here, and cost most."""

    class Falling(fake_pool):
        def scores(self, job):
            return [0.9 - 0.2 * job.architecture.depth + 0.001 * step for step in range(12)]

    long = replace(endless, recipe=replace(endless.recipe, steps=120, evaluations=12))
    pruning = replace(runner, pruner="pareto")
    _, records = pruning.run(long, Falling(size=2), trials=20)
    pruned = [record for record in records if record.state == "pruned"]
    assert pruned
    assert {record.steps for record in pruned} <= {20, 30, 40, 60}, "at rungs only"
    assert any(record.state == "complete" for record in records)
    states = {trial.number: trial.state for trial in runner.open(long).search.trials}
    assert all(states[record.number] == optuna.trial.TrialState.PRUNED for record in pruned)
    none = replace(long, name="none", search=SearchSettings(trials=20))
    _, records = runner.run(none, Falling())
    assert {record.state for record in records} == {"complete"}


@pytest.fixture
def long(endless):
    return replace(endless, recipe=replace(endless.recipe, steps=120, evaluations=12))


@pytest.fixture
def slow_pool(fake_pool):
    """Twelve evaluations, with a Dice that grows with the depth."""

    class Slow(fake_pool):
        def scores(self, job):
            return [0.1 * job.architecture.depth + 0.001 * step for step in range(12)]

    return Slow


@pytest.mark.parametrize("slots", [1, 2])
def test_all_pause_early_and_one_in_four_goes_on_while_new_ones_come(runner, long, slow_pool, slots):
    """The deeper, the better: most may stand on the front, and go on in the end."""
    pool = slow_pool(size=slots)
    events, records = replace(runner, pruner="pareto").run(long, pool, trials=16)
    told = [event for event in events if isinstance(event, Started | Rested | Finished)]
    assert not any(isinstance(event, Finished) for event in told[:6]), "three are begun, and pause, before one goes on"
    first = next(place for place, event in enumerate(told) if isinstance(event, Finished))
    assert len({event.name for event in told[:first] if isinstance(event, Started)}) <= 4 + slots
    assert max(event.progress.paused for event in events if isinstance(event, Finished)) >= 4
    assert len(records) == 16
    rested = [event.name for event in events if isinstance(event, Rested)]
    assert len(rested) == len(set(rested)) > 10, "once each"
    complete = [record for record in records if record.state == "complete"]
    assert complete
    for record in complete:
        assert [score.step for score in record.curve] == list(range(10, 121, 10))
        early, late = record.trained_at
        assert early.end <= late.start
        assert record.seconds == pytest.approx(early.end - early.start + late.end - late.start)
        shown = [event.score.step for event in events if isinstance(event, Scored) and event.name == record.name]
        assert shown == list(range(10, 121, 10)), "what comes again after the pause is not told again"


def test_what_pauses_when_the_time_is_spent_is_pruned(runner, long, slow_pool, clock):
    long = replace(long, search=replace(long.search, time=5))
    events, records = replace(runner, pruner="pareto").run(long, slow_pool(clock=clock))
    assert "the time is spent" in events[-1].reason
    assert {record.state for record in records} == {"pruned"}


def test_what_pauses_when_a_run_is_interrupted_goes_on_in_the_next(runner, long, slow_pool):
    class Interrupted(slow_pool):
        def next(self, timeout):
            if len(self.jobs) == 3:
                raise KeyboardInterrupt
            return super().next(timeout)

    pruning = replace(runner, pruner="pareto")
    search = pruning.search(replace(long, search=replace(long.search, trials=6)), Interrupted())
    with pytest.raises(KeyboardInterrupt):
        list(search.run())
    assert len(search._paused.waiting) == 2
    begun = {job.recipe.learning_rate for waiting in search._paused.waiting for job in [waiting.job]}
    search.close()
    pool = slow_pool()
    _, records = pruning.run(long, pool, trials=6)
    assert len({record.hash for record in records}) == len(records) == 6
    assert begun <= {record.recipe.learning_rate for record in records}


def test_failures_in_a_row_keep_none_from_going_on(runner, long, slow_pool, diverged):
    """Five fail beside three that pause: these are healthy."""
    pool = slow_pool(size=8, fail=dict.fromkeys(range(1, 6), diverged))
    _, records = replace(runner, pruner="pareto").run(long, pool, trials=8)
    assert Counter(states(records)) == {"failed": 5, "complete": 3}


def test_a_checkpoint_that_cannot_be_removed_ends_nothing(runner, long, slow_pool):
    (runner.folder.path / "checkpoints").write_text("no folder")
    _, records = replace(runner, pruner="pareto").run(long, slow_pool(), trials=20)
    assert len(records) == 20
    assert "pruned" in states(records)


def test_what_pauses_when_the_time_is_spent_is_pruned_even_if_no_slot_is_ready(runner, long, slow_pool, clock):
    class Warming(slow_pool):
        @property
        def idle(self):
            return () if self.clock.now > 1009 else super().idle

    long = replace(long, search=replace(long.search, time=5))
    _, records = replace(runner, pruner="pareto").run(long, Warming(clock=clock))
    assert len(records) >= 2
    assert set(states(records)) == {"pruned"}


def test_a_pruned_one_leaves_no_checkpoint(runner, long, slow_pool):
    class Saving(slow_pool):
        """Deep networks score worst here, and cost most."""

        def scores(self, job):
            return [0.9 - 0.2 * job.architecture.depth + 0.001 * step for step in range(12)]

        def stop(self, slot, *, save=False):
            if save:
                path = Path(self.jobs[-1].checkpoint)
                path.parent.mkdir(exist_ok=True)
                path.touch()
            super().stop(slot, save=save)

    _, records = replace(runner, pruner="pareto").run(long, Saving(), trials=20)
    pruned = {record.hash for record in records if record.state == "pruned"}
    assert pruned
    assert not pruned & {path.stem for path in (runner.folder.path / "checkpoints").iterdir()}
