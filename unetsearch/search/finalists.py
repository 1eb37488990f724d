"""Which networks of a search are trained again, and what a verdict asks of each: pure functions of records."""

from collections.abc import Callable, Mapping, Sequence

from unetsearch.search.records import TrialRecord, front_of
from unetsearch.space.architecture import Architecture
from unetsearch.space.settings import Objective, ranked_by
from unetsearch.space.space import ARCHITECTURE_DEFAULTS, SearchSpace, every_number
from unetsearch.space.values import Choice, fixed

Label = int | str

FACTORS: Mapping[str, Callable[[Architecture], Label]] = {
    "depth": lambda architecture: architecture.depth,
    "skip": lambda architecture: architecture.skip.rule,
    "encoder": lambda architecture: architecture.encoder_name,
}
"""What a verdict can be asked about: the label of an architecture."""


def labels_of(space: SearchSpace) -> dict[str, tuple[Label, ...]]:
    """The labels that a space has of each factor."""
    values = {
        name: space.architecture.get(name, fixed(ARCHITECTURE_DEFAULTS.get(name, "plain")))  # skips: plain
        for name in FACTORS
    }
    found: dict[str, tuple[Label, ...]] = {"depth": tuple(every_number(values.pop("depth")))}
    for name, value in values.items():
        found[name] = tuple(str(option.value) for option in value.options) if isinstance(value, Choice) else ()
    return found


EACH_DEPTH = 2
"""So many of the best of each depth are finalists: the first by the search's scores is often not the best."""


def candidates(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """What was trained of the space, at least in part: a baseline too, where a point of the space is the same."""
    points = {record.repeat_of for record in records if record.state == "repeat"}
    return [
        record
        for record in records
        if record.curve
        and record.state in ("complete", "pruned")
        and (record.baseline is None or record.baseline in points)
    ]


def finalists(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> tuple[TrialRecord, ...]:
    """The front, some of each depth (EACH_DEPTH), the best of each skip rule and encoder, and the baselines.

    Each network with its training once, by rising parameters. Where nothing of a depth was trained to the end, the best
    pruned one stands for it.
    """
    points, score = candidates(records), ranked_by(objectives)
    kept = [*front_of(points, objectives), *(record for record in records if record.baseline and record.distinct)]
    for factor in FACTORS:
        kept += best_of_each(points, factor, score, EACH_DEPTH if factor == "depth" else 1)
    return _once(kept)


def chosen(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> tuple[TrialRecord, ...]:
    """What a search chose: the best candidate, and that of each depth, skip rule and encoder; by rising parameters."""
    points, score = candidates(records), ranked_by(objectives)
    kept = [record for factor in FACTORS for record in best_of_each(points, factor, score)]
    return _once([*ranked(points, score)[:1], *kept])


def _once(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    once = {record.hash: record for record in records}
    return tuple(sorted(once.values(), key=lambda record: (record.params, record.name)))


def best_of_each(points: Sequence[TrialRecord], factor: str, score: Objective, count: int = 1) -> list[TrialRecord]:
    """The `count` best candidates of each label of a factor, by the search's scores, the best of all first."""
    label_of, found = FACTORS[factor], dict[Label, list[TrialRecord]]()
    for record in ranked(points, score):
        of_label = found.setdefault(label_of(record.architecture), [])
        if len(of_label) < count and (record.distinct or not of_label):
            of_label.append(record)
    return [record for of_label in found.values() for record in of_label]


def ranked(points: Sequence[TrialRecord], score: Objective) -> list[TrialRecord]:
    """Candidates by falling score; first those that were trained to the end."""
    return sorted(points, key=lambda record: (not record.distinct, -record.final.of(score), record.params))
