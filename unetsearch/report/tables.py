"""The rows of `trials.csv`, `front.csv`, `confirmed.csv` and `factors.csv`."""

from collections.abc import Mapping, Sequence
from typing import Any

from unetsearch.report.confirmation import Confirmation
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.space.backbone import Backbone
from unetsearch.space.settings import Objective


def trial_rows(records: Sequence[TrialRecord], classes: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One row a trial or baseline, in their order. With several foreground classes, a Dice column for each.

    `dice` and `iou` are final scores. A training that was pruned or failed has none: `last_dice` is its Dice after
    `steps_done` of its `steps`.
    """
    return [_row(record, classes) for record in records]


def front_rows(
    records: Sequence[TrialRecord], objectives: Sequence[Objective], classes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rows of the networks that no other beats in every objective, by rising parameters; none twice."""
    return [_row(record, classes) for record in front_of(records, objectives)]


def confirmed_rows(confirmed: Confirmation) -> list[dict[str, Any]]:
    """One row a tested network, the best first: its score on the test images, `low` and `high` the 95 % interval.

    `search`: its score in the search. `latency`: seconds of one 256x256 image. Nested, what the searches chose stands
    as one, with the network that the whole search chose.
    """
    score = confirmed.score
    return [
        {
            "trial": each.name.removeprefix("#"),
            score: round(each.mean.estimate, 6),
            "low": None if each.mean.low is None else round(each.mean.low, 6),
            "high": None if each.mean.high is None else round(each.mean.high, 6),
            "trainings": each.trainings,
            "search": round(each.record.final.of(score), 6),
            "params": each.record.params,
            "macs": each.record.macs,
            "latency": confirmed.latency.get(each.record.hash),
            "depth": each.record.architecture.depth,
            "skip": each.record.architecture.skip.rule,
            "encoder": each.record.architecture.encoder_name,
            "hash": each.record.hash,
        }
        for each in sorted(confirmed.tested, key=lambda each: -each.mean.estimate)
    ]


def factor_rows(confirmed: Confirmation) -> list[dict[str, Any]]:
    """One row a label of depth, skips and encoder: its score on the test images, and what it loses against the best.

    `at_least`, `at_most`: the bounds of that loss. `trial`: the network that stands for it, with its costs;
    nested, what the whole search chose, while the score is of what it chose without each fold.
    """
    return [
        {
            "factor": factor.name,
            "label": each.label,
            confirmed.score: round(each.mean, 6),
            "loss": round(each.loss, 6),
            "at_least": None if each.lower is None else round(each.lower, 6),
            "at_most": None if each.upper is None else round(each.upper, 6),
            "trial": each.record.name.removeprefix("#"),
            "params": each.record.params,
            "macs": each.record.macs,
            "latency": confirmed.latency.get(each.record.hash),
            "hash": each.record.hash,
        }
        for factor in confirmed.factors
        for each in factor.standings
    ]


def _row(record: TrialRecord, classes: Sequence[str]) -> dict[str, Any]:
    architecture = record.architecture.to_dict() | {"encoder": record.architecture.encoder_name}
    del architecture["in_channels"], architecture["out_channels"]  # the same in every row
    skip = architecture.pop("skip")
    channels, decoder_channels = (_dashed(architecture.pop(name)) for name in ("channels", "decoder_channels"))
    row: dict[str, Any] = {
        "trial": record.name.removeprefix("#"),
        "state": record.state,
        "dice": round(record.final.dice, 6) if record.scored else None,
        "iou": round(record.final.iou, 6) if record.scored else None,
        "object_f1": record.final.object_f1 if record.scored else None,
        "params": record.params,
        "macs": record.macs,
        "activation_bytes": record.activation_bytes,
        "depth": record.architecture.depth,
        "channels": channels,
        "skip": skip["rule"],
        "skip_channels": skip["channels"],
        "skip_sources": _edges(skip.get("sources")),
        **architecture,
        "pretrained": isinstance(record.architecture.encoder, Backbone) and record.architecture.encoder.pretrained,
        "decoder_channels": decoder_channels,
        **record.recipe.to_dict(),
        "steps_done": record.steps,
        "last_dice": round(record.final.dice, 6) if record.curve else None,
        "latency": record.latency,
        "memory": record.memory,
        "slot": record.slot,
        "parts": record.parts,
        "seconds": round(record.seconds, 2),
        "hash": record.hash,
        "repeat_of": record.repeat_of,
        "reason": record.reason,
    }
    if len(classes) > 2 and record.scored:
        scores = zip(classes[1:], record.final.dice_by_class, strict=True)
        row |= {f"dice_{name}": round(dice, 6) for name, dice in scores}
    return row


def _dashed(channels: Sequence[int] | None) -> str | None:
    return None if channels is None else "-".join(map(str, channels))


def _edges(sources: Mapping[str, Sequence[str]] | None) -> str | None:
    """`X[0,1]: X[0,0] X[1,0]; ...` of free skips."""
    return None if sources is None else "; ".join(f"{node}: {' '.join(read)}" for node, read in sources.items())
