"""What was confirmed, as the beginning of the page."""

from collections.abc import Iterator

from unetsearch.report.answer import answer
from unetsearch.report.confirmation import Confirmation, Factor
from unetsearch.report.confirmation_figures import confirmed_front_figure, matrix_figure, profile_figure
from unetsearch.report.html import box, plot, table
from unetsearch.report.words import SCORES, amount, milliseconds, topology
from unetsearch.search.records import TrialRecord
from unetsearch.statistics.differences import Interval

TITLES = {"depth": "The depth verdict", "skip": "The skips", "encoder": "The encoder"}

COSTS = ("parameters", "MACs", "latency")
"""What is told of each network; MACs and latency of an image of 256x256."""


def confirmed_parts(confirmed: Confirmation, data: str) -> Iterator[str]:
    """The verdict in sentences, then the profile of each factor and the tested networks."""
    yield box(answer(confirmed, data))
    for factor in confirmed.factors:
        yield f"<h2>{TITLES[factor.name]}</h2>"
        yield plot(profile_figure(confirmed, factor))
        yield _profile_table(confirmed, factor)
        if factor.name == "depth":
            yield plot(matrix_figure(confirmed, factor))
    yield "<h2>The tested networks</h2>"
    yield plot(confirmed_front_figure(confirmed))
    yield _tested_table(confirmed)


def _profile_table(confirmed: Confirmation, factor: Factor) -> str:
    rows = [
        [
            str(each.label),
            f"{each.mean:.4f}",
            f"{each.loss:.4f}",
            "-" if each.lower is None else f"{each.lower:.4f}",
            "-" if each.upper is None else f"{each.upper:.4f}",
            *_costs(confirmed, each.record),
            f"{each.record.name}: {topology(each.record.architecture)}",
        ]
        for each in factor.standings
    ]
    word = SCORES[confirmed.score]
    whose = "the whole search's choice" if confirmed.plan.nested else "its best network"
    head = [factor.name, word, "loss", "at least", "at most", *COSTS, whose]
    return table(head, rows, left=(0, 8))


def _tested_table(confirmed: Confirmation) -> str:
    rows = [
        [
            each.name,
            f"{each.mean.estimate:.4f}",
            _ends(each.mean),
            f"{each.record.final.of(confirmed.score):.4f}",
            *_costs(confirmed, each.record),
            topology(each.record.architecture),
        ]
        for each in sorted(confirmed.tested, key=lambda each: -each.mean.estimate)
    ]
    word = SCORES[confirmed.score]
    head = ["trial", f"{word}, tested", "95 %, each by itself", "in the search", *COSTS, "network"]
    return table(head, rows, left=(0, 7))


def _costs(confirmed: Confirmation, record: TrialRecord) -> tuple[str, str, str]:
    seconds = confirmed.latency.get(record.hash)
    return amount(record.params), amount(record.macs), "-" if seconds is None else milliseconds(seconds)


def _ends(interval: Interval) -> str:
    return "-" if interval.low is None or interval.high is None else f"{interval.low:.4f} to {interval.high:.4f}"
