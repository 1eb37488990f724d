"""Test images reach no search and no choice: made into garbage, they change nothing but what is scored on them."""

from dataclasses import replace

import numpy as np
import pytest

import unetsearch
from unetsearch.confirmation import confirm
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.data.splits import outer_folds
from unetsearch.search.events import Repeated
from unetsearch.search.opening import IN_MEMORY
from unetsearch.space.settings import SplitSettings

SPACE = """
name: poison
architecture:
  depth: [1, 2]
  width: [4, 8]
training: {steps: 24, evaluations: 6, crop: 16, batch_size: 2, learning_rate: {low: 2e-3, high: 2e-2, log: true}}
baselines: [{unet: {depth: 2, width: 4}}]
search: {trials: 7, pruner: pareto}
"""

SPLIT = Split(train=tuple(range(6)), validation=(6, 7), test=(8, 9), by="random")


def data_of(split: Split = SPLIT) -> SegmentationData:
    random = np.random.default_rng(0)
    masks, images = [], []
    for _ in range(10):
        rows, columns = np.mgrid[:24, :20]
        centre = random.uniform(6, (18, 14))
        masks.append(((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 20).astype(np.uint8))
        images.append((masks[-1][None] * 60 + random.integers(0, 80, (1, 24, 20))).astype(np.uint8))
    return SegmentationData(
        name="discs",
        images=tuple(images),
        masks=tuple(masks),
        stems=tuple("abcdefghij"),
        groups=tuple("abcdefghij"),
        classes=("background", "disc"),
        split=split,
        notes=(),
        fingerprint="the same, whatever the test images are",
    )


def poisoned(data: SegmentationData, images) -> SegmentationData:
    """Some images are noise, and their masks are turned round."""
    random = np.random.default_rng(1)

    def noise(index, image):
        return random.integers(0, 255, image.shape).astype(np.uint8) if index in images else image

    return replace(
        data,
        images=tuple(noise(index, image) for index, image in enumerate(data.images)),
        masks=tuple(1 - mask if index in images else mask for index, mask in enumerate(data.masks)),
    )


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Searches and confirms on data in memory: the records, and the runs with the confirmation."""
    (tmp_path / "poison.yaml").write_text(SPACE)

    def run(name, data, **values):
        def load(space, _=None):
            return data, replace(space, data=replace(space.data, path=IN_MEMORY))

        with monkeypatch.context() as patch:
            patch.setattr("unetsearch.api.load_for", load)
            patch.setattr("unetsearch.confirmation.load_for", load)
            out = tmp_path / name
            records = unetsearch.run(tmp_path / "poison.yaml", out=out).records
            runs = []

            def happened(event):
                if isinstance(event, Repeated):
                    runs.append(event.run)

            confirmed = confirm(out, data=data, folds=2, budgets=(1, 2), happened=happened, **values).confirmed
            return timeless(records), runs, confirmed

    return run


def timeless(records):
    """The records without when they were trained and how long it took."""
    return [
        replace(
            record,
            seconds=0.0,
            finished=0.0,
            stretches=(),
            curve=tuple(replace(score, seconds=0.0) for score in record.curve),
        )
        for record in records
    ]


def untimed(runs):
    return [replace(run, started=0.0, finished=0.0) for run in runs]


def test_a_poisoned_test_split_changes_no_search_and_no_choice(study):
    clean = data_of()
    records, runs, confirmed = study("clean", clean, nested=False, seeds=1)
    again, garbage, other = study("poisoned", poisoned(clean, clean.split.test), nested=False, seeds=1)
    assert again == records, "trained, pruned, scored: to the last digit"
    assert any(record.state == "pruned" for record in records)
    assert len({record.hash for record in records if record.curve}) >= 6
    assert list(map(timeless, other.plan.finalists)) == list(map(timeless, confirmed.plan.finalists))
    assert [run.key for run in garbage] == [run.key for run in runs], "the rates that were tuned as well"
    tunings, tested = ([run for run in untimed(runs) if run.key.tuning is tuning] for tuning in (True, False))
    assert [run for run in untimed(garbage) if run.key.tuning] == tunings
    assert {image for run in tunings for image in run.images} == {6, 7}
    assert {image for run in tested for image in run.images} == {8, 9}
    for one, two in zip(tested, [run for run in untimed(garbage) if not run.key.tuning], strict=True):
        assert one.scores != two.scores, "what is confirmed does hang on the test images"


@pytest.mark.slow
def test_nested_the_part_that_is_tested_changes_nothing_of_what_is_tested_on_it(study):
    clean = data_of()
    part = outer_folds(clean, SplitSettings(), 2)[0].test
    (_, runs, confirmed) = study("clean", clean, nested=True, seeds=1)
    (_, garbage, other) = study("poisoned", poisoned(clean, part), nested=True, seeds=1)
    chosen, theirs = (timeless(each.plan.points_of(0)) for each in (confirmed, other))
    assert theirs == chosen
    assert len(chosen) >= 2
    assert timeless(other.plan.points_of(1)) != timeless(confirmed.plan.points_of(1)), "those were trained on it"
    own, same = ([run for run in untimed(each) if run.key.fold == 0] for each in (runs, garbage))
    assert [run.key for run in own] == [run.key for run in same]
    assert [run for run in own if run.key.tuning] == [run for run in same if run.key.tuning]
    assert not {image for run in own if run.key.tuning for image in run.images} & set(part)
    tested = [(one, two) for one, two in zip(own, same, strict=True) if not one.key.tuning]
    assert all(set(one.images) == set(part) and one.scores != two.scores for one, two in tested)
