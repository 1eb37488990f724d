"""What a batch has in it, wherever the images are."""

from itertools import islice
from time import sleep

import numpy as np
import pytest
import torch

from tests.training.images import coded, recipe, resident
from unetsearch.data.separation import Targets
from unetsearch.training.batches import TOGETHER, UNCOPIED, _ahead, _copied, batches
from unetsearch.training.crops import Places
from unetsearch.training.sources import Resident, Streamed, normalised

CPU = torch.device("cpu")


def test_image_mask_and_weights_move_together():
    source = resident(coded(40, 31), coded(16, 50))
    masks = [mask for _, mask in (coded(40, 31), coded(16, 50))]
    source = source.with_targets(Targets(masks, [1 + mask.astype(np.float32) for mask in masks]))
    for batch in islice(batches(source, recipe(), seed=1), 10):
        assert batch.images.shape == (6, 3, 16, 16)
        assert batch.masks.shape == batch.weights.shape == (6, 16, 16)
        assert torch.equal(batch.images[:, 0], batch.masks.float())
        assert torch.equal(batch.weights, 1 + batch.masks.float())


@pytest.mark.parametrize(("crops", "at_once"), [(10**6, TOGETHER), (17, 2), (1, 1)])
def test_so_many_batches_are_made_at_once_as_have_few_pixels(crops, at_once, monkeypatch):
    monkeypatch.setattr("unetsearch.training.batches.PIXELS", crops * 16**2)
    read = []

    class Watched(Resident):
        def read(self, crops):
            read.append(len(crops.image))
            return super().read(crops)

    batch = next(batches(Watched.of(*zip(coded(40, 31), strict=True), CPU), recipe(batch_size=6), 0))
    assert (len(batch.images), read) == (6, [6 * at_once])


def test_a_training_that_ends_waits_for_no_more_than_is_being_read():
    read = []

    def drawn(number):
        read.append(number)
        sleep(0.05)
        return number

    ahead = _ahead(drawn, 7)
    assert next(ahead) == 7
    ahead.close()
    assert read in ([7], [7, 8])


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_batch_hangs_on_seed_and_number_alone(strength):
    source, shaded = resident(coded(40, 40), coded(50, 30)), recipe(augmentation=strength)

    def some(seed, start, count):
        return torch.stack([batch.images for batch in islice(batches(source, shaded, seed, start=start), count)])

    assert torch.equal(some(5, 0, 2 * TOGETHER)[TOGETHER - 1 :], some(5, TOGETHER - 1, TOGETHER + 1))
    assert not torch.equal(some(5, 0, 1), some(6, 0, 1))
    assert not torch.equal(some(5, 0, 1), some(5, 1, 1))


def test_no_batch_is_augmented_as_another_one():
    """Of one image that is no larger than its crops there are eight without augmentation."""
    source, count = resident(coded(16, 16)), 6 * TOGETHER

    def kinds(strength, seed):
        some = islice(batches(source, recipe(augmentation=strength, batch_size=2), seed), count)
        return {mask.numpy().tobytes() for batch in some for mask in batch.masks}

    assert len(kinds(0.0, 0) | kinds(0.0, 1)) == 8
    assert len(kinds(1.0, 0) | kinds(1.0, 1)) == 4 * count


def test_noise_is_every_batchs_own():
    """Of a constant image nothing else is left."""
    flat = np.full((1, 16, 16), 5.0, np.float32), np.ones((16, 16), np.uint8)
    made = islice(batches(resident(flat), recipe(augmentation=1.0), 0), 3 * TOGETHER)
    noise = torch.stack([image.flatten() - image.mean() for batch in made for image in batch.images])
    assert noise.corrcoef().fill_diagonal_(0).abs().max() < 0.5


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize(("together", "batch_size"), [(TOGETHER, 6), (1, 6), (1, 1)])
def test_images_on_the_disk_give_the_same_batches(together, batch_size, strength, monkeypatch):
    monkeypatch.setattr("unetsearch.training.batches.TOGETHER", together)
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (3, *size)).astype(np.uint8) for size in ((40, 31), (16, 50), (9, 9))]
    masks = [(image[0] > 128).astype(np.uint8) for image in images]
    targets = Targets(masks, [np.float32(1.5) + mask for mask in masks])
    there = Resident.of([normalised(image) for image in images], masks, CPU).with_targets(targets)
    stored = Streamed(Places.of(masks), CPU, images, masks).with_targets(targets)
    some = recipe(augmentation=strength, foreground=0.5, batch_size=batch_size)
    for one, other in islice(zip(batches(there, some, 1, 4), batches(stored, some, 1, 4), strict=True), 5):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.masks, other.masks)
        assert torch.equal(one.weights, other.weights)


def test_a_gpu_that_is_behind_is_waited_for_before_more_is_read(monkeypatch):
    """As far as it can be told without one: after its copy a batch is marked, and the mark of an early one awaited."""
    happened = []

    class Mark:
        def __init__(self):
            self.number = len(happened)

        def record_event(self):
            happened.append("copied")
            return self

        def synchronize(self):
            happened.append(("waited for", self.number))

    def read():
        for number in range(UNCOPIED + 2):
            happened.append(("read", number))
            yield number

    monkeypatch.setattr("torch.cuda.current_stream", lambda _: Mark())
    assert list(_copied(read(), CPU)) == list(range(UNCOPIED + 2))
    begun = [each for number in range(UNCOPIED + 1) for each in (("read", number), "copied")]
    last = UNCOPIED + 1
    assert happened == [*begun, ("waited for", 1), ("read", last), "copied", ("waited for", 3)]
