"""Numbers and networks in the words of a person."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from unetsearch.search.records import TIME_SPENT, TrialRecord
from unetsearch.space.architecture import Architecture
from unetsearch.space.backbone import Backbone
from unetsearch.space.settings import Objective
from unetsearch.space.values import Scalar
from unetsearch.training.score import Score

SCORES: Mapping[Objective, str] = {"dice": "Dice", "iou": "IoU", "object_f1": "F1 of objects"}
"""The scores of a network, as a person reads them."""

_SELDOM = ("stem", "decoder", "norm", "activation", "down", "up", "padding", "dropout", "combine", "guidance")
"""Values that are told where they are not as usual."""

_NAMES = {"full_scale": "full-scale"}


SUFFIXES = {"": 0, " k": 3, " M": 6, " G": 9}


def amount(number: float) -> str:
    """`942`, `51.2 k`, `1.93 M`, `20.4 G`: three digits and a suffix."""
    suffix, power = next((name, power) for name, power in SUFFIXES.items() if number < 999.5 * 10**power or power == 9)
    value = number / 10**power
    digits = 0 if power == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}{suffix}"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def milliseconds(seconds: float) -> str:
    """`0.84 ms`, `12.3 ms`, `120 ms`."""
    number = 1000 * seconds
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f} ms"


def mebibytes(number: float) -> str:
    """`0.8 MiB`, `412 MiB`."""
    size = number / 2**20
    return f"{size:.{1 if size < 9.95 else 0}f} MiB"


def in_order(by: Objective) -> tuple[Objective, ...]:
    """The scores, first the one that ranks the networks."""
    return (by, *(name for name in SCORES if name != by))


def with_dice(by: Objective) -> tuple[Objective, ...]:
    """The score that ranks the networks, and Dice where it is another."""
    return ("dice",) if by == "dice" else (by, "dice")


def score_text(score: Score, name: Objective) -> str:
    """`0.8123`, or nothing where that score is not known."""
    return "" if getattr(score, name) is None else f"{score.of(name):.4f}"


def scores(score: Score, names: Sequence[Objective]) -> str:
    """`F1 of objects 0.6123, Dice 0.8912`: those of the named scores that are known."""
    return ", ".join(f"{SCORES[name]} {text}" for name in names if (text := score_text(score, name)))


def remark(record: TrialRecord) -> str:
    """`pruned at 80 of 240 steps`, `failed: the loss was nan`: what is not as with most trials; else nothing."""
    known = {"repeat": f"the same as {record.repeat_of}", "pruned": _pruned(record), "complete": ""}
    first = known.get(record.state, f"{record.state}: {record.reason}")
    parts = f"batches in {record.parts} parts (out of memory)" if record.parts > 1 else ""
    return "; ".join(filter(None, (first, parts)))


def several(count: int, noun: str) -> str:
    """`1 training`, `3 trainings`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def early(record: TrialRecord) -> str:
    """How a training ended before its last step, by the pruner or not."""
    return "ended, as the time was spent," if record.reason == TIME_SPENT else "pruned"


def _pruned(record: TrialRecord) -> str:
    return f"{early(record)} at {record.steps} of {record.recipe.steps} steps"


def topology(architecture: Architecture) -> str:
    """`depth 4, dense skips (deep supervision), residual encoder, 8-16-32-64-128`, and what is not as usual."""
    rule = _NAMES.get(architecture.skip.rule, architecture.skip.rule)
    skips = f"{rule} skips"
    if architecture.skip.channels is not None:
        skips += f" of {architecture.skip.channels}"
    if architecture.skip.sources is not None:
        edges = sum(len(read) for _, read in architecture.skip.sources)
        skips += f" with {edges} edge{'s' * (edges > 1)}"
    if architecture.deep_supervision:
        skips += " (deep supervision)"
    encoder = f"{architecture.encoder_name} encoder"
    if isinstance(architecture.encoder, Backbone) and architecture.encoder.pretrained:
        encoder = f"pretrained {encoder}"
    channels = "-".join(str(channels) for channels in architecture.channels)
    usual = {field.name: field.default for field in fields(Architecture)}
    values = {name: getattr(architecture, name) for name in _SELDOM}
    unusual = [_said(name, value) for name, value in values.items() if value != usual[name]]
    return ", ".join([f"depth {architecture.depth}", skips, encoder, channels, *unusual])


def _said(name: str, value: object) -> str:
    return name if value is True else f"{name} {value}"


def network(record: TrialRecord) -> str:
    """A trial's topology, and what its search picked of the training."""
    return ", ".join(filter(None, (topology(record.architecture), training(record.values))))


def training(values: Mapping[str, Scalar]) -> str:
    """`learning_rate 0.00412, weight_map true`: what a search picked of a training, by the trial's values."""
    picked = {name.rpartition(".")[2]: value for name, value in values.items() if name.startswith("training.")}
    return ", ".join(f"{name} {_as_written(value)}" for name, value in picked.items())


def _as_written(value: Scalar) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
