"""What a person sees while a study runs: a live table in a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from unetsearch.data.dataset import SegmentationData
from unetsearch.report.terminal import add_trial, outcome, trials_table
from unetsearch.report.views import hypervolume
from unetsearch.report.words import SCORES, amount, duration, in_order, network, scores, with_dice
from unetsearch.search.events import (
    Continued,
    Ended,
    Event,
    Finished,
    Joined,
    Lost,
    Noted,
    Rested,
    Scored,
    Started,
    Stepped,
)
from unetsearch.search.events import Progress as StudyProgress
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.space.settings import MAXIMISED, MEASURED, Objective, ranked_by
from unetsearch.space.space import SearchSpace

ROWS = 12
"""At most so many settled trials stay in view in a terminal."""

NUMBERS = 61
"""Columns of a terminal that the numbers of a row take at most, beside the name of the score."""

BAR_NUMBERS = 56
"""Columns of a terminal that a training's bar and its numbers take at most, beside the name of the score."""

FRAME = 6
"""Lines of a terminal that the table's frame, its head and the prompt take."""


class Display:
    """Shows events. In a terminal `live()` keeps a table in place; elsewhere every event is a line.

    `clock`: seconds from anywhere.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        self.console = console
        self._clock = clock
        self._settled: list[TrialRecord] = []
        self._bars: dict[str, TaskID] = {}
        self._label = Column(no_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=self._label),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[score]}"),
        )
        self._trained: list[TrialRecord] = []
        self._front: list[TrialRecord] = []
        self._hypervolume = 0.0
        self._last: tuple[StudyProgress, float] | None = None
        self._beginning = "the first networks are in training"
        self._objectives: Sequence[Objective] = ("dice", "params")
        self._live: Live | None = None

    @contextmanager
    def live(self) -> Iterator["Display"]:
        """Keeps the table in place from `prepared` to the end of the block, where the output is a terminal."""
        if self.console.is_terminal:
            self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4)
        try:
            yield self
        finally:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def prepared(self, data: SegmentationData, space: SearchSpace, folder: Path, device: str) -> None:
        """Says what is about to be searched, on what, and where it goes."""
        self._objectives = space.objectives
        size = "a continuous space" if space.size is None else f"{space.size:,} points"
        until = f"{space.search.trials} trials"
        if space.search.time is not None:
            until += f" or {duration(space.search.time)}"
        for name, text in (
            ("space", f"{space.name}: {size}; until {until}"),
            *(("data", note) for note in data.notes),
            ("device", device),
            ("train", _training(space)),
            ("study", f"{folder} (the same command continues it)"),
        ):
            self.console.print(Text.assemble((f"{name:<7} ", "bold"), text), soft_wrap=True)
        if self._live is not None:
            self._live.start()

    def _learn(self, records: Iterable[TrialRecord]) -> None:
        """Takes over what was trained before, or on other machines, for the front and the hypervolume."""
        names = {record.name for record in self._trained}
        found = [record for record in records if record.distinct and record.name not in names]
        if found:
            self._trained += found
            self._front = front_of([*self._front, *found], self._objectives)
            self._hypervolume = hypervolume(self._trained, self._by)

    def happened(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Joined():
                self._learn(event.records)
            case Continued():
                self._learn(event.records)
                self._beginning = f"continuing: {event.finished} trials are trained"
                text = self._beginning
                if event.interrupted:
                    text += f"; {event.interrupted} interrupted ones are put back"
                self._say(text)
            case Started():
                self._begin(event)
            case Stepped():
                self._move(event.name, completed=event.step)
            case Scored():
                self._move(event.name, completed=event.score.step, score=scores(event.score, (self._by,)))
                told = (*with_dice(self._by), *(name for name in self._objectives if name in MAXIMISED))
                reached = scores(event.score, tuple(dict.fromkeys(told)))
                self._line(f"{event.name:>6}    step {event.score.step}: {reached}")
            case Rested():
                self._end(event.name)
                self._last = event.progress, self._clock()
                self._line(f"{event.name:>6}    pauses at step {event.score.step}   [{self._status}]")
            case Lost():
                self._end(event.name)
                self._say(f"{event.name}: {event.reason}")
            case Noted():
                self._say(event.text)
            case Finished():
                self._finish(event)
            case Ended():
                for name in list(self._bars):
                    self._end(name)
                self._say(f"done: {event.reason}")

    def front(self, records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> None:
        """The front as a table, and the baselines that are not on it."""
        measured = bool(MEASURED & set(objectives))
        shown = [name for name in in_order(ranked_by(objectives)) if name != "object_f1" or name in objectives]
        table = trials_table(shown, "The front: no network here is beaten in every objective by another", measured)
        front = front_of(records, objectives)
        for record in front:
            add_trial(table, record, shown, measured)
        table.add_section()
        for record in records:
            if record.baseline and record not in front:
                add_trial(table, record, shown, measured)
        self.console.print(table)

    def _begin(self, event: Started) -> None:
        record, words = event.record, network(event.record)
        self._line(f"{record.name:>6}  {words}, {amount(record.params)} parameters, {amount(record.macs)}MACs")
        self._end(record.name)  # it may begin once more
        label, total = f"{record.name}  {words}", record.recipe.steps
        self._bars[record.name] = self._progress.add_task(label, total=total, score="", slot=event.slot)

    def _finish(self, event: Finished) -> None:
        record = event.record
        self._end(record.name)
        if record.state != "repeat":
            self._settled.append(record)
        self._learn([record])
        self._last = event.progress, self._clock()
        self._line(f"{record.name:>6}  {outcome(record, self._by)}   [{self._status}]")

    def _move(self, name: str, **changes: Any) -> None:
        if name in self._bars:
            self._progress.update(self._bars[name], **changes)

    def _end(self, name: str) -> None:
        if name in self._bars:
            self._progress.remove_task(self._bars.pop(name))

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def _line(self, text: str) -> None:
        """A line where there is no table."""
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> Group:
        """The table of what is settled, the bars of what runs, the status: in at most as many lines as there are."""
        width, height = self.console.width, self.console.height
        status = Text(self._status)
        room = height - FRAME - len(status.wrap(self.console, width))
        bars = self._tasks
        shown = bars if len(bars) < room else bars[: max(1, room - 2)]
        more = [Text(f"... and {len(bars) - len(shown)} more")] if len(shown) < len(bars) else []
        room -= len(shown) + len(more)
        told = in_order(self._by)[:2]
        table = trials_table(told)
        network = table.columns[-1]  # in one line, so that every row and the progress stay in view
        width -= len(SCORES[self._by])
        network.no_wrap, network.max_width = True, max(8, width - NUMBERS)
        self._label.max_width = max(8, width - BAR_NUMBERS)
        for record in self._settled[-max(1, min(ROWS, room)) :]:
            add_trial(table, record, told)
        return Group(table, self._progress.make_tasks_table(shown), *more, status)

    @property
    def _by(self) -> Objective:
        return ranked_by(self._objectives)

    @property
    def _tasks(self) -> list[Task]:
        return sorted(self._progress.tasks, key=lambda task: int(task.fields["slot"]))

    @property
    def _status(self) -> str:
        if self._last is None:
            return self._beginning
        progress, then = self._last
        since = self._clock() - then if self._bars else 0.0
        parts = [_trials(progress)]
        if self._bars:
            parts.append(f"{len(self._bars)} running")
        if progress.paused:
            parts.append(f"{progress.paused} paused")
        if progress.saved:
            parts.append(f"{progress.saved / (progress.steps + progress.saved):.0%} of the steps saved")
        if self._front:
            parts.append(f"front {len(self._front)}, hypervolume {self._hypervolume:.3f}")
        limit = "" if progress.of_seconds is None else f" of {duration(progress.of_seconds)}"
        parts.append(duration(progress.seconds + since) + limit)
        left = (progress.seconds_left or 0.0) - since
        if left > 0:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


def _training(space: SearchSpace) -> str:
    """How long a training is: what varies is not told."""
    crops = "" if "batch_size" in space.training else f" of {space.recipe.batch_size} crops"
    return f"{space.recipe.steps} steps{crops} of {space.recipe.crop}x{space.recipe.crop} px"


def _trials(progress: StudyProgress) -> str:
    trained = progress.trials - progress.pruned - progress.failed
    counts = {"trained to the end": trained, "pruned": progress.pruned, "failed": progress.failed}
    several = [f"{count} {word}" for word, count in counts.items() if count]
    some = f" ({', '.join(several)})" if progress.pruned or progress.failed else ""
    return f"{progress.trials} of {progress.of_trials} trials{some}"
