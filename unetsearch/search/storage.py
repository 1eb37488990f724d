"""The Optuna storage of a study: open it, and read its trials."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from unetsearch.errors import StudyError
from unetsearch.search import liveness
from unetsearch.search.engines import close_storage, journal_path, open_storage, public_url, secrets_of, understood
from unetsearch.search.folder import StudyFolder
from unetsearch.search.liveness import AliveFiles, Heartbeats, Key, OneOwner, Pulse, Watch
from unetsearch.search.patience import Patience
from unetsearch.search.records import Stretch, TrialRecord
from unetsearch.space.settings import MAXIMISED, Objective

RECORD = "record"
"""The user attribute of a trial that holds its TrialRecord."""

SPENT = "spent"
"""The user attribute of a trial that paused or was interrupted: its stretches so far."""

T = TypeVar("T")


@dataclass(slots=True, eq=False, kw_only=True)
class Studies:
    """The study of the search, and the one of the baselines, kept apart from the sampler's eyes.

    `shared`: whether other processes have them too; then `claims` is the log of who runs what (None for a reader), and
    `pulse` tells who lives. `claimed`: the trials that this process runs. `beaten`: when it last gave a sign of life
    (monotonic seconds). `lost`: failed trials that nobody has put back yet.
    """

    search: optuna.Study
    baselines: optuna.Study
    objectives: tuple[Objective, ...]
    storage: BaseStorage
    patience: Patience
    shared: bool = False
    claims: optuna.Study | None = None
    pulse: Pulse = field(default_factory=OneOwner)
    claimed: dict[Key, Trial] = field(default_factory=dict)
    beaten: float = 0.0
    lost: Watch = field(default_factory=lambda: Watch(0))
    _known: dict[Key, TrialRecord] = field(default_factory=dict)

    def close(self) -> None:
        """Lets go of the storage: Windows would not move or remove a database's file before."""
        self.pulse.close()
        close_storage(self.storage)

    def patient(self, call: Callable[[], T]) -> T:
        """A call to the storage that waits for a server which is away. Raises WorkFailedError as Patience.call does."""
        return self.patience.call(call)

    @property
    def records(self) -> list[TrialRecord]:
        """All that is known, baselines first, each in the order of their numbers. Each is parsed once."""
        return self.read()[0]

    def read(self) -> tuple[list[TrialRecord], list[Stretch]]:
        """The records; and when trials were trained that nothing came of yet, or ever, as far as is written down."""
        records: list[TrialRecord] = []
        spent: list[Stretch] = []
        for study in (self.baselines, self.search):
            for trial in self.trials(study):
                key = (study.study_name, trial.number)
                if key not in self._known and RECORD in trial.user_attrs:
                    self._known[key] = TrialRecord.from_dict(trial.user_attrs[RECORD])
                if key in self._known:
                    records.append(self._known[key])
                else:
                    spent += [Stretch(*stretch) for stretch in trial.user_attrs.get(SPENT, ())]
        return records, spent

    def trials(self, study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
        """The trials of one of the studies, of these states where any are given. Not to be changed."""
        return self.patient(lambda: study.get_trials(deepcopy=False, states=states or None))

    def entries(self) -> list[dict[str, Any]]:
        """The log of claims, in the one order that every process sees."""
        return [] if self.claims is None else [trial.user_attrs for trial in self.trials(self.claims)]


def begin_studies(
    folder: StudyFolder,
    name: str,
    objectives: Sequence[Objective],
    sampler: BaseSampler | None = None,
    *,
    storage: str | None = None,
    grace: int | None = None,
    note: Callable[[str], None] | None = None,
) -> Studies:
    """Opens both studies to go on with them, creating what is not there.

    `storage`: a database's URL or `journal:PATH`, for several machines; None is the folder's own database. `grace`:
    seconds without a sign of life until a trial of another process is stale (None: liveness.GRACE). `note` is told
    when a server is away. Raises StudyError where the storage cannot be opened, or holds another study of that name.
    """
    directions = [
        StudyDirection.MAXIMIZE if objective in MAXIMISED else StudyDirection.MINIMIZE for objective in objectives
    ]
    grace = liveness.GRACE if grace is None else grace
    shown = _shown(folder, storage)
    opened = None

    def begin(opened: BaseStorage, study_name: str, sampler: BaseSampler | None) -> optuna.Study:
        study = _create(opened, study_name, directions, sampler)
        if study.directions != directions or study.metric_names not in (None, list(objectives)):
            raise StudyError(f"{shown}: holds a study {study_name!r} of other objectives; give yours another `name`")
        if study.metric_names is None:
            with warnings.catch_warnings():  # the names of the values are marked experimental
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names(list(objectives))
        return study

    try:
        opened = open_storage(folder.database, storage, create=True, grace=grace)
        baselines = begin(opened, _baselines(name), RandomSampler())  # draws nothing: baselines have no parameters
        search = begin(opened, name, sampler)
        claims = None
        if storage is not None:
            claims = _create(opened, f"{name}-claims", [StudyDirection.MINIMIZE], RandomSampler())
    except Exception as error:
        close_storage(opened)
        raise understood(error, shown, storage) from None
    patience = Patience(shown, secrets_of(storage))
    if note is not None:
        patience.note = note
    pulse: Pulse = OneOwner()
    if storage is not None and claims is not None:
        if isinstance(opened, RDBStorage):
            pulse = Heartbeats(opened, claims, grace)
        else:
            pulse = AliveFiles(journal_path(storage), grace)
    return Studies(
        search=search,
        baselines=baselines,
        objectives=tuple(objectives),
        storage=opened,
        patience=patience,
        shared=storage is not None,
        claims=claims,
        pulse=pulse,
        lost=Watch(grace if storage is not None else 0),
    )


def read_studies(
    folder: StudyFolder, name: str, objectives: Sequence[Objective], *, storage: str | None = None
) -> Studies:
    """Opens both studies and writes nothing. Raises StudyError where they are not there or cannot be read."""
    shown = _shown(folder, storage)
    opened = None
    try:
        opened = open_storage(folder.database, storage, create=False, grace=liveness.GRACE)
        baselines, search = (
            optuna.load_study(study_name=study_name, storage=opened, sampler=RandomSampler())
            for study_name in (_baselines(name), name)
        )
    except Exception as error:
        close_storage(opened)
        if isinstance(error, KeyError):
            advice = "was `name` changed in study.yaml? Put the old one back"
            raise StudyError(f"{shown}: holds no study {name!r}; {advice}") from None
        raise understood(error, shown, storage) from None
    return Studies(
        search=search,
        baselines=baselines,
        objectives=tuple(objectives),
        storage=opened,
        patience=Patience(shown, secrets_of(storage)),
        shared=storage is not None,
    )


def _create(
    opened: BaseStorage, name: str, directions: list[StudyDirection], sampler: BaseSampler | None
) -> optuna.Study:
    """The study of this name. Where it is there already, nothing is written: a journal would grow by every process."""
    with suppress(KeyError):
        return optuna.load_study(study_name=name, storage=opened, sampler=sampler)
    return optuna.create_study(
        storage=opened, study_name=name, directions=directions, sampler=sampler, load_if_exists=True
    )


def _shown(folder: StudyFolder, storage: str | None) -> str:
    return str(folder.database) if storage is None else public_url(storage)


def _baselines(name: str) -> str:
    return f"{name}-baselines"
