"""Dice and IoU of label maps: per image and class, background left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unetsearch.data.dataset import IGNORE


@dataclass(frozen=True, slots=True)
class Overlap:
    """Dice and IoU by foreground class, and F1 of objects where it was asked for, means over images.

    `by_image`: the same of each image, means over classes, by `dice`, `iou` and `object_f1`.
    """

    dice: tuple[float, ...]
    iou: tuple[float, ...]
    object_f1: float | None = None
    by_image: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def image_scores(prediction: Tensor, truth: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Dice and IoU of one image for the classes 1..classes-1, each a float tensor (classes-1,).

    `prediction`, `truth`: (H, W) class indices below `classes`; pixels whose truth is IGNORE are left out. A class that
    is absent from both has 1, one that is absent from one of them only has 0.
    """
    # how often each class was found where each is the truth: one pass over the pixels
    pairs = torch.bincount((truth.long() * classes + prediction).flatten(), minlength=(IGNORE + 1) * classes)
    counts = pairs[: classes * classes].view(classes, classes)
    found, present, both = (each[1:] for each in (counts.sum(0), counts.sum(1), counts.diagonal()))
    union = found + present - both
    absent = union == 0
    dice = torch.where(absent, 1.0, 2 * both / (found + present).clamp(min=1))
    iou = torch.where(absent, 1.0, both / union.clamp(min=1))
    return dice, iou


def mean_overlap(scores: Sequence[tuple[Tensor, Tensor]], objects: Sequence[float] = ()) -> Overlap:
    """The means over images of what `image_scores` gave, by class, and of the F1 of objects, where there are any."""
    dice = torch.stack([dice for dice, _ in scores]).double()
    iou = torch.stack([iou for _, iou in scores]).double()
    by_image = {"dice": tuple(dice.mean(1).tolist()), "iou": tuple(iou.mean(1).tolist())}
    return Overlap(
        tuple(dice.mean(0).tolist()),
        tuple(iou.mean(0).tolist()),
        sum(objects) / len(objects) if objects else None,
        by_image | ({"object_f1": tuple(objects)} if objects else {}),
    )
