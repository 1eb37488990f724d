"""A node of the graph as a module: its edges, their concatenation, its block."""

from collections.abc import Sequence

from torch import Tensor, nn

from unetsearch.graph.graph import Block, Edge, Node
from unetsearch.network.blocks import BLOCKS
from unetsearch.network.concatenation import concatenated
from unetsearch.network.pooling import MaxPool
from unetsearch.network.resample import Crop, Resize, Size, TransposedConvolution
from unetsearch.network.units import convolution_unit


class GraphEdge(nn.Module):
    """One edge: resample over its levels, then project. (B, in, h, w) -> (B, edge.channels, *size)."""

    def __init__(self, edge: Edge, in_channels: int) -> None:
        super().__init__()
        factor = 2 ** abs(edge.levels)
        out_channels = in_channels if edge.projection else edge.channels
        self.up: nn.Module | None = None  # what is told the size it leads to
        self.down: nn.Module | None = None
        match edge.resample:
            case "transposed":
                self.up = TransposedConvolution(in_channels, out_channels, factor, stride=factor)
            case "bilinear" | "bilinear_aligned" | "nearest":
                self.up = Resize(edge.resample)
            case "crop":
                self.up = Crop()
            case "max":
                self.down = MaxPool(factor)
            case "average":
                self.down = nn.AvgPool2d(factor)
            case "strided":
                self.down = nn.Conv2d(in_channels, out_channels, factor, stride=factor)
        self.projection = convolution_unit(in_channels, edge.channels, edge.projection) if edge.projection else None

    def forward(self, x: Tensor, size: Size | None) -> Tensor:
        """(B, in, h, w) -> (B, edge.channels, *size); `size` is needed by edges that lead up or crop."""
        if self.up is not None:
            x = self.up(x, size)
        if self.down is not None:
            x = self.down(x)
        return x if self.projection is None else self.projection(x)


class GraphNode(nn.Module):
    """X[i,j]: the block over the concatenation of the node's edges."""

    def __init__(self, node: Node, in_channels: Sequence[int]) -> None:
        super().__init__()
        assert isinstance(node.block, Block), "a backbone fills the nodes of its stages itself"
        self.edges = nn.ModuleDict(
            {
                module_name(edge.source): GraphEdge(edge, channels)
                for edge, channels in zip(node.inputs, in_channels, strict=True)
            }
        )
        self.block = BLOCKS[node.block.kind](sum(edge.channels for edge in node.inputs), node.channels, node.block)

    def forward(self, inputs: Sequence[Tensor], size: Size | None) -> Tensor:
        """One (B, C, h, w) an edge -> (B, node.channels, H, W). `size`: of the level; None where skips are cropped."""
        features: list[Tensor] = []
        for edge, x in reversed(list(zip(self.edges.values(), inputs, strict=True))):
            features.insert(0, edge(x, size))
            size = size or (features[0].shape[-2], features[0].shape[-1])  # skips are cropped to what leads up
        return self.block(concatenated(features))  # type: ignore[no-any-return]


def module_name(node: str) -> str:
    """`x2_0` for X[2,0]: what the node's weights are called in a state dictionary."""
    return node.lower().replace("[", "").replace("]", "").replace(",", "_")
