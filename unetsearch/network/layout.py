"""Where channels lie in memory, and who computes with them."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

SHARE = 2**14
"""Values that are worth a thread."""


def eager(x: Tensor) -> bool:
    """Whether torch itself computes on the processor, operation by operation.

    Some of them take several times as long as need be, for which there are ways around here. Networks that are
    compiled, exported or traced, or whose operations are watched, do without.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or is_in_torch_dispatch_mode():
        return False
    return not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def channels_last(x: Tensor) -> bool:
    """Whether channels lie last, in what torch itself computes on the processor."""
    return eager(x) and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def plain(x: Tensor) -> bool:
    """Whether its memory says all: channels lie last, real numbers of no other meaning."""
    return type(x) is Tensor and channels_last(x) and x.dtype.is_floating_point and not x.is_neg()


def laid_last(x: Tensor) -> Tensor:
    """The same with channels last, all of it in memory."""
    return x.resolve_neg().contiguous(memory_format=torch.channels_last)


def threads(x: Tensor) -> int:
    """How many of torch's threads a loop over its values is worth."""
    return max(1, min(torch.get_num_threads(), x.numel() // SHARE))
