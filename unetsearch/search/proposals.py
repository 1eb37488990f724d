"""What to train next: points asked of the sampler, or the next of a space that is enumerated."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from time import time

from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from unetsearch.search.candidate import Candidate, Task
from unetsearch.search.claims import Claim, ask, claim, enqueue, give_up
from unetsearch.search.records import TrialRecord
from unetsearch.search.settling import Outcome
from unetsearch.search.storage import Studies
from unetsearch.space.settings import SearchSettings
from unetsearch.space.space import Pick, Point, SearchSpace
from unetsearch.space.values import Choice, Range, Scalar

STARTUP_TRIALS = 10
"""Random points before TPE models anything."""

SIZES = (0.0, 1.0, 0.5, 0.25)
"""Where `auto` begins: the smallest network, the greatest, two between, by their ranks among SIZED random points. After
these the front has most of its hypervolume."""

SIZED = 256

MAX_REPEATS = 10
"""So many repeated or infeasible points in a row, and an untrained one is drawn at random instead."""

MAX_TRIES = 2
"""So many failures of one network with one training, and it is not tried again."""

MAX_DRAWS = 2000
"""A larger space counts as trained after so many random draws without an untrained point within the limits."""


class Proposals:
    """Asks for points until one is worth training. A space that the trials would cover is listed instead.

    `exhausted`: why there are no more, once `next` found none; None while there may be.
    """

    def __init__(self, space: SearchSpace, studies: Studies) -> None:
        self.space = space
        self.studies = studies
        self.exhausted: str | None = None
        self._listed = _listed(space) if _enumerates(space) else None
        self._sizes: list[Point] | None = None if space.search.sampler == "auto" else []

    def next(self, records: Sequence[TrialRecord], running: Collection[str]) -> Iterator[Outcome | Task]:
        """The outcomes of points that need no training (known, or over a limit), then at most one Task.

        No Task: every point within the limits is trained or is being trained, or none that is not could be found,
        or other machines train all that is left to do. `running`: the hashes of what is being trained.
        """
        known = _Known.of(records, running)
        self.exhausted = None
        for trial in self._asked(known):
            pick = _trial_pick(trial)  # drawn again after an outage, a trial gives what it gave before
            point = self.studies.patient(lambda pick=pick: self.space.draw(pick))  # type: ignore[misc]
            candidate = Candidate.at(point)
            record = candidate.record(trial.number, values=dict(point.values))
            task = Task(trial, candidate, record, candidate.excess(self.space.limits))
            if outcome := _settled(task, known):
                yield outcome
                continue
            claimed = self._claim(task, known)
            if claimed == "mine":
                yield task
                return
            give_up(self.studies, trial, claimed)
            if claimed == "surplus":
                return
        drawn = self._listed is None and (self.space.size is None or self.space.size > MAX_DRAWS)
        self.exhausted = (
            f"{MAX_DRAWS:,} random draws found no untrained point within the limits"
            if drawn
            else "every point of the space within the limits is trained"
        )

    def _asked(self, known: "_Known") -> Iterator[Trial]:
        """Trials of the next listed points; else of the sampler's, and of one untrained point if those do not help."""
        study = self.studies.search
        if self._listed is not None:
            while self._queue_listed(known):
                yield ask(self.studies, study)
            return
        for _ in range(MAX_REPEATS):
            self._queue_size(known)
            yield ask(self.studies, study)
        if point := self._untrained(known):
            enqueue(self.studies, point.values)
            yield ask(self.studies, study)

    def _claim(self, task: Task, known: "_Known") -> Claim:
        hash_ = task.candidate.hash
        if hash_ in known.running:
            return "twin"
        claimed = claim(self.studies, task.trial, hash_, self.space.search.trials)
        known.running.add(hash_)
        return claimed

    def _queue_size(self, known: "_Known") -> None:
        """Queues the next of the points with which `auto` begins; nothing while others, interrupted ones, wait."""
        if self._sizes is None:
            self._sizes = list(by_size(self.space, random_points(self.space)))
        while self._sizes and not self.studies.trials(self.studies.search, TrialState.WAITING):
            point = self._sizes.pop(0)
            if not known.has(Candidate.at(point).hash):
                enqueue(self.studies, point.values)

    def _queue_listed(self, known: "_Known") -> bool:
        """Queues the next point that is not settled, behind what is queued already; False when there is none."""
        assert self._listed is not None
        if self.studies.trials(self.studies.search, TrialState.WAITING):
            return True
        for point in self._listed:
            if Candidate.at(point).hash not in known.settled | known.running:
                enqueue(self.studies, point.values)
                return True
        for record in known.once_failed:
            if record.hash not in known.running:
                enqueue(self.studies, record.values)
                return True
        return False

    def _untrained(self, known: "_Known") -> Point | None:
        """A random point within the limits that is not settled; None where none is found."""
        random = Random(f"{self.space.search.seed} {len(known.settled)}")
        if self.space.size is not None and self.space.size <= MAX_DRAWS:
            points = iter(sorted(self.space.enumerate(), key=lambda _: random.random()))
        else:
            points = (self.space.sample(random.randrange(2**32)) for _ in range(MAX_DRAWS))
        for point in points:
            candidate = Candidate.at(point)
            if not known.has(candidate.hash) and candidate.within(self.space.limits):
                return point
        return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the records say of points by their hashes.

    `trained`: with their record. `hopeless`: failed too often, and why. `settled`: points of the space that have their
    outcome (a baseline is no point of the space: the point that equals it is still to be told). `once_failed`: the
    records of points that deserve another try. `running`: what is being trained.
    """

    trained: dict[str, TrialRecord]
    hopeless: dict[str, str]
    settled: frozenset[str]
    once_failed: tuple[TrialRecord, ...]
    running: set[str]

    def has(self, hash_: str) -> bool:
        """Whether a point is known in any way."""
        return any(hash_ in those for those in (self.settled, self.trained, self.hopeless, self.running))

    @classmethod
    def of(cls, records: Sequence[TrialRecord], running: Collection[str]) -> "_Known":
        failed = [record for record in records if record.state == "failed"]
        tries = Counter(record.hash for record in failed)
        hopeless = {record.hash: record.reason or "" for record in failed if tries[record.hash] >= MAX_TRIES}
        trained = {record.hash: record for record in reversed(records) if record.state in ("complete", "pruned")}
        settled = frozenset(record.hash for record in records if record.baseline is None and record.state != "failed")
        done = {*trained, *hopeless, *settled}
        return cls(
            trained=trained,
            hopeless=hopeless,
            settled=settled,
            once_failed=tuple(r for r in failed if r.baseline is None and r.hash not in done),
            running=set(running),
        )


def _settled(task: Task, known: "_Known") -> Outcome | None:
    """What can be told of a task without training it; None where it must be trained."""
    record, excess = replace(task.record, finished=time()), dict(task.excess)
    if first := known.trained.get(record.hash):
        record = replace(record, state="repeat", repeat_of=first.name, curve=first.curve)
    elif over := [name for name, share in excess.items() if share > 0]:
        record = replace(record, state="infeasible", reason=f"over the limit of {' and '.join(over)}")
    elif reason := known.hopeless.get(record.hash):
        record = replace(record, state="infeasible", reason=f"failed {MAX_TRIES} times: {reason}")
        excess["failure"] = 1.0
    else:
        return None
    return Outcome(task.trial, record, excess)


def make_sampler(search: SearchSettings, trials_so_far: int, own: str = "") -> BaseSampler:
    """The sampler, seeded from the study's seed and the trials so far: a continued study does not repeat itself.

    `own`: what else goes into the seed, so that machines which begin together do not draw the same points.
    """
    seed = Random(f"{search.seed} {trials_so_far}{own}").randrange(2**32)
    match search.sampler:
        case "auto" | "tpe":
            return TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=True, seed=seed)
        case "nsga2":
            return NSGAIISampler(seed=seed)
        case "random" | "enumerate":
            return RandomSampler(seed=seed)


def _enumerates(space: SearchSpace) -> bool:
    """Whether the points are listed: where that is asked for, or where the trials would cover the space."""
    search = space.search
    return search.sampler == "enumerate" or (
        search.sampler == "auto" and space.size is not None and space.size <= search.trials
    )


def _listed(space: SearchSpace) -> Iterator[Point]:
    """Every point of a finite space in random order, the same for the same seed; `auto` begins with some sizes."""
    points = list(space.enumerate())
    Random(space.search.seed).shuffle(points)
    if space.search.sampler == "auto":
        yield from by_size(space, points[:SIZED])
    yield from points


def random_points(space: SearchSpace) -> list[Point]:
    """SIZED points, the same for the same seed."""
    random = Random(f"{space.search.seed} sizes")
    return [space.sample(random.randrange(2**32)) for _ in range(SIZED)]


def by_size(space: SearchSpace, points: Sequence[Point]) -> Iterator[Point]:
    """Those of the points, within the limits, that stand at SIZES in the order of their parameters."""
    sized = ((Candidate.at(point), point) for point in points)
    inside = [(candidate.cost.params, point) for candidate, point in sized if candidate.within(space.limits)]
    ordered = [point for _, point in sorted(inside, key=lambda pair: pair[0])]
    for share in SIZES if ordered else ():
        yield ordered[round(share * (len(ordered) - 1))]


def _trial_pick(trial: Trial) -> Pick:
    """A picker that asks an Optuna trial."""

    def pick(name: str, value: Choice | Range) -> Scalar:
        if isinstance(value, Choice):
            return trial.suggest_categorical(name, [option.value for option in value.options])
        if value.size is None:
            return trial.suggest_float(name, value.low, value.high, log=value.log)
        last = value.at(value.size - 1)  # Optuna warns where the upper end is no step of the lower one
        if value.integer:
            step = 1 if value.log else round(value.step or 1)  # Optuna has no steps in a logarithmic range
            return trial.suggest_int(name, round(value.low), round(last), step=step, log=value.log)
        return trial.suggest_float(name, value.low, last, step=value.step)

    return pick
