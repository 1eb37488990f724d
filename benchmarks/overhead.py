"""What the loop itself costs beside Optuna's calls, and how long the report of 10,000 trials takes.

    python benchmarks/overhead.py

A study of 1,000 recorded trials in SQLite goes on with trainings that take no time. Optuna's calls are measured in the
same run and taken off; what is left is the loop's: dedupe, record, prune, display. Writes results/overhead.md.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import wraps
from io import StringIO
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

import optuna
from machine import description
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from unetsearch.progress import Display
from unetsearch.report.views import ReportData
from unetsearch.report.write import write_report
from unetsearch.search.candidate import Candidate
from unetsearch.search.events import Finished, Scored
from unetsearch.search.folder import StudyFolder, create_folder
from unetsearch.search.messages import Done, Job, Stopped
from unetsearch.search.proposals import make_sampler
from unetsearch.search.records import TrialRecord
from unetsearch.search.settling import CURVE, NETWORK
from unetsearch.search.storage import RECORD, Studies, begin_studies
from unetsearch.search.study import Search
from unetsearch.space.document import parse_space
from unetsearch.space.settings import SearchSettings
from unetsearch.space.space import SearchSpace
from unetsearch.training.score import Score

RESULT = Path(__file__).parent / "results" / "overhead.md"

RECORDED, MORE, MANY = 1000, 50, 10_000

SPACE = """
name: overhead
architecture: {depth: [1, 2, 3, 4, 5], width: [8, 16, 32], growth: [1.5, 2.0], skip: [plain, dense, full_scale]}
training: {steps: 600, evaluations: 12, learning_rate: {low: 1e-3, high: 1e-2, log: true}}
search: {sampler: tpe, trials: 1000000}
"""

OPTUNA = {
    optuna.Study: ("ask", "tell", "get_trials", "enqueue_trial"),
    optuna.Trial: ("set_user_attr", "set_constraint", "suggest_categorical", "suggest_float", "suggest_int"),
}


class Spent:
    """The time in Optuna's calls; of nested ones that of the outer one."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    @contextmanager
    def measured(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, names in OPTUNA.items():
                for name in names:
                    stack.enter_context(patch.object(owner, name, self._timed(getattr(owner, name))))
            yield

    def _timed(self, call: Any) -> Any:
        @wraps(call)
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return call(*arguments, **options)
            self._inside, started = True, perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds += perf_counter() - started
                self._inside = False

        return timed


class InstantPool:
    """Trainings without training."""

    idle: tuple[int, ...] = (0,)

    def start(self, slot: int, job: Job) -> None:
        self.idle = ()
        self._answers: Iterator[Score | Done | Stopped] = iter([*curve(job.architecture.channels[0] * 1e-4), Done()])

    def stop(self, slot: int) -> None:
        self._answers = iter([Stopped()])

    pause = stop

    def next(self, timeout: float) -> tuple[int, Score | Done | Stopped]:
        answer = next(self._answers)
        self.idle = () if isinstance(answer, Score) else (0,)
        return 0, answer

    def close(self, *, save_within: float = 0) -> None:
        """Nothing runs."""


def main() -> None:
    space = parse_space(SPACE, "overhead")
    with tempfile.TemporaryDirectory() as folder:
        trial, evaluation, beside = loop(space, create_folder(Path(folder) / "study"))
        seconds, size = report(space, Path(folder))
    lines = [
        "# The loop's own cost",
        "",
        description(),
        "",
        *(__doc__ or "").splitlines()[4:6],
        "",
        "| what | cost | wanted |",
        "|---|---|---|",
        f"| the loop, a trial, at {RECORDED:,} trials | {1e3 * trial:.1f} ms | under 20 ms |",
        f"| the loop, an evaluation | {1e3 * evaluation:.2f} ms | under 2 ms |",
        f"| Optuna's calls, a trial, in the same run | {1e3 * beside:.0f} ms | |",
        f"| tables and page of {MANY:,} trials ({size / 1e6:.1f} MB) | {seconds:.1f} s | under 30 s |",
        "",
        f"{MORE} trials with their pauses and evaluations: the mean of a trial, the median of an evaluation.",
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def loop(space: SearchSpace, folder: StudyFolder) -> tuple[float, float, float]:
    """Seconds a trial and an evaluation, and in Optuna a trial."""
    studies = begin_studies(folder, space.name, space.objectives)
    studies.search.sampler = make_sampler(space.search, RECORDED)
    record_trials(space, studies, RECORDED)
    space = replace(space, search=SearchSettings(trials=RECORDED + MORE, sampler="tpe"))
    display = Display(Console(file=StringIO(), force_terminal=True, width=140, height=40))
    search = Search(space, studies, InstantPool(), folder, ())
    spent, trials, evaluations = Spent(), 0, []
    with spent.measured(), display.live():
        before, optuna_before, started = perf_counter(), 0.0, perf_counter()
        for event in search.run():
            display.happened(event)
            now = perf_counter()
            if isinstance(event, Scored):
                evaluations.append(now - before - (spent.seconds - optuna_before))
            elif isinstance(event, Finished):
                trials += 1
            before, optuna_before = now, spent.seconds
    studies.close()
    return (before - started - spent.seconds) / trials, median(evaluations), spent.seconds / trials


def record_trials(space: SearchSpace, studies: Studies, count: int) -> None:
    """Trials as a search leaves them."""
    rates = FloatDistribution(1e-3, 1e-2, log=True)
    for record in records(space, count):
        attributes = {NETWORK: "", CURVE: {}, RECORD: record.to_dict()}
        studies.search.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=[record.objective(name) for name in space.objectives],
                params={"training.learning_rate": record.values["training.learning_rate"]},
                distributions={"training.learning_rate": rates},
                user_attrs=attributes,
            )
        )


def records(space: SearchSpace, count: int) -> Iterator[TrialRecord]:
    """Different points of the space with different curves."""
    for number in range(count):
        point = space.sample(number)
        record = Candidate.at(point).record(number, values=dict(point.values), finished=60.0 * number)
        yield replace(record, curve=tuple(curve(number % 97 * 1e-3)), seconds=50.0, slot=str(number % 2))


def curve(more: float) -> Iterator[Score]:
    for part in range(1, 13):
        dice = 0.5 + 0.02 * part + more
        yield Score(
            step=50 * part,
            loss=1,
            dice=dice,
            iou=dice / 2,
            dice_by_class=(dice,),
            iou_by_class=(dice / 2,),
            seconds=part,
        )


def report(space: SearchSpace, folder: Path) -> tuple[float, int]:
    """Seconds and bytes of the report of MANY trials."""
    many = tuple(records(space, MANY))
    data = ReportData(
        name=space.name,
        data_name="none",
        notes=(),
        classes=("background", "foreground"),
        records=many,
        objectives=space.objectives,
        settings_yaml="",
        previews=(),
        seconds=60.0 * MANY,
        versions={},
    )
    started = perf_counter()
    page = write_report(folder, data)
    return perf_counter() - started, page.stat().st_size


if __name__ == "__main__":
    main()
