"""The search: one loop that asks for a candidate, has it trained, and tells what came of it."""

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter, time

from optuna.trial import Trial

from unetsearch.graph.references import baseline_architecture
from unetsearch.search.candidate import Candidate
from unetsearch.search.events import Continued, Ended, Event, Finished, Progress, Scored, Started
from unetsearch.search.folder import StudyFolder
from unetsearch.search.messages import Job, Window
from unetsearch.search.proposals import Proposal, Proposals
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.search.slots import Slot, TrainingFailedError
from unetsearch.search.storage import Outcome, Studies, finish, recover
from unetsearch.space.space import SearchSpace

MAX_FAILURES = 5
"""So many failed trainings in a row end a run."""


class Search:
    """One run of a study by the process that owns it: `for event in search.run(): ...`."""

    def __init__(
        self, space: SearchSpace, studies: Studies, slot: Slot, folder: StudyFolder, preview: tuple[Window, ...]
    ) -> None:
        self.space = space
        self.studies = studies
        self.slot = slot
        self.folder = folder
        self.preview = preview
        self.records: list[TrialRecord] = []

    def run(self) -> Iterator[Event]:
        """Trains baselines and then candidates until the totals are reached, and tells what happens."""
        interrupted = recover(self.studies)
        self.records = self.studies.records
        self._drop_models()
        if self.records or interrupted:
            yield Continued(finished=self.progress.trials, interrupted=interrupted)
        yield from self._baselines()
        yield from self._candidates()

    @property
    def progress(self) -> Progress:
        """Points over a limit and repeated points cost nothing and count nothing."""
        trained = [record for record in self.records if record.trained]
        return Progress(
            trials=sum(record.baseline is None for record in trained),
            of_trials=self.space.search.trials,
            seconds=sum(record.seconds for record in trained),
            of_seconds=self.space.search.time,
            failed=sum(record.baseline is None and not record.scored for record in trained),
        )

    def _baselines(self) -> Iterator[Event]:
        """Trains the baselines that have no record yet; out of time, the rest waits for a longer run."""
        known = {record.baseline for record in self.records if record.state != "failed"}
        for baseline in self.space.baselines:
            if baseline.name in known or self.progress.late:
                continue
            candidate = Candidate.of(baseline_architecture(self.space, baseline), self.space.recipe)
            trial = self.studies.baselines.ask()
            yield from self._train(trial, candidate, candidate.record(trial.number, baseline=baseline.name))

    def _candidates(self) -> Iterator[Event]:
        proposals = Proposals(self.space, self.studies)
        while (reason := self.progress.over) is None:
            proposal = None
            for proposed in proposals.next(self.records):
                if isinstance(proposed, Proposal):
                    proposal = proposed
                else:
                    yield self._settle(proposed)
            if proposal is None:
                failed = self.progress.failed
                reason = proposals.exhausted + (f"; {failed} of the trials failed" if failed else "")
                break
            candidate, trial = proposal.candidate, proposal.trial
            yield from self._train(trial, candidate, candidate.record(trial.number, values=dict(proposal.point.values)))
            if self._hopeless:
                reason = f"{MAX_FAILURES} trainings in a row failed, the last one: {self.records[-1].reason}"
                break
        yield Ended(reason)

    @property
    def _hopeless(self) -> bool:
        """Whether the last trainings all failed: what is wrong then is not the networks."""
        last = [record for record in self.records if record.trained][-MAX_FAILURES:]
        return len(last) == MAX_FAILURES and all(record.state == "failed" for record in last)

    def _train(self, trial: Trial, candidate: Candidate, record: TrialRecord) -> Iterator[Event]:
        yield Started(record.name, candidate)
        job = Job(
            architecture=candidate.architecture,
            recipe=candidate.recipe,
            seed=self.space.search.seed,
            folder=str(self.folder.model(record.name).resolve()),
            preview=self.preview,
        )
        excess = candidate.excess(self.space.limits)
        started = perf_counter()
        try:
            self.slot.warm_up()
            started = perf_counter()
            for score in self.slot.train(job):
                record = replace(record, curve=(*record.curve, score))
                yield Scored(record.name, score)
        except TrainingFailedError as error:
            record = replace(record, state="infeasible" if error.memory else "failed", reason=str(error))
            excess |= {"memory": float(error.memory)}
        record = replace(record, seconds=perf_counter() - started, finished=time())
        yield self._settle(Outcome(trial, record, excess))

    def _settle(self, outcome: Outcome) -> Finished:
        finish(self.studies, outcome)
        self.records.append(outcome.record)
        if outcome.record.trained:
            self._drop_models()
        return Finished(outcome.record, self.progress)

    def _drop_models(self) -> None:
        """Removes the models of trials that left the front or were never recorded: a long study fills no disk."""
        trials = [record for record in self.records if record.baseline is None]
        kept = {record.name for record in front_of(trials, self.space.objectives)}
        kept |= {record.name for record in self.records if record.baseline}
        self.folder.keep_models(kept)
