"""What each slot trained and when, computed from the records: plain data, nothing drawn."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from unetsearch.report.words import duration, remark, scores, with_dice
from unetsearch.search.records import Stretch, TrialRecord
from unetsearch.space.settings import Objective
from unetsearch.statistics.intervals import covered

PAUSE = 0.05
"""A time in which nothing was trained is left out where it is longer than this share of the time of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A training on a slot. `outcome`: complete, pruned, infeasible or failed. `start`: seconds on the time axis."""

    name: str
    slot: str
    outcome: str
    start: float
    seconds: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Slots in their order, what they trained, and where on the time axis a pause was left out, with its seconds."""

    slots: tuple[str, ...]
    bars: tuple[Bar, ...]
    pauses: tuple[tuple[float, float], ...]


def timeline(records: Sequence[TrialRecord], by: Objective) -> Timeline:
    """The trainings whose slot is known; one that paused has several bars. The axis begins with the first of them.

    `by`: the score that ranks the networks.
    """
    trained = sorted(
        ((stretch, record) for record in records for stretch in record.trained_at if stretch.slot),
        key=lambda pair: pair[0].start,
    )
    pauses = _pauses([stretch for stretch, _ in trained])
    ends = [end for _, end in pauses]
    left_out = [0.0]
    for start, end in pauses:
        left_out.append(left_out[-1] + end - start)
    first = trained[0][0].start if trained else 0.0
    return Timeline(
        slots=tuple(sorted({stretch.slot for stretch, _ in trained}, key=_machine_and_number)),
        bars=tuple(
            Bar(
                name=record.name,
                slot=stretch.slot,
                outcome=record.state,
                start=stretch.start - first - left_out[bisect_right(ends, stretch.start)],
                seconds=stretch.end - stretch.start,
                words=_words(record, by),
            )
            for stretch, record in trained
        ),
        pauses=tuple(
            (start - first - before, end - start) for (start, end), before in zip(pauses, left_out, strict=False)
        ),
    )


def _pauses(trained: Sequence[Stretch]) -> list[tuple[float, float]]:
    """From when to when no slot trained anything, for long. `trained`: by rising start."""
    least = PAUSE * covered((start, end) for _, start, end in trained)
    pauses = []
    busy_until = trained[0].start if trained else 0.0
    for _, start, end in trained:
        if start - busy_until > least:
            pauses.append((busy_until, start))
        busy_until = max(busy_until, end)
    return pauses


def _machine_and_number(slot: str) -> tuple[str, int, str]:
    machine, _, number = slot.rpartition("/")
    return machine, int(number) if number.isdigit() else 0, number


def _words(record: TrialRecord, by: Objective) -> str:
    reached = scores(record.final, with_dice(by)) if record.curve else ""
    depth = f"depth {record.architecture.depth}"
    return ", ".join(filter(None, (remark(record), reached, depth, duration(record.seconds))))
