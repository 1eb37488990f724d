"""Norms, and norms with their activations, whichever way they are computed, are torch's."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.compiler import compiled
from tests.network.laid import TYPES, assert_near, gradients, last, lying_last
from unetsearch.network import activated, folded, layout
from unetsearch.network.norm import BatchNorm, GroupNorm
from unetsearch.network.units import sequential


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def torch_alone(monkeypatch):
    """As where there is no compiler."""
    monkeypatch.setattr(activated, "_loops", lambda: None)


def drawn(own, plain, least=-0.5):
    """The same parameters, such as come of training."""
    with torch.no_grad():
        own.weight.uniform_(least, 2)
        own.bias.uniform_(-1, 1)
    plain.load_state_dict(own.state_dict())


def assert_cancelled(own, plain, x):
    rests = [gradients(module, module(x), x)[0].float().sum((0, 2, 3)).abs().max() for module in (own, plain)]
    assert rests[0] <= 2 * rests[1] + 1e-4, "by channel they cancel out, so far as rounding lets them"


@compiled
@TYPES
@pytest.mark.parametrize("channels", [3, 4, 8, 12, 16, 24, 40, 64])
def test_the_batch_norm_of_norm_c(channels, dtype, near):
    own, plain = BatchNorm(channels), nn.BatchNorm2d(channels)
    drawn(own, plain)
    for scale, shift in ((1, 0), (3, 100), (0.01, 0)):  # far from zero and close to it
        x = (lying_last(3, channels, 80, 16, dtype=dtype) * scale + shift).detach().requires_grad_()
        found, wanted = own(x), plain(x)
        assert "Activated" in found.grad_fn.name()
        assert last(found)
        exact = near * (1 + 10 * shift)  # torch's own statistics are in float32 too
        assert_near([found], [wanted], exact)
        assert_near(gradients(own, found, x), gradients(plain, wanted, x), exact)
    assert_near(own.state_dict().values(), plain.state_dict().values(), 1e-4)
    assert_cancelled(own, plain, lying_last(3, channels, 80, 16, dtype=dtype))


@compiled
@pytest.mark.parametrize("channels", [4, 16])
def test_it_is_as_exact_as_torch_and_sums_are_more_so(channels):
    exact, own, plain = nn.BatchNorm2d(channels).double(), BatchNorm(channels), nn.BatchNorm2d(channels)
    drawn(exact, plain)
    own.load_state_dict(plain.state_dict())
    x, gradient = (lying_last(8, channels, 48, 48, dtype=torch.bfloat16).detach() for _ in range(2))

    def found(norm, dtype):
        leaf = x.to(dtype).requires_grad_()
        normalised = norm(leaf)
        gradients = torch.autograd.grad(normalised, (leaf, norm.weight, norm.bias), gradient.to(dtype))
        return [each.double() for each in (normalised, *gradients, norm.running_mean, norm.running_var)]

    wanted, ours, theirs = found(exact, torch.float64), found(own, x.dtype), found(plain, x.dtype)

    def error(one, other):
        return (one - other).pow(2).mean().sqrt() / other.pow(2).mean().sqrt()

    errors = [[error(*pair) for pair in zip(each, wanted, strict=True)] for each in (ours, theirs)]
    for place, (own_error, other) in enumerate(zip(*errors, strict=True)):
        assert own_error <= (1.02 if place < 2 else 0.9) * other


@compiled
@TYPES
@pytest.mark.parametrize(
    ("activation", "slope"), [(nn.ReLU(inplace=True), 0.0), (nn.LeakyReLU(0.2, inplace=True), 0.2), (nn.SiLU(), 1.0)]
)
@pytest.mark.parametrize("channels", [8, 16, 20])
def test_norm_and_activation_as_one(channels, activation, slope, dtype, near):
    own, plain = sequential(BatchNorm(channels), activation), nn.Sequential(nn.BatchNorm2d(channels), activation)
    drawn(own[0], plain[0])
    x = lying_last(3, channels, 80, 16, dtype=dtype)
    with torch.no_grad():  # at the kink either side is right
        inner = plain[0](x)
        x[(inner.abs() < 1e-2)] += 0.05
    found, wanted = own(x), plain(x)
    name = found.grad_fn.name()
    assert ("Activated" in name) == (slope < 1)
    assert_near([found], [wanted], near)
    assert_near(gradients(own, found, x), gradients(plain, wanted, x), 2 * near)
    assert own[0].num_batches_tracked == 1
    assert torch.equal(own.eval()(x), plain[1](nn.BatchNorm2d.forward(own[0], x)))


@compiled
def test_one_thread_or_several_in_any_shares(monkeypatch):
    monkeypatch.setattr(layout, "SHARE", 1)
    own, x = BatchNorm(8), lying_last(3, 8, 30, 10)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            normalised = own(x)
            found.append([normalised, *gradients(own, normalised, x)])
            again = own(x)
            for one, other in zip(found[-1], [again, *gradients(own, again, x)], strict=True):
                assert torch.equal(one, other), "bit for bit"
    finally:
        torch.set_num_threads(threads)
    for each in found[1:]:
        assert_near(each, found[0], 1e-4)


@compiled
def test_what_is_no_number_stays_none():
    x = lying_last(2, 16, 8, 8, dtype=torch.bfloat16)
    with torch.no_grad():
        x[0, 3, 2, 2] = torch.nan
    found = sequential(BatchNorm(16), nn.ReLU())(x)
    assert found[:, 3].isnan().all()
    assert found[:, :3].isfinite().all()


@compiled
def test_one_value_far_from_the_others_costs_no_digits():
    x = lying_last(8, 16, 32, 32).detach()
    x[0, :, 0, 0] = 1000
    own, exact = BatchNorm(16), nn.BatchNorm2d(16).double()
    own(x)
    exact(x.double())
    assert torch.allclose(own.running_var.double(), exact.running_var, rtol=1e-6)
    assert torch.allclose(own.running_mean.double(), exact.running_mean, rtol=1e-6)


@compiled
def test_what_is_infinite_behind_the_kink_ends_there():
    own, plain = (
        sequential(BatchNorm(16), nn.ReLU()),
        nn.Sequential(nn.BatchNorm2d(16), nn.ReLU()),
    )
    x, gradient = lying_last(2, 16, 8, 8), torch.ones(2, 16, 8, 8)
    assert own(x).signbit().sum() == 0, "as torch, which knows no -0 there"
    gradient[plain(x) == 0] = torch.inf
    found, wanted = (torch.autograd.grad(module(x), x, gradient)[0] for module in (own, plain))
    assert_near([found], [wanted], 1e-5)


@compiled
def test_saved_tensors_may_come_back_in_another_layout():
    own, plain, x = BatchNorm(16), nn.BatchNorm2d(16), lying_last(2, 16, 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.contiguous(), lambda saved: saved):
        found, wanted = (norm(x) for norm in (own, plain))
        assert_near(gradients(own, found, x), gradients(plain, wanted, x), 1e-4)


@compiled
def test_gradients_lie_as_they_may():
    own, plain = BatchNorm(16), nn.BatchNorm2d(16)
    x = lying_last(2, 16, 8, 8)
    gradient = torch.randn(2, 16, 8, 8)
    found, wanted = (torch.autograd.grad(norm(x), x, gradient)[0] for norm in (own, plain))
    assert_near([found], [wanted], 1e-5)
    found, wanted = (torch.autograd.grad(norm(x).sum(), x)[0] for norm in (own, plain))
    assert (found - wanted).abs().max() < 1e-5


@compiled
def test_what_norm_c_does_not_take_is_torchs():
    plain = "NativeBatchNorm"
    assert plain in BatchNorm(16)(torch.randn(2, 16, 8, 8, requires_grad=True)).grad_fn.name()  # channels lie first
    assert plain in BatchNorm(1)(lying_last(2, 1, 8, 8)).grad_fn.name()  # they lie first and last
    assert plain in BatchNorm(8)(lying_last(3, 8, 3, 3)).grad_fn.name()  # an odd number of places
    assert plain in BatchNorm(16, momentum=None)(lying_last(2, 16, 8, 8)).grad_fn.name()
    assert plain in BatchNorm(16).double()(lying_last(2, 16, 8, 8, dtype=torch.float64)).grad_fn.name()
    assert plain in BatchNorm(16).eval()(lying_last(2, 16, 8, 8)).grad_fn.name()
    parameter = nn.Parameter(lying_last(2, 16, 8, 8).detach())
    assert plain in BatchNorm(16)(parameter).grad_fn.name()  # no plain tensor
    expanded = BatchNorm(16)
    expanded.weight = nn.Parameter(torch.ones(1).expand(16))
    assert plain in expanded(lying_last(2, 16, 8, 8)).grad_fn.name()
    with pytest.raises(RuntimeError, match="running_mean should contain"):
        BatchNorm(16)(lying_last(2, 32, 8, 8))
    own, x = BatchNorm(16), lying_last(2, 16, 8, 8)
    wanted = own(x)
    with torch.device("meta"):
        assert torch.equal(own(x), wanted)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm(16)(torch.randn(1, 16, 1, 1))


@TYPES
@pytest.mark.parametrize("channels", [4, 8, 12, 24, 40])
@pytest.mark.usefixtures("torch_alone")
def test_batch_norm_of_few_channels_by_torch_alone(channels, dtype, near, monkeypatch):
    monkeypatch.setattr(folded, "LEAST", 1)
    own, plain = BatchNorm(channels), nn.BatchNorm2d(channels)
    drawn(own, plain, 0.5)
    for _ in range(2):
        x = lying_last(3, channels, 8, 16, dtype=dtype)
        found, wanted = own(x), plain(x)
        assert "Folded" in found.grad_fn.name()
        assert last(found)
        assert_near([found], [wanted], near)
        assert_near(gradients(own, found, x), gradients(plain, wanted, x), 2 * near)
    assert_near(own.state_dict().values(), plain.state_dict().values(), 1e-5)
    assert_cancelled(own, plain, x)
    assert torch.equal(own.eval()(x), functional.batch_norm(x, own.running_mean, own.running_var, own.weight, own.bias))


@pytest.mark.usefixtures("torch_alone")
def test_batch_norm_leaves_to_torch_what_torch_is_quick_at():
    for x in (
        torch.randn(2, 8, 128, 128),  # channels lie first
        lying_last(2, 16, 128, 128),
        lying_last(2, 8, 64, 128),  # small
        lying_last(3, 8, 129, 129),  # does not fold
    ):
        assert "Folded" not in BatchNorm(x.shape[1])(x).grad_fn.name()
    x = lying_last(2, 8, 128, 128)
    assert "Folded" in BatchNorm(8)(x).grad_fn.name()
    for values in ({"momentum": None}, {"track_running_stats": False}):
        assert "Folded" not in BatchNorm(8, **values)(x).grad_fn.name()
    assert BatchNorm(8, affine=False)(x).shape == x.shape


@TYPES
def test_group_norm(dtype, near):
    own, plain, x = GroupNorm(3, 12), nn.GroupNorm(3, 12), lying_last(2, 12, 8, 6, dtype=dtype)
    found, wanted = own(x), plain(x.contiguous())
    assert last(found)
    assert_near([found], [wanted], near)
    assert_near(gradients(own, found, x), gradients(plain, wanted, x), near)
