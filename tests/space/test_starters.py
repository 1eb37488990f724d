import pytest

from unetsearch.api import load_space
from unetsearch.errors import SpaceError
from unetsearch.space.starters import find_space, starters


def test_the_shipped_spaces():
    edges = (2, 11, 35, 85)  # of depths 1 to 4
    assert {name: load_space(path).size for name, path in starters().items()} == {
        "quickstart": 80,
        "depth": 5,
        "encoders": 720,
        "free-skips": 9 * 2 * sum(2**count for count in edges),
        "unet-family": 1200,
    }


def test_every_depth_is_trained_to_its_end():
    space = load_space("depth")
    assert (space.search.trials, space.search.pruner) == (space.size, "none")


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_space("quickstart") == find_space("quickstart.yaml") == starters()["quickstart"]
    (tmp_path / "quickstart.yaml").write_text("name: mine")
    assert find_space("quickstart.yaml").read_text() == "name: mine"


def test_neither_file_nor_name():
    with pytest.raises(SpaceError) as caught:
        find_space("quikstart")
    assert str(caught.value) == (
        "quikstart: no such file, and no space of that name; there are depth, encoders, free-skips, quickstart, "
        "unet-family; did you mean 'quickstart'?"
    )
