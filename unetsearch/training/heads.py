"""The loss of all that a network says in training: of every head, and of which classes there are."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from unetsearch.data.dataset import IGNORE
from unetsearch.network.network import Outputs
from unetsearch.space.recipe import Recipe
from unetsearch.training.losses import LOSSES, Truth


def outputs_loss(recipe: Recipe, outputs: Outputs, truth: Truth) -> Tensor:
    """The loss of the heads, and with classification guidance that of the presence of classes beside it."""
    heads = heads_loss(recipe, outputs.heads, truth)
    return heads if outputs.presence is None else heads + presence_loss(outputs.presence, truth.labels)


def heads_loss(recipe: Recipe, heads: Sequence[Tensor], truth: Truth) -> Tensor:
    """The weighted mean or sum of the heads' losses in float32; their logits are (B, K, H, W), the final ones last."""
    weights = head_weights(recipe, len(heads))
    total = torch.stack(
        [weight * LOSSES[recipe.loss](logits.float(), truth) for weight, logits in zip(weights, heads, strict=True)]
    ).sum()
    return total / sum(weights) if recipe.heads == "mean" else total


def head_weights(recipe: Recipe, count: int) -> list[float]:
    """The weights of so many heads, the final one last; the recipe tells them from the final one on."""
    given = recipe.weights_of_heads
    return [given[min(place, len(given) - 1)] for place in reversed(range(count))]


def presence_loss(presence: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each class being in the crop, nats: presence logits (B, K), labels (B, H, W).

    K = 1: of class 1, else of every class. A crop without a labelled pixel counts nowhere; in others, unlabelled pixels
    are none of the class. The classification-guided module of U-Net 3+ learns by it.
    """
    count = presence.shape[1]
    classes = range(1, 2) if count == 1 else range(count)
    truth = torch.stack([(labels == index).flatten(1).any(1) for index in classes], 1)
    labelled = (labels != IGNORE).flatten(1).any(1).float()[:, None]
    each = functional.binary_cross_entropy_with_logits(presence.float(), truth.float(), reduction="none")
    return (each * labelled).sum() / (labelled.sum() * count).clamp(min=1)
