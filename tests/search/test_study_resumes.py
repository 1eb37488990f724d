"""Trainings that go on: after a pause, and after an interruption of the whole search."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from unetsearch.search.events import Noted, Rested
from unetsearch.search.folder import create_folder
from unetsearch.search.messages import Failed, Resumed, Setup
from unetsearch.search.pool import Pool
from unetsearch.search.records import Stretch
from unetsearch.space.settings import SearchSettings


def states(records):
    return [record.state for record in records]


@pytest.fixture
def real(space):
    """Four tiny networks that train for real, each judged after two of twelve steps."""
    return replace(space, recipe=replace(space.recipe, steps=12, evaluations=12), search=SearchSettings(trials=4))


def train(runner, space, data, between=lambda event: None):
    """Its events and records, in a trainer process."""
    with Pool([Setup(data, "cpu", 1)], stall=60) as pool:
        search = runner.search(space, pool)
        events = []
        for event in search.run():
            events.append(event)
            between(event)
        return events, search.records


def curve(record):
    return [replace(score, seconds=0.0) for score in record.curve]


def test_a_training_that_pauses_has_the_curve_of_one_that_does_not(runner, real, data):
    pruning = replace(runner, pruner="pareto")
    events, records = train(pruning, real, data)
    rested = {event.name for event in events if isinstance(event, Rested)}
    paused = [record for record in records if record.name in rested and record.state == "complete"]
    assert paused
    _, whole = train(replace(runner, folder=create_folder(runner.folder.path / "whole")), real, data)
    curves = {record.hash: curve(record) for record in whole}
    for record in records:
        assert curve(record) == curves[record.hash][: len(record.curve)]
    assert all(len(record.trained_at) == 2 for record in paused)
    assert all(len(record.curve) == 12 for record in paused)


def test_a_paused_one_whose_checkpoint_is_damaged_begins_anew(runner, real, data):
    def damage(event):
        if isinstance(event, Rested):
            for path in (runner.folder.path / "checkpoints").iterdir():
                path.write_bytes(b"no checkpoint")

    events, records = train(replace(runner, pruner="pareto"), real, data, damage)
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert notes
    assert all(note.endswith("is damaged: the training begins anew") for note in notes)
    complete = [record for record in records if record.state == "complete"]
    assert complete
    assert all([score.step for score in record.curve] == list(range(1, 13)) for record in complete)


class Resuming:
    """A pool whose trainings go on from what an interrupted run left, at this step and after this time."""

    def __init__(self, pool, step, spent, rested=False):
        self.pool = pool
        self.resumed = Resumed(step, (Stretch("before", 0.0, spent),), rested)

    def __getattr__(self, name):
        return getattr(self.pool, name)

    def start(self, slot, job):
        self.pool.start(slot, job)
        scores = self.pool._trainings[slot]
        self.pool._trainings[slot] = chain([self.resumed], scores)


@pytest.mark.parametrize(("step", "rested", "pauses"), [(20, False, True), (20, True, False), (60, False, False)])
def test_what_comes_again_after_an_interruption_is_not_judged_again(runner, long, slow_pool, step, rested, pauses):
    """But for the last of it: what waited then waits now too."""
    pool = Resuming(slow_pool(), step, 100.0, rested)
    events, records = replace(runner, pruner="pareto").run(long, pool, trials=6)
    rested = [event for event in events if isinstance(event, Rested)]
    assert bool(rested) == pauses
    complete = [record for record in records if record.state == "complete"]
    assert complete
    for record in complete:
        assert record.trained_at[0] == ("before", 0.0, 100.0)
        assert record.seconds >= 100
        assert [score.step for score in record.curve] == list(range(10, 121, 10))


def test_the_time_of_an_interrupted_run_counts(runner, long, slow_pool, clock):
    long = replace(long, search=replace(long.search, time=90))
    events, _ = runner.run(long, Resuming(slow_pool(clock=clock), 60, 80.0))
    assert (
        events[-1].reason == "the time is spent: 94 of 90 s of training; 1 of 5 trials" or "spent" in events[-1].reason
    )


@pytest.mark.parametrize("shared", [False, True])
def test_what_pauses_when_a_run_is_interrupted_goes_on_in_the_next(runner, long, slow_pool, shared, tmp_path):
    """In a shared study at once, and on another machine."""

    class Interrupted(slow_pool):
        def next(self, timeout):
            if len(self.jobs) == 3:
                raise KeyboardInterrupt
            return super().next(timeout)

    one = replace(runner, pruner="pareto", storage=f"journal:{tmp_path / 'log'}" if shared else None)
    two = replace(one, folder=create_folder(tmp_path / "two")) if shared else one
    search = one.search(replace(long, search=replace(long.search, trials=6)), Interrupted())
    with pytest.raises(KeyboardInterrupt):
        list(search.run())
    waiting = search._paused.waiting
    assert len(waiting) == 2
    begun = {running.job.recipe.learning_rate for running in waiting}
    search.close()
    pool = slow_pool()
    _, records = two.run(long, pool, trials=6)
    assert len({record.hash for record in records}) == len(records) == 6
    assert begun <= {record.recipe.learning_rate for record in records}
    assert begun <= {job.recipe.learning_rate for job in pool.jobs[:3]}, "before others are begun"


def test_time_that_was_spent_on_what_waits_counts_in_the_next_run(runner, long, slow_pool, clock):
    """Whether it is begun again or not."""

    class Interrupted(slow_pool):
        def next(self, timeout):
            if len(self.jobs) == 3:
                raise KeyboardInterrupt
            return super().next(timeout)

    pruning = replace(runner, pruner="pareto")
    search = pruning.search(long, Interrupted(clock=clock))
    with pytest.raises(KeyboardInterrupt):
        list(search.run())
    spent = search.progress.seconds
    assert spent >= 4, "two pauses after two scores each"
    search.close()
    again = pruning.search(replace(long, search=replace(long.search, time=spent)), slow_pool(clock=clock))
    events = list(again.run())
    assert events[-1].reason == f"the time is spent: {spent:.0f} of {spent:.0f} s of training, 0 of 5 trials"
    assert again.pool.jobs == []


def test_checkpoints_of_what_is_settled_are_removed(runner, long, slow_pool, diverged):
    """Of failed ones at once; of those that another machine settled, and what was half written, at the next start."""

    class Saving(slow_pool):
        def start(self, slot, job):
            path = Path(job.checkpoint)
            path.parent.mkdir(exist_ok=True)
            path.touch()
            super().start(slot, job)

    memory = Failed("out of memory", cause="memory")
    _, records = runner.run(long, Saving(fail={1: diverged, 2: memory, 3: memory}), trials=4)
    assert states(records)[:2] == ["failed", "infeasible"]
    checkpoints = runner.folder.path / "checkpoints"
    assert not list(checkpoints.iterdir())
    runner.folder.checkpoint(records[-1].hash).touch()
    (checkpoints / "abc.pt.12.part").touch()
    runner.folder.checkpoint("abc").touch()
    runner.run(long, slow_pool(), trials=4)
    assert [path.name for path in checkpoints.iterdir()] == ["abc.pt"], "it may yet go on"


def test_closing_does_not_wait_for_a_server_that_is_away(runner, long, slow_pool, monkeypatch):
    tried = []
    monkeypatch.setattr("unetsearch.search.study.release", lambda *arguments: tried.append(arguments))
    search = replace(runner, pruner="pareto").search(long, slow_pool(size=4))
    for event in search.run():
        if isinstance(event, Rested):
            break
    assert len(search._active) + len(search._paused.waiting) == 4
    search.close()
    assert len(tried) == 1
