"""What a search makes of its slots: side by side, out of memory, pruned, measured."""

from dataclasses import replace

import optuna
import pytest

from unetsearch.errors import WorkFailedError
from unetsearch.graph.build import build_graph
from unetsearch.search.events import Lost, Noted, Started
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


def test_an_idle_slot_that_dies_while_another_one_measures_is_passed_over(runner, endless, fake_pool):
    class Dying(fake_pool):
        dead = 0

        @property
        def idle(self):
            return super().idle[: self.size - (self.dead > 0)]

        def measure(self, slot, architecture, meanwhile):
            measured = super().measure(slot, architecture, meanwhile)
            self.dead = 3
            meanwhile()
            return measured

        def next(self, timeout):
            self.dead = max(0, self.dead - 1)
            return super().next(timeout)

    for size in (1, 2):
        measured = replace(endless, name=f"dying{size}", objectives=("dice", "latency"))
        _, records = runner.run(measured, Dying(size=size), trials=8)
        assert states(records) == ["complete"] * 8


def test_what_another_machine_took_over_is_not_begun_once_more(runner, endless, fake_pool, monkeypatch):
    """The training waits for its second try, with each batch in two parts, while its slot begins anew."""

    class Restarting(fake_pool):
        @property
        def idle(self):
            return () if search._again and not told else super().idle

    def beat(studies):
        found = [running.task.trial for running in search._again]
        told.extend(found)
        return found

    told = []
    monkeypatch.setattr("unetsearch.search.study.beat", beat)
    pool = Restarting(fail={1: Failed("out of memory", cause="memory")})
    search = runner.search(endless, pool)
    events = list(search.run())
    assert Lost("#0", "this machine was silent for too long, another one takes it over") in events
    assert [event.record.name for event in events if isinstance(event, Started)].count("#0") == 1
    assert {job.parts for job in pool.jobs} == {1}


def test_a_training_that_is_settled_elsewhere_ends_here(runner, endless, fake_pool, monkeypatch):
    monkeypatch.setattr("unetsearch.search.ledger.finish", lambda studies, outcome: outcome.record.number != 1)
    events, records = runner.run(endless, fake_pool())
    assert [event for event in events if isinstance(event, Lost)] == [Lost("#1", "another machine has taken it over")]
    assert "#1" not in {record.name for record in records}
