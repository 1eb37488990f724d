"""Which running trials of a shared study have lost their process: heartbeats in a database, files beside a journal."""

import json
import os
import re
import time
import warnings
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path
from platform import node
from secrets import token_hex
from typing import Protocol, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from unetsearch.files import write_atomically

GRACE = 120
"""Seconds without a sign of life until a trial is stale. Signs are given twice as often."""

FORGOTTEN = 20
"""A process that was silent for so many times the grace has its file removed."""

K = TypeVar("K", bound=Hashable)

Key = tuple[str, int]
"""A trial: its study's name, and its number."""


def key_of(trial: Trial) -> Key:
    """How a trial is named here."""
    return trial.study.study_name, trial.number


class Pulse(Protocol):
    """How the processes of a study know of each other."""

    def beat(self, trials: Collection[Trial]) -> None:
        """Says that this process lives, and runs these trials."""

    def fail_dead(self, study: optuna.Study, running: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Fails the stale ones of the trials that other processes run. Gives those that this call has failed: of
        several processes that find a trial stale, one.
        """

    def close(self) -> None:
        """This process ends."""


class OneOwner:
    """A study that one process has: whatever others left running is stale."""

    def beat(self, trials: Collection[Trial]) -> None:
        """Nobody asks."""

    def fail_dead(self, study: optuna.Study, running: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Fails them all."""
        return [trial for trial in running if fail(study, trial.number)]

    def close(self) -> None:
        """Nothing to do."""


class Watch:
    """Remembers how long something is so. By this process's own clock: those of two machines differ."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._since: dict[tuple[str, Hashable], float] = {}

    def overdue(self, group: str, keys: Iterable[K]) -> set[K]:
        """Of the keys that are so now, those that were so every time for longer than the grace."""
        now = time.monotonic()
        keys = set(keys)
        before = self._since
        self._since = {other: since for other, since in before.items() if other[0] != group}
        self._since |= {(group, key): before.get((group, key), now) for key in keys}
        return {key for key in keys if now - self._since[group, key] > self.grace}


class Heartbeats:
    """Optuna's heartbeats in a database.

    A claimed trial has one from before its claim. One that was never claimed (its process died between, or the reply
    to its `ask` was lost) is stale once it was seen so for the grace.
    """

    def __init__(self, storage: RDBStorage, claims: optuna.Study, grace: float) -> None:
        self.storage = storage
        self.claims = claims
        self._unclaimed = Watch(grace)
        self._failed: list[FrozenTrial] = []
        storage.heartbeat_stale_trial_callback = lambda _, trial: self._failed.append(trial)

    def beat(self, trials: Collection[Trial]) -> None:
        """Records a heartbeat for each trial."""
        for trial in trials:
            self.storage.record_heartbeat(trial._trial_id)

    def fail_dead(self, study: optuna.Study, running: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Fails the trials whose heartbeat is too old, and those that were never claimed."""
        self._failed = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
        gone, self._failed = self._failed, []
        entries = (entry.user_attrs for entry in self.claims.get_trials(deepcopy=False))
        known = {entry["number"] for entry in entries if entry["study"] == study.study_name}
        unclaimed = {trial.number: trial for trial in running if trial.number not in known}
        late = self._unclaimed.overdue(study.study_name, unclaimed)
        return gone + [unclaimed[number] for number in sorted(late) if fail(study, number)]

    def close(self) -> None:
        """Nothing to do: what is claimed was settled or put back."""


class AliveFiles:
    """A file for each process in `JOURNAL.alive`, written anew while it lives: which trials it runs.

    Ages are differences between the times that the disk's server gave to that file and to our own, both read from
    opened files: neither clocks of machines nor caches of attributes matter. A trial that no file lists is stale once
    it was seen so for the grace.
    """

    def __init__(self, journal: Path, grace: float) -> None:
        self.folder = journal.with_name(f"{journal.name}.alive")
        machine = re.sub(r"[^\w.-]", "_", node()) or "machine"
        self.file = self.folder / f"{machine}-{os.getpid()}-{token_hex(4)}.json"
        self.grace = grace
        self._unlisted = Watch(grace)

    def beat(self, trials: Collection[Trial]) -> None:
        """Writes this process's file."""
        self.folder.mkdir(exist_ok=True)
        running: dict[str, list[int]] = {}
        for name, number in sorted(map(key_of, trials)):
            running.setdefault(name, []).append(number)
        write_atomically(self.file, json.dumps({"running": running}).encode())

    def fail_dead(self, study: optuna.Study, running: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Fails the trials that only files of dead processes list, and those that none lists."""
        alive, listed = self._listed(study.study_name)
        others = {trial.number: trial for trial in running if trial.number not in alive}
        late = self._unlisted.overdue(study.study_name, others.keys() - listed)
        return [
            trial for number, trial in others.items() if (number in listed or number in late) and fail(study, number)
        ]

    def _listed(self, name: str) -> tuple[set[int], set[int]]:
        """The numbers that living processes run, and those of dead ones."""
        ages = {path: said for path in self.folder.glob("*.json") if (said := _read(path)) is not None}
        if self.file not in ages:
            return set(), set()  # our own file cannot be read: nothing to compare with
        now, _ = ages[self.file]
        alive, dead = set[int](), set[int]()
        for path, (then, trials) in ages.items():
            (alive if now - then <= self.grace else dead).update(trials.get(name, ()))
            if now - then > FORGOTTEN * self.grace:
                path.unlink(missing_ok=True)
        return alive, dead - alive

    def close(self) -> None:
        """Removes this process's file."""
        self.file.unlink(missing_ok=True)


def _read(path: Path) -> tuple[float, dict[str, list[int]]] | None:
    """When a process's file was written, and what it says; None where it is just being replaced."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime, dict(json.load(file)["running"])
    except (OSError, ValueError, KeyError):
        return None


def fail(study: optuna.Study, number: int) -> bool:
    """Fails a running trial. False where it is settled already: of several that try, one succeeds."""
    try:
        study.tell(number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):  # Optuna has both, depending on how close it was
        return False
    return True
