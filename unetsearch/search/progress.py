"""How far a study is, from its records."""

from collections.abc import Iterable, Sequence

from unetsearch.search.events import Progress
from unetsearch.search.records import TrialRecord
from unetsearch.space.space import SearchSpace
from unetsearch.statistics.intervals import covered


def progress_of(space: SearchSpace, records: Sequence[TrialRecord], running: Iterable[tuple[float, float]]) -> Progress:
    """The progress of a study. `running`: since when, and until now, each training of this process runs.

    Time in which several trainings ran side by side counts once.
    """
    trained = [record for record in records if record.trained]
    trials = [record for record in trained if record.baseline is None]
    active = list(running)
    pruned = [record for record in trials if record.state == "pruned"]
    return Progress(
        trials=len(trials),
        of_trials=space.search.trials,
        seconds=covered([*((record.finished - record.seconds, record.finished) for record in trained), *active]),
        of_seconds=space.search.time,
        pruned=len(pruned),
        failed=sum(not record.distinct and record.state != "pruned" for record in trials),
        running=len(active),
        steps=sum(record.steps for record in trained),
        saved=sum(record.recipe.steps - record.steps for record in pruned),
    )
