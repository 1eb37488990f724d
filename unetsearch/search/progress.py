"""How far a study is, from its records."""

from collections.abc import Iterable, Sequence

from unetsearch.search.events import Progress
from unetsearch.search.records import TIME_SPENT, TrialRecord
from unetsearch.space.space import SearchSpace
from unetsearch.statistics.intervals import covered


def progress_of(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    spans: Iterable[tuple[float, float]] = (),
    *,
    running: int = 0,
    paused: int = 0,
) -> Progress:
    """The progress of a study. `spans`: from when to when this process trained what is not settled.

    Time in which several trainings ran side by side counts once.
    """
    trained = [record for record in records if record.trained]
    trials = [record for record in trained if record.baseline is None]
    pruned = [record for record in trials if record.state == "pruned"]
    return Progress(
        trials=len(trials),
        of_trials=space.search.trials,
        seconds=covered([*(stretch[1:] for record in trained for stretch in record.trained_at), *spans]),
        of_seconds=space.search.time,
        pruned=len(pruned),
        failed=sum(not record.distinct and record.state != "pruned" for record in trials),
        running=running,
        paused=paused,
        steps=sum(record.steps for record in trained),
        saved=sum(record.recipe.steps - record.steps for record in pruned if record.reason != TIME_SPENT),
    )
