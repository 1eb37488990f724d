"""Trainings of a search that pause, and what becomes of them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from unetsearch.search.events import Finished, Lost, Rested, Scored, Started
from unetsearch.search.messages import Failed


def states(records):
    return [record.state for record in records]


@pytest.mark.parametrize("slots", [1, 2])
def test_all_pause_early_and_one_in_four_goes_on_while_new_ones_come(runner, long, slow_pool, slots):
    """The deeper, the better: most may stand on the front, and go on in the end."""
    pool = slow_pool(size=slots)
    events, records = replace(runner, pruner="pareto").run(long, pool, trials=16)
    told = [event for event in events if isinstance(event, Started | Rested | Finished)]
    assert not any(isinstance(event, Finished) for event in told[:6]), "three are begun, and pause, before one goes on"
    first = next(place for place, event in enumerate(told) if isinstance(event, Finished))
    assert len({event.record.name for event in told[:first] if isinstance(event, Started)}) <= 4 + slots
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
    assert {(record.state, record.reason) for record in records} == {("pruned", "the time was spent")}
    last = next(event for event in reversed(events) if isinstance(event, Finished))
    assert last.progress.saved == 0, "no pruner did that"


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
    pruned = {record.hash for record in records if record.state == "pruned" and record.reason is None}
    assert len(pruned) == states(records).count("pruned") > 0
    assert not pruned & {path.stem for path in (runner.folder.path / "checkpoints").iterdir()}


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
    assert [event for event in events if isinstance(event, Lost)] == [
        Lost(lost.record.name, "this machine was silent for too long, another one takes it over")
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


def test_few_wait_where_a_study_is_shared(runner, long, slow_pool, tmp_path):
    shared = replace(runner, pruner="pareto", storage=f"journal:{tmp_path / 'log'}")
    events, records = shared.run(long, slow_pool(), trials=24)
    assert len(records) == 24
    paused = [event.progress.paused for event in events if isinstance(event, Rested | Finished)]
    assert max(paused) == 4
