"""One study, many processes: who trains what, so that nothing is trained twice and the total is kept.

The log of claims is an Optuna study of its own (`NAME-claims`), to which every process appends. The storage puts the
appended entries into one order that every process sees (a trial's number is given under a lock, in a database and in
a journal alike), and who sees an entry sees all before it. Trial numbers of the search would not do: a point that was
queued long ago has a low one and starts late.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState, create_trial

from unetsearch.search.liveness import fail, key_of
from unetsearch.search.records import Stretch
from unetsearch.search.settling import GIVEN_UP, INSTEAD_OF, recover
from unetsearch.search.storage import SPENT, Studies
from unetsearch.space.values import Scalar

Claim = Literal["mine", "twin", "surplus"]


def ask(studies: Studies, study: optuna.Study) -> Trial:
    """The next trial of one of the studies. Raises WorkFailedError where the storage fails.

    Where a reply is lost and the call repeated, a trial is left that nobody claims: it is put back as stale.
    """
    return studies.patient(study.ask)


def enqueue(studies: Studies, values: Mapping[str, Scalar]) -> None:
    """Queues a point of the search. Raises WorkFailedError where the storage fails."""
    studies.patient(lambda: studies.search.enqueue_trial(dict(values)))


def claim(studies: Studies, trial: Trial, hash_: str, total: int) -> Claim:
    """Whether this process is to train a candidate: `mine`. Raises WorkFailedError where the storage fails.

    `twin`: the same network and training is finished, or was claimed before and still runs. `surplus`: with those
    claimed before that still run, `total` trials are trained already (or the trial was taken from this process).
    Such a trial is to be given up. Always `mine` where the study is not shared.

    Why two processes never both get `mine` for one hash: one of their entries stands later in the log. Who wrote it
    read the log and then the states of the trials after writing, so it saw the earlier entry and its trial running
    or finished, and got `twin`. Why the total is never passed: of the trials that got `mine` and run or are trained,
    take the one whose entry is last. It saw all the others, running or trained, before it was told `mine`, so they
    are fewer than the total. A verdict may be too strict (an earlier trial may yet be given up): ask again then. No
    clock and no waiting is part of this; a trial that is put back as stale counts no more, and its process, should
    it still live, can neither claim nor finish it.
    """
    if not studies.shared:
        studies.claimed[key_of(trial)] = trial
        return "mine"
    before = _enter(studies, trial, {"hash": hash_})
    running = _running(studies)
    records = studies.records  # read after what runs: who finishes in between is seen in one of them
    if key_of(trial) not in running:
        return "surplus"
    twins = {entry["hash"] for entry in before if _key(entry) in running}
    twins |= {record.hash for record in records if record.state in ("complete", "pruned")}
    if hash_ in twins:
        return "twin"
    name = studies.search.study_name
    taken = {entry["number"] for entry in before if entry["study"] == name and _key(entry) in running}
    taken |= {record.number for record in records if record.trained and record.baseline is None}
    return "surplus" if len(taken - {trial.number}) >= total else "mine"


def claim_baseline(studies: Studies, trial: Trial, name: str, hash_: str | None = None) -> bool:
    """Whether this process is to train a baseline: nobody does or did (but for failing). Raises StudyError where the
    storage fails. With its hash, no candidate is trained meanwhile that equals it.
    """
    if not studies.shared:
        studies.claimed[key_of(trial)] = trial
        return True
    before = _enter(studies, trial, {"baseline": name, "hash": hash_})
    running = _running(studies)
    done = any(record.baseline == name and record.state != "failed" for record in studies.records)
    runs = any(entry.get("baseline") == name and _key(entry) in running for entry in before)
    return not done and not runs and key_of(trial) in running


def _enter(studies: Studies, trial: Trial, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Appends to the log, after a sign of life. Gives the entries before; a repeated one is not counted."""
    claims = studies.claims
    assert claims is not None
    studies.claimed[key_of(trial)] = trial
    studies.patient(lambda: studies.pulse.beat(studies.claimed.values()))
    name, number = key_of(trial)
    facts = {"study": name, "number": number, **facts}
    entry = create_trial(state=TrialState.COMPLETE, value=number, user_attrs=facts)
    studies.patient(lambda: claims.add_trial(entry))
    entries = studies.entries()
    return entries[: next(place for place, entry in enumerate(entries) if _key(entry) == (name, number))]


def _key(entry: Mapping[str, Any]) -> tuple[str, int]:
    return entry["study"], entry["number"]


def _running(studies: Studies) -> set[tuple[str, int]]:
    return {
        (study.study_name, trial.number)
        for study in (studies.baselines, studies.search)
        for trial in studies.trials(study, TrialState.RUNNING)
    }


def give_up(studies: Studies, trial: Trial, reason: str) -> None:
    """Ends a trial that is not wanted: it counts nowhere, and is not put back. Raises WorkFailedError where the storage
    fails.
    """
    studies.claimed.pop(key_of(trial), None)
    with suppress(UpdateFinishedTrialError):  # another process has put it back
        studies.patient(lambda: trial.set_user_attr(GIVEN_UP, reason))
    studies.patient(lambda: fail(trial.study, trial.number))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other processes run now: so many trials of the search, these baselines, these hashes."""

    trials: int = 0
    baselines: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()


def elsewhere(studies: Studies) -> Elsewhere:
    """What other processes run now; nothing where the study is not shared. Raises WorkFailedError as `ask` does."""
    if not studies.shared:
        return Elsewhere()
    running = _running(studies) - studies.claimed.keys()
    entries = [entry for entry in studies.entries() if _key(entry) in running]
    return Elsewhere(
        trials=sum(name == studies.search.study_name for name, _ in running),
        baselines=frozenset(entry["baseline"] for entry in entries if "baseline" in entry),
        hashes=frozenset(entry["hash"] for entry in entries if entry["hash"]),
    )


def beat(studies: Studies) -> list[Trial]:
    """To be called often. When it is time, gives a sign of life, and puts back what dead processes ran.

    Gives the trials of this process that others have put back meanwhile: nobody waits for their outcome. Raises
    WorkFailedError where the storage fails.
    """
    now, grace = monotonic(), studies.lost.grace
    if not studies.shared or now - studies.beaten < grace / 2:
        return []
    interrupted = studies.patience.interrupted
    if interrupted is not None and now - interrupted < grace:
        # the server was away for everyone: let the others come back before their silence means something
        studies.patient(lambda: studies.pulse.beat(studies.claimed.values()))
        studies.beaten = now
    else:
        recover(studies)
    gone = studies.claimed.keys() - _running(studies)
    return [studies.claimed.pop(key) for key in sorted(gone)]


def spend(studies: Studies, trial: Trial, stretches: Sequence[Stretch]) -> None:
    """Writes down when a trial was trained that pauses. Raises WorkFailedError where the storage fails."""
    with suppress(UpdateFinishedTrialError):  # another process has put it back
        studies.patient(lambda: trial.set_user_attr(SPENT, stretches))


def release(studies: Studies, trial: Trial, stretches: Sequence[Stretch]) -> bool:
    """Writes down when a trial was trained and puts it back at once, since this process ends.

    Where the study is not shared, the next start puts it back. False where the storage fails: there is no time to wait,
    and it is stale a little later.
    """
    studies.claimed.pop(key_of(trial), None)
    try:
        trial.set_user_attr(SPENT, stretches)
        if studies.shared and fail(trial.study, trial.number) and trial.params:
            trial.study.enqueue_trial(trial.params, user_attrs={INSTEAD_OF: trial.number})
    except UpdateFinishedTrialError:  # another process has put it back
        return True
    except Exception:
        return False
    return True


def show_life(studies: Studies) -> None:
    """To be called often where nothing else can be done: gives a sign of life when it is time."""
    if studies.shared and monotonic() - studies.beaten >= studies.lost.grace / 2:
        studies.patient(lambda: studies.pulse.beat(studies.claimed.values()))
        studies.beaten = monotonic()
