"""What one process trains and scores on: normalised, with the classes weighed and the objects told apart."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from unetsearch.data.dataset import IGNORE, SegmentationData, Split
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import batches
from unetsearch.training.device_data import median_frequency, on_device
from unetsearch.training.sources import Resident, Streamed, normalised

CPU = torch.device("cpu")


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
