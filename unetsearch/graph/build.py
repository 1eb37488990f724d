"""From an architecture to its graph, and from a graph to the smaller one inside it."""

from dataclasses import replace

from unetsearch.errors import ArchitectureError
from unetsearch.graph.graph import INPUT, Block, BlockKind, Convolution, Edge, Graph, Head, Node, Resample, node_name
from unetsearch.graph.skips import SKIPS, Position, supervised
from unetsearch.space.architecture import Architecture


def build_graph(architecture: Architecture) -> Graph:
    """The graph of an architecture: the encoder's nodes, then the decoder's by the skip rule, then the heads."""
    nodes = [_encoder_node(architecture, level) for level in range(architecture.depth + 1)]
    lay = SKIPS[architecture.skip.rule]
    nodes += [_decoder_node(architecture, position, sources) for position, sources in lay(architecture.depth)]
    heads = supervised(architecture.skip.rule, architecture.depth)
    kernel = 3 if architecture.skip.rule == "full_scale" else 1
    return Graph(
        in_channels=architecture.in_channels,
        out_channels=architecture.out_channels,
        nodes=tuple(nodes),
        heads=tuple(
            Head(node=node_name(*position), kernel=kernel)
            for position in (heads if architecture.deep_supervision else heads[-1:])
        ),
    )


def prune(graph: Graph, depth: int) -> Graph:
    """The network of `depth` nested in a deeply supervised dense graph (U-Net++'s pruned inference).

    Keeps what X[0,depth] reads and the heads on it; nodes keep their names, so weights carry over by name. Raises
    ArchitectureError where no head sits on X[0,depth].
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
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.name in kept),
        heads=tuple(head for head in graph.heads if head.node in kept),
    )


def _convolution(architecture: Architecture, kernel: int = 3) -> Convolution:
    return Convolution(
        kernel=kernel,
        norm=architecture.norm,
        activation=architecture.activation,
        bias=architecture.bias or architecture.norm == "none",
    )


def _block(architecture: Architecture, kind: BlockKind, repeats: int = 2) -> Block:
    return Block(kind=kind, repeats=repeats, convolution=_convolution(architecture), dropout=architecture.dropout)


def _encoder_node(architecture: Architecture, level: int) -> Node:
    channels = architecture.channels
    if level == 0:
        edge = Edge(source=INPUT, levels=0, resample="none", channels=architecture.in_channels)
    else:
        source = node_name(level - 1, 0)
        edge = Edge(source=source, levels=-1, resample=architecture.down, channels=channels[level - 1])
    kind: BlockKind = "plain"
    if architecture.encoder == "residual":
        kind = "residual" if level else "residual_stem"
    return Node(level=level, column=0, inputs=(edge,), channels=channels[level], block=_block(architecture, kind))


def _decoder_node(architecture: Architecture, position: Position, sources: list[Position]) -> Node:
    level, column = position
    if architecture.skip.channels is None:
        inputs = tuple(_near_edge(architecture, level, source) for source in sources)
        channels, block = architecture.channels[level], _block(architecture, "plain")
    else:
        inputs = tuple(_full_scale_edge(architecture, level, source) for source in sources)
        channels, block = sum(edge.channels for edge in inputs), _block(architecture, "plain", repeats=1)
    return Node(level=level, column=column, inputs=inputs, channels=channels, block=block)


def _near_edge(architecture: Architecture, level: int, source: Position) -> Edge:
    """From the same level as it is, or from one below; a transposed convolution leads to the node's channels."""
    levels = source[0] - level
    resample: Resample = architecture.up if levels else "none"
    channels = architecture.channels[level if resample == "transposed" else source[0]]
    return Edge(source=node_name(*source), levels=levels, resample=resample, channels=channels)


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
