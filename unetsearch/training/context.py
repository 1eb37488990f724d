"""What an unpadded network reads around its crops: the image, mirrored at its border (Ronneberger et al. 2015)."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unetsearch.data.dataset import SegmentationData
from unetsearch.errors import ArchitectureError, DataError
from unetsearch.graph.build import build_graph
from unetsearch.graph.graph import Graph
from unetsearch.graph.sizes import Context, context
from unetsearch.network.network import Network, Outputs
from unetsearch.space.architecture import Architecture
from unetsearch.training.crops import mirrored_places


def outputs_of(network: Network, images: Tensor, frame: Context) -> Outputs:
    """The outputs for the middle side x side pixels of images (B, C, H, W), H = W = side + 2 * margin.

    `frame`: side and margin, by `context(network.graph, side)`; padded convolutions need no margin.
    """
    outputs = network.outputs(_seen(images, frame, frame))
    return Outputs([_answered(logits, frame, frame) for logits in outputs.heads], outputs.presence)


def logits_of(network: Network, images: Tensor, *, ensemble: bool = False) -> Tensor:
    """The logits (B, K, H, W) of whole images (B, C, H, W), mirrored at their border as far as the network reads.

    `ensemble`: those of the mean of all heads' probabilities, whatever the network's own output is.
    """
    rows, columns = context(network.graph, images.shape[-2]), context(network.graph, images.shape[-1])
    images = mirrored(images, rows.margin, columns.margin)
    answer = network.ensemble if ensemble else network
    return _answered(answer(_seen(images, rows, columns)), rows, columns)


def mirrored(images: Tensor, rows: int, columns: int) -> Tensor:
    """(..., H, W) -> (..., H + 2 * rows, W + 2 * columns), mirrored at the border."""
    if rows == columns == 0:
        return images
    height, width = images.shape[-2:]
    across = mirror_indices(width, -columns, width + columns).to(images.device)
    return images[..., mirror_indices(height, -rows, height + rows).to(images.device), :][..., across]


def mirror_indices(length: int, start: int, stop: int) -> Tensor:
    """The indices of `length` pixels at the places start, ..., stop - 1, which go back and forth beyond them."""
    return torch.from_numpy(mirrored_places(np.arange(start, stop), np.array(length)))


def check_context(data: SegmentationData, name: str, architecture: Architecture, crop: int) -> None:
    """Raises DataError where an image is too small to be mirrored as far as an unpadded network reads around it.

    `name`: what needs it, as the message begins with it: `the baseline unet-2015 of depth 4`.
    """
    margin = _margin(build_graph(architecture), crop, data.min_side)
    if margin < data.min_side:
        return
    fitting = architecture.depth - 1
    while fitting and _margin(build_graph(_shallower(architecture, fitting)), crop, data.min_side) >= data.min_side:
        fitting -= 1
    advice = f"take a depth of at most {fitting}, or padded convolutions" if fitting else "take padded convolutions"
    raise DataError(
        [
            f"{name} has unpadded convolutions and reads {margin} px around each crop, mirrored at the image's border: "
            f"it needs images of at least {margin + 1} px, but {data.name} has images of {data.min_side} px: {advice} "
            "(the reference unet)"
        ]
    )


def _margin(graph: Graph, crop: int, side: int) -> int:
    """Of a crop, and of the smallest image as a whole."""
    try:
        return max(context(graph, crop).margin, context(graph, side).margin)
    except ArchitectureError:
        return side


def _shallower(architecture: Architecture, depth: int) -> Architecture:
    decoder = architecture.decoder_channels
    return replace(
        architecture,
        channels=architecture.channels[: depth + 1],
        decoder_channels=decoder[:depth] if decoder is not None else None,
    )


def _seen(images: Tensor, rows: Context, columns: Context) -> Tensor:
    if images.shape[-2:] == (rows.size, columns.size):
        return images  # a slice, of all too, costs a copy on its way back
    return images[..., : rows.size, : columns.size]


def _answered(logits: Tensor, rows: Context, columns: Context) -> Tensor:
    if logits.shape[-2:] == (rows.side, columns.side):
        return logits
    return logits[..., rows.offset : rows.offset + rows.side, columns.offset : columns.offset + columns.side]
