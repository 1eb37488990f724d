"""The training of one candidate, from top to bottom."""

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unetsearch.graph.sizes import context
from unetsearch.network.network import Network
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import DeviceData, batches
from unetsearch.training.context import outputs_of
from unetsearch.training.device import autocast, memory_format
from unetsearch.training.inference import evaluate
from unetsearch.training.losses import outputs_loss
from unetsearch.training.score import Score

GRADIENT_NORM = 12.0
"""Gradients longer than this are shortened: a rare wild batch shall not decide a training."""


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


def train(network: Network, data: DeviceData, recipe: Recipe, seed: int) -> Iterator[Score]:
    """Trains on random crops and yields a score after each of `recipe.evaluations` equal parts of the steps.

    The network must be on the data's device. The scores are those of an exponential moving average of the weights;
    after the last one the network has them. Raises DivergedError when the loss is not finite.
    """
    started = perf_counter()
    device = data.train[0].image.device
    network.to(memory_format=memory_format(device))
    average = get_ema_multi_avg_fn(recipe.averaging)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    scored = cast(Network, averaged.module)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, recipe))
    evaluations = {round(recipe.steps * part / recipe.evaluations) for part in range(1, recipe.evaluations + 1)}
    loss_sum, since = torch.zeros((), device=device), 0

    frame = context(network.graph, recipe.crop)
    crops = batches(data.train, recipe, seed, frame.margin)

    for step, (images, masks) in enumerate(islice(crops, recipe.steps), start=1):
        network.train()
        with autocast(device):
            outputs = outputs_of(network, images.contiguous(memory_format=memory_format(device)), frame)
        loss = outputs_loss(recipe.loss, outputs, masks)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        loss_sum, since = loss_sum + loss.detach(), since + 1  # a sum on the device: reading it would wait
        if step in evaluations:
            mean_loss = loss_sum.item() / since
            if not isfinite(mean_loss) or not _finite(scored):
                what = "the weights were not finite" if isfinite(mean_loss) else f"the loss was {mean_loss}"
                advice = f"(learning rate {recipe.learning_rate:g}): try a lower one"
                raise DivergedError(f"{what} by step {step} {advice}")
            overlap = evaluate(scored, data.validation, data.classes)
            if step == recipe.steps:
                network.load_state_dict(scored.state_dict())
            yield Score(
                step=step,
                loss=mean_loss,
                dice=sum(overlap.dice) / len(overlap.dice),
                iou=sum(overlap.iou) / len(overlap.iou),
                dice_by_class=overlap.dice,
                iou_by_class=overlap.iou,
                seconds=perf_counter() - started,
            )
            loss_sum, since = torch.zeros((), device=device), 0


def _finite(module: nn.Module) -> bool:
    return bool(torch.stack([parameter.isfinite().all() for parameter in module.parameters()]).all())


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """The share of the learning rate at a step (from 0): a linear rise, flat, a linear fall to 0 at the last."""
    progress = (step + 1) / recipe.steps
    rise = progress / recipe.warmup if recipe.warmup else 1.0
    fall = (1 - step / recipe.steps) / recipe.decay if recipe.decay else 1.0
    return min(1.0, rise, fall)
