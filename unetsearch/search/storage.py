"""The Optuna storage of a study: open it, read and finish trials, put interrupted ones back."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from unetsearch.errors import StudyError
from unetsearch.search import liveness
from unetsearch.search.engines import close_storage, journal_path, open_storage, public_url, secrets_of, understood
from unetsearch.search.folder import StudyFolder
from unetsearch.search.liveness import AliveFiles, Heartbeats, Key, OneOwner, Pulse, Watch, key_of
from unetsearch.search.patience import Patience
from unetsearch.search.records import Stretch, TrialRecord, in_words
from unetsearch.space.settings import MAXIMISED, Objective, ranked_by

RECORD = "record"
"""The user attribute of a trial that holds its TrialRecord."""

NETWORK, CURVE = "network", "curve"
"""User attributes of a trained one, for who looks with Optuna's own tools: the network in words, by step the score
that ranks the networks."""

GIVEN_UP = "given_up"
"""The user attribute of a trial that is not wanted: why."""

INSTEAD_OF = "instead_of"
"""The user attribute of a trial that was put back: the number of the one that was interrupted."""

SPENT = "spent"
"""The user attribute of a trial that paused or was interrupted: its stretches so far."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `excess`: what the sampler learns of the limits, above 0 where one is violated."""

    trial: Trial
    record: TrialRecord
    excess: Mapping[str, float]


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

    def create(study_name: str, directions: list[StudyDirection], sampler: BaseSampler | None) -> optuna.Study:
        return optuna.create_study(
            storage=opened, study_name=study_name, directions=directions, sampler=sampler, load_if_exists=True
        )

    def begin(study_name: str, sampler: BaseSampler | None) -> optuna.Study:
        study = create(study_name, directions, sampler)
        if study.directions != directions or study.metric_names not in (None, list(objectives)):
            raise StudyError(f"{shown}: holds a study {study_name!r} of other objectives; give yours another `name`")
        with warnings.catch_warnings():  # the names of the values are marked experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(objectives))
        return study

    try:
        opened = open_storage(folder.database, storage, create=True, grace=grace)
        baselines = begin(_baselines(name), RandomSampler())  # draws nothing: baselines have no parameters
        search = begin(name, sampler)
        claims = None if storage is None else create(f"{name}-claims", [StudyDirection.MINIMIZE], RandomSampler())
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


def _shown(folder: StudyFolder, storage: str | None) -> str:
    return str(folder.database) if storage is None else public_url(storage)


def _baselines(name: str) -> str:
    return f"{name}-baselines"


def recover(studies: Studies) -> int:
    """Settles the trials that killed processes left running: where one process owns the study, all that run.

    A trial whose record was written is finished; another fails and its point is queued again. Gives the number of
    those. The one process that gets to fail a trial queues its point. If it is killed in between, the point still
    is not lost: a failed trial without a record, a reason, or another `instead_of` it is found here the next time
    (where the study is shared: by whoever saw it so for the grace). Raises WorkFailedError where the storage fails.
    """
    studies.patient(lambda: studies.pulse.beat(studies.claimed.values()))
    studies.beaten = monotonic()
    return sum(_recover(studies, study) for study in (studies.baselines, studies.search))


def _recover(studies: Studies, study: optuna.Study) -> int:
    abandoned = []
    for trial in studies.trials(study, TrialState.RUNNING):
        if RECORD in trial.user_attrs:
            _told(studies, study, trial.number, TrialRecord.from_dict(trial.user_attrs[RECORD]))
        elif (study.study_name, trial.number) not in studies.claimed:
            abandoned.append(trial)
    failed = {trial.number for trial in studies.patient(lambda: studies.pulse.fail_dead(study, abandoned))}
    trials = studies.trials(study)
    queued = {trial.user_attrs.get(INSTEAD_OF) for trial in trials}
    lost = {trial.number: point for trial in trials if trial.number not in queued and (point := _unsettled(trial))}
    late = studies.lost.overdue(study.study_name, lost.keys() - failed) if studies.shared else set(lost)
    for number in sorted(lost.keys() & (failed | late)):
        put_back(studies, study, number, lost[number])
    return len(failed)


def _unsettled(trial: FrozenTrial) -> dict[str, Any]:
    """The point of a failed trial that nothing came of; empty for any other, and where none was drawn."""
    if trial.state != TrialState.FAIL or {RECORD, GIVEN_UP} & trial.user_attrs.keys():
        return {}
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def put_back(studies: Studies, study: optuna.Study, number: int, point: Mapping[str, Any]) -> None:
    """Queues the point of an interrupted trial again."""
    studies.patient(lambda: study.enqueue_trial(dict(point), user_attrs={INSTEAD_OF: number}))


def finish(studies: Studies, outcome: Outcome) -> bool:
    """Writes the record, then the values: a kill between the two loses nothing.

    False where the trial is no longer ours: this process was silent for so long that another one put it back.
    Raises WorkFailedError where the storage fails.
    """
    trial, record = outcome.trial, outcome.record
    studies.claimed.pop(key_of(trial), None)
    attributes: dict[str, Any] = {}
    if record.trained:  # each write costs milliseconds, and a point over its limits little else
        attributes[NETWORK] = in_words(record.architecture)
        by = ranked_by(studies.objectives)
        attributes[CURVE] = {str(score.step): round(score.of(by), 4) for score in record.curve}
    attributes[RECORD] = record.to_dict()  # the last one: it says that all is written
    try:
        for name, value in outcome.excess.items():
            studies.patient(lambda name=name, value=value: trial.set_constraint(name, value))  # type: ignore[misc]
        for name, told in attributes.items():
            studies.patient(lambda name=name, told=told: trial.set_user_attr(name, told))  # type: ignore[misc]
    except UpdateFinishedTrialError:
        return _kept(studies, trial.study, trial.number)
    return _told(studies, trial.study, trial.number, record)


def _told(studies: Studies, study: optuna.Study, number: int, record: TrialRecord) -> bool:
    """Tells what a record says. False where the trial was settled otherwise."""
    try:
        studies.patient(lambda: _tell(studies, number, record))
    except (UpdateFinishedTrialError, ValueError):  # Optuna has both, depending on how close it was
        return _kept(studies, study, number)
    return True


def _kept(studies: Studies, study: optuna.Study, number: int) -> bool:
    """Whether a trial that could not be told has its record: told before a reply was lost, or by another process."""
    trial = next(trial for trial in studies.trials(study) if trial.number == number)
    return trial.state.is_finished() and RECORD in trial.user_attrs


def _tell(studies: Studies, number: int, record: TrialRecord) -> None:
    study = studies.baselines if record.baseline else studies.search
    if record.state == "failed":
        study.tell(number, state=TrialState.FAIL)
    elif record.state == "pruned" or (record.state == "repeat" and not record.scored):
        study.tell(number, state=TrialState.PRUNED)
    else:
        study.tell(number, [record.objective(name) for name in studies.objectives])
