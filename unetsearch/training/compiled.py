"""torch.compile, where it pays within one training: long ones of densely connected networks on the processor."""

import os
import shutil
import sys
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from unetsearch.errors import first_line
from unetsearch.graph.graph import Graph
from unetsearch.graph.sizes import context
from unetsearch.network.network import Network, Outputs
from unetsearch.space.recipe import Recipe
from unetsearch.training.context import outputs_of

PAYS = 3_000 * 8 * 96**2
"""Pixels of all steps from which on the time to compile comes in again (benchmarks/results/training-cpu.md)."""

Outputting = Callable[[Tensor], Outputs]
"""Images (B, C, H, W) -> the outputs for their crops."""


def pays(graph: Graph, recipe: Recipe, device: torch.device) -> bool:
    """Whether a whole training is faster with what must first be compiled.

    Measured on the processor, where U-Net++ gains enough: most of its nodes lie at the full size, and work on few
    channels. A U-Net gains next to nothing there, a U-Net 3+ becomes slower. A C++ compiler is needed.
    """
    dense = sum(node.level == 0 for node in graph.nodes) > 2  # a U-Net has the first and the last there
    pixels = recipe.steps * recipe.batch_size * recipe.crop**2
    return device.type == "cpu" and dense and pixels >= PAYS and compiler() is not None


def compiler() -> str | None:
    """The C++ compiler that torch would call, None where there is none."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))


def trained_outputs(network: Network, recipe: Recipe, device: torch.device) -> Outputting:
    """The network as its training calls it: compiled where that pays, and where it can be; a warning says if not."""
    frame = context(network.graph, recipe.crop)

    def eager(images: Tensor) -> Outputs:
        return outputs_of(network, images, frame)

    if not pays(network.graph, recipe, device):
        return eager
    torch.compiler.reset()  # what earlier networks left counts against a limit
    compiled: Outputting | None = torch.compile(eager, dynamic=False)

    def outputs(images: Tensor) -> Outputs:
        nonlocal compiled
        if compiled is not None:
            try:
                return compiled(images)
            except RuntimeError as error:
                warnings.warn(f"trained without torch.compile: {first_line(error)}", stacklevel=2)
                compiled = None
        return eager(images)

    return outputs
