"""The training of one candidate, from top to bottom."""

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from unetsearch.graph.sizes import context
from unetsearch.network.network import Network
from unetsearch.space.recipe import MEDIAN_FREQUENCY, Recipe
from unetsearch.training.average import Average
from unetsearch.training.batches import batches, beside
from unetsearch.training.checkpoint import Pulse, State, random_state, set_random_state
from unetsearch.training.device import memory_format
from unetsearch.training.device_data import DeviceData
from unetsearch.training.inference import evaluate
from unetsearch.training.metrics import Overlap
from unetsearch.training.recording import recorder
from unetsearch.training.score import Score
from unetsearch.training.step import Step


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


def train(
    network: Network,
    data: DeviceData,
    recipe: Recipe,
    seed: int,
    *,
    parts: int = 1,
    by_image: bool = False,
    state: State | None = None,
    pulse: Pulse | None = None,
) -> Iterator[Score]:
    """Trains on random crops and yields a score after each of `recipe.evaluations` equal parts of the steps.

    The network must be on the data's device. The scores are those of a moving average of the weights;
    after the last one the network has them. Raises DivergedError when the loss is not finite.

    `parts`: a batch goes through the network in so many parts, whose gradients are summed up: less memory, but norms
    and losses see one part at a time, and each part counts by its crops, however many of its pixels have a label.
    Raises ValueError where a batch has fewer crops.
    `by_image`: scores hold what each image scored.
    `pulse(step, snapshot)`: called after each step, and after its score if it has one; what it raises ends the
    training. `snapshot()`: the state there, whose tensors are the training's own: write or copy them before the next
    step. `state`: such a state to go on from; its scores are yielded again first, and what follows is on the
    processor the very same as without the interruption.
    """
    if not 1 <= parts <= recipe.batch_size:
        raise ValueError(f"a batch of {recipe.batch_size} crops cannot be trained in {parts} parts")
    started = perf_counter()
    device = data.device
    network.to(memory_format=memory_format(device))
    average = Average(network, recipe)
    scored = average.network
    take = Step(network, recipe, device, parts=parts, classes=class_weights(recipe, data), record=recorder(device))
    evaluations = {round(recipe.steps * part / recipe.evaluations) for part in range(1, recipe.evaluations + 1)}
    done, since = 0, 0
    scores: list[Score] = []

    stateful: dict[str, Any] = {"network": network, "averaged": scored, "optimizer": take}
    if state is not None:
        for name, part in stateful.items():
            part.load_state_dict(state[name])
        done, since = state["step"], state["since"]
        take.loss_sum.copy_(state["loss_sum"])
        scores = [Score.from_dict(score) for score in state["scores"]]
        yield from scores
        started = perf_counter() - state["seconds"]
        set_random_state(device, state["random"])

    def snapshot() -> State:
        return {name: part.state_dict() for name, part in stateful.items()} | {
            "step": step,
            "loss_sum": take.loss_sum,
            "since": since,
            "scores": [score.to_dict() for score in scores],
            "seconds": perf_counter() - started,
            "random": random_state(device),
        }

    source = data.separated if recipe.weight_map else data.train
    margin = context(network.graph, recipe.crop).margin
    crops = batches(source, recipe, seed, margin, done, recorder(device))
    if device.type == "cuda":
        crops = beside(crops, device)
    for step, batch in enumerate(islice(crops, recipe.steps - done), start=done + 1):
        take(batch, recipe.learning_rate * learning_rate_factor(step - 1, recipe))
        average.update(step)
        since += 1
        if step in evaluations:
            mean_loss = take.loss_sum.item() / since
            if not isfinite(mean_loss) or not _finite(scored):
                what = "the weights were not finite" if isfinite(mean_loss) else f"the loss was {mean_loss}"
                advice = f"(learning rate {recipe.learning_rate:g}): try a lower one"
                raise DivergedError(f"{what} by step {step} {advice}")
            overlap = evaluate(scored, data.validation, data.classes)
            if step == recipe.steps:
                network.load_state_dict(scored.state_dict())
                network.zero_grad()  # gradients would keep the memory of a recorded step
            scores.append(_score(step, mean_loss, overlap, perf_counter() - started, by_image=by_image))
            yield scores[-1]
            take.loss_sum.zero_()
            since = 0
        if pulse is not None:
            pulse(step, snapshot)


def class_weights(recipe: Recipe, data: DeviceData) -> Tensor | None:
    """What each class counts in the loss (C,), background first; None where all count the same."""
    weights = data.frequency if recipe.class_weights == MEDIAN_FREQUENCY else recipe.weights_of_classes
    return None if weights is None else torch.tensor(weights, device=data.device)


def _score(step: int, loss: float, overlap: Overlap, seconds: float, *, by_image: bool) -> Score:
    return Score(
        step=step,
        loss=loss,
        dice=sum(overlap.dice) / len(overlap.dice),
        iou=sum(overlap.iou) / len(overlap.iou),
        dice_by_class=overlap.dice,
        iou_by_class=overlap.iou,
        object_f1=overlap.object_f1,
        seconds=seconds,
        by_image=overlap.by_image if by_image else {},
    )


def _finite(module: nn.Module) -> bool:
    return bool(nn.utils.get_total_norm(module.parameters(), torch.inf).isfinite())


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """The share of the learning rate at a step (from 0): a linear rise, flat, a linear fall to 0 after the last."""
    progress = (step + 1) / recipe.steps
    rise = progress / recipe.warmup if recipe.warmup else 1.0
    fall = (1 - step / recipe.steps) / recipe.decay if recipe.decay else 1.0
    return min(1.0, rise, fall)
