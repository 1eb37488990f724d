"""Label maps and scores of images of any size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, prod

import torch
from torch import Tensor

from unetsearch.data.dataset import IGNORE
from unetsearch.data.objects import connected, object_f1
from unetsearch.network.cost import COST_IMAGE_SIZE, cost
from unetsearch.network.guidance import mean_of
from unetsearch.network.network import Network
from unetsearch.training.context import logits_of, mirror_indices
from unetsearch.training.device import all_memory, autocast, free_memory, memory_format
from unetsearch.training.device_data import Pair
from unetsearch.training.metrics import Overlap, image_scores, mean_overlap

PIXELS_A_BATCH, PIXELS_ON_GPU = 2**18, 2**20
"""Images of one size are predicted together up to so many pixels: four of 256x256; on a GPU, which is not to wait for
Python, sixteen, if they fit into the memory together.
"""

PIXELS_AT_ONCE = 2**22
"""Images of so many pixels are scored before the next ones are looked at, which may have to be read from the disk."""

SHARE, SHARE_OF_FREE = 0.25, 0.5
"""Of all memory, and at most of what is free, that the features of one image may take: what is free at a moment shall
not decide how an image is scored, but where there is hardly any.
"""

SMALLEST_TILE = 256
"""Pixels a side: a network sees what it was made to see, however little memory there is."""

OVERLAP = 0.5
"""Share of a tile that it has in common with the next one; their probabilities are blended by a Gaussian."""


@dataclass(frozen=True, slots=True)
class Inference:
    """How images are predicted.

    `ensemble`: the mean of all heads' probabilities. `turns`: the mean over the eight flips and right angles.
    `memory`: bytes that the features of an image may take, None: a share of what the device has; what takes more is
    predicted tile by tile.
    """

    ensemble: bool = False
    turns: bool = False
    memory: float | None = None


def labels(logits: Tensor) -> Tensor:
    """Class indices, uint8 (B, H, W), of logits (B, K, H, W): above 0 for K=1, else the greatest."""
    return ((logits[:, 0] > 0) if logits.shape[1] == 1 else logits.argmax(1)).to(torch.uint8)


def predict(network: Network, images: Sequence[Tensor], how: Inference = Inference()) -> list[Tensor]:
    """The label map (H, W) of each normalised image (C, H, W), any sizes, in their order, on the processor.

    Sets evaluation mode.
    """
    network.eval()
    predictions: list[Tensor] = []
    with torch.inference_mode():
        device = next(network.parameters()).device
        side = tile_side(network, device, how.memory)
        pixels = PIXELS_A_BATCH if device.type == "cpu" else PIXELS_ON_GPU
        for batch in _alike(images, _multiple(network), min(pixels, side**2)):
            with autocast(device):
                predictions += labels(_logits(network, batch, how, side)).cpu()
    return predictions


def evaluate(network: Network, pairs: Sequence[Pair], classes: int, how: Inference = Inference()) -> Overlap:
    """Dice and IoU on whole images, by class, and F1 of objects where pairs have them. Sets evaluation mode."""
    scores, objects = [], []
    for some in _some(pairs):
        for pair, prediction in zip(some, predict(network, [pair.image for pair in some], how), strict=True):
            scores.append(image_scores(prediction, pair.mask, classes))
            if pair.objects is not None:
                found = (prediction != 0) & (pair.mask != IGNORE)
                objects.append(object_f1(pair.objects, connected(found.numpy())))
    return mean_overlap(scores, objects)


def _some(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """The pairs, a few at a time."""
    some: list[Pair] = []
    for pair in pairs:
        some.append(pair)
        if sum(each.image.numel() for each in some) >= PIXELS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def tile_side(network: Network, device: torch.device, memory: float | None = None) -> int:
    """The side, in pixels, of the largest square whose features fit into the memory; its half is a multiple of 2^depth.

    Unpadded networks see each tile mirrored.
    """
    if memory is None:
        memory = min(SHARE * all_memory(device), SHARE_OF_FREE * free_memory(device))
    pixel = cost(network.graph, COST_IMAGE_SIZE).activation_bytes / (COST_IMAGE_SIZE[0] * COST_IMAGE_SIZE[1])
    step = 2 * _multiple(network)
    return int(max((memory / pixel) ** 0.5, SMALLEST_TILE, step)) // step * step


def _multiple(network: Network) -> int:
    """Of what sides are mirrored to: every pooling halves them evenly, those of a tile begin where the image's do."""
    multiple: int = 2**network.graph.depth
    return multiple


def _alike(images: Sequence[Tensor], multiple: int, pixels: int) -> Iterator[Tensor]:
    """Batches of images of one size, of at most so many pixels each, once mirrored, where one image has no more."""
    for _, group in groupby(images, key=lambda image: image.shape):
        alike = list(group)
        channels, *sides = alike[0].shape
        count = max(1, pixels // (channels * prod(ceil(side / multiple) * multiple for side in sides)))
        for start in range(0, len(alike), count):
            yield torch.stack(alike[start : start + count])


def _logits(network: Network, images: Tensor, how: Inference, side: int) -> Tensor:
    """(B, C, H, W) -> (B, K, H, W), in tiles of `side` where an image is larger."""
    if not how.turns:
        return _whole(network, images, how, side)
    each = []
    for flip in (False, True):
        for turns in range(4):
            turned = (images.flip(-1) if flip else images).rot90(turns, (-2, -1))
            back = _whole(network, turned, how, side).rot90(-turns, (-2, -1))
            each.append(back.flip(-1) if flip else back)
    return mean_of(each)


def _whole(network: Network, images: Tensor, how: Inference, side: int) -> Tensor:
    """Of whole images, mirrored beyond their last row and column until every pooling halves evenly, as in training."""
    height, width = images.shape[-2:]
    multiple = _multiple(network)
    for dimension in (-2, -1):
        length = images.shape[dimension]
        if length % multiple:
            places = mirror_indices(length, 0, ceil(length / multiple) * multiple).to(images.device)
            images = images.index_select(dimension, places)
    images = images.contiguous(memory_format=memory_format(images.device))
    return _tiled(network, images, how, side)[..., :height, :width]


def _tiled(network: Network, images: Tensor, how: Inference, side: int) -> Tensor:
    """As a whole where that fits into the memory, else tile by tile."""
    if images[:, 0].numel() <= side**2:
        return logits_of(network, images, ensemble=how.ensemble)
    from monai.inferers.utils import sliding_window_inference  # importing it takes longer than predicting a few images

    def probabilities(tile: Tensor) -> Tensor:
        logits = logits_of(network, tile, ensemble=how.ensemble).float()
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)

    blended = sliding_window_inference(
        images, [min(side, length) for length in images.shape[-2:]], 1, probabilities, overlap=OVERLAP, mode="gaussian"
    )
    assert isinstance(blended, Tensor)
    return blended.logit() if blended.shape[1] == 1 else blended.log()
