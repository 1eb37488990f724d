"""What a person sees while a study runs: a live table in a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from unetsearch.data.dataset import SegmentationData
from unetsearch.report.words import amount, duration, topology
from unetsearch.search.events import Continued, Ended, Event, Finished, Scored, Started
from unetsearch.search.events import Progress as StudyProgress
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.space.settings import Objective
from unetsearch.space.space import SearchSpace

ROWS = 12
"""At most so many settled trials stay in view in a terminal."""

NUMBERS = 63
"""Columns of a terminal that the numbers of a row take at most."""

AROUND = 7
"""Lines of a terminal that the title, the frame and the progress take."""


class Display:
    """Shows events. In a terminal `live()` keeps a table in place; elsewhere every event is a line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._settled: list[TrialRecord] = []
        self._training = Text("", no_wrap=True, overflow="ellipsis")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[score]}"),
        )
        self._status = ""
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
            ("study", f"{folder} (the same command continues it)"),
        ):
            self.console.print(Text.assemble((f"{name:<7} ", "bold"), text), soft_wrap=True)
        if self._live is not None:
            self._live.start()

    def happened(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Continued():
                text = f"continuing: {event.finished} trials are trained"
                if event.interrupted:
                    text += f"; {event.interrupted} interrupted ones are put back"
                self._say(text)
            case Started():
                cost = event.candidate.cost
                words = topology(event.candidate.architecture)
                self._line(f"{event.name:>6}  {words}, {amount(cost.params)} parameters, {amount(cost.macs)}MACs")
                for task in self._bar.task_ids:
                    self._bar.remove_task(task)
                self._training = Text(f"{event.name}  {words}", no_wrap=True, overflow="ellipsis")
                self._bar.add_task(event.name, total=event.candidate.recipe.steps, score="")
            case Scored():
                score = f"Dice {event.score.dice:.4f}"
                self._bar.update(self._bar.task_ids[-1], completed=event.score.step, score=score)
                self._line(f"{event.name:>6}    step {event.score.step}: {score}")
            case Finished():
                if event.record.state != "repeat":
                    self._settled.append(event.record)
                self._status = _status(event.progress)
                self._line(f"{event.record.name:>6}  {_outcome(event.record)}   [{self._status}]")
            case Ended():
                for task in self._bar.task_ids:
                    self._bar.remove_task(task)
                self._training = Text("")
                self._say(f"done: {event.reason}")

    def front(self, records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> None:
        """The front as a table, and the baselines that are not on it."""
        table = _table("The front: no network here is beaten in every objective by another")
        front = front_of(records, objectives)
        for record in front:
            _add_row(table, record)
        table.add_section()
        for record in records:
            if record.baseline and record not in front:
                _add_row(table, record)
        self.console.print(table)

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def _line(self, text: str) -> None:
        """A line where there is no table."""
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> Group:
        table = _table(self._status or "training the first network")
        network = table.columns[-1]  # in one line, so that every row and the progress stay in view
        network.no_wrap, network.max_width = True, max(8, self.console.width - NUMBERS)
        for record in self._settled[-max(1, min(ROWS, self.console.height - AROUND)) :]:
            _add_row(table, record)
        return Group(table, self._training, self._bar)


def _status(progress: StudyProgress) -> str:
    time = duration(progress.seconds)
    if progress.of_seconds is not None:
        time += f" of {duration(progress.of_seconds)}"
    return f"{progress.trials} of {progress.of_trials} trials, {time}"


def _outcome(record: TrialRecord) -> str:
    if record.state == "repeat":
        return f"the same network as {record.repeat_of}: Dice {record.final.dice:.4f}, not trained again"
    if not record.scored:
        return f"{record.state}: {record.reason}"
    return f"Dice {record.final.dice:.4f}, IoU {record.final.iou:.4f}, {amount(record.params)} parameters"


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", expand=False)
    for column in ("trial", "Dice", "IoU", "params", "MACs", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("network")
    return table


def _add_row(table: Table, record: TrialRecord) -> None:
    scores = (f"{record.final.dice:.4f}", f"{record.final.iou:.4f}") if record.scored else ("-", "-")
    note = f"{record.state}: {record.reason}; " if record.reason else ""
    table.add_row(
        record.name,
        *scores,
        amount(record.params),
        amount(record.macs),
        duration(record.seconds),
        Text(note + topology(record.architecture)),  # a reason may hold brackets
    )
