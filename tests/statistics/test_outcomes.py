import numpy as np
import pytest

from unetsearch.statistics.differences import compare
from unetsearch.statistics.outcomes import cells_of
from unetsearch.statistics.verdict import in_words, verdict


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
    words = in_words(verdict(result, [1, 2, 3], [1, 2, 3]), "depth", "depths")
    assert words == f"undecided between depths 1 and 2: {result.refusal}"


def test_a_score_has_its_own_name_in_the_sentence():
    scores = np.stack([np.full((3, 6), 0.5), np.full((3, 6), 0.5 + 1 / 1024)])
    result = verdict(compare(cells_of(scores, range(3), [0] * 3, range(6))), [1, 2], [1, 2])
    words = "depth 1 is enough: a better one gains at most 0.001 F1 of objects (95 %)"
    assert in_words(result, "depth", "depths", "F1 of objects") == words
