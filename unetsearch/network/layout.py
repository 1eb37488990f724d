"""Where channels lie in memory, and who computes with them."""

import torch
from torch import Tensor

SHARE = 2**14
"""Values that are worth a thread."""


def eager(x: Tensor) -> bool:
    """Whether torch itself computes on the processor, operation by operation.

    Some of them take several times as long as need be, for which there are ways around here. Networks that are
    compiled, exported or traced do without.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def channels_last(x: Tensor) -> bool:
    """Whether channels lie last, in what torch itself computes on the processor."""
    return eager(x) and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def threads(x: Tensor) -> int:
    """How many of torch's threads a loop over its values is worth."""
    return max(1, min(torch.get_num_threads(), x.numel() // SHARE))
