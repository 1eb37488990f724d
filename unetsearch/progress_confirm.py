"""What a person sees while a study is confirmed: a line for each training, and how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from unetsearch.report.words import SCORES, duration, several
from unetsearch.search.events import Confirming, Ended, Event, Finished, Noted, Repeated, SearchedAgain


class ConfirmationDisplay:
    """Prints what happens; on a terminal a bar stands under it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._fold = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:g} of {task.total:g}{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1, left="", visible=False)

    @contextmanager
    def live(self) -> Iterator["ConfirmationDisplay"]:
        """Keeps the bar in place to the end of the block."""
        with self._bar:
            yield self

    def happened(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case SearchedAgain():
                self._fold = f"search without part {event.fold} of {event.of}"
                self._say(f"{self._fold}: what it chooses is tested on that part")
            case Finished():
                self._move(self._fold, event.progress.trials, event.progress.of_trials, event.progress.seconds_left)
            case Ended():
                self._say(f"{self._fold}: {event.reason}")
            case Confirming():
                self._move("trainings", event.done, event.of, event.seconds_left)
                self._say(f"trainings: {event.done} of {event.of} are done")
            case Repeated():
                self._repeated(event)
            case Noted():
                self._say(event.text)

    def _repeated(self, event: Repeated) -> None:
        run, progress = event.run, event.progress
        means = {name: sum(values) / len(values) for name, values in run.scores.items()}
        told = [f"{words} {means[name]:.4f}" for name, words in SCORES.items() if name in means]
        left = progress.seconds_left
        rest = f"{progress.done} of {progress.of}" + ("" if not left else f", about {duration(left)} left")
        images = several(len(run.images), f"{'validation' if run.key.tuning else 'test'} image")
        self._say(f"{event.name:>8}  {run.key.words}: {', '.join(told)} on {images}   [{rest}]")
        self._move("trainings", progress.done, progress.of, left)

    def _move(self, what: str, done: int, of: int, left: float | None) -> None:
        words = "" if not left else f", about {duration(left)} left"
        self._bar.update(self._task, description=what, completed=done, total=of, left=words, visible=True)

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
