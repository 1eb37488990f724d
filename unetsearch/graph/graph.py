"""A network's nodes and edges as frozen data. Nothing here knows torch, or how many dimensions there are."""

from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from unetsearch.errors import ArchitectureError
from unetsearch.space.architecture import Activation, Combine, Norm
from unetsearch.space.backbone import Backbone
from unetsearch.space.skip import node_name

Resample = Literal[
    "none",
    "max",
    "average",
    "strided",
    "in_block",
    "stage",
    "transposed",
    "bilinear",
    "bilinear_aligned",
    "nearest",
    "crop",
]
"""`in_block`: the block's first convolution has the stride; `stage`: inside a backbone; `crop`: cut to the centre."""

BlockKind = Literal["plain", "residual", "residual_stem", "mobile", "mobile_stem", "efficient", "efficient_stem"]

INPUT = "input"


def _changed(self: Any) -> str:
    """A dataclass in words, fields at their default left out: a new field changes no old network's hash."""
    shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
    return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Convolution:
    """A convolution with its norm and activation, as an edge's projection or inside a block."""

    kernel: int
    norm: Norm
    activation: Activation
    bias: bool
    padded: bool = True

    __repr__ = _changed


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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Block:
    """What a node does with its concatenated inputs: `repeats` convolutions (U-Net: 2; U-Net 3+ decoder: 1).

    `residual` is the pre-activation unit; `residual_stem` is the same without the leading norm and activation,
    for the image itself. `mobile` and `efficient` are inverted residuals, the latter with squeeze-and-excitation;
    their stems read the image by a plain convolution first. `mid_channels` (plain only): between the convolutions,
    where that is not what the node has. `stride`: of the first convolution. `dropout` at the end drops channels, or
    single `values`.
    """

    kind: BlockKind
    repeats: int
    convolution: Convolution
    dropout: float
    mid_channels: int | None = None
    stride: int = 1
    dropout_of: Literal["channels", "values"] = "channels"

    __repr__ = _changed

    @property
    def label(self) -> str:
        """`plain x2`."""
        return f"{self.kind.removesuffix('_stem')} x{self.repeats}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a backbone, by its index; the backbone runs once and fills the nodes of all its stages."""

    backbone: Backbone
    index: int

    @property
    def label(self) -> str:
        """`stage 2`, counted from 1."""
        return f"stage {self.index + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """X[level, column]: a block over the concatenation of its inputs. Column 0 is the encoder."""

    level: int
    column: int
    inputs: tuple[Edge, ...]
    channels: int
    block: Block | Stage

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
    """Nodes in an order in which each follows its sources, and heads; the last head is the final one.

    `combine`: the output is the final head's, or the mean of all heads' probabilities. `guidance`: the node that the
    classification-guided module reads, or None.
    """

    in_channels: int
    out_channels: int
    nodes: tuple[Node, ...]
    heads: tuple[Head, ...]
    combine: Combine = "final"
    guidance: str | None = None

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
    def stages(self) -> tuple[Stage, ...]:
        """The backbone's stages, from the first on; empty where no backbone fills the encoder."""
        return tuple(node.block for node in self.nodes if isinstance(node.block, Stage))

    @cached_property
    def padded(self) -> bool:
        """Whether convolutions keep the size; else the logits are smaller than the image (2015: 572 to 388)."""
        return all(edge.resample != "crop" for node in self.nodes for edge in node.inputs)

    @cached_property
    def multiple(self) -> int:
        """The image's sides are padded to a multiple of this, where strided convolutions would round each their way."""
        inside = ("stage", "in_block")
        strided = any(edge.resample in inside for node in self.nodes for edge in node.inputs)
        return 2**self.depth if strided else 1

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
        output: list[str] = [self.combine] if self.combine != "final" else []
        output += [digests[self.guidance]] if self.guidance is not None else []
        return _digest(self.out_channels, *nodes, *sorted(heads[:-1]), heads[-1], *output)[:16]


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
    if graph.guidance is not None and graph.guidance not in level:
        raise ArchitectureError(f"graph: guidance reads {graph.guidance}, which no node gives")
    unused = [node.name for node in graph.nodes if node.name not in used]
    if unused:
        raise ArchitectureError(f"graph: nothing uses {', '.join(unused)}")


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()
