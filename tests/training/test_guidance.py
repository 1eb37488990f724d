"""Classification guidance learns: images without an object end with probability near 0 everywhere."""

import pytest
import torch

from unetsearch.api import reference
from unetsearch.data.checks import check_guidance
from unetsearch.data.dataset import IGNORE
from unetsearch.data.load import load_data
from unetsearch.errors import DataError
from unetsearch.graph.build import build_graph
from unetsearch.network.network import Outputs, build_network
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.device_data import on_device
from unetsearch.training.heads import heads_loss, outputs_loss, presence_loss
from unetsearch.training.losses import Truth
from unetsearch.training.sources import normalised
from unetsearch.training.train import train


def test_the_loss_of_presence_by_hand():
    target = torch.zeros(3, 4, 4, dtype=torch.uint8)
    target[0, 0, 0], target[1, 0, 0], target[1, 1, 1] = 1, 2, IGNORE
    presence = torch.tensor([[0.5], [-1.0], [2.0]])
    truth = torch.tensor([[1.0], [0.0], [0.0]])
    by_hand = -(truth * presence.sigmoid().log() + (1 - truth) * (1 - presence.sigmoid()).log()).mean()
    assert presence_loss(presence, target).item() == pytest.approx(by_hand.item())
    several = torch.randn(3, 3)
    truth = torch.tensor([[1.0, 1, 0], [1, 0, 1], [1, 0, 0]])
    by_hand = -(truth * several.sigmoid().log() + (1 - truth) * (1 - several.sigmoid()).log()).mean()
    assert presence_loss(several, target).item() == pytest.approx(by_hand.item())


def test_a_crop_without_a_label_teaches_nothing_of_presence():
    target = torch.zeros(2, 4, 4, dtype=torch.uint8)
    target[1] = IGNORE
    presence = torch.tensor([[0.5], [5.0]])
    assert presence_loss(presence, target) == presence_loss(presence[:1], target[:1])
    assert presence_loss(presence[1:], target[1:]) == 0


def test_it_is_added_to_that_of_the_heads():
    heads, target = [torch.randn(2, 1, 4, 4)], torch.ones(2, 4, 4, dtype=torch.uint8)
    truth = Truth(1, target)
    alone = heads_loss(Recipe(), heads, truth)
    assert outputs_loss(Recipe(), Outputs(heads), truth) == alone
    presence = torch.zeros(2, 1)
    together = outputs_loss(Recipe(), Outputs(heads, presence), truth)
    assert (together - alone).item() == pytest.approx(0.6931, abs=1e-4)


def test_every_third_image_of_the_second_embedded_set_is_empty():
    data = load_data(DataSettings(path="cells-empty"))
    assert sum(not mask.any() for mask in data.masks) == len(data.masks) // 3 == 20
    check_guidance(data, "architecture.guidance")
    with pytest.raises(DataError, match="every training image of cells has foreground: add images without it, or set"):
        check_guidance(load_data(DataSettings(path="cells")), "architecture.guidance")


@pytest.mark.slow
def test_images_without_an_object_end_near_zero():
    data = load_data(DataSettings(path="cells-empty"))
    torch.manual_seed(0)
    network = build_network(build_graph(reference("unet3+", width=8, depth=3, channels=4, guidance=True)))
    recipe = Recipe(steps=350, evaluations=1, crop=96)
    (score,) = train(network, on_device(data, torch.device("cpu")), recipe, 0)
    network.eval()
    assert score.dice > 0.75

    def highest(index):
        """The highest probability in an image, guided and not."""
        image = torch.from_numpy(normalised(data.images[index]))[None]
        with torch.no_grad():
            return network(image).sigmoid().max().item(), network.outputs(image).heads[-1].sigmoid().max().item()

    empty = [index for index, mask in enumerate(data.masks) if not mask.any()]
    seen = [highest(index) for index in empty if index in data.split.train]
    assert sum(guided < 0.1 for guided, _ in seen) >= len(seen) - 1
    assert sum(guided for guided, _ in seen) < 0.2 * sum(alone for _, alone in seen)
    unseen = [highest(index) for index in empty if index not in data.split.train]
    assert sum(guided < 0.1 for guided, _ in unseen) >= 5
    assert sum(guided for guided, _ in unseen) < 0.7 * sum(alone for _, alone in unseen)
    cells = [index for index in data.split.validation if data.masks[index].any()]
    assert all(highest(index)[0] > 0.5 for index in cells)
