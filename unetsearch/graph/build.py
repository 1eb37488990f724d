"""From an architecture to its graph, and from a graph to the smaller one inside it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from unetsearch.errors import ArchitectureError
from unetsearch.graph.graph import (
    INPUT,
    Block,
    BlockKind,
    Convolution,
    Edge,
    Graph,
    Head,
    Node,
    Resample,
    Stage,
)
from unetsearch.graph.skips import lay, supervised
from unetsearch.space.architecture import Architecture, Family
from unetsearch.space.backbone import Backbone
from unetsearch.space.skip import Position, node_name


class Kinds(NamedTuple):
    """What fills the encoder's node of level 0, which reads the image, and those below."""

    image: BlockKind
    below: BlockKind


ENCODERS: Mapping[Family, Kinds] = {
    "plain": Kinds("plain", "plain"),
    "residual": Kinds("residual_stem", "residual"),
    "mobile": Kinds("mobile_stem", "mobile"),
    "efficient": Kinds("efficient_stem", "efficient"),
}


def build_graph(architecture: Architecture) -> Graph:
    """The graph of an architecture: the encoder's nodes, then the decoder's by the skip rule, then the heads.

    Raises ArchitectureError where free skips leave a node without an input or one that nothing uses.
    """
    depth, skip = architecture.depth, architecture.skip
    nodes = _encoder(architecture)
    channels = {node.name: node.channels for node in nodes}
    for position, sources in lay(skip, depth, top=min(node.level for node in nodes)):
        node = _decoder_node(architecture, position, {source: channels[node_name(*source)] for source in sources})
        channels[node.name] = node.channels
        nodes.append(node)
    nodes = _without_idle_stem(nodes)
    supervision = supervised(skip, depth) if architecture.deep_supervision else [(0, depth)]
    heads = [name for name in (node_name(*position) for position in supervision) if name in channels]
    return Graph(
        in_channels=architecture.in_channels,
        out_channels=architecture.out_channels,
        nodes=tuple(nodes),
        heads=tuple(Head(node=name, kernel=3 if skip.channels else 1) for name in heads),
        combine=architecture.combine if len(heads) > 1 else "final",
        guidance=node_name(depth, 0) if architecture.guidance else None,
    )


def prune(graph: Graph, depth: int) -> Graph:
    """The network of `depth` nested in a deeply supervised dense graph (U-Net++'s pruned inference).

    Keeps what X[0,depth] reads and the heads on it; nodes keep their names, so weights carry over by name, and the
    head's logits are the same (with a backbone or strides in blocks: where the image's sides are multiples of the whole
    network's 2^depth). Guidance goes with the node it reads. Raises ArchitectureError where no head sits on X[0,depth].
    """
    final = node_name(0, depth)
    if final not in [head.node for head in graph.heads]:
        nested = [head.node for head in graph.heads if graph.by_name[head.node].level == 0]
        raise ArchitectureError(
            f"prune: no head on {final}; a nested depth needs dense skips and deep supervision "
            f"(this graph has heads of level 0 on {', '.join(nested)})"
        )
    kept = {final}
    for node in reversed(graph.nodes):
        if node.name in kept:
            kept |= {edge.source for edge in node.inputs}
    heads = tuple(head for head in graph.heads if head.node in kept)
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.name in kept),
        heads=heads,
        combine=graph.combine if len(heads) > 1 else "final",
        guidance=graph.guidance if graph.guidance in kept else None,
    )


def _convolution(architecture: Architecture, kernel: int = 3) -> Convolution:
    return Convolution(
        kernel=kernel,
        norm=architecture.norm,
        activation=architecture.activation,
        bias=architecture.bias or architecture.norm == "none",
        padded=architecture.padding == "same",
    )


def _block(architecture: Architecture, kind: BlockKind, repeats: int = 2) -> Block:
    dropout = architecture.dropout if architecture.dropout_at == "blocks" else 0.0
    return Block(kind=kind, repeats=repeats, convolution=_convolution(architecture), dropout=dropout)


def _encoder(architecture: Architecture) -> list[Node]:
    """The encoder's nodes from the image down. A backbone's first stage reads the image itself."""
    backbone = architecture.encoder
    if not isinstance(backbone, Backbone):
        return [_encoder_node(architecture, ENCODERS[backbone], level) for level in range(architecture.depth + 1)]
    stem = replace(architecture, down="max")  # what is around a backbone is plain
    levels = range(backbone.first_level if architecture.stem == "plain" else 0)
    nodes = [_encoder_node(stem, ENCODERS["plain"], level) for level in levels]
    # which weights a tag names makes no other network, unless they are loaded
    identity = backbone if backbone.pretrained else replace(backbone, name=backbone.name.split(".")[0])
    for index, level in enumerate(range(backbone.first_level, architecture.depth + 1)):
        edge = Edge(source=INPUT, levels=-level, resample="stage", channels=architecture.in_channels)
        if index:
            above = node_name(level - 1, 0)
            edge = Edge(source=above, levels=-1, resample="stage", channels=backbone.channels[index - 1])
        stage = Stage(backbone=identity, index=index)
        nodes.append(Node(level=level, column=0, inputs=(edge,), channels=backbone.channels[index], block=stage))
    return nodes


def _without_idle_stem(nodes: list[Node]) -> list[Node]:
    """Stem blocks around a backbone, which does not read them, are left out where free skips do not either."""
    if not any(isinstance(node.block, Stage) for node in nodes):
        return nodes
    used: set[str] = set()
    kept = []
    for node in reversed(nodes):
        if node.column or isinstance(node.block, Stage) or node.name in used:
            used |= {edge.source for edge in node.inputs}
            kept.append(node)
    return kept[::-1]


def _encoder_node(architecture: Architecture, kinds: Kinds, level: int) -> Node:
    channels = architecture.channels
    block = _block(architecture, kinds.below if level else kinds.image)
    if level == 0:
        edge = Edge(source=INPUT, levels=0, resample="none", channels=architecture.in_channels)
    else:
        source = node_name(level - 1, 0)
        edge = Edge(source=source, levels=-1, resample=architecture.down, channels=channels[level - 1])
        block = replace(block, stride=2 if architecture.down == "in_block" else 1)
    if architecture.dropout and architecture.dropout_at == "contraction" and level >= architecture.depth - 1:
        block = replace(block, dropout=architecture.dropout, dropout_of="values")
    return Node(level=level, column=0, inputs=(edge,), channels=channels[level], block=block)


def _decoder_node(architecture: Architecture, position: Position, sources: Mapping[Position, int]) -> Node:
    """`sources`: what it reads, with their channels."""
    level, column = position
    if architecture.skip.channels is None:
        inputs = tuple(_near_edge(architecture, level, *source) for source in sources.items())
        block = _block(architecture, architecture.decoder)
        channels = architecture.channels[level]
        if architecture.decoder_channels is not None and architecture.decoder_channels[level] != channels:
            if architecture.decoder == "plain":
                block = replace(block, mid_channels=channels)
            channels = architecture.decoder_channels[level]
    else:
        inputs = tuple(_full_scale_edge(architecture, level, source) for source in sources)
        channels = sum(edge.channels for edge in inputs)
        block = _block(architecture, architecture.decoder, repeats=1)
    return Node(level=level, column=column, inputs=inputs, channels=channels, block=block)


def _near_edge(architecture: Architecture, level: int, source: Position, source_channels: int) -> Edge:
    """As U-Net and U-Net++ have it: a skip as it is; from one below, an up-convolution to the node's channels.

    Free skips reach further: from deeper levels interpolated, then a 1x1 convolution to the node's channels; from
    shallower ones max-pooled.
    """
    levels = source[0] - level
    channels, projection = source_channels, None
    resample: Resample
    if levels == 0:
        resample = "none" if architecture.padding == "same" else "crop"
    elif levels < 0:
        resample = "max"
    else:
        resample = architecture.up
        if levels > 1:
            resample = "bilinear" if architecture.up == "transposed" else architecture.up
            projection = _convolution(architecture, kernel=1)
        if levels > 1 or resample == "transposed":
            channels = architecture.channels[level]
    return Edge(source=node_name(*source), levels=levels, resample=resample, channels=channels, projection=projection)


def _full_scale_edge(architecture: Architecture, level: int, source: Position) -> Edge:
    """U-Net 3+: resample first (max-pooling or bilinear), then a convolution to the edge's channels."""
    assert architecture.skip.channels is not None, "full_scale skips have channels"
    levels = source[0] - level
    resample: Resample = "bilinear" if levels > 0 else "max" if levels < 0 else "none"
    return Edge(
        source=node_name(*source),
        levels=levels,
        resample=resample,
        channels=architecture.skip.channels,
        projection=_convolution(architecture),
    )
