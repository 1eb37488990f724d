"""A point of the space with everything known of it before training: graph, hash, cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from optuna.trial import Trial

from unetsearch.graph.build import build_graph
from unetsearch.graph.graph import Graph
from unetsearch.graph.sizes import context
from unetsearch.network.cost import COST_IMAGE_SIZE, Cost, cost
from unetsearch.search.records import TrialRecord
from unetsearch.space.architecture import Architecture
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import LimitSettings
from unetsearch.space.space import Point
from unetsearch.space.values import Scalar


@dataclass(frozen=True)
class Candidate:
    """An architecture with its training. `hash`: equal for equal graphs trained alike, whatever led to them."""

    architecture: Architecture
    recipe: Recipe
    graph: Graph
    hash: str

    @cached_property
    def cost(self) -> Cost:
        """Of logits for a whole 256x256 image; counted when it is asked for, without memory."""
        height, width = (context(self.graph, side).size for side in COST_IMAGE_SIZE)
        return cost(self.graph, (height, width))

    @classmethod
    def at(cls, point: Point) -> "Candidate":
        """The candidate of a point of the space."""
        return cls.of(point.architecture, point.recipe)

    @classmethod
    def of(cls, architecture: Architecture, recipe: Recipe) -> "Candidate":
        """Builds the graph and hashes it; nothing is trained and no memory is taken."""
        graph = build_graph(architecture)
        training = json.dumps(recipe.identity(len(graph.heads), graph.out_channels), sort_keys=True)
        digest = sha256(f"{graph.hash} {training}".encode()).hexdigest()[:16]
        return cls(architecture, recipe, graph, digest)

    def record(
        self,
        number: int,
        *,
        baseline: str | None = None,
        values: Mapping[str, Scalar] | None = None,
        finished: float = 0,
    ) -> TrialRecord:
        """What is known of its trial before training, as the record of one that is complete."""
        return TrialRecord(
            number=number,
            baseline=baseline,
            state="complete",
            values=dict(values or {}),
            architecture=self.architecture,
            recipe=self.recipe,
            hash=self.hash,
            params=self.cost.params,
            macs=self.cost.macs,
            activation_bytes=self.cost.activation_bytes,
            curve=(),
            seconds=0.0,
            finished=finished,
        )

    def excess(self, limits: LimitSettings) -> dict[str, float]:
        """By limit, how far the cost is over it as a share of it (at most 0 where it is kept)."""
        bounds = {"params": limits.params, "macs": limits.macs}
        return {name: getattr(self.cost, name) / bound - 1 for name, bound in bounds.items() if bound is not None}

    def within(self, limits: LimitSettings) -> bool:
        """Whether the cost keeps every limit."""
        return all(share <= 0 for share in self.excess(limits).values())


@dataclass(frozen=True, slots=True)
class Task:
    """A candidate that is to be trained, and the trial that asked for it.

    `record`: what is known of it before. `excess`: as in Outcome.
    """

    trial: Trial
    candidate: Candidate
    record: TrialRecord
    excess: Mapping[str, float]
