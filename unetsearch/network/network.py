"""The module that executes a graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unetsearch.graph.graph import INPUT, Block, Graph, Head
from unetsearch.network.backbones import Stages
from unetsearch.network.depthwise import train_depthwise_quickly
from unetsearch.network.guidance import Presence, guided, mean_of
from unetsearch.network.nodes import GraphNode, module_name
from unetsearch.network.resample import Resize, Size
from unetsearch.network.units import head


@dataclass(frozen=True, slots=True)
class Outputs:
    """Every head's logits, (B, K, H, W) each at the input's size, the final one last.

    `presence`: with classification guidance the logits (B, K) of each class being in the image, else None. The heads
    are not guided by it yet.
    """

    heads: list[Tensor]
    presence: Tensor | None = None


class Network(nn.Module):
    """Executes a graph: (B, C, H, W) with H and W of at least 2^depth -> logits (B, K, H, W).

    Unpadded convolutions (2015) give logits smaller than the image: 388 of 572 pixels at depth 4.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        # cached properties hold a lock in Python 3.11, which torch.compile cannot trace
        self._multiple, self._keeps_size = graph.multiple, graph.padded
        channels = {INPUT: graph.in_channels} | {node.name: node.channels for node in graph.nodes}
        self.nodes = nn.ModuleDict(
            {
                module_name(node.name): GraphNode(node, [channels[edge.source] for edge in node.inputs])
                for node in graph.nodes
                if isinstance(node.block, Block)
            }
        )
        self.heads = nn.ModuleDict(
            {module_name(item.node): head(channels[item.node], graph.out_channels, item.kernel) for item in graph.heads}
        )
        self.presence = Presence(channels[graph.guidance], graph.out_channels) if graph.guidance is not None else None
        self.resize = Resize("bilinear")
        self.apply(_initialise)
        self.backbone = _stages(graph)  # has weights of its own
        train_depthwise_quickly(self)
        self._last_uses = _last_uses(graph)

    def forward(self, x: Tensor) -> Tensor:
        """The logits (B, K, H, W): the final head's, or the mean of all heads' probabilities; guided, if they are."""
        if self.graph.combine == "mean":
            return self.ensemble(x)
        outputs = self._outputs(x, self.graph.heads[-1:])
        return _guided(outputs.heads[-1], outputs.presence)

    def ensemble(self, x: Tensor) -> Tensor:
        """The logits of the mean of all heads' probabilities: (B, C, H, W) -> (B, K, H, W); guided, if they are."""
        outputs = self.outputs(x)
        return mean_of([_guided(logits, outputs.presence) for logits in outputs.heads])

    def outputs(self, x: Tensor) -> Outputs:
        """Every head's logits: (B, C, H, W) -> a list of (B, K, H, W), the final one last; and presence (B, K)."""
        return self._outputs(x, self.graph.heads)

    def _outputs(self, image: Tensor, heads: Sequence[Head]) -> Outputs:
        x = _padded(image, self._multiple)
        features = {INPUT: x}
        if self.backbone is not None:
            names = [node.name for node in self.graph.nodes if not isinstance(node.block, Block)]
            features |= dict(zip(names, self.backbone(x), strict=True))
        logits: dict[str, Tensor] = {}
        presence: Tensor | None = None
        wanted = {item.node for item in heads}
        for node in self.graph.nodes:
            name = module_name(node.name)
            if isinstance(node.block, Block):
                inputs = [features[edge.source] for edge in node.inputs]
                features[node.name] = self.nodes[name](inputs, self._size(x, node.level))
            feature = features[node.name]
            if node.name in wanted:
                logit = self.heads[name](feature)
                logit = self.resize(logit, x.shape[-2:]) if node.level else logit
                logits[node.name] = _unpadded(logit, image) if self._multiple > 1 else logit
            if self.presence is not None and node.name == self.graph.guidance:
                presence = self.presence(feature)
            for source in self._last_uses[node.name]:
                del features[source]
        return Outputs([logits[item.node] for item in heads], presence)

    def _size(self, x: Tensor, level: int) -> Size | None:
        """The level's size, that of its encoder node: each level halves, and drops what is left over."""
        return (x.shape[-2] // 2**level, x.shape[-1] // 2**level) if self._keeps_size else None


def build_network(graph: Graph) -> Network:
    """The torch module of a graph, with He-initialised weights; a backbone has its library's, or pretrained ones.

    Raises ArchitectureError where pretrained weights are neither in timm's cache nor to be had.
    """
    return Network(graph)


def carry_weights(source: nn.Module, target: nn.Module) -> None:
    """Copies the weights of equal names, all that `target` has (a pruned network from the whole one).

    Raises KeyError where `source` lacks one, RuntimeError where a shape differs.
    """
    weights = source.state_dict()
    target.load_state_dict({name: weights[name] for name in target.state_dict()})


def _stages(graph: Graph) -> Stages | None:
    """The backbone cut at the graph's depth. Without memory (the device meta) no weights are loaded."""
    if not graph.stages:
        return None
    backbone = graph.stages[0].backbone
    pretrained = backbone.pretrained and torch.get_default_device().type != "meta"
    return Stages(backbone.name, graph.in_channels, len(graph.stages), pretrained=pretrained)


def _guided(logits: Tensor, presence: Tensor | None) -> Tensor:
    return logits if presence is None else guided(logits, presence)


def _padded(image: Tensor, multiple: int) -> Tensor:
    """The image with its last row and column repeated until the sides are multiples: (B, C, H, W) -> (B, C, H', W')."""
    if multiple == 1:
        return image
    for dimension in (-2, -1):
        side = image.shape[dimension]
        places = torch.arange((side + multiple - 1) // multiple * multiple, device=image.device)
        image = image.index_select(dimension, places.clamp(max=side - 1))
    return image


def _unpadded(logits: Tensor, image: Tensor) -> Tensor:
    """The logits of the image's own pixels, copied: as a view, torch.export would tie the sizes to one another."""
    for dimension in (-2, -1):
        logits = logits.index_select(dimension, torch.arange(image.shape[dimension], device=logits.device))
    return logits


def _last_uses(graph: Graph) -> dict[str, list[str]]:
    """For each node, the features that nothing reads after it."""
    last = {edge.source: node.name for node in graph.nodes for edge in node.inputs}
    last |= {node.name: node.name for node in graph.nodes if node.name not in last}
    uses: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for source, node in last.items():
        uses[node].append(source)
    return uses


def _initialise(module: nn.Module) -> None:
    """He et al., arXiv 1502.01852, as the 2015 U-Net has it: standard deviation sqrt(2 / fan-in), zero biases."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.ConvTranspose2d):
        # every output pixel of an up-convolution (kernel = stride) reads in_channels values
        nn.init.normal_(module.weight, std=(2 / module.in_channels) ** 0.5)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
