"""Trials as they end in the storage: finished with a record, or interrupted and put back."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from unetsearch.search.liveness import key_of
from unetsearch.search.records import TrialRecord, in_words
from unetsearch.search.storage import RECORD, Studies
from unetsearch.space.settings import ranked_by

NETWORK, CURVE = "network", "curve"
"""User attributes of a trained one, for who looks with Optuna's own tools: the network in words, by step the score
that ranks the networks."""

GIVEN_UP = "given_up"
"""The user attribute of a trial that is not wanted: why."""

INSTEAD_OF = "instead_of"
"""The user attribute of a trial that was put back: the number of the one that was interrupted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `excess`: what the sampler learns of the limits, above 0 where one is violated."""

    trial: Trial
    record: TrialRecord
    excess: Mapping[str, float]


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
