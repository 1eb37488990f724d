"""What a training minimises. Pixels whose target is IGNORE count nowhere."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from unetsearch.data.dataset import IGNORE
from unetsearch.network.network import Outputs
from unetsearch.space.recipe import Loss

SMOOTH = 1.0
"""Added to both sides of the Dice ratio, in pixels: a crop without the class asks for no prediction of it."""


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy over the labelled pixels, nats. Logits (B, K, H, W) with K=1: sigmoid, else softmax.

    `target`: (B, H, W) class indices or IGNORE. Without a labelled pixel it is 0.
    """
    valid = target != IGNORE
    if logits.shape[1] == 1:
        truth = (target == 1).to(logits.dtype)
        pixels = functional.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none")
    else:
        pixels = functional.cross_entropy(logits, target.long(), ignore_index=IGNORE, reduction="none")
    return (pixels * valid).sum() / valid.sum().clamp(min=1)


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice (Milletari et al., arXiv 1606.04797, with plain sums), mean over the foreground classes.

    The sums run over the whole batch. Shapes as in `cross_entropy`; the background has no term.
    """
    valid = (target != IGNORE).unsqueeze(1)
    if logits.shape[1] == 1:
        probability, classes = logits.sigmoid(), range(1, 2)
    else:
        probability, classes = logits.softmax(1)[:, 1:], range(1, logits.shape[1])
    truth = torch.stack([target == index for index in classes], 1).to(logits.dtype)
    probability = probability * valid
    overlap = (probability * truth).sum((0, 2, 3))
    total = probability.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    return 1 - ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()


def dice_ce(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice, unweighted. Shapes as in `cross_entropy`."""
    return cross_entropy(logits, target) + soft_dice(logits, target)


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "dice_ce": dice_ce,
    "cross_entropy": cross_entropy,
    "dice": soft_dice,
}


def heads_loss(loss: Loss, heads: Sequence[Tensor], target: Tensor) -> Tensor:
    """The mean of the loss over the heads' logits, each (B, K, H, W), computed in float32."""
    return torch.stack([LOSSES[loss](logits.float(), target) for logits in heads]).mean()


def presence_loss(presence: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of each class being in the crop, nats: presence logits (B, K), target (B, H, W).

    K = 1: of class 1, else of every class. A crop without a labelled pixel counts nowhere; in others, unlabelled pixels
    are none of the class. The classification-guided module of U-Net 3+ learns by it.
    """
    count = presence.shape[1]
    classes = range(1, 2) if count == 1 else range(count)
    truth = torch.stack([(target == index).flatten(1).any(1) for index in classes], 1)
    labelled = (target != IGNORE).flatten(1).any(1).float()[:, None]
    each = functional.binary_cross_entropy_with_logits(presence.float(), truth.float(), reduction="none")
    return (each * labelled).sum() / (labelled.sum() * count).clamp(min=1)


def outputs_loss(loss: Loss, outputs: Outputs, target: Tensor) -> Tensor:
    """The loss of the heads, and with classification guidance that of the presence of classes beside it."""
    heads = heads_loss(loss, outputs.heads, target)
    return heads if outputs.presence is None else heads + presence_loss(outputs.presence, target)
