"""torch.compile, where it pays within one training: long ones of narrow U-Net++ on the processor."""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from unetsearch.graph.graph import Graph
from unetsearch.network.network import Outputs
from unetsearch.space.recipe import Recipe

PAYS = 250 * 8 * 96**2
"""Pixels of all steps, for each channel at the full size, from which on the time to compile comes in again.

Measured at 8 and 16 channels (benchmarks/results/training-unetpp-cpu.md): 2,000 and 4,000 steps of 8 crops of 96x96.
"""

NARROWEST, WIDEST = 8, 16
"""Channels between which it was measured: fewer are asked for as many steps, more of them are not compiled."""

EARLIEST_END = 1 / 6
"""The share of its steps after which a training that is scored on its way may first be ended, or wait for long."""

Outputting = Callable[[Tensor], Outputs]
"""Images (B, C, H, W) -> the outputs for their crops."""


def compiled_after(graph: Graph, recipe: Recipe, device: torch.device) -> int | None:
    """The step after which the rest of a training is compiled; None where that would not pay.

    It was measured to pay on the processor for long trainings of U-Net++, most nodes of which lie at the full size and
    have few channels. A U-Net gains next to nothing, a U-Net 3+ becomes slower. A C++ compiler is needed. A training
    that may be ended early is compiled from where it first may be, or at once if it has paid by then.
    """
    dense = sum(node.level == 0 for node in graph.nodes) > 2  # a U-Net has the first and the last there
    channels = graph.nodes[0].channels
    narrow = not graph.stages and channels <= WIDEST
    if not (device.type == "cpu" and dense and narrow):
        return None
    judged = ceil(recipe.evaluations * EARLIEST_END) / recipe.evaluations if recipe.evaluations > 1 else 0.0
    first = round(recipe.steps * judged)

    def pays(steps: int) -> bool:
        return steps * recipe.batch_size * recipe.crop**2 >= PAYS * max(channels, NARROWEST)

    if not pays(recipe.steps - first) or compiler() is None:
        return None
    return 0 if pays(first) else first  # what has paid by then may be ended


def compiler() -> str | None:
    """The C++ compiler that torch would call, None where there is none."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++"))


def compiled(outputs: Outputting) -> Outputting:
    """The same, compiled when it is first called. Whatever can fail in a compiler may be raised here or then."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that there is no CUDA here
    torch.compiler.reset()  # what earlier networks left counts against a limit
    return torch.compile(outputs, dynamic=False)
