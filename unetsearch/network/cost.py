"""What a graph costs, counted on the very modules that execute it, node by node, without any memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from unetsearch.graph.graph import INPUT, Block, Edge, Graph, Stage
from unetsearch.graph.sizes import block_size, node_sizes
from unetsearch.network.backbones import Stages
from unetsearch.network.blocks import BLOCKS
from unetsearch.network.guidance import Presence
from unetsearch.network.nodes import GraphEdge
from unetsearch.network.resample import Resize, Size
from unetsearch.network.units import head

COST_IMAGE_SIZE: Size = (256, 256)
"""The image that a study's MACs and activation bytes count."""

BYTES_A_VALUE = 4


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Parameters, multiply-accumulates of one image, and bytes of its activations (4 a value)."""

    params: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """A network's cost: the sum over its nodes, each with its own head. `nodes` has them by name."""

    params: int
    macs: int
    activation_bytes: int
    nodes: Mapping[str, NodeCost]


def cost(graph: Graph, image_size: Size = COST_IMAGE_SIZE) -> Cost:
    """Parameters, MACs (convolutions, linear layers; half of torch's flop counter), activation bytes of every head.

    Activation bytes: the outputs of leaf modules, for a batch of 1. The counts are those of `network.outputs(x)`
    for an image of `image_size` (height, width). Raises ArchitectureError where the image is too small.
    """
    channels = {INPUT: graph.in_channels} | {node.name: node.channels for node in graph.nodes}
    kernels = {head.node: head.kernel for head in graph.heads}
    height, width = (ceil(side / graph.multiple) * graph.multiple for side in image_size)
    sizes = {INPUT: (height, width)} | node_sizes(graph, image_size)
    nodes: dict[str, NodeCost] = {}
    before = NodeCost(0, 0, 0)
    for node in graph.nodes:
        size = sizes[node.name]
        if isinstance(node.block, Stage):
            until = _stages_cost(node.block.backbone.name, graph.in_channels, node.block.index + 1, (height, width))
            parts, before = [_difference(until, before)], until
        else:
            inside = block_size(node, size)
            parts = [
                _edge_cost(replace(edge, source=""), channels[edge.source], sizes[edge.source], inside)
                for edge in node.inputs
            ]
            parts.append(_block_cost(node.block, sum(e.channels for e in node.inputs), node.channels, inside))
        if node.name in kernels:
            target = (height, width) if node.level else None
            parts.append(_head_cost(kernels[node.name], graph.out_channels, (node.channels, *size), target))
        if node.name == graph.guidance:
            parts.append(_presence_cost(graph.out_channels, (node.channels, *size)))
        nodes[node.name] = _total(parts)
    total = _total(list(nodes.values()))
    return Cost(total.params, total.macs, total.activation_bytes, nodes)


@lru_cache(maxsize=1024)
def _stages_cost(name: str, in_channels: int, stages: int, size: Size) -> NodeCost:
    """Of a backbone cut behind so many stages; it is built anew for each, so that nothing behind the cut counts."""
    with torch.device("meta"), FlopCounterMode(display=False) as flops:  # its layers may be of any kind
        counted = _count(Stages(name, in_channels, stages), torch.empty(1, in_channels, *size))
    return replace(counted, macs=flops.get_total_flops() // 2)


@lru_cache(maxsize=65536)
def _edge_cost(edge: Edge, channels: int, size: Size, target: Size) -> NodeCost:
    """Networks of one space share most of their edges and blocks: each is built and counted once."""
    with torch.device("meta"):
        module = GraphEdge(edge, channels)
        if not isinstance(module.up, Resize):
            return _count(module, torch.empty(1, channels, *size), target)
        parts = [_resized(channels, target)]
        if module.projection is not None:
            parts.append(_count(module.projection, torch.empty(1, channels, *target)))
        return _total(parts)


@lru_cache(maxsize=65536)
def _block_cost(block: Block, in_channels: int, channels: int, size: Size) -> NodeCost:
    with torch.device("meta"):
        return _count(BLOCKS[block.kind](in_channels, channels, block), torch.empty(1, in_channels, *size))


@lru_cache(maxsize=65536)
def _head_cost(kernel: int, out_channels: int, shape: tuple[int, int, int], target: Size | None) -> NodeCost:
    with torch.device("meta"):
        logits = _count(head(shape[0], out_channels, kernel), torch.empty(1, *shape))
        return logits if target is None else _total([logits, _resized(out_channels, target)])


@lru_cache(maxsize=65536)
def _presence_cost(out_channels: int, shape: tuple[int, int, int]) -> NodeCost:
    with torch.device("meta"):
        return _count(Presence(shape[0], out_channels), torch.empty(1, *shape))


def _resized(channels: int, size: Size) -> NodeCost:
    """An interpolation: nothing but its output (without memory torch runs it through a decomposition of 20 ms)."""
    return NodeCost(0, 0, channels * size[0] * size[1] * BYTES_A_VALUE)


def _count(module: nn.Module, *arguments: Any) -> NodeCost:
    macs = values = 0

    def count(leaf: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal macs, values
        values += output.numel()
        if isinstance(leaf, nn.ConvTranspose2d):
            macs += inputs[0].numel() * (leaf.weight.numel() // leaf.in_channels)
        elif isinstance(leaf, nn.Conv2d):
            macs += output.numel() * (leaf.weight.numel() // leaf.out_channels)

    for leaf in module.modules():
        if not list(leaf.children()):
            leaf.register_forward_hook(count)
    module.eval()(*arguments)
    params = sum(parameter.numel() for parameter in module.parameters())
    return NodeCost(params, macs, values * BYTES_A_VALUE)


def _difference(whole: NodeCost, part: NodeCost) -> NodeCost:
    return NodeCost(whole.params - part.params, whole.macs - part.macs, whole.activation_bytes - part.activation_bytes)


def _total(costs: list[NodeCost]) -> NodeCost:
    return NodeCost(
        sum(cost.params for cost in costs),
        sum(cost.macs for cost in costs),
        sum(cost.activation_bytes for cost in costs),
    )
