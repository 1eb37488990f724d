"""Trials as lines and as rows of a table in a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from unetsearch.report.words import (
    SCORES,
    amount,
    duration,
    early,
    in_order,
    mebibytes,
    milliseconds,
    network,
    remark,
    score_text,
    scores,
    with_dice,
)
from unetsearch.search.records import TrialRecord
from unetsearch.space.settings import Objective


def outcome(record: TrialRecord, by: Objective) -> str:
    """What became of a trial, in a line. `by`: the score that ranks the networks."""
    if record.state == "repeat":
        known = ""
        if record.curve:
            known = scores(record.final, with_dice(by)) if record.scored else f"{early(record)} {_reached(record, by)}"
        return f"the same network as {record.repeat_of}{f': {known}' if known else ''}, not trained again"
    if record.state == "pruned":
        return f"{early(record)} {_reached(record, by)}"
    if not record.scored:
        return remark(record)
    numbers = f"{scores(record.final, in_order(by))}, {amount(record.params)} parameters"
    return "; ".join(filter(None, (numbers, remark(record))))


def _reached(record: TrialRecord, by: Objective) -> str:
    return f"at step {record.steps} of {record.recipe.steps} ({scores(record.final, with_dice(by))})"


def trials_table(shown: Sequence[Objective], title: str | None = None, measured: bool = False) -> Table:
    """A table without rows. `shown`: the scores that have a column; `measured`: latency and memory have one."""
    table = Table(title=title, title_justify="left", expand=False)
    for column in (
        "trial",
        *(SCORES[name] for name in shown),
        "params",
        "MACs",
        *(("latency", "memory") if measured else ()),
        "time",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("network")
    return table


def add_trial(table: Table, record: TrialRecord, shown: Sequence[Objective], measured: bool = False) -> None:
    """A row of such a table."""
    numbers = [(score_text(record.final, name) if record.scored else "") or "-" for name in shown]
    if record.state == "pruned":
        numbers[0] = f"({score_text(record.final, shown[0])})"  # no final score, as the remark says
    latency = "-" if record.latency is None else milliseconds(record.latency)
    memory = "-" if record.memory is None else mebibytes(record.memory)
    table.add_row(
        record.name,
        *numbers,
        amount(record.params),
        amount(record.macs),
        *((latency, memory) if measured else ()),
        duration(record.seconds),
        Text("; ".join(filter(None, (remark(record), network(record))))),  # a reason may hold brackets
    )
