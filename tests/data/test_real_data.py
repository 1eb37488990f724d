import time

import numpy as np
import pytest

from unetsearch.data.load import load_data
from unetsearch.data.splits import folds
from unetsearch.space.settings import DataSettings, SplitSettings

pytestmark = pytest.mark.realdata


def load(path, **settings):
    return load_data(DataSettings(path=str(path), **settings))


def share(data, index=1) -> float:
    """Percent of all pixels that are of a class."""
    return round(
        100 * sum(int((mask == index).sum()) for mask in data.masks) / sum(mask.size for mask in data.masks), 1
    )


def sizes(data) -> list[int]:
    return [len(data.split.train), len(data.split.validation), len(data.split.test)]


def test_isbi2012_em(real_data):
    data = load(real_data("isbi2012_em"))
    assert (len(data.images), data.in_channels, data.out_channels) == (30, 1, 1)
    assert data.split.by == "blocks"
    assert (data.split.validation, data.split.test) == (tuple(range(19, 24)), tuple(range(24, 30)))
    assert share(data) == 22.0, "the membrane, which is 0 in the files"
    assert "the rarer is the foreground: 0 (22.0 % of the pixels)" in data.notes[1]


def test_dsb2018_fluo(real_data):
    path = real_data("dsb2018_fluo")
    start = time.perf_counter()
    data = load(path)
    assert time.perf_counter() - start < 2
    assert (len(data.images), data.in_channels, data.out_channels, data.min_side) == (240, 1, 1, 256)
    assert data.split.by == "random"
    assert sizes(data) == [154, 38, 48]
    assert share(data) == 7.5


def test_dsb2018_fluo_instances_are_its_masks(real_data, tmp_path):
    source = real_data("dsb2018_fluo")
    for name, folder in (("images", "images"), ("masks", "instances")):
        (tmp_path / name).mkdir()
        for path in sorted((source / folder).iterdir())[:40]:
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    by_number, merged = load(tmp_path), load(source)
    assert by_number.out_channels == 1
    assert by_number.notes[1].startswith("masks number their objects (up to ")
    expected = dict(zip(merged.stems, merged.masks, strict=True))
    for stem, mask in zip(by_number.stems, by_number.masks, strict=True):
        np.testing.assert_array_equal(mask, expected[stem])


def test_chase_db1(real_data):
    data = load(real_data("chase_db1"))
    assert (len(data.images), data.in_channels, data.out_channels) == (28, 3, 1)
    assert share(data) == 6.9
    assert data.split.by == "groups"
    assert len(set(data.groups)) == 14
    for part in (data.split.train, data.split.validation, data.split.test):
        stems = {data.stems[index] for index in part}
        assert {stem[:-1] + side for stem in stems for side in "LR"} == stems, "both eyes of a child"


@pytest.mark.parametrize("seed", range(3))
def test_wbc1(real_data, seed):
    data = load(real_data("wbc1"), split=SplitSettings(seed=seed))
    assert (len(data.images), data.in_channels, data.out_channels, data.min_side) == (300, 3, 3, 88)
    assert data.classes == ("0", "128", "255")
    assert [share(data, index) for index in range(3)] == [68.8, 18.9, 12.3]
    assert data.split.by == "random"
    assert sizes(data) == [192, 48, 60]
    twins = {data.stems.index("112"), data.stems.index("139")}
    assert "112 and 139 are the same image: kept on one side of the split" in data.notes
    for split in folds(data, SplitSettings(seed=seed)):
        assert any(twins <= set(part) for part in (split.train, split.validation, split.test))
