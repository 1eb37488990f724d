"""A training on a slot, and what has to be remembered of it until it is settled."""

from dataclasses import dataclass, replace
from time import time
from typing import Any

from unetsearch.search.messages import Failed, Job
from unetsearch.search.records import TrialRecord
from unetsearch.search.storage import Outcome
from unetsearch.search.work import Task


@dataclass(slots=True)
class Running:
    """`record`: what is known so far, with the curve. `started`: seconds since the epoch."""

    task: Task
    record: TrialRecord
    job: Job
    started: float

    def ended(self, **changes: Any) -> Outcome:
        """What came of it, now: the record with these changes."""
        now = time()
        return Outcome(
            self.task.trial, replace(self.record, seconds=now - self.started, finished=now, **changes), self.task.excess
        )

    def failed(self, failed: Failed) -> Outcome:
        """The same of a training that failed; where memory was too little, the sampler learns it as a limit."""
        memory = failed.cause == "memory"
        outcome = self.ended(state="infeasible" if memory else "failed", reason=failed.reason)
        return replace(outcome, excess={**outcome.excess, "memory": float(memory)})
