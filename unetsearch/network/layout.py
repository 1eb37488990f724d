"""Where channels lie in memory."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """Whether torch itself computes on the processor, with channels that lie last.

    Then some of its operations take several times as long as need be, for which there are ways around here; compiled
    networks do without.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last)
