"""What an early score tells, on curves made by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def early_scores(monkeypatch):
    if not FOLDER.is_dir():
        pytest.skip("the benchmarks are not here: a checkout has them")
    monkeypatch.syspath_prepend(str(FOLDER))
    import early_scores

    yield early_scores
    for name in ("early_scores", "machine", "recording"):
        sys.modules.pop(name, None)


def row(early_scores, finals):
    """The ceiling and the share of a table; `finals`: of two seeds. All scores of a training are its final one."""
    curves = np.repeat(np.array(finals).T[:, :, None], 12, axis=2)
    *_, line, _ = early_scores.report("set", {("flat", "weights"): curves})
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    return cells[-4], cells[-3]


def test_a_share_is_told_where_seeds_tell_of_one_another(early_scores):
    rising = np.linspace(0.1, 0.5, 12)
    assert row(early_scores, [rising, rising + 0.3]) == ("1.00", "1.00 ± 0.00")


def test_there_is_no_share_of_nothing(early_scores):
    assert row(early_scores, [[0.1, 0.2, 0.3, 0.4], [0.6, 0.8, 0.5, 0.7]]) == ("0.00", "-")
