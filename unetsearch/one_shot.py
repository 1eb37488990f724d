"""One training, every depth: a deeply supervised U-Net++ holds a network of each depth, and each has a score.

The decoder columns X[0,1], ..., X[0,depth] of U-Net++ each end a whole U-Net++ of that depth (Zhou et al. 2020, figure
1g), so that one training tells something of all depths. It is an estimate: the networks share one encoder, which was
trained for all of them. `benchmarks/one_shot_depth.py` measures what it is worth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from unetsearch.data.checks import check_depth
from unetsearch.data.dataset import SegmentationData
from unetsearch.errors import SpaceError
from unetsearch.graph.build import build_graph, prune
from unetsearch.graph.references import baseline_architecture
from unetsearch.network.cost import COST_IMAGE_SIZE, cost
from unetsearch.network.network import build_network, carry_weights
from unetsearch.search.fit import check_class_weights, check_weight_map
from unetsearch.search.opening import load_for
from unetsearch.space.recipe import AUTO, TO_BE_FOUND, Recipe
from unetsearch.space.settings import Baseline
from unetsearch.space.space import SearchSpace
from unetsearch.training.device import find_device, free_memory
from unetsearch.training.device_data import SHARE, on_device
from unetsearch.training.inference import evaluate
from unetsearch.training.score import Score
from unetsearch.training.train import train


@dataclass(frozen=True, slots=True)
class NestedDepth:
    """The network of one depth within the one that was trained. `dice`: on the validation images."""

    depth: int
    dice: float
    params: int
    macs: int


def depth_profile(
    space: SearchSpace,
    *,
    data: Any = None,
    device: str = "auto",
    scored: Callable[[Score], None] = lambda _: None,
) -> tuple[NestedDepth, ...]:
    """The profile of a space's data: the Dice of each depth up to the space's greatest, by one training.

    It has the space's smallest width and its recipe; `data` and `device` are as in `unetsearch.run`. Raises
    UnetsearchError where the input is wrong, DivergedError where the loss is no longer a number.
    """
    if space.recipe.batch_size == TO_BE_FOUND:
        raise SpaceError([f"training.batch_size: {AUTO} is for searches; give a number"])
    where = find_device(device)
    loaded, space = load_for(space, data)
    space = space.for_data(loaded.in_channels, loaded.out_channels)
    check_depth(loaded, {f"depth {space.max_depth}": space.max_depth}, space.recipe.crop)
    check_class_weights(space, loaded)
    check_weight_map([space.recipe.loss] if space.recipe.weight_map else [], loaded)
    return nested_depths(space, loaded, space.recipe, where, space.search.seed, scored)


def nested_depths(
    space: SearchSpace,
    data: SegmentationData,
    recipe: Recipe,
    device: torch.device,
    seed: int,
    scored: Callable[[Score], None] = lambda _: None,
) -> tuple[NestedDepth, ...]:
    """The same of data that are loaded, by a recipe and a seed of one's own."""
    values = {"depth": space.max_depth, "deep_supervision": True}
    graph = build_graph(baseline_architecture(space, Baseline(name="unet++", values=values)))
    torch.manual_seed(seed)
    network = build_network(graph).to(device)
    there = on_device(data, device, limit=SHARE * free_memory(device))
    for score in train(network, there, recipe, seed):
        scored(score)
    found = []
    for depth in range(1, space.max_depth + 1):
        nested = prune(graph, depth)
        small = build_network(nested).to(device)
        carry_weights(network, small)
        overlap, counted = evaluate(small, there.validation, there.classes), cost(nested, COST_IMAGE_SIZE)
        found.append(NestedDepth(depth, sum(overlap.dice) / len(overlap.dice), counted.params, counted.macs))
    return tuple(found)
