"""What is settled of a study, and what a search remembers of it."""

from collections.abc import Iterable

from unetsearch.search.folder import StudyFolder
from unetsearch.search.measured import Measurements
from unetsearch.search.pruner import Pruner
from unetsearch.search.records import front_of
from unetsearch.search.settling import Outcome, finish
from unetsearch.search.storage import Studies
from unetsearch.space.settings import Objective

MAX_FAILURES = 5
"""So many failed trainings in a row end a run."""


class Ledger:
    """`records`: all that is known, in a shared study also of other machines. Its learners are told what is new.

    `spent`: when trials were trained before that are not settled.
    """

    def __init__(
        self,
        studies: Studies,
        folder: StudyFolder,
        objectives: tuple[Objective, ...],
        pruner: Pruner,
        measurements: Measurements,
    ) -> None:
        self.records, self.spent = studies.read()
        self._studies = studies
        self._folder = folder
        self._objectives = objectives
        self._pruner = pruner
        self._measurements = measurements
        self._failures: list[str] = []  # the last ones in a row

    @property
    def hopeless(self) -> str | None:
        """Why no training is worth a try; None where one is.

        The last ones of this run all failed, in the order of their ends: what is wrong then is not the networks.
        """
        if len(self._failures) < MAX_FAILURES:
            return None
        return f"{MAX_FAILURES} trainings in a row failed, the last one: {self._failures[-1]}"

    def look_around(self) -> bool:
        """Reads what is known; where the study is shared, other machines add to it. Gives whether there is more."""
        before = len(self.records)
        self.records, self.spent = self._studies.read()
        self._pruner.learn(self.records)
        self._measurements.learn(self.records)
        return len(self.records) > before

    def settle(self, outcome: Outcome) -> bool:
        """Writes what came of a trial. False where another machine has taken it over."""
        record = outcome.record
        if not finish(self._studies, outcome):
            return False
        if self._studies.shared:
            self.look_around()
        else:
            self.records.append(record)
            self._pruner.learn([record])
        if record.trained:
            self._failures = [*self._failures, record.reason or ""] if record.state == "failed" else []
        return True

    def tidy(self, running: Iterable[str]) -> None:
        """Removes the models of trials that left the front or were never recorded, and the checkpoints of settled ones.

        A long study fills no disk.
        """
        trials = [record for record in self.records if record.baseline is None]
        kept = {record.name for record in front_of(trials, self._objectives)}
        kept |= {record.name for record in self.records if record.baseline}
        self._folder.keep_models(kept | set(running))
        self._folder.drop_checkpoints({record.hash for record in self.records if record.state != "failed"})
