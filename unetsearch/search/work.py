"""What is to be trained next: first the baselines, then candidates, never one network twice."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from unetsearch.graph.references import baseline_architecture
from unetsearch.search.candidate import Candidate, Task
from unetsearch.search.claims import ask, claim_baseline, elsewhere, give_up
from unetsearch.search.events import Progress
from unetsearch.search.proposals import MAX_TRIES, Proposals
from unetsearch.search.records import TrialRecord
from unetsearch.search.settling import Outcome
from unetsearch.search.storage import Studies
from unetsearch.space.settings import Baseline
from unetsearch.space.space import SearchSpace


class Work:
    """Asks the studies for trials."""

    def __init__(self, space: SearchSpace, studies: Studies) -> None:
        self.space = space
        self.studies = studies
        self._proposals = Proposals(space, studies)

    @property
    def exhausted(self) -> str | None:
        """Why there are no more points; None while there may be."""
        return self._proposals.exhausted

    def next(
        self, records: Sequence[TrialRecord], running: Sequence[TrialRecord], progress: Progress
    ) -> Iterator[Outcome | Task]:
        """The outcomes of points that need no training, then at most one Task.

        No Task: out of time, the totals are reached when what runs is finished, or there are no more points. `running`:
        what this process trains.
        """
        if progress.late:
            return
        others = elsewhere(self.studies)
        baseline = self._baseline(records, {record.name for record in running} | others.baselines)
        if baseline is not None:
            yield baseline
            return
        candidates = sum(record.baseline is None for record in running) + others.trials
        if progress.trials + candidates >= progress.of_trials:
            return
        yield from self._proposals.next(records, {record.hash for record in running} | others.hashes)

    def _baseline(self, records: Sequence[TrialRecord], running: Collection[str]) -> Task | None:
        """The next baseline that is still to be trained and is trained nowhere."""
        for baseline in self._missing(records):
            if baseline.name in running:
                continue
            candidate = Candidate.of(baseline_architecture(self.space, baseline), self.space.recipe)
            trial = ask(self.studies, self.studies.baselines)
            if claim_baseline(self.studies, trial, baseline.name, candidate.hash):
                record = candidate.record(trial.number, baseline=baseline.name)
                return Task(trial, candidate, record, candidate.excess(self.space.limits))
            give_up(self.studies, trial, "another machine trains this baseline")
        return None

    def baselines_left(self, records: Sequence[TrialRecord]) -> bool:
        """Whether there are baselines without a result that deserve a try."""
        return bool(self._missing(records))

    def _missing(self, records: Sequence[TrialRecord]) -> list[Baseline]:
        known = {record.baseline for record in records if record.state != "failed"}
        failures = Counter(record.baseline for record in records if record.state == "failed")
        return [
            baseline
            for baseline in self.space.baselines
            if baseline.name not in known and failures[baseline.name] < MAX_TRIES
        ]
