"""Trainings of a search that pause, and what becomes of them."""

from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from unetsearch.search.events import Finished, Noted, Rested, Scored, Started
from unetsearch.search.folder import create_folder
from unetsearch.search.messages import Failed, Resumed, Setup
from unetsearch.search.pool import Pool
from unetsearch.search.records import Stretch
from unetsearch.space.settings import SearchSettings


def states(records):
    return [record.state for record in records]


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

        def pause(self, slot):
            path = Path(self.jobs[-1].checkpoint)
            path.parent.mkdir(exist_ok=True)
            path.touch()
            super().pause(slot)

    _, records = replace(runner, pruner="pareto").run(long, Saving(), trials=20)
    pruned = {record.hash for record in records if record.state == "pruned"}
    assert pruned
    assert not pruned & {path.stem for path in (runner.folder.path / "checkpoints").iterdir()}


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


def test_what_another_machine_took_over_waits_no_longer(runner, long, slow_pool, monkeypatch):
    class Losing(slow_pool):
        lost = ()

        def next(self, timeout):
            waiting = search._paused.waiting
            if len(waiting) == 2 and not self.lost:
                Losing.lost = (waiting[0],)
                path = Path(waiting[0].job.checkpoint)
                path.parent.mkdir(exist_ok=True)
                path.touch()
            return super().next(timeout)

    told = []

    def beat(studies):
        if Losing.lost and not told:
            told.append(Losing.lost[0].record.name)
            return [Losing.lost[0].task.trial]
        return []

    monkeypatch.setattr("unetsearch.search.study.beat", beat)
    search = replace(runner, pruner="pareto").search(long, Losing())
    events = list(search.run())
    (lost,) = Losing.lost
    assert [event.text for event in events if isinstance(event, Noted)] == [
        f"{lost.record.name}: this machine was silent for too long, another one takes it over"
    ]
    assert lost.record.name not in {record.name for record in search.records}
    assert not Path(lost.job.checkpoint).exists()


def test_a_network_without_memory_tells_no_score_twice(runner, long, slow_pool):
    """It fails after its first score, and is begun once more with each batch in two parts."""
    pool = slow_pool(fail={1: Failed("out of memory", cause="memory")})
    events, records = runner.run(long, pool, trials=1)
    steps = [event.score.step for event in events if isinstance(event, Scored)]
    assert steps == [score.step for score in records[0].curve] == list(range(10, 121, 10))
    assert records[0].parts == 2


def test_the_only_training_does_not_pause(runner, long, slow_pool):
    events, _ = replace(runner, pruner="pareto").run(long, slow_pool(), trials=1)
    assert not any(isinstance(event, Rested) for event in events)


def test_large_networks_wait_in_small_numbers(runner, long, slow_pool, monkeypatch):
    monkeypatch.setattr("unetsearch.search.paused.ROOM", 0)
    events, records = replace(runner, pruner="pareto").run(long, slow_pool(), trials=6)
    assert max(event.progress.paused for event in events if isinstance(event, Finished)) == 0
    assert len(records) == 6


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
    assert events[-1].reason == f"the time is spent: {spent:.0f} of {spent:.0f} s of training"
    assert again.pool.jobs == []


def test_failures_in_a_row_leave_none_waiting_though_a_slot_warms_up(runner, long, slow_pool, diverged):
    """As after a crash."""

    class Warming(slow_pool):
        cold = 0

        @property
        def idle(self):
            return () if self.cold else super().idle

        def next(self, timeout):
            if self.cold:
                self.cold -= 1
                return None
            answered = super().next(timeout)
            if answered is not None and answered[1] == diverged:
                self.cold = 3
            return answered

        def scores(self, job):
            return [0.5 + 0.001 * step for step in range(12)]

    pool = Warming(fail=dict.fromkeys(range(4, 40), diverged))
    events, records = replace(runner, pruner="pareto").run(long, pool, trials=40)
    assert "5 trainings in a row failed" in events[-1].reason
    waited = {event.name for event in events if isinstance(event, Rested)}
    assert waited
    assert waited <= {record.name for record in records}


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


def test_few_wait_where_a_study_is_shared(runner, long, slow_pool, tmp_path):
    shared = replace(runner, pruner="pareto", storage=f"journal:{tmp_path / 'log'}")
    events, records = shared.run(long, slow_pool(), trials=24)
    assert len(records) == 24
    paused = [event.progress.paused for event in events if isinstance(event, Rested | Finished)]
    assert max(paused) == 4
