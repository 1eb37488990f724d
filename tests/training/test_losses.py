from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from unetsearch.data.dataset import IGNORE
from unetsearch.network.network import Outputs
from unetsearch.space.recipe import MS_SSIM_SIDE, WINDOWED, Recipe
from unetsearch.training.heads import head_weights, heads_loss, outputs_loss
from unetsearch.training.losses import LOSSES, SMOOTH, Truth, ms_ssim

NARROW = sorted(set(LOSSES) - WINDOWED)
"""Losses that take crops of any size."""


def example(classes, seed=0, ignored=True, side=(5, 6)):
    random = torch.Generator().manual_seed(seed)
    maps = 1 if classes == 2 else classes
    logits = torch.randn(2, maps, *side, generator=random, dtype=torch.float64)
    labels = torch.randint(classes, (2, *side), generator=random).to(torch.uint8)
    if ignored:
        labels[0, :2] = IGNORE
    return logits, Truth(maps, labels)


def probabilities(logits):
    """(B, classes, H, W) with the background first, by numpy."""
    z = logits.detach().numpy()
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z))
        return np.concatenate([1 - p, p], 1)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def formulas(logits, truth, among=None):
    """Every loss but those with MS-SSIM, term by term as the papers write them; areas of all classes, or of some."""
    p, t = probabilities(logits), truth.labels.numpy()
    classes, valid = p.shape[1], truth.labels.numpy() != IGNORE
    picked = np.take_along_axis(p, np.where(valid, t, 0)[:, None].astype(int), 1)[:, 0][valid]
    entropy, focal = -np.log(picked).mean(), (-((1 - picked) ** 2) * np.log(picked)).mean()

    def areas(ratio, images=False):
        """The mean of 1 - ratio(hits, found, there, missed, false) over the classes, and maybe the images."""
        values = []
        for index in among or range(1, classes):
            for some in range(len(t)) if images else [slice(None)]:
                ok = valid[some]
                q, there = p[some, index][ok], (t[some] == index)[ok].astype(float)
                values.append(1 - ratio(q, there))
        return np.mean(values)

    def dice(q, t):
        return (2 * (q * t).sum() + SMOOTH) / (q.sum() + t.sum() + SMOOTH)

    def squared(q, t):
        return (2 * (q * t).sum() + SMOOTH) / ((q**2).sum() + (t**2).sum() + SMOOTH)

    def iou(q, t):
        return ((q * t).sum() + SMOOTH) / (np.maximum(q.sum() + t.sum() - (q * t).sum(), 0) + SMOOTH)

    def tversky(q, t):
        hits = (q * t).sum()
        return (hits + SMOOTH / 2) / (hits + 0.3 * (q * (1 - t)).sum() + 0.7 * ((1 - q) * t).sum() + SMOOTH / 2)

    def extension(q, t):
        """The Lovasz extension of the Jaccard loss by its definition: a sum over growing sets of errors."""
        errors = np.abs(t - q)
        total, before = 0.0, 0.0
        wrong = np.zeros(len(t), bool)
        for place in np.argsort(-errors):
            wrong[place] = True
            found = np.where(wrong, 1 - t, t)
            union = np.maximum(found, t).sum()
            after = 1 - (found * t).sum() / union if union else 0.0
            total += errors[place] * (after - before)
            before = after
        return 1 - total

    return {
        "cross_entropy": entropy,
        "focal": focal,
        "dice": areas(dice),
        "iou": areas(iou),
        "tversky": areas(tversky),
        "lovasz": areas(extension),
        "dice_ce": entropy + areas(dice),
        "unet++-2018": entropy / 2 + areas(dice, images=True),
        "unet++": entropy + areas(squared, images=True),
    }


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ignored", [False, True])
def test_losses_agree_with_their_formulas(classes, ignored):
    logits, truth = example(classes, ignored=ignored)
    expected = formulas(logits, truth)
    assert expected.keys() == set(NARROW)
    for name, value in expected.items():
        assert LOSSES[name](logits, truth).item() == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("present", [[], [1]])
def test_losses_of_absent_classes_and_empty_masks_agree_too(classes, present):
    logits, truth = example(classes, ignored=False)
    kept = torch.isin(truth.labels, torch.tensor(present, dtype=torch.uint8))
    truth = replace(truth, labels=torch.where(kept, truth.labels, torch.zeros_like(truth.labels)))
    for name, value in formulas(logits, truth).items():
        if name != "lovasz":
            assert LOSSES[name](logits, truth).item() == pytest.approx(value, rel=1e-6), name
    # of classes that are there alone; where none is, it asks for nothing
    alone = formulas(logits, truth, present)["lovasz"] if present else 0.0
    assert LOSSES["lovasz"](logits, truth).item() == pytest.approx(alone, rel=1e-6)


def similarity(x, y):
    """MS-SSIM of two maps by scipy: an 11 px Gaussian of 1.5 px, 5 scales, weights of Wang et al. 2003.

    The library's borders: contrasts where the window lies within the map, the coarsest similarity of the mirrored map.
    """
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(image):
        for axis in (0, 1):
            image = ndimage.convolve1d(image, window, axis=axis, mode="mirror")
        return image

    result = 1.0
    for scale, weight in enumerate(weights):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        contrast = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
        luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        value = ((contrast * luminance) if scale == 4 else contrast[5:-5, 5:-5]).mean()
        result *= ((1 + value) / 2) ** weight
        x, y = (
            z[: z.shape[0] // 2 * 2, : z.shape[1] // 2 * 2].reshape(z.shape[0] // 2, 2, -1, 2).mean((1, 3))
            for z in (x, y)
        )
    return result


@pytest.mark.parametrize("classes", [2, 3])
def test_ms_ssim_agrees_with_its_formula(classes):
    logits, truth = example(classes, side=(MS_SSIM_SIDE, MS_SSIM_SIDE + 8))
    smooth = torch.from_numpy(ndimage.gaussian_filter(truth.labels.numpy(), (0, 4, 4))).double()
    logits = 0.3 * logits + smooth[:, None]
    p, t = probabilities(logits), truth.labels.numpy()
    valid = t != IGNORE
    values = [
        similarity(p[image, index] * valid[image], ((t[image] == index) & valid[image]).astype(float))
        for image in range(2)
        for index in range(1, classes)
    ]
    assert ms_ssim(logits, truth).item() == pytest.approx(1 - np.mean(values), rel=1e-5)
    together = sum(LOSSES[name](logits, truth) for name in ("focal", "ms_ssim", "iou"))
    assert LOSSES["unet3+"](logits, truth).item() == pytest.approx(together.item())


def test_ms_ssim_needs_its_window_on_the_coarsest_scale():
    logits, truth = example(2, side=(MS_SSIM_SIDE, MS_SSIM_SIDE))
    assert torch.isfinite(ms_ssim(logits, truth))
    with pytest.raises(ValueError, match="must be larger than 160"):
        ms_ssim(*example(2, side=(MS_SSIM_SIDE - 1, MS_SSIM_SIDE)))


@pytest.mark.parametrize("loss", sorted(WINDOWED))
@pytest.mark.parametrize("maps", [1, 3])
def test_gradients_of_ms_ssim(loss, maps):
    """Against differences, along a random direction; also where a mask is empty and where nothing is labelled."""
    side = (MS_SSIM_SIDE, MS_SSIM_SIDE)
    logits, truth = example(2 if maps == 1 else maps, side=side)
    for labels in (truth.labels, torch.zeros_like(truth.labels), torch.full_like(truth.labels, IGNORE)):
        truth = Truth(maps, labels)
        z = (0.5 * logits).requires_grad_()
        LOSSES[loss](z, truth).backward()
        assert torch.isfinite(z.grad).all()
        direction = torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=z.dtype)
        with torch.no_grad():
            up, down = (LOSSES[loss](z + sign * 1e-2 * direction, truth) for sign in (1, -1))
        slope = (z.grad * direction).sum().item()
        assert slope == pytest.approx((up - down).item() / 2e-2, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("loss", NARROW)
@pytest.mark.parametrize("classes", [2, 3])
def test_gradients_are_right_and_ignored_pixels_have_none(loss, classes):
    logits, truth = example(classes)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: LOSSES[loss](z, truth), (logits,))
    LOSSES[loss](logits, truth).backward()
    assert torch.all(logits.grad[0, :, :2] == 0)
    felt = logits.grad[1].abs().sum(0) > 0
    assert felt.any() if loss == "lovasz" else felt.all()  # where all of a class is wrong already, more costs no more


@pytest.mark.parametrize("loss", NARROW)
@pytest.mark.parametrize("maps", [1, 3])
def test_nothing_labelled_empty_masks_and_absent_classes_stay_finite(loss, maps):
    logits = torch.zeros(1, maps, 4, 4, requires_grad=True)
    only_one = torch.zeros(1, 4, 4)
    only_one[0, 1:3, 1:3] = 1
    for labels in (torch.full((1, 4, 4), IGNORE), torch.zeros(1, 4, 4), only_one):
        for classes in (None, torch.tensor([1.0, 2.0, 0.5][: max(2, maps)])):
            value = LOSSES[loss](logits, Truth(maps, labels.to(torch.uint8), classes=classes))
            value.backward()
            assert torch.isfinite(value)
            assert torch.isfinite(logits.grad).all()


def test_an_empty_crop_predicted_empty_costs_nothing():
    truth = Truth(1, torch.zeros(1, 8, 8, dtype=torch.uint8))
    for loss in NARROW:
        assert LOSSES[loss](torch.full((1, 1, 8, 8), -30.0), truth).item() == pytest.approx(0, abs=1e-6)


def test_weights_of_pixels_and_classes():
    logits, truth = example(3)
    weights = torch.rand(truth.labels.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    classes = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    weighted = replace(truth, pixels=weights, classes=classes)
    p, t = probabilities(logits), truth.labels.numpy()
    valid = t != IGNORE
    picked = np.take_along_axis(p, np.where(valid, t, 0)[:, None].astype(int), 1)[:, 0]
    each = (weights.numpy() + classes.numpy()[np.where(valid, t, 0)]) * valid
    entropies, share = -np.log(picked), each / each.sum()
    assert LOSSES["cross_entropy"](logits, weighted).item() == pytest.approx((entropies * share).sum())
    assert LOSSES["focal"](logits, weighted).item() == pytest.approx(((1 - picked) ** 2 * entropies * share).sum())
    by_class = [formulas(logits, truth, [index]) for index in (1, 2)]
    for loss in ("dice", "iou", "tversky", "lovasz"):
        first, second = (of[loss] for of in by_class)
        assert first != pytest.approx(second)
        assert LOSSES[loss](logits, weighted).item() == pytest.approx((2 * first + 3 * second) / 5), loss


def test_the_loss_of_several_heads_is_their_mean_or_sum_by_their_weights():
    logits, truth = example(2)
    one, other = (LOSSES["dice_ce"](some.float(), truth).item() for some in (logits, -logits))
    heads = [logits, -logits]  # the final one is the last
    assert heads_loss(Recipe(), heads, truth).item() == pytest.approx((one + other) / 2)
    assert heads_loss(Recipe(heads="sum"), heads, truth).item() == pytest.approx(one + other)
    weighted = Recipe(head_weights="1 0.5")
    assert heads_loss(weighted, heads, truth).item() == pytest.approx((other + 0.5 * one) / 1.5)
    assert heads_loss(replace(weighted, heads="sum"), heads, truth).item() == pytest.approx(other + 0.5 * one)
    assert head_weights(Recipe(head_weights="1, 0.5"), 4) == [0.5, 0.5, 0.5, 1.0]
    assert outputs_loss(weighted, Outputs(heads), truth) == heads_loss(weighted, heads, truth)
