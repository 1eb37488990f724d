from itertools import islice

import numpy as np
import torch

from unetsearch.data.dataset import IGNORE, SegmentationData, Split
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import Pair, batches, normalised, on_device, pad_to


def coded(height, width, offset=0.0):
    """An image whose first channel says the mask and whose other two say the position."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    mask = ((rows // 3 + columns // 5) % 2).to(torch.uint8)
    return Pair(torch.stack([mask.float(), rows + offset, columns.float()]), mask)


def recipe(**values):
    return Recipe(**{"crop": 16, "batch_size": 6, **values})


def test_image_and_mask_move_together():
    for images, masks in islice(batches([coded(40, 31), coded(16, 50)], recipe(), seed=1), 10):
        assert images.shape == (6, 3, 16, 16)
        assert masks.shape == (6, 16, 16)
        assert torch.equal(images[:, 0], masks.float())


def test_every_flip_and_turn_occurs_and_nothing_else():
    turns = set()
    for images, _ in islice(batches([coded(60, 60)], recipe(), seed=0), 20):
        for image in images:
            by_row = image[1:, 1, 0] - image[1:, 0, 0]
            by_column = image[1:, 0, 1] - image[1:, 0, 0]
            turns.add((tuple(by_row.tolist()), tuple(by_column.tolist())))
    steps = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
    assert turns == {(a, b) for a in steps for b in steps if a[0] * b[0] + a[1] * b[1] == 0}


def test_every_image_is_drawn_once_before_any_is_drawn_again():
    pairs = [coded(16, 16, offset=100.0 * index) for index in range(9)]
    drawn = [int(image[1].min() // 100) for images, _ in islice(batches(pairs, recipe(), 3), 12) for image in images]
    for start in range(0, 72, 9):
        assert sorted(drawn[start : start + 9]) == list(range(9))


def test_the_same_seed_gives_the_same_batches_and_another_one_others():
    def first(seed):
        return torch.stack([images for images, _ in islice(batches([coded(40, 40)], recipe(), seed), 3)])

    assert torch.equal(first(5), first(5))
    assert not torch.equal(first(5), first(6))


def test_small_images_are_mirrored_and_what_was_added_is_ignored():
    pair = coded(5, 7)
    padded = pad_to(pair, 16)
    assert padded.image.shape == (3, 16, 16)
    assert torch.equal(padded.image[:, :5, :7], pair.image)
    assert torch.equal(padded.mask[:5, :7], pair.mask)
    assert (padded.mask != IGNORE).sum() == 35
    expected = np.pad(pair.image.numpy(), ((0, 0), (0, 11), (0, 9)), mode="reflect")
    assert np.array_equal(padded.image.numpy(), expected)


def test_a_single_pixel_can_be_padded():
    assert pad_to(Pair(torch.ones(1, 1, 1), torch.ones(1, 1, dtype=torch.uint8)), 4).image.eq(1).all()


def test_normalisation_is_of_each_image_and_channel():
    image = np.stack([np.arange(12).reshape(3, 4) * 7 + 40, np.full((3, 4), 9)]).astype(np.uint16)
    values = normalised(image)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(values.std((1, 2)), [1, 0], atol=1e-6)
    np.testing.assert_allclose(values, normalised((image * 10).astype(np.uint16)), atol=1e-6)


def test_test_images_stay_behind():
    images = tuple(np.random.default_rng(i).integers(0, 255, (1, 8, 8)).astype(np.uint8) for i in range(5))
    masks = tuple(np.full((8, 8), index % 2, np.uint8) for index in range(5))
    data = SegmentationData(
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
    device = on_device(data, torch.device("cpu"))
    assert [
        torch.equal(pair.image, torch.from_numpy(normalised(images[i])))
        for pair, i in zip(device.train, (4, 0), strict=True)
    ]
    assert len(device.train) == 2
    assert len(device.validation) == 1
    assert device.classes == 2
