"""The module that executes a graph."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from unetsearch.graph.graph import INPUT, Graph, Head
from unetsearch.network.blocks import convolution
from unetsearch.network.nodes import GraphNode, Resize, Size, module_name


@dataclass(frozen=True, slots=True)
class Outputs:
    """Every head's logits, (B, K, H, W) each at the input's size, the final one last. `presence`: none yet."""

    heads: list[Tensor]
    presence: Tensor | None = None


class Network(nn.Module):
    """Executes a graph: (B, C, H, W) with H and W of at least 2^depth -> logits (B, K, H, W)."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        channels = {INPUT: graph.in_channels} | {node.name: node.channels for node in graph.nodes}
        self.nodes = nn.ModuleDict(
            {
                module_name(node.name): GraphNode(node, [channels[edge.source] for edge in node.inputs])
                for node in graph.nodes
            }
        )
        self.heads = nn.ModuleDict(
            {
                module_name(head.node): convolution(channels[head.node], graph.out_channels, head.kernel, bias=True)
                for head in graph.heads
            }
        )
        self.resize = Resize("bilinear")
        self._last_uses = _last_uses(graph)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """The final head's logits: (B, C, H, W) -> (B, K, H, W)."""
        return self._logits(x, self.graph.heads[-1:])[-1]

    def outputs(self, x: Tensor) -> Outputs:
        """Every head's logits: (B, C, H, W) -> a list of (B, K, H, W), the final one last."""
        return Outputs(self._logits(x, self.graph.heads))

    def _logits(self, x: Tensor, heads: Sequence[Head]) -> list[Tensor]:
        features = {INPUT: x}
        sizes: dict[int, Size] = {}
        logits: dict[str, Tensor] = {}
        wanted = {head.node for head in heads}
        for node in self.graph.nodes:
            inputs = [features[edge.source] for edge in node.inputs]
            feature = self.nodes[module_name(node.name)](inputs, sizes.get(node.level))
            features[node.name] = feature
            sizes.setdefault(node.level, feature.shape[-2:])  # the level's size is that of its encoder node
            if node.name in wanted:
                logit = self.heads[module_name(node.name)](feature)
                logits[node.name] = self.resize(logit, x.shape[-2:]) if node.level else logit
            for source in self._last_uses[node.name]:
                del features[source]
        return [logits[head.node] for head in heads]


def build_network(graph: Graph) -> Network:
    """The torch module of a graph, with He-initialised weights."""
    return Network(graph)


def carry_weights(source: nn.Module, target: nn.Module) -> None:
    """Copies the weights of equal names, all that `target` has (a pruned network from the whole one).

    Raises KeyError where `source` lacks one, RuntimeError where a shape differs.
    """
    weights = source.state_dict()
    target.load_state_dict({name: weights[name] for name in target.state_dict()})


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
