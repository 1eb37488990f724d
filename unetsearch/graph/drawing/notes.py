"""What a drawing tells beside the wiring: sizes, receptive fields, costs; and where a node stands in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from unetsearch.graph.graph import INPUT, Edge, Graph, Node, Resample
from unetsearch.graph.receptive import Extent, receptive_fields
from unetsearch.graph.sizes import context, node_sizes

Size = tuple[int, int]
"""(height, width) in pixels."""

Kind = Literal["input", "same", "up", "down"]

USUAL_SIDE = 256
"""Of the image that a drawing shows, where nothing else is asked for."""

USUAL_LOGITS = 388
"""Of the logits of an unpadded network: 572 px give 388 in the 2015 paper."""

RESAMPLED: Mapping[Resample, str] = {
    "none": "as it is",
    "max": "max-pooled",
    "average": "average-pooled",
    "strided": "by a strided convolution",
    "in_block": "by the stride of the block's first convolution",
    "stage": "inside the backbone",
    "transposed": "by a transposed convolution",
    "bilinear": "bilinear",
    "bilinear_aligned": "bilinear with aligned corners",
    "nearest": "by nearest neighbours",
    "crop": "cropped to its centre",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is told of a graph for an image of `size`. By the nodes' names: the sizes of their feature maps, their
    receptive fields (px) as `receptive_fields` gives them, and in words their parameters and MACs, where known.
    """

    size: Size
    sizes: Mapping[str, Size]
    fields: Mapping[str, float | None]
    params: Mapping[str, str] = field(default_factory=dict)
    macs: Mapping[str, str] = field(default_factory=dict)


def take_notes(
    graph: Graph,
    size: Size | None = None,
    stages: Sequence[Extent | None] | None = None,
    params: Mapping[str, str] | None = None,
    macs: Mapping[str, str] | None = None,
) -> Notes:
    """The notes for an image of `size` (left out: the usual one).

    `stages`: the extents of a backbone's stages, see `receptive_fields`. `params`, `macs`: in words, by node. Raises
    ArchitectureError where the image is smaller than the network allows.
    """
    size = size or usual_size(graph)
    return Notes(
        size=size,
        sizes=node_sizes(graph, size),
        fields=receptive_fields(graph, stages),
        params=params or {},
        macs=macs or {},
    )


def usual_size(graph: Graph) -> Size:
    """256x256 px; for unpadded convolutions what gives logits of 388 px, at depth 4 the 572 px of the 2015 paper."""
    side = USUAL_SIDE if graph.padded else context(graph, USUAL_LOGITS).size
    return side, side


def place(node: Node) -> int:
    """Steps to the right: the encoder falls to the right, each column stands two steps further."""
    return node.level + 2 * node.column


def kind(edge: Edge) -> Kind:
    """Where an edge comes from: the image, the same level, a deeper one (up) or a shallower one (down)."""
    if edge.source == INPUT:
        return "input"
    return "same" if edge.levels == 0 else "up" if edge.levels > 0 else "down"


def near(graph: Graph, edge: Edge, node: Node) -> bool:
    """Whether an edge leads to the next level and the next place: the way down the encoder and up the decoder."""
    return abs(edge.levels) == 1 and edge.source != INPUT and place(node) - place(graph.by_name[edge.source]) == 1


def by_size(size: Size, sign: str = "x") -> str:
    """`256x192`: height, width."""
    return f"{size[0]}{sign}{size[1]}"


def sees(side: float | None) -> str:
    """A receptive field in words: `44 px`, `all`, or `?` where it is not known."""
    return "?" if side is None else "all" if side == inf else f"{side:.0f} px"


def edge_words(edge: Edge) -> str:
    """`X[2,0]: bilinear (2 levels up), 3x3 to 64 channels`."""
    count = abs(edge.levels)
    way = f" ({count} level{'s' * (count > 1)} {'up' if edge.levels > 0 else 'down'})" if count else ""
    kernel = edge.projection.kernel if edge.projection else 0
    after = f", then {kernel}x{kernel} to {edge.channels} channels" if kernel else ""
    return f"{edge.source}: {RESAMPLED[edge.resample]}{way}{after}"


def node_words(graph: Graph, node: Node, notes: Notes | None) -> list[str]:
    """A node line by line: its block, its shape, its costs, its receptive field, what it reads."""
    lines = [f"{node.name}: {node.block.label}, {node.channels} channels"]
    if notes is not None:
        lines.append(f"{by_size(notes.sizes[node.name], '×')} px of a {by_size(notes.size, '×')} image")
        costs = [(notes.params, "parameters"), (notes.macs, "MACs")]
        lines += [f"{told[node.name]} {what}" for told, what in costs if node.name in told]
        side = notes.fields[node.name]
        if side is not None:
            lines.append("sees the whole image" if side == inf else f"sees {side:.0f}×{side:.0f} px of the image")
    lines += [f"reads {edge_words(edge)}" for edge in node.inputs]
    lines += [f"has a head of {head.kernel}x{head.kernel}" for head in graph.heads if head.node == node.name]
    return lines + (["read by the classification-guided module"] if graph.guidance == node.name else [])
