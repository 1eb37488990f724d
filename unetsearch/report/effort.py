"""What a search cost, against training every point of its space by hand."""

from collections.abc import Sequence
from statistics import mean

from unetsearch.report.words import duration
from unetsearch.search.records import TrialRecord


def by_hand(records: Sequence[TrialRecord], size: int | None) -> str:
    """A sentence; empty where the space has no size, where all of it was trained, or nothing was.

    A training counts as much as those of this search that came to their end took on average.
    """
    seconds = [record.seconds for record in records if record.distinct and record.baseline is None]
    trained = [record for record in records if record.trained]
    if size is None or not seconds or size <= len(trained):
        return ""
    spent = duration(sum(record.seconds for record in trained))
    slots = {stretch.slot for record in trained for stretch in record.trained_at}
    together = ", all slots together" if len(slots) > 1 else ""
    return (
        f"The search took {spent} of training{together}; each of the {size:,} points of the space, trained once, would "
        f"have taken about {duration(mean(seconds) * size)}, if all take as long as those that came to their end."
    )
