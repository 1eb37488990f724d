"""The Python interface, end to end on small data of every layout, and on the public sets where they are at hand."""

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

import unetsearch
from unetsearch.api import read_study
from unetsearch.errors import StudyError

QUICK = (
    "architecture.depth=[1, 2]",
    "architecture.width=4",
    "training.steps=30",
    "training.evaluations=2",
    "training.crop=32",
    "baselines=[]",
    "search.trials=1",
)


def disc(random, height, width, classes=2):
    """An image of discs, each class with its own brightness, and its mask of class indices."""
    rows, columns = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    for label in range(1, classes):
        centre = random.uniform(8, (height - 8, width - 8))
        mask[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 40] = label
    return np.clip(mask * 70 + random.normal(60, 15, mask.shape), 0, 255).astype(np.uint8), mask


def save(folder: Path, stem: str, image, mask):
    for kind, pixels in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{stem}.png")


def test_a_mixture_of_sizes_trains_without_a_word(tmp_path):
    random = np.random.default_rng(0)
    for index, size in enumerate([(40, 33), (64, 30), (21, 90), (16, 16), (50, 50), (33, 47), (40, 40), (28, 19)]):
        save(tmp_path / "data", str(index), *disc(random, *size))
    study = unetsearch.run("quickstart", data=tmp_path / "data", out=tmp_path / "out", overrides=QUICK)
    assert study.front["dice"].notna().all()


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 3)):
        for index in range(count):
            save(tmp_path / "data" / part, f"{part}{index}", *disc(random, 40, 40))
    told = []
    unetsearch.run(
        "quickstart",
        data=tmp_path / "data",
        out=tmp_path / "out",
        overrides=QUICK,
        prepared=lambda data, *_: told.append(data),
    )
    data = told[0]
    assert {data.stems[index] for index in data.split.test} == {"test/test0", "test/test1", "test/test2"}
    assert len(data.split.train) + len(data.split.validation) == 8


def test_an_ignore_label_needs_only_its_name(tmp_path):
    random = np.random.default_rng(0)
    for index in range(8):
        image, mask = disc(random, 40, 40, classes=3)
        mask[:, :6] = 255
        save(tmp_path / "data", str(index), image, mask)
    told = []
    study = unetsearch.run(
        "quickstart",
        data=tmp_path / "data",
        out=tmp_path / "out",
        overrides=(*QUICK, "data.ignore=255"),
        prepared=lambda data, *_: told.append(data),
    )
    assert told[0].out_channels == 3
    assert len(study.records[0].final.dice_by_class) == 2


class Discs(Dataset):
    """What a torch user has: tensors, and a group."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        image, mask = disc(np.random.default_rng(index), 40, 36)
        return torch.from_numpy(image)[None].float() / 255, torch.from_numpy(mask), index // 2


def test_a_torch_dataset_trains_and_its_groups_stay_together(tmp_path):
    told = []
    study = unetsearch.run(
        "quickstart", data=Discs(), out=tmp_path / "out", overrides=QUICK, prepared=lambda data, *_: told.append(data)
    )
    split = told[0].split
    sides = [{index // 2 for index in part} for part in (split.train, split.validation, split.test)]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert len(study.records) == 1


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return unetsearch.run("quickstart", out=folder / "study", overrides=QUICK, trials=2, seed=5)


def test_a_study_is_its_folder(study):
    assert sorted(study.front["trial"]) == sorted(unetsearch.front(study.folder)["trial"])
    again = read_study(study.folder)
    assert again.records == study.records
    assert again.space == study.space
    assert (study.space.search.seed, study.space.search.trials) == (5, 2)
    kept = {path.name for path in (study.folder / "models").iterdir()}
    assert kept == set(study.front["trial"])
    assert optuna.load_study(study_name="quickstart", storage=f"sqlite:///{study.folder / 'study.db'}").best_trials


def test_totals_that_are_reached_already_change_no_study(study):
    before = (study.folder / "study.yaml").read_text()
    again = unetsearch.run(study.folder / "study.yaml", out=study.folder, trials=1, time=0.001, device="cpu")
    assert len(again.records) == len(study.records)
    assert (study.folder / "study.yaml").read_text() == before


def test_a_moved_study_is_still_reported(study, tmp_path):
    moved = study.folder.rename(tmp_path / "elsewhere")
    try:
        assert list(unetsearch.front(moved)["hash"]) == list(study.front["hash"])
    finally:
        moved.rename(study.folder)


def test_a_study_that_never_began(tmp_path, study):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "study.yaml").write_bytes((study.folder / "study.yaml").read_bytes())
    with pytest.raises(StudyError, match=r"study\.db, which holds the trials, is missing"):
        unetsearch.front(broken)


def test_the_test_images_reach_no_training(tmp_path):
    """Test images of pure noise, with masks turned round, change no score."""
    random = np.random.default_rng(0)
    curves = []
    for poisoned in (False, True):
        folder = tmp_path / str(poisoned)
        for part, count in (("train", 8), ("test", 3)):
            for index in range(count):
                image, mask = disc(np.random.default_rng(index + 100 * (part == "test")), 40, 40)
                if poisoned and part == "test":
                    image, mask = random.integers(0, 255, image.shape).astype(np.uint8), 1 - mask
                save(folder / "data" / part, f"{part}{index}", image, mask)
        classes = "data.classes={background: 0, disc: 1}"
        done = unetsearch.run("quickstart", data=folder / "data", out=folder / "out", overrides=(*QUICK, classes))
        curves.append([(score.loss, score.dice) for record in done.records for score in record.curve])
    assert curves[0] == curves[1]


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classes", "dice", "steps"),
    [("dsb2018_fluo", 2, 0.75, 80), ("isbi2012_em", 2, 0.6, 80), ("chase_db1", 2, 0.3, 260), ("wbc1", 3, 0.75, 80)],
)
def test_the_public_sets_train_with_no_flag(real_data, tmp_path, name, classes, dice, steps):
    """A small part of a study's steps; the bounds are far below what the steps of a study reach."""
    overrides = (
        "architecture.width=8",
        "architecture.depth=3",
        f"training.steps={steps}",
        "training.evaluations=2",
        "training.batch_size=4",
        "baselines=[unet]",
    )
    study = unetsearch.run("depth", data=real_data(name), out=tmp_path / "out", trials=1, overrides=overrides)
    assert study.records[0].final.dice > dice
    assert len(study.records[0].final.dice_by_class) == classes - 1
    table = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert len(table) >= 2


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "name", "baselines"),
    [
        ("encoders", "dsb2018_fluo", "[resunet, {mobile-unet: {depth: 4}}, {eff-unet: {depth: 4}}]"),
        ("free-skips", "isbi2012_em", "[unet-2015, unet-lecture, unet++-lecture, unet3+: {deep_supervision: true}]"),
    ],
)
def test_encoders_and_free_skips_are_searched_on_real_images(real_data, tmp_path, space, name, baselines):
    overrides = (
        "training.steps=6",
        "training.evaluations=1",
        "training.batch_size=4",
        "limits.macs=2G",
        f"baselines={baselines}",
    )
    study = unetsearch.run(space, data=real_data(name), out=tmp_path / "out", trials=3, overrides=overrides)
    trained = [record for record in study.records if record.distinct]
    assert len([record for record in trained if record.baseline is None]) == 3
    assert {record.state for record in study.records if record.baseline} == {"complete"}
    again = unetsearch.load_model(tmp_path / "out" / "models" / trained[0].name)
    assert again[0] == trained[0].architecture
    table = pd.read_csv(tmp_path / "out" / "trials.csv")
    column, value = ("skip", "free") if space == "free-skips" else ("encoder", "timm/mobilenetv2_100")
    assert value in set(table[column])
    assert (tmp_path / "out" / "report.html").stat().st_size > 10**6


def test_a_study_of_backbones_and_free_skips_goes_on_from_its_folder(tmp_path):
    overrides = (
        "training.steps=2",
        "training.evaluations=1",
        "training.crop=32",
        "training.batch_size=2",
        "architecture.depth=[2]",
        "architecture.skip=[free, plain]",
        "architecture.width=[4]",
        "architecture.encoder=[mobile, {timm/lcnet_050: {stem: [none]}}]",
        "baselines=[{mobile-unet: {depth: 2}}]",
    )
    folder = tmp_path / "study"
    first = unetsearch.run("encoders", out=folder, trials=2, overrides=overrides)
    second = unetsearch.run("encoders", out=folder, trials=4, overrides=overrides)
    assert [record.architecture for record in second.records[:3]] == [record.architecture for record in first.records]
    assert sum(record.trained and record.baseline is None for record in second.records) == 4
    assert unetsearch.run(folder / "study.yaml", out=folder, trials=4).records == second.records


def test_touching_objects_with_a_weight_map_and_their_f1(tmp_path):
    """From a folder with masks and numbered objects to a front of object F1."""
    random = np.random.default_rng(0)
    for index in range(10):
        image, mask = disc(random, 40, 44)
        save(tmp_path / "data", str(index), image, 255 * mask)
        objects = mask.astype(np.uint16)
        objects[:, 22:] *= 2  # two halves that touch
        (tmp_path / "data" / "instances").mkdir(exist_ok=True)
        Image.fromarray(objects).save(tmp_path / "data" / "instances" / f"{index}.png")
    settings = (
        "training.weight_map=[true, false]",
        "training.loss=cross_entropy",
        "training.class_weights=median_frequency",
        "training.augmentation=0.3",
        "training.foreground=0.5",
        "objectives=[object_f1, dice, params]",
    )
    study = unetsearch.run(
        "quickstart", data=tmp_path / "data", out=tmp_path / "s", overrides=(*QUICK, *settings), trials=2
    )
    trials = pd.read_csv(tmp_path / "s" / "trials.csv")
    assert trials["object_f1"].between(0, 1).all()
    assert len(trials) == 2
    assert all(record.final.object_f1 is not None for record in study.records)
    page = (tmp_path / "s" / "report.html").read_text()
    assert "F1 of objects on the validation images" in page
    assert read_study(tmp_path / "s").records == study.records
