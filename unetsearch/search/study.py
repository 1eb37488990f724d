"""The search: one loop that asks for candidates, has them trained on slots, and tells what came of them."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from time import time

from optuna.trial import Trial

from unetsearch.errors import WorkFailedError
from unetsearch.search.candidate import Task
from unetsearch.search.claims import Elsewhere, beat, elsewhere, release, show_life, spend
from unetsearch.search.events import (
    Continued,
    Ended,
    Event,
    Finished,
    Joined,
    Lost,
    Noted,
    Progress,
    Rested,
    Scored,
    Started,
    Stepped,
)
from unetsearch.search.folder import StudyFolder
from unetsearch.search.ledger import Ledger
from unetsearch.search.measured import Measurements
from unetsearch.search.messages import Done, Failed, Resumed, Stopped, Window
from unetsearch.search.messages import Stepped as SteppedTo
from unetsearch.search.paused import MOST, MOST_SHARED, Paused
from unetsearch.search.pool import Pool
from unetsearch.search.progress import progress_of
from unetsearch.search.pruner import Pruner
from unetsearch.search.records import TIME_SPENT, TrialRecord
from unetsearch.search.running import Running
from unetsearch.search.settling import Outcome, recover
from unetsearch.search.storage import Studies
from unetsearch.search.work import Work
from unetsearch.space.space import SearchSpace
from unetsearch.training.score import Score

WAIT = 0.5
"""Seconds until a search without news looks up: at other machines, and for Ctrl-C."""

SAVE_WITHIN = 10.0
"""Seconds that running trainings get to write a checkpoint when the search is ended."""


class Search:
    """One run of a study: `for event in search.run(): ...`; then `close()`, whatever happened.

    `machine`: how this process calls itself where it tells which slot trained what.
    """

    def __init__(
        self,
        space: SearchSpace,
        studies: Studies,
        pool: Pool,
        folder: StudyFolder,
        preview: tuple[Window, ...],
        machine: str = "",
    ) -> None:
        self.space = space
        self.studies = studies
        self.pool = pool
        self.folder = folder
        self.preview = preview
        self.machine = machine
        self._running: dict[int, Running] = {}
        self._again: list[Running] = []
        self._work = Work(space, studies)
        self._pruner = Pruner(space)
        self._paused = self._none_paused()
        self._measurements = Measurements(space, pool)
        self._ledger = Ledger(studies, folder, space.objectives, self._pruner, self._measurements)

    def run(self) -> Iterator[Event]:
        """Trains baselines and then candidates until the totals are reached, and tells what happens.

        Raises WorkFailedError where no training can be started, or the disk or the storage cannot be written.
        """
        interrupted = recover(self.studies)
        self._ledger.look_around()
        self.folder.drop_parts()
        self._ledger.tidy([])
        if self.records or interrupted:
            yield Continued(self.progress.trials, interrupted, tuple(self.records))
        while True:
            yield from self._fill()
            if not self._active and (reason := self._over()):
                break
            yield from self._listen()
        yield Ended(reason)

    def close(self) -> None:
        """Ends the trainings that still run, saves how far they are, and puts their trials back."""
        self.pool.close(save_within=SAVE_WITHIN if self._running else 0)
        now = time()
        for running in (*self._active, *self._paused.waiting):
            if not release(self.studies, running.task.trial, running.stretches(now)):
                break  # nor would the next
        self._running, self._again, self._paused = {}, [], self._none_paused()

    def _none_paused(self) -> Paused:
        return Paused(self._pruner, MOST_SHARED if self.studies.shared else MOST)

    @property
    def records(self) -> list[TrialRecord]:
        """All that is known of the study."""
        return self._ledger.records

    @property
    def progress(self) -> Progress:
        """Points over a limit and repeated points cost nothing and count nothing."""
        now, waiting = time(), self._paused.waiting
        own = (stretch for running in (*self._active, *waiting) for stretch in running.stretches(now))
        spans = [stretch[1:] for stretch in (*self._ledger.spent, *own)]
        return progress_of(self.space, self.records, spans, running=len(self._active), paused=len(waiting))

    @property
    def _active(self) -> tuple[Running, ...]:
        return (*self._running.values(), *self._again)

    def _fill(self) -> Iterator[Event]:
        """Gives every idle slot a training, while there is any."""
        if self.studies.shared and self.pool.idle and self._ledger.look_around():
            yield Joined(tuple(self.records))
        late = self.space.search.time is not None and bool(self._paused.waiting) and self.progress.late
        for running in self._paused.waiting if late else self._paused.hopeless():
            event = self._prune(running, TIME_SPENT if self._pruner.keeps(running.record) else None)
            self._paused.remove(running)
            yield event
        for slot in self.pool.idle:
            if slot not in self.pool.idle:
                continue  # its process died while this one measured for another
            if self._again:
                yield self._begin(slot, self._again.pop(0))
                continue
            task = None
            if not self._paused.due and not self._ledger.hopeless:
                task = yield from self._ask()
            if task is not None:
                yield from self._start(slot, task)
            elif self._paused.waiting:
                running = self._paused.take()
                running.rested = True
                yield self._begin(slot, running)
            else:
                return

    def _ask(self) -> Generator[Event, None, Task | None]:
        """The next new training, if there is any; settles what needs none."""
        known = [running.record for running in (*self._active, *self._paused.waiting)]
        for found in self._work.next(self.records, known, self.progress):
            if isinstance(found, Task):
                return found
            yield self._settle(found)
        return None

    def _start(self, slot: int, task: Task) -> Iterator[Event]:
        """Measures what the objectives ask for, and begins the training."""
        running = Running.of(task, self.folder, self.preview, self.space.search.seed)
        running.begin(self._place(slot))
        if self._measurements.wanted:
            measured = self._measurements.of(task.candidate, slot, lambda: show_life(self.studies))
            if isinstance(measured, Failed):
                yield self._settle(running.failed(measured))
                return
            running.record = replace(running.record, latency=measured.latency, memory=measured.memory)
        self._paused.begun += task.record.baseline is None
        if slot not in self.pool.idle:
            self._again.append(running)  # its process died after the measuring
            return
        yield self._begin(slot, running)

    def _begin(self, slot: int, running: Running) -> Event:
        place = self._place(slot)
        self.pool.start(slot, replace(running.job, slot=place, rested=running.rested))
        running.begin(place)
        self._running[slot] = running
        return Started(running.record, slot)

    def _place(self, slot: int) -> str:
        return f"{self.machine}{slot}"

    def _listen(self) -> Iterator[Event]:
        """Takes the next answer of any slot, or lets a little time pass."""
        answered = self.pool.next(WAIT)
        for trial in beat(self.studies):
            yield from self._lose(trial)
        if answered is None:
            return
        slot, answer = answered
        running = self._running.get(slot)
        if running is None:
            return  # the last words of a training that was lost
        match answer:
            case Resumed():
                running.resume(answer)
            case Score():
                running.record = replace(running.record, curve=(*running.record.curve, answer))
                if answer.step > running.seen:
                    yield Scored(running.record.name, answer)
                    self._judge(slot, running)
            case SteppedTo():
                yield Stepped(running.record.name, answer.step)
                if answer.note:
                    yield Noted(f"{running.record.name}: {answer.note}")
            case Done():
                del self._running[slot]
                yield self._settle(running.ended(state="complete"))
            case Stopped():
                del self._running[slot]
                if running.pauses and self._pruner.keeps(running.record):
                    running.rest()
                    self._paused.add(running)
                    spend(self.studies, running.task.trial, running.record.stretches)
                    yield Rested(running.record.name, running.record.final, self.progress)
                else:
                    yield self._prune(running)
            case Failed():
                del self._running[slot]
                yield self._failed(running, answer)

    def _judge(self, slot: int, running: Running) -> None:
        """Ends a training, or lets it pause, if the pruner says so.

        Not where scores come again before the one that it goes on from.
        """
        if running.record.steps < running.since:
            return
        if self.studies.shared:
            self._ledger.look_around()
        verdict = self._pruner.verdict(running.record)
        if verdict == "end":
            running.pauses = False
            self.pool.stop(slot)
        elif verdict == "pause" and not running.rested and self._wanted:
            running.pauses = True
            self.pool.pause(slot)

    @property
    def _wanted(self) -> bool:
        """Whether there is other work for a slot."""
        progress = self.progress
        return progress.paused > 0 or progress.trials + progress.running < progress.of_trials

    def _prune(self, running: Running, reason: str | None = None) -> Event:
        """Settles a training that was ended early. `reason`: why, where the pruner did not end it."""
        event = self._settle(running.ended(state="pruned", reason=reason))
        self._forget(running)
        return event

    def _forget(self, running: Running) -> None:
        """Removes the checkpoint of a training that does not go on here."""
        with suppress(OSError):
            self.folder.checkpoint(running.task.candidate.hash).unlink(missing_ok=True)

    def _lose(self, trial: Trial) -> Iterator[Event]:
        """Ends a training whose trial another machine has put back, since it heard nothing of this one for too long."""
        lost = "this machine was silent for too long, another one takes it over"
        for slot, running in list(self._running.items()):
            if running.task.trial is trial:
                self.pool.stop(slot)
                del self._running[slot]
                yield Lost(running.record.name, lost)
        for running in (*self._paused.waiting, *self._again):
            if running.task.trial is trial:
                (self._again if running in self._again else self._paused).remove(running)
                self._forget(running)
                yield Lost(running.record.name, lost)

    def _failed(self, running: Running, failed: Failed) -> Event:
        """Settles a failed training; one that ran out of memory is begun once more, a batch in two parts."""
        name = running.record.name
        if failed.cause == "storage":
            self._again.append(running)  # to be put back
            raise WorkFailedError(f"{name} cannot be written: {failed.reason}")
        if failed.cause == "memory" and running.job.parts == 1 and running.job.recipe.batch_size > 1:
            running.job = replace(running.job, parts=2)
            running.rest()
            running.record = replace(running.record, parts=2)
            self._again.append(running)
            return Noted(f"{name}: {failed.reason}; once more, with each batch in two parts")
        self._forget(running)  # from there it would only fail again
        return self._settle(running.failed(failed))

    def _settle(self, outcome: Outcome) -> Event:
        if not self._ledger.settle(outcome):
            return Lost(outcome.record.name, "another machine has taken it over")
        if outcome.record.trained:
            self._ledger.tidy(running.record.name for running in self._active)
        return Finished(outcome.record, self.progress)

    def _over(self) -> str | None:
        """Why nothing is left to do; None while slots warm up, and while other machines may still leave something."""
        if self._ledger.hopeless and not self._paused.waiting:
            return self._ledger.hopeless
        progress = self.progress
        if progress.over and (progress.late or not self._work.baselines_left(self.records)):
            return progress.over
        if not self.pool.idle or elsewhere(self.studies) != Elsewhere():
            return None
        if progress.over or not self._work.exhausted:
            return progress.over
        return self._work.exhausted + (f"; {progress.failed} of the trials failed" if progress.failed else "")
