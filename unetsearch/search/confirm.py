"""Finalists trained again: without each fold, from several seeds, scored on images that no search has seen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import time

from unetsearch.data.dataset import Split
from unetsearch.search.confirmed import Confirmed, Failure, Key, Plan, Run
from unetsearch.search.events import Confirming, Event, Noted, Repeated
from unetsearch.search.finalists import EACH_DEPTH, best_of_each
from unetsearch.search.folder import StudyFolder
from unetsearch.search.messages import Done, Failed, Job, Measured, Resumed, Stepped, Stopped
from unetsearch.search.pool import Pool
from unetsearch.search.records import TrialRecord
from unetsearch.space.recipe import Recipe
from unetsearch.statistics.intervals import covered
from unetsearch.training.score import Score

WAIT = 0.5
"""Seconds until a confirmation without news looks up."""

SAVE_WITHIN = 10.0
"""Seconds that running trainings get to write a checkpoint when it is ended."""

RATES = (0.5, 1.0, 2.0)
"""Times the learning rate of the search, of which a longer training takes the best."""

MOST_FOLDS = 20
"""Each fold of each seed begins from a seed of its own: what is the same in all folds, their spread cannot show."""

MAX_TRIES = 2
"""So many failures of a training, and this process does not try it again."""


@dataclass(slots=True)
class Planned:
    """One training that is wanted. `split`: its training images, and as validation the images it is scored on.

    `name`: what its network is called.
    """

    name: str
    record: TrialRecord
    key: Key
    split: Split
    parts: int = 1
    tries: int = 0
    started: float = 0.0
    score: Score | None = None

    @property
    def words(self) -> str:
        """`#4 without fold 2, seed 1`."""
        return f"{self.name} {self.key.words}"

    @property
    def recipe(self) -> Recipe:
        """That of the search, longer by the budget, and scored at its end only: no score of the way is looked at."""
        recipe = self.record.recipe
        return replace(
            recipe,
            steps=round(recipe.steps * self.key.budget),
            learning_rate=recipe.learning_rate * self.key.rate,
            evaluations=1,
        )

    def job(self, folder: StudyFolder, base_seed: int) -> Job:
        """What a trainer is told. The search's own seed is not used again: its score was chosen."""
        name = "-".join(str(part).replace(" ", "-") for part in ("confirm", *self.key))
        return Job(
            architecture=self.record.architecture,
            recipe=self.recipe,
            seed=base_seed + 1 + self.key.seed * MOST_FOLDS + self.key.fold,
            folder="",
            preview=(),
            parts=self.parts,
            checkpoint=str(folder.checkpoint(name).resolve()),
            split=self.split,
        )

    def run(self, finished: float) -> Run:
        """What came of it."""
        assert self.score is not None
        return Run(
            key=self.key,
            images=self.split.validation,
            scores=dict(self.score.by_image),
            started=self.started,
            finished=finished,
        )


def planned(plan: Plan, splits: Sequence[Split]) -> list[Planned]:
    """Every training of a plan with the search's own steps, in an order in which what is done compares all finalists.

    `splits`: one a fold. Nested: trained on all but its test images; else on all but test and validation images.
    Tested on the test images.
    """
    wanted = [
        Planned(
            plan.name_of(record, fold),
            record,
            Key(record.hash, plan.design, fold, seed),
            tested(split, everything=plan.nested),
        )
        for seed in range(plan.seeds)
        for fold, split in enumerate(splits)
        for record in plan.of_fold(fold)
    ]
    return _once(wanted)


def tunings(plan: Plan, splits: Sequence[Split], budget: float) -> list[Planned]:
    """Trainings of the best of each depth, longer and at several rates, each scored on validation images.

    `splits`: those of the searches that chose them: one a fold where it is nested, else one.
    """
    wanted = [
        Planned(
            plan.name_of(record, fold),
            record,
            Key(record.hash, plan.design, fold, 0, budget, rate, tuning=True),
            replace(split, test=()),
        )
        for fold, split in enumerate(splits)
        for record in best_of_depths(plan, fold)
        for rate in RATES
    ]
    return _once(wanted)


def longer(plan: Plan, splits: Sequence[Split], budget: float, runs: Sequence[Run]) -> list[Planned]:
    """The trainings of the best of each depth with so many times the steps, each at the rate that was tuned for it."""
    wanted = [
        Planned(
            plan.name_of(record, fold),
            record,
            Key(record.hash, plan.design, fold, seed, budget, rate),
            tested(split, everything=plan.nested),
        )
        for seed in range(plan.seeds)
        for fold, split in enumerate(splits)
        for record in best_of_depths(plan, fold)
        if (rate := tuned_rate(plan, runs, record, fold if plan.nested else 0, budget))
    ]
    return _once(wanted)


def best_of_depths(plan: Plan, fold: int) -> list[TrialRecord]:
    """What is trained with other budgets. Nested, one of each depth: the search of a fold has chosen."""
    return best_of_each(plan.points_of(fold), "depth", plan.score, 1 if plan.nested else EACH_DEPTH)


def tuned_rate(plan: Plan, runs: Sequence[Run], record: TrialRecord, fold: int, budget: float) -> float | None:
    """The rate of the best tuning of a network by its validation score; None before it is tuned."""
    wanted = Key(record.hash, plan.design, fold, 0, budget, tuning=True)
    found = {run.key.rate: sum(run.scores[plan.score]) for run in runs if run.key._replace(rate=1.0) == wanted}
    return max(sorted(found), key=lambda rate: found[rate]) if found else None


def more_follow(stage: Sequence[Planned], later: Iterable[Sequence[Planned]], confirmed: Confirmed) -> bool:
    """Whether there is more to do after an unfinished stage; what uses a rate is planned only once that is found."""
    done = {run.key for run in confirmed.runs}
    return stage[0].key.tuning or any(each.key not in done for wanted in later for each in wanted)


def measured(records: Sequence[TrialRecord], confirmed: Confirmed, pool: Pool) -> None:
    """Measures the latency of those networks of which it is not known, with nothing else running."""
    known = confirmed.latency
    for record in records:
        if record.hash not in known:
            found = pool.measure(0, record.architecture) if record.latency is None else record.latency
            if isinstance(found, Failed):
                continue
            confirmed.latency = known = known | {record.hash: found.latency if isinstance(found, Measured) else found}


def _once(wanted: Sequence[Planned]) -> list[Planned]:
    return list({each.key: each for each in wanted}.values())  # a baseline may be a candidate too


def tested(split: Split, *, everything: bool) -> Split:
    """A split's test images scored as validation images are. `everything`: the others are all trained on."""
    train = sorted((*split.train, *split.validation)) if everything else split.train
    return Split(train=tuple(train), validation=split.test, test=(), by=split.by)


class Repetition:
    """One run through what is planned: `for event in repetition.run(): ...`; then `close()`, whatever happened.

    `seconds`: of training in all, over every run of this command with the same folds; None: no limit. Trainings that
    still run when it is spent are finished.
    """

    def __init__(
        self,
        wanted: Sequence[Planned],
        confirmed: Confirmed,
        pool: Pool,
        folder: StudyFolder,
        *,
        seed: int,
        seconds: float | None = None,
    ) -> None:
        self._confirmed = confirmed
        self._pool = pool
        self._folder = folder
        self._seed = seed
        self._seconds = seconds
        done = {run.key for run in confirmed.runs}
        self._keys = {each.key for each in wanted}
        self._waiting = [each for each in wanted if each.key not in done]
        self._running: dict[int, Planned] = {}

    def run(self) -> Iterator[Event]:
        """Trains what is planned and not done yet. Raises WorkFailedError where no training can be started, or the
        storage fails.
        """
        yield self._progress()
        while self._running or (self._waiting and not self._late):
            for slot in self._pool.idle if not self._late else ():
                if self._waiting:
                    self._begin(slot, self._waiting.pop(0))
            answered = self._pool.next(WAIT)
            if answered is None:
                continue
            slot, answer = answered
            match answer:
                case Score():
                    self._running[slot].score = answer
                case Resumed():
                    self._running[slot].started -= sum(end - start for _, start, end in answer.stretches)
                case Stepped() if answer.note:
                    yield Noted(f"{self._running[slot].words}: {answer.note}")
                case Done():
                    yield self._finished(self._running.pop(slot))
                case Failed():
                    yield self._failed(self._running.pop(slot), answer)
                case Stopped():
                    self._running.pop(slot)
        yield self._progress()

    @property
    def left(self) -> int:
        """How many were not begun, since the time was spent."""
        return len(self._waiting)

    def close(self) -> None:
        """Ends the trainings that still run, and saves how far they are."""
        self._pool.close(save_within=SAVE_WITHIN if self._running else 0)
        self._running = {}

    @property
    def _late(self) -> bool:
        return self._seconds is not None and self._spent >= self._seconds

    @property
    def _spent(self) -> float:
        """Seconds in which something was trained, in any stage, with the same folds."""
        designs = {key.design for key in self._keys}
        return self._covered([run for run in self._confirmed.runs if run.key.design in designs])

    def _covered(self, runs: Sequence[Run]) -> float:
        """Seconds in which these were trained, or what runs now; side by side they count once."""
        spans = [(run.started, run.finished) for run in runs]
        return covered([*spans, *((each.started, time()) for each in self._running.values())])

    def _progress(self) -> Confirming:
        of = len(self._keys)
        own = self._covered([run for run in self._confirmed.runs if run.key in self._keys])
        return Confirming(of - len(self._waiting) - len(self._running), of, own, self._spent, self._seconds)

    def _begin(self, slot: int, each: Planned) -> None:
        each.started = time()
        self._pool.start(slot, each.job(self._folder, self._seed))
        self._running[slot] = each

    def _finished(self, each: Planned) -> Event:
        run = each.run(time())
        self._confirmed.add(run)
        assert each.score is not None
        return Repeated(each.name, run, each.score, self._progress())

    def _failed(self, each: Planned, failed: Failed) -> Event:
        """Once more: where memory was short, a batch in two parts."""
        each.tries += 1
        again = each.tries < MAX_TRIES
        if failed.cause == "memory" and each.recipe.batch_size > 1:
            each.parts = 2
        if again:
            self._waiting.insert(0, each)
        else:
            self._confirmed.fail(Failure(each.key, failed.reason))
        return Noted(f"{each.words}: {failed.reason}; {'once more' if again else 'left out'}")
