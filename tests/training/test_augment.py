"""Augmentation on the device: by known points, label sets, and each sample's own draw."""

from dataclasses import replace
from itertools import islice, product

import numpy as np
import pytest
import torch

from unetsearch.data.separation import Targets
from unetsearch.space.recipe import Recipe
from unetsearch.training.augment import (
    BLUR,
    Batch,
    Draws,
    bands_of,
    blurred,
    fields_of,
    noise_of,
    places_of,
    sampled,
    shaded,
    window_side,
)
from unetsearch.training.batches import batches
from unetsearch.training.sources import Resident

CPU = torch.device("cpu")
RECIPE = Recipe(crop=64, batch_size=8, augmentation=1.0)


def only(count=8, seed=0, strength=1.0, **kept):
    """Draws that do nothing but what is told: `angle=True` keeps the drawn angles."""
    draws = Draws.of(np.random.default_rng(seed), count, strength, 128)
    still = {name: np.zeros(count, np.float32) for name in ("angle", "brightness", "noise", "blur")}
    still |= {name: np.ones(count, np.float32) for name in ("scale", "contrast", "gamma")}
    still["shifts"] = np.zeros((count, 2, 3, 3), np.float32)
    return replace(draws, **{name: value for name, value in still.items() if name not in kept})


def augmented(windows, draws, side, inner, seed=0):
    """Windows after some draws."""
    noise = noise_of(np.random.default_rng(seed), (*windows.images.shape[:2], side, side), CPU)
    fields = fields_of(windows.images.shape[-1], side)
    numbers = torch.from_numpy(draws.numbers)
    return shaded(sampled(windows, places_of(numbers, fields, side), inner), numbers, noise, bands_of(side, CPU))


def points(side, step=12):
    """A grid of bright dots, each drawn as a smooth hill whose summit is the point, and the same as labels."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    near = np.hypot((rows + step / 2) % step - step / 2, (columns + step / 2) % step - step / 2)
    return torch.from_numpy(np.exp(-(near**2) / 8))[None, None], torch.from_numpy((near < 0.5).astype(np.uint8))[None]


def test_nothing_drawn_is_nothing_done():
    image, mask = points(81)
    found = augmented(Batch(image, mask), only(1), side=41, inner=41)
    torch.testing.assert_close(found.images, image[..., 20:61, 20:61])
    assert torch.equal(found.masks, mask[:, 20:61, 20:61])


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_image_and_mask_stay_together_to_a_pixel(strength):
    """Each labelled point lies on the summit of its hill, wherever both were moved."""
    side = window_side(96, strength)
    image, mask = points(side)
    windows = Batch(image.expand(8, 1, -1, -1), mask.expand(8, -1, -1))
    found = augmented(windows, only(strength=strength, angle=True, scale=True, shifts=True), side=96, inner=96)
    moved = 0
    for image, mask in zip(found.images[:, 0], found.masks, strict=True):
        heights = image[mask == 1]
        assert len(heights) > 20
        moved += int(not torch.equal(mask, found.masks[0]))
        # a label is the nearest pixel's: its centre is within half a pixel, where the hill is still high
        assert heights.min() > 0.8
    assert moved == 7


def test_rotation_scale_and_shift_go_where_they_are_told():
    image, mask = points(161, step=40)
    draws = replace(only(3), angle=np.array([np.pi / 2, 0, 0], np.float32), scale=np.array([1, 0.5, 1], np.float32))
    draws.shifts[2, 0] = 7  # rows
    found = augmented(Batch(image.expand(3, 1, -1, -1), mask.expand(3, -1, -1)), draws, side=81, inner=81).images[:, 0]
    middle = image[0, 0, 40:121, 40:121]
    torch.testing.assert_close(found[0], middle.rot90(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(found[1][40::2, 40::2], image[0, 0, 80:101, 80:101], atol=1e-3, rtol=0)
    torch.testing.assert_close(found[2], image[0, 0, 47:128, 40:121], atol=1e-3, rtol=0)


def test_the_elastic_deformation_is_that_of_the_paper():
    """Displacements of 10 px on a 3x3 grid, bicubic between."""
    draws = Draws.of(np.random.default_rng(0), 4000, 1.0, 128)
    assert draws.shifts.shape == (4000, 2, 3, 3)
    assert draws.shifts.std() == pytest.approx(10, rel=0.02)
    assert Draws.of(np.random.default_rng(0), 4000, 2.0, 256).shifts.std() == pytest.approx(20, rel=0.02)
    assert abs(draws.shifts.mean()) < 0.1
    one = only(1)
    one.shifts[0, 0, 1, 1] = 10
    ramp = torch.arange(161.0).view(1, 1, -1, 1).expand(1, 1, 161, 161).contiguous()
    found = augmented(Batch(ramp, torch.zeros(1, 161, 161, dtype=torch.uint8)), one, side=81, inner=81).images[0, 0]
    bent = found - ramp[0, 0, 40:121, 40:121]
    assert bent[40, 40] == pytest.approx(10, abs=1e-3)
    assert bent[0].abs().max() < 1e-3
    assert bent[20, 40] == pytest.approx(10 * (1 - 2.25 * 0.25 + 1.25 * 0.125), abs=1e-2)  # the cubic with a = -0.75


@pytest.mark.parametrize("strength", [1.0, 2.0])
@pytest.mark.parametrize("side", [32, 64, 96, 160])
def test_the_elastic_deformation_folds_nothing(side, strength):
    """Down stays down, and right stays right, on small crops and at great strength too."""
    draws = Draws.of(np.random.default_rng(0), 200, strength, side)
    still = replace(only(200), shifts=draws.shifts)
    window = window_side(side, strength)
    places = places_of(torch.from_numpy(still.numbers), fields_of(window, side), side) * (window - 1) / 2
    down, right = places[:, 1:, :, 1] - places[:, :-1, :, 1], places[:, :, 1:, 0] - places[:, :, :-1, 0]
    folded = ((down <= 0).flatten(1).any(1) | (right <= 0).flatten(1).any(1)).float().mean()
    assert folded < 0.03
    assert places.std() > side / 5


def test_blur_leaves_a_constant_image_alone():
    flat = torch.full((8, 1, 32, 32), 3.0)
    windows = Batch(flat, torch.zeros(8, 32, 32, dtype=torch.uint8))
    torch.testing.assert_close(augmented(windows, only(blur=True), side=32, inner=32).images, flat)


@pytest.mark.parametrize("side", [1, 2, 33])
def test_blur_is_a_convolution_with_the_border_going_on(side):
    images, line = torch.rand(2, 3, side, side), range(-2, 3)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wanted = torch.zeros_like(images)
    for down, across in product(line, line):
        place = (rows + down).clamp(0, side - 1), (columns + across).clamp(0, side - 1)
        wanted += BLUR[down + 2] * BLUR[across + 2] * images[:, :, *place]
    torch.testing.assert_close(blurred(images, bands_of(side, CPU)), wanted)


def test_shades_are_each_samples_own_and_leave_the_labels():
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.normal(0, 1, (1, 2, 64, 64)).astype(np.float32))
    mask = torch.from_numpy(random.choice([0, 1, 255], (1, 64, 64)).astype(np.uint8))
    windows = Batch(image.expand(8, 2, -1, -1), mask.expand(8, -1, -1))
    for name in ("contrast", "brightness", "gamma", "noise", "blur"):
        found = augmented(windows, only(**{name: True}), side=64, inner=64)
        assert all(not torch.equal(one, found.images[0]) for one in found.images[1:]), name
        assert torch.equal(found.masks, windows.masks)
    blurred = augmented(windows, replace(only(), blur=np.ones(8, np.float32)), side=64, inner=64).images
    assert blurred.std() < 0.6 * image.std()
    noise = replace(only(), noise=np.full(8, 0.5, np.float32))
    noisy, again, other = (augmented(windows, noise, side=64, inner=64, seed=seed).images for seed in (0, 0, 1))
    assert (noisy - image).std() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(noisy, again)
    each = torch.cat([noisy - image, other - image]).flatten(1)
    assert each.corrcoef().fill_diagonal_(0).abs().max() < 0.1, "no sample's is another one's"
    dark = augmented(windows, replace(only(), gamma=np.full(8, 2.0, np.float32)), side=64, inner=64).images
    assert (dark <= image + 1e-5).all()
    assert dark.amax() == pytest.approx(image.max().item(), abs=1e-4)


def test_shades_are_the_same_without_a_compiler(monkeypatch):
    images = torch.randn(8, 2, 33, 33, generator=torch.Generator().manual_seed(0))
    windows = Batch(images, torch.zeros(8, 33, 33, dtype=torch.uint8))
    draws = Draws.of(np.random.default_rng(0), 8, 1.0, 33)
    found = augmented(windows, draws, side=33, inner=33).images
    monkeypatch.setattr("unetsearch.training.augment.can_blur", lambda _: False)
    torch.testing.assert_close(augmented(windows, draws, side=33, inner=33).images, found, atol=1e-5, rtol=1e-5)


def test_each_sample_of_a_batch_is_transformed_by_itself_and_labels_stay_labels():
    random = np.random.default_rng(0)
    image = random.normal(0, 1, (1, 80, 90)).astype(np.float32)
    mask = random.choice([0, 3, 255], (80, 90)).astype(np.uint8)
    source = Resident.of([image], [mask], CPU).with_targets(Targets([mask], [mask.astype(np.float32)]))
    for batch in islice(batches(source, RECIPE, 0), 4):
        assert batch.images.shape == (8, 1, 64, 64)
        assert set(batch.masks.unique().tolist()) == {0, 3, 255}
        assert torch.equal(batch.weights, batch.masks.float())
        assert len({sample.numpy().tobytes() for sample in batch.masks}) == 8
        assert torch.isfinite(batch.images).all()


def test_draws_differ_and_grow_with_the_strength():
    weak, strong = (Draws.of(np.random.default_rng(1), 500, strength, 96) for strength in (0.1, 1.0))
    for name in ("angle", "shifts", "brightness", "noise", "blur"):
        small, large = (np.abs(getattr(draws, name)).mean() for draws in (weak, strong))
        assert small == pytest.approx(large / 10, rel=0.3), name
        assert len(np.unique(getattr(strong, name))) > 400
    assert window_side(96, 0) == 96 < window_side(96, 0.1) < window_side(96, 1.0)


def test_an_unpadded_network_gets_the_masks_of_the_middle():
    image, mask = points(200)
    source = Resident.of([image[0].numpy()], [mask[0].numpy()], CPU)
    batch = next(batches(source, replace(RECIPE, augmentation=0.5), 0, 10))
    assert batch.images.shape == (8, 1, 84, 84)
    assert batch.masks.shape == (8, 64, 64)
    middle = batch.images[:, 0, 10:-10, 10:-10]
    labelled, rest = middle[batch.masks == 1].mean(), middle[batch.masks == 0].mean()
    assert labelled > rest + 0.5
