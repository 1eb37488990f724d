"""What the ways around torch's slow operations bring: each forth and back, in turns with torch's own.

    python benchmarks/operations.py

Batches of 8 in bfloat16, channels last, as networks meet them in training at 96x96 pixels. Medians of the milliseconds,
and of the ratio within a turn. Writes results/operations-cpu.md.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest.mock import patch

import torch
from machine import description
from torch import Tensor, nn
from torch.nn import functional

from unetsearch.network import activated
from unetsearch.network.concatenation import concatenated
from unetsearch.network.depthwise import Depthwise
from unetsearch.network.norm import BatchNorm, GroupNorm
from unetsearch.network.pooling import MaxPool
from unetsearch.network.resample import TransposedConvolution
from unetsearch.network.units import sequential

RESULTS = Path(__file__).parent / "results"
TURNS = 40

Operation = Callable[..., Tensor]


def features(channels: int, side: int) -> Tensor:
    """A batch of them."""
    values = torch.randn(8, channels, side, side).bfloat16()
    return values.contiguous(memory_format=torch.channels_last).requires_grad_()


def taken(operation: Operation, inputs: Sequence[Tensor], parameters: Sequence[Tensor], gradient: Tensor) -> float:
    """The seconds of the operation and its gradients."""
    began = perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        found = operation(*inputs)
    torch.autograd.grad(found, (*inputs, *parameters), gradient)
    return perf_counter() - began


def row(name: str, own: Operation, plain: Operation, *inputs: Tensor) -> str:
    """A line of the table."""
    parameters = list(own.parameters()) if isinstance(own, nn.Module) else []
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        shape = own(*inputs)
    gradient = torch.randn(shape.shape).to(shape.dtype).contiguous(memory_format=torch.channels_last)
    times = [[taken(each, inputs, parameters, gradient) for each in (plain, own)] for _ in range(TURNS + 5)][5:]
    theirs, ours = (1000 * median(column) for column in zip(*times, strict=True))
    return f"| {name} | {theirs:.2f} | {ours:.2f} | {median(one / other for one, other in times):.2f} |"


def rows() -> list[str]:
    """All of them."""
    found = []
    for channels, side in ((4, 96), (8, 96), (12, 96), (16, 96), (32, 48), (64, 24), (128, 12)):
        unit = sequential(BatchNorm(channels), nn.ReLU(inplace=True))
        name = f"batch norm and ReLU, {channels}, {side}x{side} px"
        found.append(row(name, unit, partial(apart, unit), features(channels, side)))
    with patch.object(activated, "_loops", lambda: None):
        for channels in (4, 8, 12, 24):
            norm = BatchNorm(channels)
            name = f"batch norm without a compiler, {channels}"
            found.append(row(name, norm, partial(nn.BatchNorm2d.forward, norm), features(channels, 96)))
    for channels in (8, 16, 32):
        norm = GroupNorm(channels // 4, channels)
        found.append(row(f"group norm, {channels}", norm, partial(nn.GroupNorm.forward, norm), features(channels, 96)))
    for channels, after in pairwise((64, 32, 16, 8)):
        module = TransposedConvolution(channels, after, 2, stride=2)
        plain = partial(functional.conv_transpose2d, weight=module.weight, bias=module.bias, stride=2)
        call = Bound(module)
        found.append(
            row(f"transposed convolution, {channels} to {after}", call, plain, features(channels, 384 // after))
        )
    for channels, count in ((8, 5), (8, 2), (16, 5), (16, 2)):
        parts = [features(channels, 96) for _ in range(count)]
        name = f"concatenation, {count} of {channels}, each summed up with its like"
        found.append(row(name, read_twice(lambda *x: concatenated(x)), read_twice(lambda *x: torch.cat(x, 1)), *parts))
    for channels, side, factor in ((8, 96, 2), (16, 96, 2), (64, 24, 2), (16, 96, 4)):
        pool = MaxPool(factor)
        name = f"max pooling, {channels}, {factor}x{factor}, {side}x{side} px"
        found.append(row(name, pool, partial(nn.MaxPool2d.forward, pool), features(channels, side)))
    for channels, side, kernel, stride in ((96, 48, 3, 2), (144, 24, 5, 2), (672, 6, 5, 1), (240, 12, 3, 2)):
        depthwise = Depthwise(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        depthwise = depthwise.to(memory_format=torch.channels_last)
        name = f"depthwise convolution, {channels}, {kernel}x{kernel}, stride {stride}, {side}x{side} px"
        found.append(row(name, depthwise, partial(nn.Conv2d.forward, depthwise), features(channels, side)))
    return found


def apart(unit: nn.Sequential, x: Tensor) -> Tensor:
    """Norm and activation by torch."""
    norm, activation = unit
    assert isinstance(norm, nn.BatchNorm2d)
    found: Tensor = activation(nn.BatchNorm2d.forward(norm, x))
    return found


class Bound(nn.Module):
    """An up-convolution to exactly its stride times the size."""

    def __init__(self, up: TransposedConvolution) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) -> (B, out, h * stride, w * stride)."""
        found: Tensor = self.up(x, None)
        return found


def read_twice(joined: Operation) -> Operation:
    """As nodes are that several others read: their gradients are summed up."""
    return lambda *parts: joined(*parts) + joined(*reversed(parts))


def main() -> None:
    torch.manual_seed(0)
    found = rows()
    lines = ["# Operations that torch is slow at", "", description(), ""]
    lines += [*(__doc__ or "").splitlines()[4:6], ""]
    lines += ["| operation, channels | torch's, ms | ours, ms | torch's / ours |", "|---|---|---|---|", *found]
    print(*lines, sep="\n")
    (RESULTS / "operations-cpu.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
