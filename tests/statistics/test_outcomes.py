import numpy as np
import pytest

from tests.statistics.confirmations import compared, outcomes
from unetsearch.statistics.differences import compare
from unetsearch.statistics.outcomes import cells_of
from unetsearch.statistics.verdict import verdict


def test_one_stack_in_nested_folds_has_means_and_no_bounds():
    """Three outer folds of one, two and three images, two seeds each."""
    random = np.random.default_rng(0)
    folds, seeds, fold_of = np.repeat(range(3), 2), np.tile(range(2), 3), np.repeat(range(3), [1, 2, 3])
    scores = random.random((3, 6, 6))
    scores[:, folds[:, None] != fold_of] = np.nan
    scores[2] = np.nan
    result = compare(cells_of(scores, folds, seeds, ["stack"] * 6))
    by_image = np.nanmean(scores[:2], axis=1)
    assert result.means[:2] == pytest.approx(by_image.mean(axis=1)), "every image counts the same"
    assert np.isnan(result.means[2])
    assert result.refusal == "all test images are of one group: nothing is claimed beyond it"
    assert result.interval(0, 1).low is None
    judged = verdict(result, [1, 2, 3], [1, 2, 3])
    assert (judged.possible, judged.reasons[0]) == ((1, 2), result.refusal)


@pytest.mark.parametrize(
    ("scores", "folds", "seeds", "groups", "message"),
    [
        (np.zeros((2, 3)), [0], [0], [0], r"scores: expected candidates x runs x images, got shape \(2, 3\)"),
        (np.zeros((2, 2, 3)), [0], [0, 1], [0, 1, 2], r"folds: expected shape \(2,\), got \(1,\)"),
        (np.zeros((2, 2, 3)), [0, 1], [0], [0, 1, 2], r"seeds: expected shape \(2,\), got \(1,\)"),
        (np.zeros((2, 2, 3)), [0, 1], [0, 1], [0], r"groups: expected shape \(3,\), got \(1,\)"),
        (np.zeros((2, 2, 3)), [0, 0], [1, 1], [0, 1, 2], "fold 0 and seed 1: given for two runs"),
        (np.full((2, 2, 3), np.inf), [0, 1], [0, 0], [0, 1, 2], "scores: expected finite values or NaN"),
        (np.full((2, 2, 3), np.nan), [0, 1], [0, 0], [0, 1, 2], "no scores: every value is NaN"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_refused(scores, folds, seeds, groups, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        cells_of(scores, folds, seeds, groups)


def refused(change, message, groups=range(10)):
    scores = outcomes([0.5, 0.8], images=10, nested=True)
    change(scores)
    with pytest.raises(ValueError, match=f"^{message}$"):
        compared(scores, np.asarray(groups))


def test_other_designs_are_refused():
    def one_more(scores):
        scores[:, 0, 1] = 0.5

    def other_images(scores):
        scores[0, 0, 0] = np.nan

    def no_common_run(scores):
        scores[0, ::2] = scores[1, 1::2] = np.nan

    expected = "expected runs that score every image, or every image scored by the runs of one fold"
    refused(one_more, expected)
    refused(other_images, "a run scores other images for one candidate than for another")
    refused(no_common_run, "no run was scored for every candidate")
    refused(lambda scores: None, "a group of images lies in two outer folds", groups=np.arange(10) // 2)
