"""How far candidates differ."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from tests.statistics.confirmations import compared, comparison, outcomes
from unetsearch.statistics.differences import compare, freedom
from unetsearch.statistics.outcomes import cells_of

FOLDS, SEEDS = np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5)


def test_crossed_by_hand():
    """The difference is a unit's plus a group's: variances 1e-4 / 3 and 3.5e-4 / 6, without a residual."""
    by_run, by_group = np.array([-0.01, 0.0, 0.01]), np.arange(6) / 100 - 0.025
    difference = 0.03 + by_run[:, None] + by_group
    scores = np.stack([0.5 + difference, np.full((3, 6), 0.5)])
    result = compare(cells_of(scores, [0, 1, 2], [0, 0, 0], np.arange(6)))
    runs, groups = 1e-4 / 3, 3.5e-4 / 6
    assert (result.runs[0, 1], result.groups[0, 1], result.both[0, 1]) == pytest.approx((runs, groups, 0), abs=1e-12)
    half = stats.t.ppf(0.975, (runs + groups) ** 2 / (runs**2 / 2 + groups**2 / 5)) * np.sqrt(runs + groups)
    interval = result.interval(0, 1)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.03, 0.03 - half, 0.03 + half))


def test_nested_by_hand():
    """Three folds of two images: their mean differences are .01, .02 and .03, whatever their seeds and images do."""
    scores = np.full((2, 6, 6), np.nan)
    for run, fold in enumerate([0, 0, 1, 1, 2, 2]):
        scores[1, run, 2 * fold : 2 * fold + 2] = 0.7
        scores[0, run, 2 * fold : 2 * fold + 2] = 0.7 + (fold + 1) / 100 + np.array([0.004, -0.004]) * (-1) ** run
    interval = compare(cells_of(scores, [0, 0, 1, 1, 2, 2], [0, 1] * 3, list("abcdef"))).interval(0, 1)
    half = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.02, 0.02 - half, 0.02 + half))


def test_the_residual_is_counted_once():
    random = np.random.default_rng(0)
    parts = [
        compare(cells_of(random.standard_normal((2, 5, 8)), np.arange(5), np.zeros(5), np.arange(8)))
        for _ in range(2000)
    ]
    total = np.mean([part.runs[0, 1] + part.groups[0, 1] + part.both[0, 1] for part in parts])
    assert 2 / 40 < total < 1.7 * 2 / 40  # 2 / 40 is the truth; negative parts are taken for 0
    assert np.mean([part.both[0, 1] for part in parts]) == pytest.approx(2 / 40, rel=0.05)


@pytest.mark.parametrize("skewness", [-0.6, -0.1, 0.2, 0.8])
def test_the_upper_bound_is_the_wider_of_students_and_halls(skewness):
    result = comparison([0.8, 0.7], 0.01, groups=12, skewness=skewness)
    quantile = stats.t.ppf(0.95, 11)

    def hall(t):
        return t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6 + quantile

    assert result.upper(0.05)[0, 1] == pytest.approx(0.1 + 0.01 * max(quantile, -brentq(hall, -1e4, 1e4)), rel=1e-6)


def test_groups_of_equal_size_leave_all_but_one_degree_of_freedom():
    assert freedom(np.full(7, 1 / 7)) == pytest.approx(6)
    assert 1 < freedom(np.array([10, 1, 1, 1, 1, 1, 1]) / 16) < 2
    assert freedom(np.ones(1)) == 0


@pytest.mark.parametrize("nested", [False, True])
def test_what_all_candidates_share_does_not_count(nested):
    scores = outcomes([0.8, 0.83], nested=nested)
    shared = np.random.default_rng(3).standard_normal((1, 15, 24))
    assert compared(scores + shared).upper(0.05) == pytest.approx(compared(scores).upper(0.05))


def test_groups_are_what_counts_and_not_images():
    scores = np.repeat(outcomes([0.8, 0.83], images=8), 3, axis=2)
    thrice = compared(scores, np.repeat(np.arange(8), 3))
    assert thrice.upper(0.05) == pytest.approx(compared(scores[:, :, ::3]).upper(0.05))


def test_few_runs_bound_nothing():
    scores = outcomes([0.5, 0.8])
    one = compare(cells_of(scores[:, :1], [0], [0], np.arange(24)))
    assert one.refusal == "1 seed: an interval needs 3"
    assert one.notes == ("all runs leave out the same fold: the noise between training sets is not seen",)
    two = compare(cells_of(scores[:, [0, 3]], [0, 1], [0, 0], np.arange(24)))
    assert two.refusal == "2 folds: an interval needs 3"
    seeds = compare(cells_of(scores[:, :3], [0, 0, 0], [0, 1, 2], np.arange(24)))
    assert seeds.refusal is None
    assert seeds.interval(1, 0).low > 0.28
