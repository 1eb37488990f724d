"""The Optuna storage of a study: open it, put interrupted trials back, read and finish trials."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from unetsearch.errors import StudyError
from unetsearch.search.folder import StudyFolder
from unetsearch.search.records import TrialRecord
from unetsearch.space.settings import MAXIMISED, Objective

RECORD = "record"
"""The user attribute of a trial that holds its TrialRecord."""

LOCK_WAIT = 60
"""Seconds to wait for another reader of the database (a dashboard)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `excess`: what the sampler learns of the limits, above 0 where one is violated."""

    trial: Trial
    record: TrialRecord
    excess: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Studies:
    """The study of the search, and the one of the baselines, kept apart from the sampler's eyes."""

    search: optuna.Study
    baselines: optuna.Study
    objectives: tuple[Objective, ...]
    storage: RDBStorage

    def close(self) -> None:
        """Lets go of the database's file, which Windows would not move or remove before."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    @property
    def records(self) -> list[TrialRecord]:
        """All that is known, baselines first, each in the order of their numbers."""
        return [*_records(self.baselines), *_records(self.search)]


def begin_studies(
    folder: StudyFolder, name: str, objectives: Sequence[Objective], sampler: BaseSampler | None = None
) -> Studies:
    """Opens both studies to go on with them, creating what is not there. Raises StudyError on a broken database."""
    directions = [
        StudyDirection.MAXIMIZE if objective in MAXIMISED else StudyDirection.MINIMIZE for objective in objectives
    ]

    def begin(storage: RDBStorage, study_name: str, sampler: BaseSampler | None) -> optuna.Study:
        study = optuna.create_study(
            storage=storage, study_name=study_name, directions=directions, sampler=sampler, load_if_exists=True
        )
        with warnings.catch_warnings():  # the names of the values are marked experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(objectives))
        return study

    with _understood(folder):
        storage = _storage(folder)
        # a sampler that draws nothing: baselines have no parameters
        baselines = begin(storage, _baselines(name), optuna.samplers.RandomSampler())
        return Studies(begin(storage, name, sampler), baselines, tuple(objectives), storage)


def read_studies(folder: StudyFolder, name: str, objectives: Sequence[Objective]) -> Studies:
    """Opens both studies and writes nothing. Raises StudyError where they are not there or cannot be read."""
    with _understood(folder):
        storage = _storage(folder, skip_table_creation=True)
        try:
            baselines, search = (
                optuna.load_study(study_name=study_name, storage=storage, sampler=optuna.samplers.RandomSampler())
                for study_name in (_baselines(name), name)
            )
        except KeyError:
            raise StudyError(
                f"{folder.database}: holds no study {name!r}; was `name` changed in study.yaml? Put the old one back"
            ) from None
        return Studies(search, baselines, tuple(objectives), storage)


def _baselines(name: str) -> str:
    return f"{name}-baselines"


def _storage(folder: StudyFolder, *, skip_table_creation: bool = False) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return RDBStorage(
        f"sqlite:///{folder.database.absolute().as_posix()}",
        engine_kwargs={"connect_args": {"timeout": LOCK_WAIT}},
        skip_table_creation=skip_table_creation,
    )


@contextmanager
def _understood(folder: StudyFolder) -> Iterator[None]:
    """What a database may raise becomes a StudyError."""
    try:
        yield
    except StudyError:
        raise
    except Exception as error:  # sqlite's, SQLAlchemy's and Optuna's own
        cause = error.__cause__ or error
        reason = next(iter(str(cause).splitlines()), type(cause).__name__)
        raise StudyError(
            f"{folder.database}: cannot be read as an Optuna storage ({reason}); put a copy of it back, or give "
            "another folder with --out"
        ) from error


def recover(studies: Studies) -> int:
    """Settles the trials that a killed process left running; the caller owns the study, so all are stale.

    A trial whose record was written is finished; another fails and its point is queued again. Gives the number
    of those.
    """
    interrupted = 0
    for study in (studies.baselines, studies.search):
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if RECORD in trial.user_attrs:
                _tell(studies, trial.number, TrialRecord.from_dict(trial.user_attrs[RECORD]))
                continue
            study.tell(trial.number, state=TrialState.FAIL)
            interrupted += 1
            if trial.params:
                study.enqueue_trial(trial.params)
    return interrupted


def finish(studies: Studies, outcome: Outcome) -> None:
    """Writes the record, then the values: a kill between the two loses nothing."""
    for name, value in outcome.excess.items():
        outcome.trial.set_constraint(name, value)
    outcome.trial.set_user_attr(RECORD, outcome.record.to_dict())
    _tell(studies, outcome.trial.number, outcome.record)


def _tell(studies: Studies, number: int, record: TrialRecord) -> None:
    study = studies.baselines if record.baseline else studies.search
    if record.state == "failed":
        study.tell(number, state=TrialState.FAIL)
    else:
        study.tell(number, [record.objective(name) for name in studies.objectives])


def _records(study: optuna.Study) -> list[TrialRecord]:
    return [
        TrialRecord.from_dict(trial.user_attrs[RECORD])
        for trial in study.get_trials(deepcopy=False)
        if RECORD in trial.user_attrs
    ]
