from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unetsearch.api import reference, run
from unetsearch.data.load import load_data
from unetsearch.errors import SpaceError, UnetsearchError
from unetsearch.network.network import build_network
from unetsearch.search.batch_size import SHARE, STATE_BYTES, settle_batch_size, step_bytes
from unetsearch.search.candidate import Candidate
from unetsearch.search.folder import StudyFolder
from unetsearch.space.document import parse_space
from unetsearch.space.recipe import Recipe
from unetsearch.space.resolved import dump_space
from unetsearch.space.settings import DataSettings

CPU = torch.device("cpu")
TEXT = """
name: sizes
architecture: {depth: [1, 2], width: [4, 8]}
training: {crop: 32, batch_size: auto}
baselines: []
"""


@pytest.fixture
def space():
    return parse_space(TEXT, "sizes.yaml").for_data(1, 1)


@pytest.fixture(scope="module")
def data():
    return load_data(DataSettings(path="cells"))


def greatest(space):
    return max(map(Candidate.at, space.enumerate()), key=lambda candidate: candidate.cost.activation_bytes)


def settled(space, data, folder, *, memory, slots=1):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unetsearch.search.batch_size.free_memory", lambda _: memory)
        return settle_batch_size(space, data, [CPU] * slots, StudyFolder(folder)).recipe.batch_size


def test_a_step_takes_more_for_each_crop_the_same_much(space):
    two, four, eight = (step_bytes(greatest(space), CPU, count) for count in (2, 4, 8))
    assert 0 < two < four < eight
    assert (eight - four) / (four - two) == pytest.approx(2, rel=0.05)
    features = build_network(greatest(space).graph)
    assert two > sum(parameter.nbytes for parameter in features.parameters()), "the gradients are in it"


def test_the_size_found_fits_and_twice_as_many_do_not(space, data, tmp_path):
    network = greatest(space)
    for count in (2, 8, 16):
        memory = (step_bytes(network, CPU, count) * 1.01 + STATE_BYTES * network.cost.params) / SHARE
        assert settled(space, data, tmp_path, memory=memory) == count
        assert settled(space, data, tmp_path, memory=memory * 0.9) == count // 2
        assert settled(space, data, tmp_path, memory=2 * memory, slots=2) == count, "slots share the memory"


def test_large_crops_are_reckoned_from_smaller_ones(data, tmp_path, monkeypatch):
    space = parse_space(TEXT.replace("crop: 32", "crop: 128"), "sizes.yaml").for_data(1, 1)
    network, asked = greatest(space), set()

    def step(candidate, device, count):
        asked.add(candidate.recipe.crop)
        return step_bytes(candidate, device, count)

    monkeypatch.setattr("unetsearch.search.batch_size.MEASURED", 64)
    monkeypatch.setattr("unetsearch.search.batch_size.step_bytes", step)
    for count in (1, 2):
        needed = step_bytes(network, CPU, count) + STATE_BYTES * network.cost.params
        assert settled(space, data, tmp_path, memory=1.1 * needed / SHARE) == count
        assert settled(space, data, tmp_path / "less", memory=2 * 0.9 * needed / SHARE) == count
    assert asked == {64}


def test_a_crop_takes_memory_by_its_pixels_and_one_with_context_less():
    def growth(name):
        architecture = reference(name, depth=2, width=8)
        crops = [Candidate.of(architecture, Recipe(crop=crop, augmentation=0)) for crop in (128, 384)]
        small, large = (step_bytes(each, CPU, 4) - step_bytes(each, CPU, 2) for each in crops)
        return large / small

    assert growth("unet") == pytest.approx(9, rel=0.01)
    assert 6 < growth("unet-2015") < 9


def test_no_step_looks_at_the_training_images_twice(space, data, tmp_path):
    pixels = sum(data.masks[index].size for index in data.split.train)
    size = settled(space, data, tmp_path, memory=1e15)
    assert size <= pixels / 32**2 < 2 * size


def test_a_memory_that_holds_no_crop_is_told(space, data, tmp_path):
    with pytest.raises(UnetsearchError) as caught:
        settled(space, data, tmp_path, memory=1e5)
    assert str(caught.value) == (
        "training.batch_size: a step of one 32 px crop of the greatest network does not fit into the memory: "
        "limit the parameters, or take a smaller crop"
    )


def test_a_study_that_machines_share_needs_a_number(space, data, tmp_path):
    with pytest.raises(UnetsearchError) as caught:
        settle_batch_size(space, data, [CPU], StudyFolder(tmp_path), "journal:x")
    assert str(caught.value) == (
        "training.batch_size: auto is what one machine's memory holds, but this study is shared (--storage): give a "
        "number that all of its machines can hold"
    )


def test_a_size_that_is_given_stays(space, data, tmp_path):
    given = replace(space, recipe=replace(space.recipe, batch_size=3))
    assert settled(given, data, tmp_path, memory=1e15) == 3


def test_a_study_that_was_begun_keeps_its_size(here):
    """With another memory, too: the scores of one study stand beside one another."""
    first = run("tiny.yaml", data="data", out="study", trials=1, overrides=["training.batch_size=auto"])
    size = first.space.recipe.batch_size
    assert size in (1, 2, 4, 8)
    assert f"batch_size: {size}\n" in Path("study/study.yaml").read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unetsearch.search.batch_size.free_memory", lambda _: 1)
        again = run("tiny.yaml", data="data", out="study", trials=2, overrides=["training.batch_size=auto"])
    assert again.space.recipe.batch_size == size
    assert [record.name for record in again.records[: len(first.records)]] == [r.name for r in first.records]


def test_auto_stands_alone_and_comes_back_from_the_document(space):
    assert "batch_size: auto" in dump_space(space)
    assert parse_space(dump_space(space), "again.yaml").recipe == space.recipe
    for text, message in (
        ("[8, auto]", "is the one size of all trainings, expected it alone"),
        ("{low: auto, high: 8}", "expected a whole number from 1 to 4096, got 'auto'"),
        ("atuo", "expected a whole number from 1 to 4096, or auto, got 'atuo'; did you mean 'auto'?"),
    ):
        with pytest.raises(SpaceError) as caught:
            parse_space(TEXT.replace("batch_size: auto", f"batch_size: {text}"), "sizes.yaml")
        assert message in str(caught.value)
