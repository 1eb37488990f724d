from copy import deepcopy

import pytest
import torch

from tests.gpu import gpu
from tests.training.recorded import Recorded, Watched
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.network import build_network
from unetsearch.space.recipe import Recipe
from unetsearch.training.augment import Batch
from unetsearch.training.recording import WARM_UP
from unetsearch.training.step import Step

RECIPE = Recipe(crop=16, batch_size=4)
CPU = torch.device("cpu")
STEPS = WARM_UP + 4


def network(**values):
    torch.manual_seed(0)
    return build_network(build_graph(reference("unet++", width=4, depth=2, deep_supervision=True, **values)))


def batch_of(number, device=CPU, *, weights=False):
    random = torch.Generator().manual_seed(number)
    images = torch.randn(4, 1, 16, 16, generator=random)
    more = torch.rand(4, 16, 16, generator=random) if weights else None
    batch = Batch(images, (images[:, 0] > 0).to(torch.uint8), more)
    return Batch(*(None if part is None else part.to(device) for part in (batch.images, batch.masks, batch.weights)))


def stepped(step, device=CPU, *, weights=False):
    """The weights after some steps, and the sum of their losses."""
    for number in range(STEPS):
        step(batch_of(number, device, weights=weights), 1e-2 * (1 - number / STEPS))
    return [parameter.detach().clone() for parameter in step.network.parameters()], step.loss_sum.item()


def equal(one, other):
    return one[1] == other[1] and all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))


@pytest.mark.parametrize("parts", [1, 2])
def test_the_optimizer_takes_gradients_as_they_lie(parts):
    """torch's fused AdamW on a processor reads both as they lie in memory, and is wrong where they lie differently."""
    trained = network().to(memory_format=torch.channels_last)
    step = Step(trained, RECIPE, CPU, parts=parts)
    same = [parameter.detach().clone(memory_format=torch.contiguous_format) for parameter in trained.parameters()]
    usual = torch.optim.AdamW(same, weight_decay=RECIPE.weight_decay, fused=False)
    for number in range(STEPS):
        step(batch_of(number), 1e-2)
        for group in usual.param_groups:
            group["lr"] = 1e-2
        for one, parameter in zip(same, trained.parameters(), strict=True):
            one.grad = parameter.grad.contiguous()
        usual.step()
    for one, parameter in zip(same, trained.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.detach(), atol=1e-5, rtol=1e-4)


def test_a_state_of_a_device_with_another_layout_is_gone_on_from():
    """Apple's trains without channels last; what the optimizer knows of each weight must lie as the weight does."""
    begun, other = (Step(network().to(memory_format=torch.channels_last), RECIPE, CPU) for _ in range(2))
    stepped(begun)
    state = deepcopy(begun.state_dict())
    for moments in state["state"].values():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = moments[name].clone(memory_format=torch.contiguous_format)
    other.network.load_state_dict(begun.network.state_dict())
    other.load_state_dict(state)
    ours, wanted = stepped(other)[0], stepped(begun)[0]
    assert all(torch.equal(one, each) for one, each in zip(ours, wanted, strict=True))


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_recorded_steps_are_the_steps_that_were_not_recorded(weights, parts):
    plain = stepped(Step(network(), RECIPE, CPU, parts=parts), weights=weights)
    recorder = Recorded()
    step = Step(network(), RECIPE, CPU, parts=parts, record=recorder)
    assert equal(stepped(step, weights=weights), plain)
    assert (recorder.recorded, recorder.replays) == (1, STEPS - WARM_UP - 1)


def test_long_gradients_are_shortened_and_others_are_not_touched(monkeypatch):
    def norm(longest):
        monkeypatch.setattr("unetsearch.training.step.GRADIENT_NORM", longest)
        step = Step(network(), RECIPE, CPU)
        step(batch_of(0), 1e-2)
        return torch.nn.utils.get_total_norm([each.grad for each in step.network.parameters()]).item()

    whole = norm(1e9)
    assert norm(whole / 2) == pytest.approx(whole / 2, rel=1e-4)
    assert norm(whole * 1.01) == whole


def test_a_look_at_the_network_between_two_steps_changes_nothing():
    looked, plain = (Step(network(dropout=0.2), RECIPE, CPU) for _ in range(2))
    torch.manual_seed(1)
    for number in range(STEPS):
        looked(batch_of(number), 1e-2 * (1 - number / STEPS))
        looked.network.eval()
    torch.manual_seed(1)
    assert stepped(plain)[1] == looked.loss_sum.item()


def test_the_rate_of_every_step_counts():
    step = Step(network(), RECIPE, CPU)
    before = [parameter.detach().clone() for parameter in step.network.parameters()]
    step(batch_of(0), 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, step.network.parameters(), strict=True))
    step(batch_of(0), 1e-3)
    assert not any(torch.equal(a, b) for a, b in zip(before, step.network.parameters(), strict=True) if a.ndim == 4)


@pytest.mark.cuda
@gpu
@pytest.mark.parametrize("loss", ["dice_ce", "lovasz", "unet++", "focal"])
@pytest.mark.parametrize("weights", [False, True])
def test_steps_replayed_on_a_gpu_are_the_steps_begun_by_python(loss, weights):
    """Up to what the order of sums on a GPU changes."""
    device, recipe = torch.device("cuda"), Recipe(crop=16, batch_size=4, loss=loss)
    record = Watched(device)
    step = Step(network().to(device), recipe, device, record=record)
    replayed, plain = (
        stepped(each, device, weights=weights) for each in (step, Step(network().to(device), recipe, device))
    )
    assert record.recorded == 1
    assert replayed[1] == pytest.approx(plain[1], rel=1e-2)
    for one, other in zip(replayed[0], plain[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)


@pytest.mark.cuda
@gpu
def test_dropout_draws_anew_in_every_replay():
    device = torch.device("cuda")
    record = Watched(device)
    step = Step(network(dropout=0.5).to(device), RECIPE, device, record=record)
    losses = []
    for _ in range(STEPS):
        before = step.loss_sum.item()
        step(batch_of(0, device), 0.0)
        losses.append(step.loss_sum.item() - before)
    assert record.recorded == 1
    assert len({round(loss, 4) for loss in losses[WARM_UP:]}) > 1
