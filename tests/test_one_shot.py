"""One training of a nested network, and what it says of every depth."""

import numpy as np
import pytest
import torch

from unetsearch.api import load_space
from unetsearch.errors import SpaceError
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import reference
from unetsearch.network.cost import COST_IMAGE_SIZE, cost
from unetsearch.one_shot import depth_profile
from unetsearch.training.score import Score
from unetsearch.training.train import DivergedError

QUICK = ("training.steps=6", "training.evaluations=2", "training.crop=32", "architecture.width=4")


@pytest.fixture(scope="module")
def profile():
    """The profile of the embedded cells to depth 3, the scores on the way."""
    scores: list[Score] = []
    space = load_space("depth", (*QUICK, "architecture.depth=[1, 2, 3]"))
    return depth_profile(space, data="cells", device="cpu", scored=scores.append), scores


def test_every_depth_has_a_score_and_its_costs(profile):
    nested, scores = profile
    assert [each.depth for each in nested] == [1, 2, 3]
    assert [score.step for score in scores] == [3, 6]
    for each in nested:
        alone = reference("unet++", width=4, depth=each.depth, deep_supervision=True)
        counted = cost(build_graph(alone), COST_IMAGE_SIZE)
        assert (each.params, each.macs) == (counted.params, counted.macs)
        assert 0 <= each.dice <= 1


def test_the_deepest_is_the_network_that_was_trained(profile):
    nested, scores = profile
    assert nested[-1].dice == pytest.approx(scores[-1].dice, abs=0.01), "bfloat16 may turn a pixel on the edge"


def test_the_same_seed_gives_the_same_profile():
    space = load_space("depth", (*QUICK, "architecture.depth=[1, 2]"))
    first, second = (depth_profile(space, data="cells", device="cpu") for _ in range(2))
    assert first == second
    other = depth_profile(load_space("depth", (*QUICK, "architecture.depth=[1, 2]", "search.seed=1")), device="cpu")
    assert [each.dice for each in other] != [each.dice for each in first]
    assert torch.is_grad_enabled()


def test_what_does_not_fit_the_data_is_refused():
    space = load_space("depth", (*QUICK, "architecture.depth=[1, 2]", "training.class_weights=1 2 3"))
    with pytest.raises(SpaceError, match="'1 2 3' are 3 numbers, but there are 2 classes"):
        depth_profile(space, data="cells", device="cpu")
    images = [(np.arange(1600).reshape(40, 40) % 251, np.eye(40, dtype=np.uint8)) for _ in range(9)]
    changed = [(image + 7 * number, mask) for number, (image, mask) in enumerate(images)]
    space = load_space("depth", (*QUICK, "architecture.depth=[1]", "training.loss=dice", "training.weight_map=true"))
    with pytest.raises(SpaceError, match="and dice has neither; nor are objects numbered"):
        depth_profile(space, data=changed, device="cpu")


def test_what_does_not_fit_in_memory_is_read_from_the_disk(monkeypatch):
    space = load_space("depth", (*QUICK, "architecture.depth=[1, 2]"))
    whole = depth_profile(space, data="cells", device="cpu")
    monkeypatch.setattr("unetsearch.one_shot.free_memory", lambda _: 0)
    monkeypatch.setattr("unetsearch.training.sources.Resident.of", None)
    assert depth_profile(space, data="cells", device="cpu") == whole


def test_it_is_printed_with_what_it_is_worth(here, call):
    before = sorted(here.rglob("*"))
    sets = [f"--set={text}" for text in (*QUICK, "architecture.depth=[1, 2]", "training.crop=16")]
    code, out, err = call("depth", "depth", "--data", "data", "--device", "cpu", *sets)
    assert (code, err) == (0, "")
    assert out.startswith("one U-Net++ of width 4 and depth 2, 6 steps, crops of 16 px\n")
    assert "step 6: Dice 0." in out
    assert [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")] == ["1", "2"]
    assert "An estimate: all depths were trained at once" in out
    assert "Kendall's tau .47 against .43" in " ".join(out.split())
    assert sorted(here.rglob("*")) == before, "nothing is written"


def test_a_training_that_fails_ends_with_status_1(here, call, monkeypatch):
    def fails(*_, **__):
        raise DivergedError("the loss was nan by step 3 (learning rate 9): try a lower one")

    monkeypatch.setattr("unetsearch.describe.depth_profile", fails)
    code, _, err = call("depth", "depth", "--data", "data")
    assert code == 1
    assert err == "unetsearch: the training failed: the loss was nan by step 3 (learning rate 9): try a lower one\n"


def test_images_that_are_too_small_for_the_depth_are_refused(here, call):
    code, out, err = call("depth", "depth", "--data", "data")
    assert (code, out.count("step")) == (2, 1), "nothing is trained"
    assert err.startswith("unetsearch: ")
    assert "depth 5" in err


def test_a_batch_size_that_is_to_be_found_is_refused(here, call):
    code, _, err = call("depth", "depth", "--data", "data", "--set", "training.batch_size=auto")
    assert (code, err) == (2, "unetsearch: training.batch_size: auto is for searches; give a number\n")
