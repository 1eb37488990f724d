"""Sides in pixels along one dimension: of every node, and of the image around a crop that an unpadded network needs."""

from dataclasses import dataclass
from math import ceil

from unetsearch.errors import ArchitectureError
from unetsearch.graph.graph import INPUT, Block, Edge, Graph, Node

LARGEST = 2**16


@dataclass(frozen=True, slots=True)
class Context:
    """What an unpadded network reads around `side` pixels, for logits of just these.

    `margin`: pixels before and after them that the image is mirrored by. `size`: how many from there on are read.
    `offset`: where in the logits the pixels begin.
    """

    side: int
    margin: int
    size: int
    offset: int


def node_sides(graph: Graph, side: int) -> dict[str, int]:
    """The side of every node's feature map for an image of `side` pixels (padded up to graph.multiple).

    Raises ArchitectureError where the image is smaller than the network allows.
    """
    sides = _sides(graph, side)
    if min(sides.values()) < 1:
        raise ArchitectureError(
            f"images of {side} px are too small for this network of depth {graph.depth}: it needs {min_side(graph)} px"
        )
    return sides


def node_sizes(graph: Graph, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """The (height, width) of every node's feature map; see `node_sides`."""
    heights, widths = node_sides(graph, size[0]), node_sides(graph, size[1])
    return {name: (height, widths[name]) for name, height in heights.items()}


def block_size(node: Node, size: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) that the node's block reads, where it gives `size`."""
    assert isinstance(node.block, Block), "a backbone's stage is no block"
    height, width = (side * node.block.stride + _lost(node) for side in size)
    return height, width


def min_side(graph: Graph) -> int:
    """The smallest image: 2^depth for padded convolutions, what leaves one logit for unpadded ones."""
    if graph.padded:
        return 1 << graph.depth
    return next(side for side in range(1, LARGEST) if min(_sides(graph, side).values()) >= 1)


def logits_side(graph: Graph, side: int) -> int:
    """The side of the final head's logits: that of the image, but for unpadded convolutions."""
    return side if graph.padded else node_sides(graph, side)[graph.heads[-1].node]


def context(graph: Graph, side: int) -> Context:
    """The context of `side` pixels; for padded convolutions none.

    The size is one at which every pooling halves evenly, as the 2015 U-Net asks: then the logits lie exactly in the
    middle.
    """
    if graph.padded:
        return Context(side, 0, side, 0)
    for size in range(side, LARGEST):
        if min(_sides(graph, size).values()) < 1 or not _even(graph, size):
            continue
        logits = logits_side(graph, size)
        if logits >= side:
            margin = ceil((size - side) / 2)
            return Context(side, margin, size, margin - (size - logits) // 2)
    raise ArchitectureError(f"no image is large enough for logits of {side} px")


def _sides(graph: Graph, side: int) -> dict[str, int]:
    padded = ceil(side / graph.multiple) * graph.multiple
    if graph.padded:
        return {node.name: padded >> node.level for node in graph.nodes}
    sides = {INPUT: padded}
    for node in graph.nodes:
        uncropped = [edge for edge in node.inputs if edge.resample != "crop"]
        sides[node.name] = min(_resampled(edge, sides[edge.source]) for edge in uncropped) - _lost(node)
    del sides[INPUT]
    return sides


def _resampled(edge: Edge, side: int) -> int:
    return side << edge.levels if edge.levels > 0 else side >> -edge.levels


def _lost(node: Node) -> int:
    """What unpadded convolutions of a block take from each side's length."""
    assert isinstance(node.block, Block), "backbones are padded"
    unit = node.block.convolution
    return 0 if unit.padded else node.block.repeats * (unit.kernel - 1)


def _even(graph: Graph, side: int) -> bool:
    """Whether every pooling and every crop divides evenly."""
    sides = {INPUT: side} | _sides(graph, side)
    for node in graph.nodes:
        target = sides[node.name] + _lost(node)
        for edge in node.inputs:
            if edge.levels < 0 and sides[edge.source] % (1 << -edge.levels):
                return False
            if edge.resample == "crop" and (sides[edge.source] - target) % 2:
                return False
    return True
