"""Label maps and scores of whole images."""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from unetsearch.network.network import Network
from unetsearch.training.batches import Pair
from unetsearch.training.context import logits_of
from unetsearch.training.device import autocast, memory_format
from unetsearch.training.metrics import Overlap, image_scores, mean_overlap

PIXELS_A_BATCH = 2**18
"""Images of one size are predicted together up to so many pixels: four of 256x256."""


def labels(logits: Tensor) -> Tensor:
    """Class indices, uint8 (B, H, W), of logits (B, K, H, W): above 0 for K=1, else the greatest."""
    return ((logits[:, 0] > 0) if logits.shape[1] == 1 else logits.argmax(1)).to(torch.uint8)


def predict(network: Network, images: Sequence[Tensor]) -> list[Tensor]:
    """The label map (H, W) of each normalised image (C, H, W), any sizes, in their order, on the processor.

    Sets evaluation mode.
    """
    network.eval()
    predictions: list[Tensor] = []
    with torch.inference_mode():
        for _, alike in groupby(images, key=lambda image: image.shape):
            group = list(alike)
            count = max(1, PIXELS_A_BATCH // group[0][0].numel())
            for start in range(0, len(group), count):
                batch = torch.stack(group[start : start + count])
                batch = batch.contiguous(memory_format=memory_format(batch.device))
                with autocast(batch.device):
                    predictions += labels(logits_of(network, batch)).cpu()
    return predictions


def evaluate(network: Network, pairs: Sequence[Pair], classes: int) -> Overlap:
    """Dice and IoU on whole images, by class; masks are on the processor. Sets evaluation mode."""
    predictions = predict(network, [pair.image for pair in pairs])
    return mean_overlap(
        [image_scores(prediction, pair.mask, classes) for prediction, pair in zip(predictions, pairs, strict=True)]
    )
