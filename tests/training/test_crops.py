"""Which crops a batch has."""

from itertools import islice

import numpy as np
import pytest
import torch

from tests.training.images import coded, recipe, resident
from unetsearch.training.batches import batches
from unetsearch.training.sources import Resident

CPU = torch.device("cpu")


def test_every_flip_and_turn_occurs_and_nothing_else():
    turns = set()
    for batch in islice(batches(resident(coded(60, 60)), recipe(), seed=0), 20):
        for image in batch.images:
            by_row = image[1:, 1, 0] - image[1:, 0, 0]
            by_column = image[1:, 0, 1] - image[1:, 0, 0]
            turns.add((tuple(by_row.tolist()), tuple(by_column.tolist())))
    steps = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
    assert turns == {(a, b) for a in steps for b in steps if a[0] * b[0] + a[1] * b[1] == 0}


def test_every_image_is_drawn_once_before_any_is_drawn_again():
    source = resident(*(coded(16, 16, offset=100.0 * index) for index in range(9)))
    drawn = [int(image[1].min() // 100) for batch in islice(batches(source, recipe(), 3), 12) for image in batch.images]
    for start in range(0, 72, 9):
        assert sorted(drawn[start : start + 9]) == list(range(9))


def test_what_lies_beyond_a_border_is_mirrored_with_its_labels():
    image, mask = coded(5, 7)
    (batch,) = islice(batches(resident((image, mask)), recipe(batch_size=1), 0), 1)
    expected = np.pad(image, ((0, 0), (0, 11), (0, 9)), mode="reflect")
    orbit = [np.rot90(some, turns, (1, 2)) for some in (expected, expected[:, :, ::-1]) for turns in range(4)]
    assert any(np.array_equal(batch.images[0].numpy(), some) for some in orbit)
    assert torch.equal(batch.images[:, 0], batch.masks.float())
    one = np.ones((1, 1, 1), np.float32), np.ones((1, 1), np.uint8)
    assert next(batches(resident(one), recipe(), 0)).images.eq(1).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_crops_are_laid_around_the_foreground(share):
    """Two rare classes in far corners of a large image: each is met about as often."""
    mask = np.zeros((400, 400), np.uint8)
    mask[2:4, 3:5], mask[390:394, 300:310] = 1, 2
    source = resident(
        (np.zeros((1, 400, 400), np.float32), mask), (np.zeros((1, 20, 20), np.float32), mask[50:70, :20])
    )
    met = [
        frozenset(crop.unique().tolist()) - {0}
        for batch in islice(batches(source, recipe(foreground=share), 0), 100)
        for crop in batch.masks
    ]
    of_the_first = len(met) / 2
    for label in (1, 2):
        assert sum(label in some for some in met) / of_the_first == pytest.approx(share / 2, abs=0.08)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("margin", [0, 6])
def test_bent_crops_show_the_foreground_too(strength, margin):
    """Single pixels: in the middle, on the border, in a corner, and in an image smaller than the crop."""
    seen = {(90, 70): [(50, 30), (89, 40)], (60, 64): [(0, 63), (20, 0)], (9, 40): [(3, 39), (8, 5)]}
    masks = [np.zeros(size, np.uint8) for size in seen]
    for mask, places in zip(masks, seen.values(), strict=True):
        mask[tuple(zip(*places, strict=True))] = 1
    source = Resident.of([np.zeros((1, *mask.shape), np.float32) for mask in masks], masks, CPU)
    some = recipe(crop=24, foreground=1, augmentation=strength)
    met = [batch.masks.flatten(1).any(1) for batch in islice(batches(source, some, 0, margin), 60)]
    assert torch.cat(met).all()
    where = torch.cat([batch.masks.nonzero()[:, 1:] for batch in islice(batches(source, some, 0, margin), 60)])
    assert where.min() == 0
    assert where.max() == 23
    assert (where.float().mean(0) - 11.5).abs().max() < 2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_same_crops_are_drawn_at_every_strength(share):
    """They are bent more and more, so that a study compares strengths and nothing else."""
    source = resident(coded(140, 131), coded(116, 150))
    plain, bent = (
        torch.cat([batch.masks for batch in islice(batches(source, recipe(augmentation=each, foreground=share), 3), 9)])
        for each in (0.0, 1e-4)
    )
    assert torch.equal(plain, bent)
