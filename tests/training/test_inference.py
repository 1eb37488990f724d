"""Images of any size: as a whole, or tile by tile; turned, and by all heads."""

import numpy as np
import pytest
import torch

from unetsearch.data.objects import connected, object_f1
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.network import build_network
from unetsearch.space.recipe import Recipe
from unetsearch.training.context import mirrored
from unetsearch.training.device_data import DeviceData, Pair
from unetsearch.training.inference import Inference, _alike, _logits, evaluate, predict, tile_side
from unetsearch.training.sources import Resident
from unetsearch.training.train import train

CPU = torch.device("cpu")


def scene(side, seed):
    """Bright discs of all sizes under noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    mask = np.zeros((side, side), np.uint8)
    for _ in range(side * side // 1500):
        row, column, radius = *random.uniform(0, side, 2), random.uniform(4, 14)
        mask |= ((rows - row) ** 2 + (columns - column) ** 2 < radius**2).astype(np.uint8)
    image = mask + random.normal(0, 0.5, mask.shape)
    return image[None].astype(np.float32), mask


@pytest.fixture(scope="module")
def trained():
    """A U-Net++ with heads at every depth that has learnt the discs."""
    torch.manual_seed(0)
    network = build_network(build_graph(reference("unet++", width=4, depth=2, deep_supervision=True)))
    images, masks = zip(*(scene(128, seed) for seed in range(4)), strict=True)
    source = Resident.of(images, masks, CPU)
    recipe = Recipe(steps=60, evaluations=1, crop=64, batch_size=4, learning_rate=1e-2)
    list(
        train(
            network, DeviceData(source, (Pair(torch.from_numpy(images[0]), torch.from_numpy(masks[0])),), 2), recipe, 0
        )
    )
    return network


@pytest.fixture(scope="module")
def large():
    image, mask = scene(700, 9)
    return [Pair(torch.from_numpy(image), torch.from_numpy(mask))]


def test_tiles_give_the_same_score_as_the_whole(trained, large):
    whole = evaluate(trained, large, 2)
    tiles = evaluate(trained, large, 2, Inference(memory=1))
    assert tile_side(trained, CPU, 1) == 256
    assert whole.dice[0] > 0.9
    assert tiles.dice[0] == pytest.approx(whole.dice[0], abs=2e-3)
    one, other = (predict(trained, [large[0].image], how)[0] for how in (Inference(), Inference(memory=1)))
    assert 0 < (one != other).float().mean() < 0.005, "it was another way, with nearly the same result"


def test_small_images_and_odd_sizes_are_not_cut(trained):
    images = [torch.randn(1, 40, 300), torch.randn(1, 40, 300), torch.randn(1, 301, 77), torch.randn(1, 60, 2000)]
    whole, tiles = (predict(trained, images, how) for how in (Inference(), Inference(memory=1)))
    assert [tuple(found.shape) for found in tiles] == [(40, 300), (40, 300), (301, 77), (60, 2000)]
    assert all((one != other).float().mean() < 0.02 for one, other in zip(whole, tiles, strict=True))


def test_the_tile_grows_with_the_memory(trained):
    sides = [tile_side(trained, CPU, memory) for memory in (1e8, 4e8)]
    assert sides[1] == pytest.approx(2 * sides[0], rel=0.02)
    assert all(side % 4 == 0 for side in sides)
    assert tile_side(trained, CPU) >= 256


def test_what_is_free_at_a_moment_decides_nothing(trained, monkeypatch):
    def side(free):
        monkeypatch.setattr("unetsearch.training.inference.all_memory", lambda _: 8 * 2**30)
        monkeypatch.setattr("unetsearch.training.inference.free_memory", lambda _: free * 2**30)
        return tile_side(trained, CPU)

    assert side(8) == side(4) > 256
    assert side(1) < side(8), "but where there is hardly any"


def test_flips_and_turns_give_the_same_whichever_way_an_image_lies(trained, large):
    image = large[0].image[:, :200, :260]
    straight, turned = predict(trained, [image, image.rot90(1, (1, 2)).flip(2)], Inference(turns=True))
    back = turned.flip(1).rot90(-1, (0, 1))
    assert (straight != back).float().mean() < 2e-3, "up to the rounding of bfloat16"
    alone = predict(trained, [image, image.rot90(1, (1, 2)).flip(2)])
    assert (alone[0] != alone[1].flip(1).rot90(-1, (0, 1))).float().mean() > 2e-3
    uneven = image[None, :, :-1, :-3]  # is mirrored to even sides, each of the eight by itself
    with torch.inference_mode():
        straight, turned = (
            _logits(trained, each, Inference(turns=True), 256) for each in (uneven, uneven.rot90(1, (2, 3)))
        )
    assert torch.allclose(straight, turned.rot90(-1, (2, 3)), atol=1e-4)
    assert evaluate(trained, large, 2, Inference(turns=True)).dice[0] > evaluate(trained, large, 2).dice[0] - 0.005


def test_the_ensemble_is_the_mean_of_all_heads(trained, large):
    image = large[0].image[:, :128, :128]
    trained.eval()
    with torch.no_grad():
        heads = trained.outputs(image[None]).heads
        mean = torch.stack([head.float().sigmoid() for head in heads]).mean(0)
    assert len(heads) == 2
    (found,) = predict(trained, [image], Inference(ensemble=True))
    assert (found != (mean[0, 0] > 0.5)).float().mean() < 2e-3
    assert not torch.equal(found, predict(trained, [image])[0])


def test_objects_are_scored_where_they_are_known(trained, large):
    (pair,) = large
    assert evaluate(trained, [pair], 2).object_f1 is None
    known = Pair(pair.image, pair.mask, connected(pair.mask.numpy() > 0))
    scored = evaluate(trained, [known, known], 2)
    found = connected(predict(trained, [pair.image])[0].numpy() > 0)
    assert scored.object_f1 == pytest.approx(object_f1(known.objects, found))
    assert 0.3 < scored.object_f1 < 1


@pytest.mark.parametrize("name", ["unet", "unet++", "unet3+", "unet-2015"])
def test_sides_that_do_not_halve_evenly_are_predicted_as_those_that_do(name):
    """Else a pooling drops a row, what is left is stretched over all, and tiles see another network than the whole."""
    torch.manual_seed(0)
    network = build_network(build_graph(reference(name, width=8, depth=4)))
    image = torch.from_numpy(scene(303, 0)[0])[:, :290]
    even = mirrored(image, 14, 1)[:, 14:, 1:]  # 304 x 304
    (odd,), (found,) = (predict(network, [each]) for each in (image, even))
    assert torch.equal(odd, found[:290, :303])
    assert 0.02 < odd.float().mean() < 0.98
    (tiled,) = predict(network, [image], Inference(memory=1))
    assert (tiled != odd).float().mean() < 0.01


@pytest.mark.parametrize(
    ("multiple", "pixels", "counts"),
    [(16, 4 * 112**2, [4, 1, 2]), (1, 5 * 100**2, [5, 2]), (16, 100**2, [1] * 5 + [2])],
)
def test_images_of_one_size_are_predicted_together_as_far_as_their_mirrored_pixels_fit(multiple, pixels, counts):
    images = [torch.zeros(1, 100, 100)] * 5 + [torch.zeros(1, 16, 20)] * 2
    assert [len(batch) for batch in _alike(images, multiple, pixels)] == counts
