"""Max pooling by pooling.c gives torch's values and gradients, to the bit."""

import pytest
import torch
from torch import nn

from tests.compiler import compiled
from tests.network.laid import last, lying_last
from unetsearch.network import layout, pooling
from unetsearch.network.pooling import MaxPool


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def assert_same(x, factor, gradient=None):
    found, wanted = MaxPool(factor)(x), nn.MaxPool2d(factor)(x)
    assert "Pooled" in found.grad_fn.name()
    assert last(found)
    assert torch.equal(found.nan_to_num(7), wanted.nan_to_num(7))
    if gradient is None:
        gradient = torch.randn_like(wanted)
    ours, theirs = (torch.autograd.grad(each, x, gradient)[0] for each in (found, wanted))
    assert torch.equal(ours, theirs)
    assert last(ours)


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [2, 3, 4, 8, 12, 16, 24, 40])
@pytest.mark.parametrize(("factor", "sides"), [(2, (8, 6)), (2, (7, 9)), (4, (9, 8)), (3, (3, 5)), (16, (33, 16))])
def test_max_pooling(channels, factor, sides, dtype):
    assert_same(lying_last(3, channels, *sides, dtype=dtype), factor)


@compiled
def test_of_equals_the_first_is_the_greatest():
    x = torch.randint(0, 2, (2, 8, 8, 8)).float().contiguous(memory_format=torch.channels_last)
    x[0, 0] = -torch.inf
    x[0, 1] = 0.0
    x[0, 1, ::3] = -0.0
    assert_same(x.requires_grad_(), 4)


@compiled
@pytest.mark.parametrize("channels", [3, 16])
def test_what_is_no_number_is_the_greatest(channels):
    x = lying_last(2, channels, 8, 8).detach()
    x[torch.rand_like(x) < 0.1] = torch.nan
    assert_same(x.requires_grad_(), 2)


@compiled
def test_gradients_lie_as_they_may():
    x = lying_last(2, 16, 8, 8)
    assert_same(x, 2, torch.randn(2, 16, 4, 4))
    assert_same(x, 2, torch.ones(1).expand(2, 16, 4, 4))


@compiled
def test_saved_tensors_may_come_back_in_another_layout():
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.contiguous(), lambda saved: saved):
        assert_same(lying_last(2, 16, 8, 8), 2)


@compiled
def test_one_thread_or_several(monkeypatch):
    monkeypatch.setattr(layout, "SHARE", 1)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            assert_same(lying_last(3, 8, 13, 10), 2)
    finally:
        torch.set_num_threads(threads)


@compiled
def test_no_memory_beside_it_is_written(monkeypatch):
    """What lies around the values in memory stays as it was, of few channels too, which are dealt with many at once."""
    empty = torch.empty

    def amidst(shape, **values):
        values.pop("memory_format")
        count, channels, height, width = shape
        room = torch.full((count * channels * height * width + 128,), 77, dtype=values["dtype"])
        rooms.append(room)
        return room[64:-64].view(count, height, width, channels).permute(0, 3, 1, 2)

    for channels in (2, 3, 8, 24):
        rooms = []
        x = lying_last(2, channels, 7, 9)
        monkeypatch.setattr(pooling.torch, "empty", amidst)
        found = MaxPool(2)(x)
        torch.autograd.grad(found.sum(), x)
        monkeypatch.setattr(pooling.torch, "empty", empty)
        assert len(rooms) == 3
        assert all((room[:64] == 77).all() and (room[-64:] == 77).all() for room in rooms)


def test_what_pooling_c_does_not_take_is_torchs(monkeypatch):
    plain = "MaxPool"
    assert plain in MaxPool(2)(torch.randn(2, 16, 8, 8, requires_grad=True)).grad_fn.name()  # channels lie first
    assert plain in MaxPool(2)(lying_last(2, 1, 8, 8)).grad_fn.name()  # they lie first and last
    assert plain in MaxPool(2)(lying_last(2, 16, 8, 8, dtype=torch.float64)).grad_fn.name()
    assert plain in MaxPool(17)(lying_last(2, 4, 34, 34)).grad_fn.name()
    assert plain in MaxPool(2)(nn.Parameter(lying_last(2, 16, 8, 8).detach())).grad_fn.name()
    with pytest.raises(RuntimeError, match="too small"):
        MaxPool(4)(lying_last(2, 16, 3, 8))
    monkeypatch.setattr(pooling, "_loops", lambda: None)
    assert plain in MaxPool(2)(lying_last(2, 16, 8, 8)).grad_fn.name()
