"""Which crops a batch has, wherever the images are."""

from dataclasses import replace
from itertools import islice
from time import sleep

import numpy as np
import pytest
import torch

from unetsearch.data.dataset import IGNORE, SegmentationData, Split
from unetsearch.data.separation import Targets
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import TOGETHER, UNCOPIED, _ahead, _copied, batches
from unetsearch.training.crops import Places
from unetsearch.training.device_data import median_frequency, on_device
from unetsearch.training.sources import Resident, Streamed, normalised

CPU = torch.device("cpu")


def coded(height, width, offset=0.0):
    """An image whose first channel says the mask and whose other two say the position."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    mask = ((rows // 3 + columns // 5) % 2).astype(np.uint8)
    return np.stack([mask.astype(np.float32), rows + offset, columns]), mask


def resident(*pairs):
    return Resident.of([image for image, _ in pairs], [mask for _, mask in pairs], CPU)


def recipe(**values):
    return Recipe(**{"crop": 16, "batch_size": 6, **values})


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


def test_what_lies_beyond_a_border_is_mirrored_with_its_labels():
    image, mask = coded(5, 7)
    (batch,) = islice(batches(resident((image, mask)), recipe(batch_size=1), 0), 1)
    expected = np.pad(image, ((0, 0), (0, 11), (0, 9)), mode="reflect")
    orbit = [np.rot90(some, turns, (1, 2)) for some in (expected, expected[:, :, ::-1]) for turns in range(4)]
    assert any(np.array_equal(batch.images[0].numpy(), some) for some in orbit)
    assert torch.equal(batch.images[:, 0], batch.masks.float())
    one = np.ones((1, 1, 1), np.float32), np.ones((1, 1), np.uint8)
    assert next(batches(resident(one), recipe(), 0)).images.eq(1).all()


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


def test_normalisation_is_of_each_image_and_channel():
    image = np.stack([np.arange(12).reshape(3, 4) * 7 + 40, np.full((3, 4), 9)]).astype(np.uint16)
    values = normalised(image)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(values.std((1, 2)), [1, 0], atol=1e-6)
    np.testing.assert_allclose(values, normalised((image * 10).astype(np.uint16)), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1, 1e9, 1e30])
def test_normalisation_does_not_ask_for_units(scale):
    image = np.random.default_rng(0).random((2, 5, 6)).astype(np.float32)
    image[1] = 0.3  # constant
    expected = (image[0] - image[0].mean()) / image[0].std()
    values = normalised(image * np.float32(scale))
    np.testing.assert_allclose(values[0], expected, atol=1e-5)
    np.testing.assert_allclose(values[1], 0, atol=1e-6)


def test_normalisation_of_values_at_the_ends_of_their_type():
    far = (1e7 + np.arange(12).reshape(1, 3, 4)).astype(np.float32)
    least, greatest = np.zeros((1, 3, 4), np.float32), np.full((1, 3, 4), -3.4e38, np.float32)
    least[0, 0, 0], greatest[0, 0, 0] = 1e-45, 3.4e38
    for image in (far, least, greatest):
        values = normalised(image)
        assert values.mean() == pytest.approx(0, abs=1e-6)
        assert values.std() == pytest.approx(1, abs=1e-6)


def test_classes_weigh_by_the_median_of_their_frequencies():
    first, second = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    first[0, :4], second[:2] = 1, IGNORE  # class 1: 4 of 20 pixels where it is seen; 0: 16 + 10 of 20 + 10; 2: nowhere
    weights = median_frequency([first, second], 3)
    median = (26 / 30 + 4 / 20) / 2
    assert weights == pytest.approx((median / (26 / 30), median / (4 / 20), 0))


@pytest.fixture
def five():
    images = tuple(np.random.default_rng(i).integers(0, 255, (1, 8, 8)).astype(np.uint8) for i in range(5))
    masks = tuple(np.full((8, 8), index % 2, np.uint8) for index in range(5))
    return SegmentationData(
        name="x",
        images=images,
        masks=masks,
        stems=tuple("abcde"),
        groups=tuple("abcde"),
        classes=("0", "1"),
        split=Split(train=(4, 0), validation=(2,), test=(1, 3), by="random"),
        notes=(),
        fingerprint="",
    )


@pytest.mark.parametrize("limit", [np.inf, 0])
def test_test_images_stay_behind(five, limit):
    device = on_device(five, CPU, limit=limit)
    assert isinstance(device.train, Streamed if limit == 0 else Resident)
    seen = {
        image.numpy().tobytes()
        for batch in islice(batches(device.train, Recipe(crop=8), 0), 40)
        for image in batch.images
    }
    expected = set()
    for index in (4, 0):
        image = normalised(five.images[index])
        expected |= {np.rot90(some, turn, (1, 2)).tobytes() for some in (image, image[:, :, ::-1]) for turn in range(4)}
    assert seen == expected
    assert [pair.mask.unique().tolist() for pair in device.validation] == [[0]]
    assert torch.equal(device.validation[0].image, torch.from_numpy(normalised(five.images[2])))
    assert device.classes == 2


def test_touching_objects_are_told_apart_where_the_data_number_them(five):
    objects = np.zeros((8, 8), np.int32)
    objects[:, :4], objects[:, 4:6] = 1, 2
    mask = (objects > 0).astype(np.uint8)
    mask[0] = IGNORE
    mask[7, 6] = mask[3, 7] = 1  # of no number: beside an object, and by itself
    data = replace(five, masks=(mask,) * 5, objects=(objects,) * 5)
    device = on_device(data, CPU, objects=True)
    separate, plain = device.separated, device.train
    kept = separate.masks.view(2, 8, 8)[0]
    assert torch.equal(kept[1:, 3], torch.zeros(7, dtype=torch.uint8)), "the ridge"
    assert kept[0].eq(IGNORE).all()
    assert kept[7, 6] == kept[3, 7] == 1, "only the ridge is taken away"
    assert (plain.masks != separate.masks).sum() == 14
    weights = separate.weights.view(2, 8, 8)[0]
    assert weights[4, 3] == pytest.approx(10 * np.exp(-4 / 50))
    assert weights[4, 2] == weights[4, 4] == weights[7, 6] == weights[3, 7] == 0
    assert weights[3, 6] == pytest.approx(10 * np.exp(-4 / 50)), "what is by itself is an object"
    expected = np.where(mask == IGNORE, 0, objects)
    expected[3, 7] = device.validation[0].objects.max()
    assert expected[3, 7] > 2
    assert np.array_equal(device.validation[0].objects, expected)
    without = on_device(replace(data, objects=None), CPU, objects=True)
    assert torch.equal(without.separated.masks, without.train.masks)
    assert without.validation[0].objects.max() == 2


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
