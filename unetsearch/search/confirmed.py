"""What was confirmed: trainings of finalists on other images and from other seeds, beside the study in its storage."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import optuna
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from unetsearch.search.finalists import Label
from unetsearch.search.records import TrialRecord
from unetsearch.search.storage import Studies
from unetsearch.space.settings import Objective

RUN, FAILURE, PLAN, LATENCY = "run", "failure", "plan", "latency"
"""User attributes: of a trial, its Run or its Failure; of the study, its Plan."""


class Key(NamedTuple):
    """What tells one training of a finalist, named by its `hash`, from others.

    It is trained without the images of a fold, from a seed. `design`: that of its plan; other folds are other images.
    `budget`: so many times the steps of the search. `rate`: so many times its learning rate. `tuning`: scored on
    validation images, to find the best rate, and never on the test images.
    """

    hash: str
    design: str
    fold: int
    seed: int
    budget: float = 1.0
    rate: float = 1.0
    tuning: bool = False

    @property
    def words(self) -> str:
        """`without fold 2, seed 1, 4 times the steps`."""
        words = f"without fold {self.fold + 1}, seed {self.seed + 1}"
        if self.budget != 1:
            words += f", {self.budget:g} times the steps, {self.rate:g} times the rate"
        return words + (" (tuning)" if self.tuning else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training of a finalist. `images`: the indices of the scored images.

    `scores`: of each of them, by `dice`, `iou` and `object_f1`. `started`, `finished`: seconds since the epoch.
    """

    key: Key
    images: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    started: float
    finished: float

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Run":
        """The run of plain data."""
        scores = {name: tuple(values) for name, values in document["scores"].items()}
        return cls(**{**document, "key": Key(*document["key"]), "images": tuple(document["images"]), "scores": scores})


@dataclass(frozen=True, slots=True)
class Failure:
    """A training that failed again and was left out, and why. It may have been done since."""

    key: Key
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be confirmed, and how.

    `nested`: every image is tested once, by what a search chose that never saw it; else all on one held-out test set.
    `folds`, `seeds`: numbers of each. `budgets`: how many times the steps. `groups`: the name of each image's group;
    one for all, where they are one stack. `margin`: the loss in `score` that does not matter. `finalists`: of each
    outer fold, where it is nested, else of the one search. `points`: the baselines that are points of the space too.
    `labels`: what the space has of each factor, by its name.
    """

    nested: bool
    folds: int
    seeds: int
    budgets: tuple[float, ...] = (1.0,)
    margin: float
    score: Objective = "dice"
    groups: tuple[str, ...]
    points: tuple[str, ...] = ()
    finalists: tuple[tuple[TrialRecord, ...], ...] = ()
    labels: Mapping[str, tuple[Label, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON in the study's storage."""
        return {
            "nested": self.nested,
            "folds": self.folds,
            "seeds": self.seeds,
            "budgets": list(self.budgets),
            "margin": self.margin,
            "score": self.score,
            "groups": list(self.groups),
            "points": list(self.points),
            "finalists": [[record.to_dict() for record in of_fold] for of_fold in self.finalists],
            "labels": {name: list(labels) for name, labels in self.labels.items()},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Plan":
        """The plan that `to_dict` wrote."""
        finalists = tuple(tuple(map(TrialRecord.from_dict, of_fold)) for of_fold in document["finalists"])
        lists = {name: tuple(document[name]) for name in ("budgets", "groups", "points")}
        labels = {name: tuple(values) for name, values in document.get("labels", {}).items()}
        return cls(**{**document, **lists, "finalists": finalists, "labels": labels})

    @property
    def design(self) -> str:
        """Which images the folds are: `nested 5`, `crossed 3`."""
        return f"{'nested' if self.nested else 'crossed'} {self.folds}"

    def name_of(self, record: TrialRecord, fold: int) -> str:
        """What a finalist is called; nested, the searches of two folds both have a #3."""
        of_search = self.nested and record.baseline is None
        return f"{record.name} of the search without fold {fold + 1}" if of_search else record.name

    def of_fold(self, fold: int) -> tuple[TrialRecord, ...]:
        """The finalists that are trained without a fold."""
        return self.finalists[fold if self.nested else 0]

    def points_of(self, fold: int) -> list[TrialRecord]:
        """Those of them that are points of the space."""
        return [each for each in self.of_fold(fold) if each.baseline is None or each.baseline in self.points]


@dataclass(slots=True)
class Confirmed:
    """The runs in the study's storage. Each is written whole or not at all."""

    study: optuna.Study
    studies: Studies
    _known: dict[int, Run] = field(default_factory=dict)

    @property
    def runs(self) -> list[Run]:
        """All that are finished."""
        for trial in self.studies.trials(self.study, TrialState.COMPLETE):
            if trial.number not in self._known:
                self._known[trial.number] = Run.from_dict(trial.user_attrs[RUN])
        return list({run.key: run for run in reversed(self._known.values())}.values())

    @property
    def failures(self) -> list[Failure]:
        """All that are written down."""
        told = [trial.user_attrs[FAILURE] for trial in self.studies.trials(self.study, TrialState.FAIL)]
        return [Failure(Key(*key), reason) for key, reason in told]

    def fail(self, failure: Failure) -> None:
        """Writes that a training failed. Raises WorkFailedError where the storage fails."""
        told = [list(failure.key), failure.reason]
        trial = create_trial(state=TrialState.FAIL, user_attrs={FAILURE: told})
        self.studies.patient(lambda: self.study.add_trial(trial))

    def add(self, run: Run) -> None:
        """Writes a finished run. Raises WorkFailedError where the storage fails."""
        value = sum(run.scores["dice"]) / len(run.images)
        trial = create_trial(state=TrialState.COMPLETE, value=value, user_attrs={RUN: asdict(run)})
        self.studies.patient(lambda: self.study.add_trial(trial))

    @property
    def plan(self) -> Plan:
        """As it was last told."""
        return Plan.from_dict(self.studies.patient(lambda: self.study.user_attrs)[PLAN])

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self.studies.patient(lambda: self.study.set_user_attr(PLAN, plan.to_dict()))

    @property
    def latency(self) -> dict[str, float]:
        """Seconds of one image through each network that was measured, by its hash."""
        known: dict[str, float] = self.studies.patient(lambda: self.study.user_attrs).get(LATENCY, {})
        return dict(known)

    @latency.setter
    def latency(self, latency: Mapping[str, float]) -> None:
        self.studies.patient(lambda: self.study.set_user_attr(LATENCY, dict(latency)))


def open_confirmed(studies: Studies) -> Confirmed:
    """What was confirmed of a study so far; makes room for it where nothing was."""
    study = studies.patient(
        lambda: optuna.create_study(
            storage=studies.storage,
            study_name=_name(studies),
            direction=StudyDirection.MAXIMIZE,
            sampler=RandomSampler(),
            load_if_exists=True,
        )
    )
    return Confirmed(study, studies)


def read_confirmed(studies: Studies) -> Confirmed | None:
    """The same, None where nothing was; writes nothing."""
    try:
        study = studies.patient(
            lambda: optuna.load_study(study_name=_name(studies), storage=studies.storage, sampler=RandomSampler())
        )
    except KeyError:
        return None
    return Confirmed(study, studies) if PLAN in study.user_attrs else None


def _name(studies: Studies) -> str:
    return f"{studies.search.study_name}-confirm"
