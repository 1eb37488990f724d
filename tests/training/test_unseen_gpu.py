"""Batches and losses on an NVIDIA GPU that need not be there: torch follows devices and shapes, without numbers."""

from dataclasses import replace
from itertools import count, islice

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.training.images import coded, recipe
from unetsearch.space.recipe import MS_SSIM_SIDE, WINDOWED
from unetsearch.training.augment import _normal
from unetsearch.training.batches import TOGETHER, batches
from unetsearch.training.crops import Places
from unetsearch.training.losses import LOSSES, Truth
from unetsearch.training.sources import Resident, Streamed

GPU = torch.device("cuda", 0)

KERNELS = 8
"""So many at most for a batch: each takes a few microseconds, however little it does, and a step of a small network is
a millisecond.
"""

COPIES = torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default


class Followed(TorchDispatchMode):
    """What is begun on the GPU, and what copies to or from it are waited for."""

    def __init__(self):
        super().__init__()
        self.begun, self.waits = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = function(*args, **kwargs)
        read, written = (
            {each.device.type for each in tree_leaves(what) if isinstance(each, torch.Tensor)}
            for what in ((args, kwargs), given)
        )
        if "cuda" in written and not function.is_view:
            self.begun.append(str(function))
        copied = function in COPIES and read | written == {"cpu", "cuda"}
        if copied and ("cpu" in written or not kwargs.get("non_blocking")):
            self.waits.append(str(function))
        return given


def on_the_gpu(channels, *, weighed):
    """An image which is all on the GPU."""
    _, mask = coded(60, 60)
    pixels = torch.empty((mask.size, channels), device=GPU)
    masks = torch.empty(mask.size, dtype=torch.uint8, device=GPU)
    return Resident(Places.of([mask]), pixels, masks, torch.empty(mask.size, device=GPU) if weighed else None)


def on_the_disk(channels, *, weighed):
    """An image which is not."""
    image, mask = coded(60, 60)
    image = np.ascontiguousarray(image[:channels])
    return Streamed(Places.of([mask]), GPU, [image], [mask], [mask.astype(np.float32)] if weighed else None)


@pytest.fixture
def followed(monkeypatch):
    """What is begun meanwhile, in this thread."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr("unetsearch.training.batches._ahead", lambda drawn, start: map(drawn, count(start)))
    monkeypatch.setattr("unetsearch.training.batches._copied", lambda read, _: read)
    fields = np.zeros((11, 16, 16), np.float32)  # are numbers on the processor, by which crops are laid
    monkeypatch.setattr("unetsearch.training.batches._in_pixels", lambda *_: fields)
    _normal.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True), Followed() as followed:
        yield followed
    _normal.cache_clear()  # of numbers that are none


@pytest.mark.parametrize("source", [on_the_gpu, on_the_disk])
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_augmented_batches_are_made_on_the_gpu_by_few_kernels_and_waited_for_by_none(
    source, weighed, channels, followed
):
    made = batches(source(channels, weighed=weighed), replace(recipe(), augmentation=1.0), seed=0)
    for _ in range(TOGETHER):
        next(made)
    for each in (followed.begun, followed.waits):
        each.clear()  # of what is made once
    for batch in islice(made, TOGETHER):
        assert {tensor.device for tensor in batch.tensors} == {GPU}
        labels = (1 + weighed) * [(6, 16, 16)]
        assert [tuple(tensor.shape) for tensor in batch.tensors] == [(6, channels, 16, 16), *labels]
    assert len(followed.begun) / TOGETHER <= KERNELS, followed.begun
    assert followed.waits == []


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("classes", [1, 3])
def test_no_loss_waits_for_the_gpu_but_those_with_ms_ssim(loss, classes, followed):
    logits = torch.empty((2, classes, MS_SSIM_SIDE, MS_SSIM_SIDE), device=GPU)
    masks = torch.empty(logits[:, 0].shape, dtype=torch.uint8, device=GPU)
    counts = torch.ones(max(2, classes), device=GPU)
    assert LOSSES[loss](logits, Truth(classes, masks, logits[:, 0], counts)).device == GPU
    assert followed.begun
    assert bool(followed.waits) == (loss in WINDOWED)
