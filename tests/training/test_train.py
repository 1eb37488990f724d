from contextlib import suppress
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from unetsearch.data.dataset import IGNORE
from unetsearch.data.load import load_data
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.network import build_network
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.device_data import DeviceData, Pair, on_device
from unetsearch.training.inference import evaluate, labels, predict
from unetsearch.training.sources import Resident, Streamed
from unetsearch.training.step import Step
from unetsearch.training.train import DivergedError, learning_rate_factor, train

RECIPE = Recipe(steps=40, evaluations=4, crop=16, batch_size=4, learning_rate=1e-2)


def data(classes=2, count=6, sizes=((24, 20), (12, 30))):
    """Discs to be found by their brightness; sizes differ."""
    random = np.random.default_rng(0)
    pairs = []
    for index in range(count):
        height, width = sizes[index % len(sizes)]
        rows, columns = np.mgrid[:height, :width]
        mask = np.zeros((height, width), np.uint8)
        for label in range(1, classes):
            centre = random.uniform(3, min(height, width) - 3, 2)
            mask[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 20] = label
        image = mask + random.normal(0, 0.2, mask.shape)
        pairs.append((image[None].astype(np.float32), mask))
    return device_data(pairs, classes)


def device_data(pairs, classes=2, device="cpu"):
    """The last two of images with their masks are scored."""
    device = torch.device(device)
    train = Resident.of([image for image, _ in pairs[:-2]], [mask for _, mask in pairs[:-2]], device)
    scored = tuple(Pair(torch.from_numpy(image).to(device), torch.from_numpy(mask)) for image, mask in pairs[-2:])
    return DeviceData(train, scored, classes)


def network(name="unet", classes=2, **values):
    torch.manual_seed(0)
    maps = 1 if classes == 2 else classes
    return build_network(build_graph(reference(name, width=4, depth=2, out_channels=maps, **values)))


@pytest.mark.parametrize(("name", "classes", "steps"), [("unet", 2, 40), ("unet++", 3, 160), ("unet3+", 2, 40)])
def test_training_learns_and_scores_at_equal_distances(name, classes, steps):
    scores = list(train(network(name, classes), data(classes, count=12), replace(RECIPE, steps=steps), seed=0))
    assert [score.step for score in scores] == [steps * part // 4 for part in (1, 2, 3, 4)]
    assert scores[-1].dice > 0.8
    assert scores[-1].loss < scores[0].loss
    assert len(scores[-1].dice_by_class) == classes - 1
    assert scores[-1].dice == pytest.approx(sum(scores[-1].dice_by_class) / (classes - 1))
    assert scores[-1].iou < scores[-1].dice
    assert scores[-1].seconds > scores[0].seconds


def test_the_same_seed_gives_the_same_curve():
    first, second, other = (list(train(network(), data(), RECIPE, seed)) for seed in (1, 1, 2))
    assert [(s.loss, s.dice, s.iou) for s in first] == [(s.loss, s.dice, s.iou) for s in second]
    assert [s.loss for s in first] != [s.loss for s in other]


def test_after_training_the_network_has_the_weights_that_were_scored():
    net = network()
    last = list(train(net, data(), RECIPE, seed=0))[-1]
    assert evaluate(net, data().validation, 2).dice == last.dice_by_class


def test_the_scores_are_those_of_averaged_weights():
    """With an average that forgets at once, the network scored is the one trained: another score."""
    averaged = list(train(network(), data(), replace(RECIPE, averaging=0.99), seed=0))
    bare = list(train(network(), data(), replace(RECIPE, averaging=0.0), seed=0))
    assert [s.loss for s in averaged] == [s.loss for s in bare], "averaging does not touch the training"
    assert [s.dice for s in averaged] != [s.dice for s in bare]


def test_evaluations_that_do_not_divide_the_steps_end_with_the_last_step():
    scores = list(train(network(), data(), replace(RECIPE, steps=7, evaluations=3), seed=0))
    assert [score.step for score in scores] == [2, 5, 7]


def test_ignored_pixels_are_not_learnt():
    """Where most labels are wrong nothing is learnt; where these are IGNORE, it is."""

    def last(change):
        some = data()
        masks, wrong = some.train.masks, torch.arange(len(some.train.masks)) % 20 < 12
        masks[wrong] = change(masks[wrong])
        return list(train(network(), some, RECIPE, seed=0))[-1].dice

    assert last(lambda labels: torch.full_like(labels, IGNORE)) > 0.7
    assert last(lambda labels: 1 - labels) < 0.5


def test_a_loss_that_is_no_number_ends_the_training_with_its_reason():
    broken = data()
    broken.train.pixels.fill_(torch.nan)
    with pytest.raises(DivergedError) as caught:
        list(train(network(), broken, RECIPE, seed=0))
    assert str(caught.value) == "the loss was nan by step 10 (learning rate 0.01): try a lower one"


def test_weights_that_are_no_numbers_end_a_training_too(monkeypatch):
    net = network()

    def spoil(_):
        for parameter in net.parameters():
            parameter.grad.fill_(float("inf"))

    monkeypatch.setattr(Step, "_shorten", spoil)
    with pytest.raises(DivergedError) as caught:
        list(train(net, data(), replace(RECIPE, steps=1, evaluations=1), seed=0))
    assert str(caught.value) == "the weights were not finite by step 1 (learning rate 0.01): try a lower one"


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    recipe = Recipe(steps=100, warmup=0.1, decay=0.25)
    factors = [learning_rate_factor(step, recipe) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:76] == [1.0] * 67
    assert factors[88] == pytest.approx(0.48)
    assert factors[100] == 0
    assert learning_rate_factor(0, replace(recipe, warmup=0.0)) == 1


def test_labels_of_one_and_of_several_maps():
    assert labels(torch.tensor([[[[-1.0, 0.0, 2.0]]]])).tolist() == [[[0, 0, 1]]]
    assert labels(torch.tensor([[[[1.0]], [[3.0]], [[2.0]]]])).tolist() == [[[1]]]


def test_predictions_keep_order_and_size_whatever_is_batched_together():
    net = network().eval()
    images = [torch.randn(1, *size) for size in ((16, 16), (16, 16), (9, 21), (16, 16))]
    together = predict(net, images)
    alone = [predict(net, [image])[0] for image in images]
    assert [p.shape for p in together] == [image.shape[1:] for image in images]
    agree = [(a == b).float().mean().item() for a, b in zip(together, alone, strict=True)]
    assert min(agree) > 0.97, "bfloat16 may turn a pixel on the edge"


class PulseError(Exception):
    """Raised by a pulse."""


def interrupted(net, at):
    """The scores up to a step, and the state there."""
    scores, taken = [], {}

    def pulse(step, snapshot):
        if step == at:
            taken.update(deepcopy(snapshot()))
            raise PulseError

    torch.manual_seed(7)
    with suppress(PulseError):
        for score in train(net, data(), RECIPE, 3, pulse=pulse):
            scores.append(score)  # a list made at once would be lost with the error
    return scores, taken


def uninterrupted(net):
    torch.manual_seed(7)
    return list(train(net, data(), RECIPE, 3))


def without_seconds(scores):
    return [replace(score, seconds=0) for score in scores]


@pytest.mark.parametrize("at", [1, 7, 10, 13, 39, 40])
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(at):
    """Bit for bit, between two evaluations (every 10 steps) and at one, with dropout, batch norm and the schedule."""
    whole, before, after = (network(dropout=0.3) for _ in range(3))
    expected = uninterrupted(whole)
    scores, state = interrupted(before, at)
    assert [score.step for score in scores] == [step for step in (10, 20, 30, 40) if step <= at]
    torch.manual_seed(99)  # another process
    kept = deepcopy(state["optimizer"])
    again = list(train(after, data(), RECIPE, 3, state=state))
    assert str(kept) == str(state["optimizer"]), "a state can be gone on from twice"
    assert again[: len(scores)] == scores, "what was known is told again"
    assert without_seconds(again) == without_seconds(expected)
    weights = after.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.state_dict().items())
    assert again[-1].seconds > state["seconds"] or at == 40, "time goes on where it was"


@pytest.mark.parametrize("part", ["random", "averaged", "network", "optimizer"])
def test_without_a_part_of_its_state_it_would_be_another_training(part):
    expected = uninterrupted(network(dropout=0.3))
    _, state = interrupted(network(dropout=0.3), 13)
    _, other = interrupted(network(dropout=0.3), 5)
    again = list(train(network(dropout=0.3), data(), RECIPE, 3, state={**state, part: other[part]}))
    assert without_seconds(again) != without_seconds(expected)


def test_the_pulse_beats_after_every_step_and_after_its_score():
    happened = []
    for score in train(
        network(), data(), replace(RECIPE, steps=5, evaluations=2), 0, pulse=lambda s, _: happened.append(s)
    ):
        happened.append(f"score {score.step}")
    assert happened == [1, "score 2", 2, 3, 4, "score 5", 5]


def test_a_training_in_parts_takes_the_steps_of_the_whole(monkeypatch):
    """Without norms, and with a loss that is a mean over pixels, the sum of the parts is the whole."""
    monkeypatch.setattr("unetsearch.training.device.has_bfloat16", lambda _: False)
    recipe = replace(RECIPE, steps=4, evaluations=2, loss="cross_entropy", batch_size=5)
    large = data(sizes=((24, 20),))
    whole, *parts = (list(train(network(norm=None), large, recipe, 0, parts=parts)) for parts in (1, 2, 5))
    for scores in parts:
        assert [s.loss for s in scores] == pytest.approx([s.loss for s in whole], rel=1e-3)
        assert scores[-1].dice == pytest.approx(whole[-1].dice, abs=0.02)
    with_norm = [list(train(network(), large, recipe, 0, parts=parts))[-1].loss for parts in (1, 2)]
    assert with_norm[0] != with_norm[1], "norms see one part at a time"


def test_a_part_has_a_crop_at_least():
    with pytest.raises(ValueError, match="a batch of 4 crops cannot be trained in 5 parts"):
        list(train(network(), data(), RECIPE, 0, parts=5))


def test_images_on_the_disk_train_to_the_same_curve():
    """A data set that does not fit into the memory it is given."""
    source = load_data(DataSettings(path="cells"))
    there, stored = (on_device(source, torch.device("cpu"), limit=limit) for limit in (1e9, 1000))
    assert (type(there.train), type(stored.train)) == (Resident, Streamed)
    recipe = replace(RECIPE, steps=6, evaluations=2, augmentation=0.5, crop=32, weight_map=True)
    one, other = (list(train(network(norm=None), some, recipe, 0)) for some in (there, stored))
    assert [s.loss for s in one] == pytest.approx([s.loss for s in other], rel=1e-3)
    assert one[-1].dice == pytest.approx(other[-1].dice, abs=0.02)


@pytest.mark.parametrize(
    "values",
    [
        {"loss": "lovasz"},
        {"loss": "unet++", "heads": "sum", "head_weights": "1 0.5"},
        {"class_weights": "median_frequency"},
        {"class_weights": "1 4"},
        {"weight_map": True},
        {"augmentation": 1.0},
        {"foreground": 1.0},
    ],
    ids=str,
)
def test_every_value_of_the_recipe_makes_another_training_that_is_the_same_every_time(values):
    source = on_device(load_data(DataSettings(path="cells")), torch.device("cpu"))
    recipe = replace(RECIPE, steps=3, evaluations=1, crop=32)

    def loss(recipe):
        return next(train(network("unet++", deep_supervision=True), source, recipe, 0)).loss

    other = replace(recipe, **values)
    assert loss(other) == loss(other) != loss(recipe)
