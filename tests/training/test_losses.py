import numpy as np
import pytest
import torch

from unetsearch.data.dataset import IGNORE
from unetsearch.training.losses import LOSSES, SMOOTH, heads_loss


def example(classes, seed=0, ignored=True):
    random = torch.Generator().manual_seed(seed)
    maps = 1 if classes == 2 else classes
    logits = torch.randn(2, maps, 5, 6, generator=random, dtype=torch.float64)
    target = torch.randint(classes, (2, 5, 6), generator=random).to(torch.uint8)
    if ignored:
        target[0, :2] = IGNORE
    return logits, target


def probabilities(logits):
    """(B, classes, H, W) with the background first, by numpy."""
    z = logits.numpy()
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z))
        return np.concatenate([1 - p, p], 1)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ignored", [False, True])
def test_losses_agree_with_their_formulas(classes, ignored):
    logits, target = example(classes, ignored=ignored)
    p, t = probabilities(logits), target.numpy()
    valid = t != IGNORE
    picked = np.take_along_axis(p, np.where(valid, t, 0)[:, None].astype(int), 1)[:, 0]
    entropy = -np.log(picked[valid]).mean()
    ratios = []
    for index in range(1, classes):
        overlap = (p[:, index] * (t == index))[valid].sum()
        total = p[:, index][valid].sum() + (t == index).sum()
        ratios.append((2 * overlap + SMOOTH) / (total + SMOOTH))
    dice = 1 - np.mean(ratios)
    assert LOSSES["cross_entropy"](logits, target).item() == pytest.approx(entropy)
    assert LOSSES["dice"](logits, target).item() == pytest.approx(dice)
    assert LOSSES["dice_ce"](logits, target).item() == pytest.approx(entropy + dice)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_gradients_are_right_and_ignored_pixels_have_none(loss, classes):
    logits, target = example(classes)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: LOSSES[loss](z, target), (logits,))
    LOSSES[loss](logits, target).backward()
    assert torch.all(logits.grad[0, :, :2] == 0)
    assert torch.all(logits.grad[1].abs().sum(0) > 0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("maps", [1, 3])
def test_nothing_labelled_and_empty_masks_stay_finite(loss, maps):
    logits = torch.zeros(1, maps, 4, 4, requires_grad=True)
    for target in (torch.full((1, 4, 4), IGNORE), torch.zeros(1, 4, 4)):
        value = LOSSES[loss](logits, target.to(torch.uint8))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(logits.grad).all()


def test_an_empty_crop_predicted_empty_costs_nothing():
    target = torch.zeros(1, 8, 8, dtype=torch.uint8)
    assert LOSSES["dice_ce"](torch.full((1, 1, 8, 8), -30.0), target).item() == pytest.approx(0, abs=1e-6)


def test_the_loss_of_several_heads_is_their_mean():
    logits, target = example(2)
    one, other = LOSSES["dice_ce"](logits.float(), target), LOSSES["dice_ce"](-logits.float(), target)
    assert heads_loss("dice_ce", [logits, -logits], target).item() == pytest.approx((one + other).item() / 2)
