"""The batch size that the memory holds, found before a study begins: one for all its trainings."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from unetsearch.data.dataset import SegmentationData
from unetsearch.errors import UnetsearchError
from unetsearch.graph.references import baseline_architecture
from unetsearch.graph.sizes import context
from unetsearch.network.measure import peak_bytes
from unetsearch.network.network import build_network
from unetsearch.search.candidate import Candidate
from unetsearch.search.folder import StudyFolder
from unetsearch.search.opening import read_space
from unetsearch.search.proposals import random_points
from unetsearch.space.recipe import TO_BE_FOUND, Recipe
from unetsearch.space.space import SearchSpace
from unetsearch.training.augment import Batch
from unetsearch.training.device import free_memory
from unetsearch.training.step import Step

SHARE = 0.6
"""Of a slot's free memory that a step of the greatest network may take: images and evaluations need some too."""

MEASURED = 512
"""Pixels a side of the largest crop that is measured: a larger one takes as much more as it has pixels."""

STATE_BYTES = 20
"""A parameter, its gradient, its average, and two moments, 4 bytes each, stay between steps."""


def settle_batch_size(
    space: SearchSpace,
    data: SegmentationData,
    devices: Sequence[torch.device],
    folder: StudyFolder,
    storage: str | None = None,
) -> SearchSpace:
    """The space with its batch size found, where it is asked for; a study that was begun keeps its own.

    Raises UnetsearchError where not even one crop fits, and for a study that machines share.
    """
    if space.recipe.batch_size != TO_BE_FOUND:
        return space
    if storage is not None:
        raise UnetsearchError(
            "training.batch_size: auto is what one machine's memory holds, but this study is shared (--storage): "
            "give a number that all of its machines can hold"
        )
    if folder.exists:
        found = read_space(folder.settings).recipe.batch_size
    else:
        fits = min(_fitting(space, device, devices.count(device)) for device in set(devices))
        found = min(fits, _crops(data, space.recipe.crop))
    return replace(space, recipe=replace(space.recipe, batch_size=found))


def _fitting(space: SearchSpace, device: torch.device, sharing: int) -> int:
    """The greatest power of two, at least 1, that fits beside the other slots of a device."""
    candidates = list(_candidates(space))
    greatest = max(candidates, key=lambda candidate: candidate.cost.activation_bytes)
    most = max(candidate.cost.params for candidate in candidates)
    limit = SHARE * free_memory(device) / sharing - STATE_BYTES * most
    wanted = greatest.recipe.crop
    small = replace(greatest, recipe=replace(greatest.recipe, crop=min(wanted, MEASURED)))
    two, four = (step_bytes(small, device, count) for count in (2, 4))
    if device.type == "cuda":
        gc.collect()  # a process's first optimizer holds itself
        torch.cuda.empty_cache()  # the trainers are other processes
    crop = max((four - two) / 2, 1.0)
    count = (limit - (two - 2 * crop)) / crop * (small.recipe.crop / wanted) ** 2
    if count < 1:
        words = f"a step of one {wanted} px crop of the greatest network does not fit into the memory"
        raise UnetsearchError(f"training.batch_size: {words}: limit the parameters, or take a smaller crop")
    return 1 << int(count).bit_length() - 1


def step_bytes(candidate: Candidate, device: torch.device, batch_size: int) -> int:
    """The most bytes at any moment of a training step, beside weights and the optimizer's state."""
    recipe: Recipe = replace(candidate.recipe, batch_size=batch_size)
    graph = candidate.graph
    side = context(graph, recipe.crop).margin * 2 + recipe.crop
    batch = Batch(
        torch.zeros(batch_size, graph.in_channels, side, side, device=device),
        torch.zeros(batch_size, recipe.crop, recipe.crop, dtype=torch.uint8, device=device),
        torch.zeros(batch_size, recipe.crop, recipe.crop, device=device) if recipe.weight_map else None,
    )
    step = Step(build_network(graph).to(device), recipe, device)
    return peak_bytes(lambda: step(batch, 0.0), device)


def _candidates(space: SearchSpace) -> Iterator[Candidate]:
    """Baselines, and points of the space within its limits."""
    yield from (Candidate.of(baseline_architecture(space, baseline), space.recipe) for baseline in space.baselines)
    inside = (Candidate.at(point) for point in random_points(space))
    yield from (candidate for candidate in inside if candidate.within(space.limits))


def _crops(data: SegmentationData, crop: int) -> int:
    """The greatest power of two of crops that the training images hold side by side: no step looks at them twice."""
    pixels = sum(data.masks[index].size for index in data.split.train)
    return 1 << max(1, pixels // crop**2).bit_length() - 1
