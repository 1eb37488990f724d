"""What is known of each trial of a study, as plain data. Everything a report shows is read from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from unetsearch.space.architecture import Architecture
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import MAXIMISED, Objective
from unetsearch.space.values import Scalar
from unetsearch.statistics.front import non_dominated
from unetsearch.training.score import Score

State = Literal["complete", "pruned", "infeasible", "failed", "repeat"]

TIME_SPENT = "the time was spent"


class Stretch(NamedTuple):
    """A time in which a slot trained: seconds since the epoch."""

    slot: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial, or one baseline (then `baseline` is its name and `number` its place among the baselines).

    `state`: `complete` (trained), `pruned` (its training was ended early, as one that promises no place on the front;
    TIME_SPENT is the `reason` where it would have gone on), `infeasible` (over a limit, never trained; or out of
    memory), `failed` (`reason` says why), `repeat` (the same network and training as `repeat_of`, which is `#12` or a
    baseline's name, whose curve it has; never trained again). `values`: what was picked, by dotted name. `macs` count
    one 256x256 image, `activation_bytes` likewise. `curve`: every evaluation, the last one final; empty where nothing
    was trained. `seconds`: wall time of the training, without pauses. `finished`: seconds since the epoch. `slot`:
    where it was trained (last), as `machine/number`. `stretches`: when it was trained, where it paused. `parts`: in so
    many parts a batch was trained, for lack of memory. `latency`: seconds of one 256x256 image; `memory`: bytes at most
    in use for it, weights included; None where they are no objectives.
    """

    number: int
    baseline: str | None
    state: State
    values: dict[str, Scalar]
    architecture: Architecture
    recipe: Recipe
    hash: str
    params: int
    macs: int
    activation_bytes: int
    curve: tuple[Score, ...]
    seconds: float
    finished: float
    reason: str | None = None
    repeat_of: str | None = None
    slot: str = ""
    stretches: tuple[Stretch, ...] = ()
    parts: int = 1
    latency: float | None = None
    memory: int | None = None

    @property
    def name(self) -> str:
        """`#12`, or the baseline's name."""
        return self.baseline or f"#{self.number}"

    @property
    def scored(self) -> bool:
        """Whether it has a final score (its own, or that of the trial it repeats, if that was not pruned)."""
        return self.state in ("complete", "repeat") and self.steps == self.recipe.steps

    @property
    def distinct(self) -> bool:
        """Whether it has a score of its own: each network that was trained to the end is so once."""
        return self.state == "complete" and bool(self.curve)

    @property
    def trained(self) -> bool:
        """Whether it cost a training, and so counts against the totals (one that ran out of memory does too)."""
        return self.state in ("complete", "pruned", "failed") or self.seconds > 0

    @property
    def steps(self) -> int:
        """Optimizer steps up to the last evaluation."""
        return self.curve[-1].step if self.curve else 0

    @property
    def final(self) -> Score:
        """The last evaluation. Raises IndexError where nothing was trained."""
        return self.curve[-1]

    @property
    def trained_at(self) -> tuple[Stretch, ...]:
        """When it was trained, and by which slot."""
        if self.stretches or not self.seconds:
            return self.stretches
        return (Stretch(self.slot, self.finished - self.seconds, self.finished),)

    def objective(self, name: Objective) -> float:
        """The value of an objective, smaller is better but for the scores. An infeasible trial has scores of 0, and
        where latency or memory were not measured 0 too: its constraint is all that a sampler looks at.
        """
        if name in ("params", "macs", "latency", "memory"):
            return float(getattr(self, name) or 0)
        return self.final.of(name) if self.scored else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON in the study's storage."""
        document = {name: getattr(self, name) for name in self.__slots__}
        return {
            **document,
            "architecture": self.architecture.to_dict(),
            "recipe": self.recipe.to_dict(),
            "curve": [score.to_dict() for score in self.curve],
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "TrialRecord":
        """The record that `to_dict` wrote."""
        return cls(
            **{
                **document,
                "architecture": Architecture.from_dict(document["architecture"]),
                "recipe": Recipe(**document["recipe"]),
                "curve": tuple(Score.from_dict(score) for score in document["curve"]),
                "stretches": tuple(Stretch(*stretch) for stretch in document.get("stretches", ())),
            }
        )


def front_of(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """The trained records that no other one beats in every objective, by rising parameters. Repeats are left out."""
    scored = [record for record in records if record.distinct]
    losses = np.array(
        [
            [-record.objective(name) if name in MAXIMISED else record.objective(name) for name in objectives]
            for record in scored
        ]
    ).reshape(len(scored), len(objectives))
    kept = [record for record, keep in zip(scored, non_dominated(losses), strict=True) if keep]
    return sorted(kept, key=lambda record: (record.params, record.number))


def in_words(architecture: Architecture) -> str:
    """`depth 3, dense skips, residual encoder, 8-16-32-64`."""
    skips = f"{architecture.skip.rule.replace('_', '-')} skips"
    channels = "-".join(map(str, architecture.channels))
    return f"depth {architecture.depth}, {skips}, {architecture.encoder_name} encoder, {channels}"
