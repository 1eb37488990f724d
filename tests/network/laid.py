"""What the tests of tensors whose channels lie last share."""

import pytest
import torch

TYPES = pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])


def lying_last(*shape, dtype=torch.float32):
    values = (torch.randn(shape) + 1).to(dtype)
    return values.contiguous(memory_format=torch.channels_last).requires_grad_()


def last(x):
    return x.is_contiguous(memory_format=torch.channels_last)


def gradients(module, outputs, *inputs):
    """Of the inputs and the parameters, for a sum that weighs each value differently."""
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs.dtype)
    return torch.autograd.grad((outputs * weights).sum(), (*inputs, *module.parameters()))


def assert_near(found, wanted, near):
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert (one.float() - other.float()).abs().max() <= near * other.float().abs().max()
