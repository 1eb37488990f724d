"""A training on a slot, or between two, and what has to be remembered of it until it is settled."""

from dataclasses import dataclass, replace
from time import time
from typing import Any

from unetsearch.search.candidate import Task
from unetsearch.search.folder import StudyFolder
from unetsearch.search.messages import Failed, Job, Resumed, Window
from unetsearch.search.records import Stretch, TrialRecord
from unetsearch.search.settling import Outcome


@dataclass(slots=True, eq=False)
class Running:
    """`record`: what is known so far, with the curve. `started`: seconds since the epoch; None while it waits.

    `pauses`: it is told to make way for others. `rested`: it did, and was taken up again, to go on to its end.
    `seen`: the last step whose score is known from before it was begun again; such scores come again. `since`: the
    last score of the checkpoint from which it goes on, maybe one of an earlier run; those before it judge nothing.
    """

    task: Task
    record: TrialRecord
    job: Job
    started: float | None = None
    pauses: bool = False
    rested: bool = False
    seen: int = 0
    since: int = 0

    @classmethod
    def of(cls, task: Task, folder: StudyFolder, preview: tuple[Window, ...], seed: int) -> "Running":
        """One that is not begun yet; its model and its checkpoint will lie in the study's folder."""
        job = Job(
            architecture=task.candidate.architecture,
            recipe=task.candidate.recipe,
            seed=seed,
            folder=str(folder.model(task.record.name).resolve()),
            preview=preview,
            checkpoint=str(folder.checkpoint(task.candidate.hash).resolve()),
        )
        return cls(task, task.record, job)

    def begin(self, slot: str) -> None:
        """It is on a slot from now on."""
        self.seen, self.since = self.record.steps, 0
        self.record = replace(self.record, slot=slot, curve=())
        self.started = time()

    def resume(self, resumed: Resumed) -> None:
        """It goes on from a checkpoint, which knows when it was trained."""
        self.since, self.rested = resumed.step, self.rested or resumed.rested
        self.record = replace(self.record, stretches=resumed.stretches)

    def rest(self) -> None:
        """It is on no slot from now on."""
        self.record = replace(self.record, stretches=self.stretches(time()))
        self.started = None

    def stretches(self, now: float) -> tuple[Stretch, ...]:
        """When it was trained so far."""
        if self.started is None:
            return self.record.stretches
        return (*self.record.stretches, Stretch(self.record.slot, self.started, now))

    def ended(self, **changes: Any) -> Outcome:
        """What came of it, now: the record with these changes."""
        now = time()
        stretches = self.stretches(now)
        seconds = sum(stretch.end - stretch.start for stretch in stretches)
        record = replace(self.record, stretches=stretches, seconds=seconds, finished=now, **changes)
        return Outcome(self.task.trial, record, self.task.excess)

    def failed(self, failed: Failed) -> Outcome:
        """The same of a training that failed; where memory was too little, the sampler learns it as a limit."""
        memory = failed.cause == "memory"
        outcome = self.ended(state="infeasible" if memory else "failed", reason=failed.reason)
        return replace(outcome, excess={**outcome.excess, "memory": float(memory)})
