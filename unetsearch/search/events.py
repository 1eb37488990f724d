"""What a running search tells whoever shows it."""

from dataclasses import dataclass

from unetsearch.search.confirmed import Run
from unetsearch.search.records import TrialRecord
from unetsearch.training.score import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the study is.

    `trials`: trained, of those wanted (`of_trials`), among them `pruned` and `failed` ones. `running`, `paused`: of
    this process. `seconds`: in which something was trained, of those allowed (None: no limit). `steps`: optimizer steps
    done; `saved`: those that pruning left out.
    """

    trials: int
    of_trials: int
    seconds: float
    of_seconds: float | None
    pruned: int = 0
    failed: int = 0
    running: int = 0
    paused: int = 0
    steps: int = 0
    saved: int = 0

    @property
    def late(self) -> bool:
        """Whether the time is spent."""
        return self.of_seconds is not None and self.seconds >= self.of_seconds

    @property
    def seconds_left(self) -> float | None:
        """How long the study will go on at its pace so far; None before the first trial is trained.

        A paused one counts as half a trial: it has taken a sixth of its steps, and the average trial takes a third.
        """
        done = self.trials + self.paused / 2
        if not done:
            return None
        left = self.seconds / done * (self.of_trials - done)
        return max(0.0, left if self.of_seconds is None else min(left, self.of_seconds - self.seconds))

    @property
    def over(self) -> str | None:
        """Why the search is over; None while it is not."""
        counts = {"ended early": self.pruned, "failed": self.failed}
        parts = "".join(f", {count} of them {word}" for word, count in counts.items() if count)
        if self.trials > self.of_trials:
            return f"{self.trials} trials are done{parts}; {self.of_trials} were asked for"
        if self.trials == self.of_trials:
            return f"{self.trials} of {self.of_trials} trials are {'done' if parts else 'trained'}{parts}"
        if self.late:
            trials = f"{self.trials} of {self.of_trials} trials{parts}"
            return f"the time is spent: {self.seconds:.0f} of {self.of_seconds:.0f} s of training, {trials}"
        return None


@dataclass(frozen=True, slots=True)
class Continued:
    """The study was there already. `interrupted`: trials that a killed run had left, now put back."""

    finished: int
    interrupted: int
    records: tuple[TrialRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """Other machines have finished more of the study; `records`: all that is known."""

    records: tuple[TrialRecord, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A training begins on a slot."""

    record: TrialRecord
    slot: int


@dataclass(frozen=True, slots=True)
class Stepped:
    """A training is at this step."""

    name: str
    step: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A training was evaluated."""

    name: str
    score: Score


@dataclass(frozen=True, slots=True)
class Rested:
    """A training pauses after this score; it may go on later, on any slot, and is Started again then."""

    name: str
    score: Score
    progress: Progress


@dataclass(frozen=True, slots=True)
class Lost:
    """A training ends here and is settled elsewhere: another machine has taken it over."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that a person should read: a training that begins again, a wait."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial or baseline is settled: trained, pruned, failed, infeasible or a repeat."""

    record: TrialRecord
    progress: Progress


@dataclass(frozen=True, slots=True)
class Ended:
    """The search is over, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Confirming:
    """How far a confirmation is: trainings done of those of its stage, in so many seconds (`own`).

    `seconds`: in which any training of any stage ran, of those allowed (None: no limit).
    """

    done: int
    of: int
    own: float
    seconds: float
    of_seconds: float | None

    @property
    def seconds_left(self) -> float | None:
        """How long it will go on at its pace so far; None before the first training is done."""
        if not self.done:
            return None
        left = self.own / self.done * (self.of - self.done)
        return max(0.0, left if self.of_seconds is None else min(left, self.of_seconds - self.seconds))


@dataclass(frozen=True, slots=True)
class Repeated:
    """A finalist was trained once more, and tested. `name`: the trial's."""

    name: str
    run: Run
    score: Score
    progress: Confirming


@dataclass(frozen=True, slots=True)
class SearchedAgain:
    """The search begins again without the images of an outer fold (from 1, of so many)."""

    fold: int
    of: int


Event = (
    Continued
    | Joined
    | Started
    | Stepped
    | Scored
    | Rested
    | Lost
    | Noted
    | Finished
    | Ended
    | Confirming
    | Repeated
    | SearchedAgain
)
