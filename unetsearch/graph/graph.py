"""A network's nodes and edges as frozen data. Nothing here knows torch, or how many dimensions there are."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Literal

from unetsearch.errors import ArchitectureError
from unetsearch.space.architecture import Activation, Norm

Resample = Literal["none", "max", "average", "strided", "transposed", "bilinear", "nearest"]
BlockKind = Literal["plain", "residual", "residual_stem"]

INPUT = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with its norm and activation, as an edge's projection or inside a block."""

    kernel: int
    norm: Norm
    activation: Activation
    bias: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A feature map's way into a node: resampled over `levels`, then projected.

    `levels`: +1 comes from one level below (deeper), -2 from two above. `channels`: what leaves the edge.
    `projection`: a convolution to `channels` after resampling, or None.
    """

    source: str
    levels: int
    resample: Resample
    channels: int
    projection: Convolution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a node does with its concatenated inputs: `repeats` convolutions (U-Net: 2; U-Net 3+ decoder: 1).

    `residual` is the pre-activation unit; `residual_stem` is the same without the leading norm and activation,
    for the image itself.
    """

    kind: BlockKind
    repeats: int
    convolution: Convolution
    dropout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """X[level, column]: a block over the concatenation of its inputs. Column 0 is the encoder."""

    level: int
    column: int
    inputs: tuple[Edge, ...]
    channels: int
    block: Block

    @property
    def name(self) -> str:
        """The U-Net++ notation, `X[2,0]`."""
        return node_name(self.level, self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A convolution of a node to K logit maps."""

    node: str
    kernel: int


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Nodes in an order in which each follows its sources, and heads; the last head is the final one."""

    in_channels: int
    out_channels: int
    nodes: tuple[Node, ...]
    heads: tuple[Head, ...]

    def __post_init__(self) -> None:
        validate(self)

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """The nodes by their names."""
        return {node.name: node for node in self.nodes}

    @property
    def depth(self) -> int:
        """Index of the deepest level."""
        return max(node.level for node in self.nodes)

    @cached_property
    def hash(self) -> str:
        """The canonical hash: equal for equal networks, whatever their nodes are called or the order of inputs.

        Recursive over node contents with sorted inputs; 16 hexadecimal digits.
        """
        digests = {INPUT: _digest("input", self.in_channels)}
        for node in self.nodes:
            edges = sorted(
                _digest(digests[e.source], e.levels, e.resample, e.channels, e.projection) for e in node.inputs
            )
            digests[node.name] = _digest(node.channels, node.block, *edges)
        heads = [_digest(digests[head.node], head.kernel) for head in self.heads]
        nodes = sorted(digests.values())  # all of them: two equal nodes are not one node that is read twice
        return _digest(self.out_channels, *nodes, *sorted(heads[:-1]), heads[-1])[:16]


def node_name(level: int, column: int) -> str:
    """`X[level,column]`."""
    return f"X[{level},{column}]"


def validate(graph: Graph) -> None:
    """Raises ArchitectureError unless every source exists before its use and every node is used."""
    level = {INPUT: 0}
    used = {head.node for head in graph.heads}
    for node in graph.nodes:
        if node.name in level:
            raise ArchitectureError(f"graph: node {node.name} appears twice")
        if not node.inputs:
            raise ArchitectureError(f"graph: node {node.name} has no input")
        if len({edge.source for edge in node.inputs}) < len(node.inputs):
            raise ArchitectureError(f"graph: node {node.name} reads one source twice")
        for edge in node.inputs:
            if edge.source not in level:
                raise ArchitectureError(f"graph: node {node.name} reads {edge.source}, which no earlier node gives")
            if level[edge.source] - node.level != edge.levels:
                raise ArchitectureError(
                    f"graph: the edge {edge.source} to {node.name} says {edge.levels:+d} levels, "
                    f"but spans {level[edge.source] - node.level:+d}"
                )
            used.add(edge.source)
        level[node.name] = node.level
    unknown = [head.node for head in graph.heads if head.node not in level]
    if not graph.heads or unknown:
        raise ArchitectureError(f"graph: heads need nodes, got {unknown or 'no head'}")
    unused = [node.name for node in graph.nodes if node.name not in used]
    if unused:
        raise ArchitectureError(f"graph: nothing uses {', '.join(unused)}")


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()
