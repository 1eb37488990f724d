"""What a running search tells whoever shows it."""

from dataclasses import dataclass

from unetsearch.search.candidate import Candidate
from unetsearch.search.records import TrialRecord
from unetsearch.training.score import Score


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the study is: trained trials of those wanted, seconds of training of those allowed (None: no limit).

    `failed`: how many of the trials ended without a result.
    """

    trials: int
    of_trials: int
    seconds: float
    of_seconds: float | None
    failed: int = 0

    @property
    def late(self) -> bool:
        """Whether the time is spent."""
        return self.of_seconds is not None and self.seconds >= self.of_seconds

    @property
    def over(self) -> str | None:
        """Why the search is over; None while it is not."""
        failed = f", {self.failed} of them failed" if self.failed else ""
        if self.trials > self.of_trials:
            return f"{self.trials} trials are done{failed}; {self.of_trials} were asked for"
        if self.trials == self.of_trials:
            return f"{self.trials} of {self.of_trials} trials are {'done' if failed else 'trained'}{failed}"
        if self.late:
            return f"the time is spent: {self.seconds:.0f} of {self.of_seconds:.0f} s of training{failed}"
        return None


@dataclass(frozen=True, slots=True)
class Continued:
    """The study was there already. `interrupted`: trials that a killed run had left, now put back."""

    finished: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class Started:
    """A training begins."""

    name: str
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Scored:
    """The running training was evaluated."""

    name: str
    score: Score


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial or baseline is settled: trained, failed, infeasible or a repeat."""

    record: TrialRecord
    progress: Progress


@dataclass(frozen=True, slots=True)
class Ended:
    """The search is over, and why."""

    reason: str


Event = Continued | Started | Scored | Finished | Ended
