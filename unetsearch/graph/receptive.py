"""What a node sees of the image: its receptive field, by interval arithmetic along one dimension.

A pixel of a node reads the image from one pixel to another. What an interval [a, b] of a node reads begins where that
of a begins and ends where that of b ends, since every convolution, pooling and interpolation moves both ends the same
way; so the two ends are followed from node to node, through every edge once. 2^depth image pixels further on all is as
before: one such period tells everything.

The image has no border here and every level halves evenly. Not counted are heads, and the statistics that a group
normalisation takes of the whole image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from unetsearch.graph.graph import INPUT, Block, Edge, Graph, Node, Stage
from unetsearch.graph.sizes import block_size, context, node_sides

Extent = tuple[int, int]
"""(low, high): pixel p of a stage of reduction r reads the image's pixels p * r + low to p * r + high."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """The first and the last image pixel that each of a node's pixels reads, for a period of `step` image pixels."""

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    step: int

    def low(self, pixel: int) -> float:
        """Of any pixel of the node."""
        periods, phase = divmod(pixel, len(self.lows))
        return self.lows[phase] + periods * self.step

    def high(self, pixel: int) -> float:
        """Of any pixel of the node."""
        periods, phase = divmod(pixel, len(self.highs))
        return self.highs[phase] + periods * self.step


def receptive_fields(graph: Graph, stages: Sequence[Extent | None] | None = None) -> dict[str, float | None]:
    """The side (px) of the square of image pixels that a pixel of each node reads, by the node's name.

    It is the largest of all the node's pixels, in the middle of a large image. `math.inf`: the whole image is read, as
    squeeze-and-excitation does. `stages`: the extents of a backbone's stages, the first one first, and None for one
    that reads the whole image; where they are not given, nodes that depend on them have None: unknown.
    """
    image = range(1 << graph.depth)
    reaches: dict[str, _Reach | None] = {INPUT: _Reach(tuple(image), tuple(image), len(image))}
    crops = _crops(graph)
    for node in graph.nodes:
        if not isinstance(node.block, Stage):
            reaches[node.name] = _block_reach(graph, node, reaches, crops)
        else:
            reaches[node.name] = None if stages is None else _stage_reach(graph, node, stages[node.block.index])
    del reaches[INPUT]
    return {name: None if reach is None else _side(reach) for name, reach in reaches.items()}


def _side(reach: _Reach) -> float:
    return max(high - low + 1 for low, high in zip(reach.lows, reach.highs, strict=True))


def _pixels(graph: Graph, node: Node) -> range:
    """A node's pixels in one period of the image."""
    return range(1 << (graph.depth - node.level))


def _stage_reach(graph: Graph, node: Node, extent: Extent | None) -> _Reach:
    low, high = (-inf, inf) if extent is None else extent
    pixels = [pixel << node.level for pixel in _pixels(graph, node)]
    return _Reach(tuple(pixel + low for pixel in pixels), tuple(pixel + high for pixel in pixels), 1 << graph.depth)


def _block_reach(
    graph: Graph, node: Node, reaches: Mapping[str, _Reach | None], crops: Mapping[str, int]
) -> _Reach | None:
    assert isinstance(node.block, Block), "a backbone's stages have extents of their own"
    if node.block.kind in ("efficient", "efficient_stem"):
        return _stage_reach(graph, node, None)
    lows, highs = [], []
    sources = [(edge, reaches[edge.source]) for edge in node.inputs]
    for pixel in _pixels(graph, node):
        low, high = inf, -inf
        for edge, source in sources:
            if source is None:
                return None
            first, last = _read_by_edge(edge, *_read_by_block(node.block, pixel), crops.get(node.name, 0))
            low, high = min(low, source.low(first)), max(high, source.high(last))
        lows.append(low)
        highs.append(high)
    return _Reach(tuple(lows), tuple(highs), 1 << graph.depth)


def _read_by_block(block: Block, pixel: int) -> Extent:
    """The first and the last pixel of its input that a block's pixel depends on. All families convolve alike."""
    first = last = pixel
    for index in reversed(range(block.repeats)):
        stride = block.stride if index == 0 else 1
        first, last = _read_by_convolution(block.convolution.kernel, block.convolution.padded, stride, first, last)
    return first, last


def _read_by_convolution(kernel: int, padded: bool, stride: int, first: int, last: int) -> Extent:
    before = kernel // 2 if padded else 0
    return first * stride - before, last * stride - before + kernel - 1


def _read_by_edge(edge: Edge, first: int, last: int, crop: int) -> Extent:
    """The first and the last pixel of the source that an interval behind the edge depends on."""
    factor = 1 << abs(edge.levels)
    if edge.projection is not None:
        first, last = _read_by_convolution(edge.projection.kernel, edge.projection.padded, 1, first, last)
    match edge.resample:
        case "max" | "average" | "strided":
            return first * factor, last * factor + factor - 1
        case "transposed" | "nearest":
            return first // factor, last // factor
        case "bilinear" | "bilinear_aligned":
            # between the pixels around (p + 1/2) / factor - 1/2; with aligned corners so in the image's middle, while
            # towards its borders they lie up to half a pixel beside that
            return (2 * first + 1 - factor) // (2 * factor), (2 * last + 1 - factor) // (2 * factor) + 1
        case "crop":
            return first + crop, last + crop
    return first, last


def _crops(graph: Graph) -> dict[str, int]:
    """What unpadded networks cut off before a skip, in the source's pixels, by the node that reads it.

    It is the same for every image whose levels all halve evenly.
    """
    if graph.padded:
        return {}
    sides = node_sides(graph, context(graph, 1).size)
    return {
        node.name: (sides[edge.source] - block_size(node, (sides[node.name],) * 2)[0]) // 2
        for node in graph.nodes
        for edge in node.inputs
        if edge.resample == "crop"
    }
