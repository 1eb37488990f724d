from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.statistics.confirmations import compared, comparison, outcomes
from unetsearch.statistics.differences import Interval, compare
from unetsearch.statistics.gain import gain
from unetsearch.statistics.outcomes import cells_of
from unetsearch.statistics.verdict import Needed, needed, verdict

FOLDS, SEEDS = np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5)


def bounds_word_for_word(means, members, order_sides, error):
    """upper[i][b]: of the best candidate of label i, against the best of label b's candidates. Deviation 0.001."""
    result = {}
    for i, own in enumerate(members):
        first = max(own, key=lambda index: means[index])
        for b, others in enumerate(members):
            quantile = stats.norm.ppf(1 - error / len(own) / order_sides[b])
            result[i, b] = max(means[other] - means[first] for other in others) + 0.001 * quantile
    return result


@pytest.mark.parametrize("seed", range(20))
def test_a_label_passes_where_it_does_step_by_step_whichever_one_is_best(seed):
    random = np.random.default_rng(seed)
    members = [(0, 1), (2,), (3, 4, 5), (6,), (7, 8)]
    means = 0.8 + 0.008 * random.random(9)
    labels = [place for place, own in enumerate(members) for _ in own]
    result = verdict(comparison(means), labels, range(5))
    bounds = bounds_word_for_word(means, members, (1, 2, 2, 2, 1), 0.04)
    for margin in random.uniform(0.001, 0.012, 20):
        for label, standing in enumerate(result.standings):
            passes = True
            for best in range(5):
                way = range(best - 1, label - 1, -1) if best > label else range(best + 1, label + 1)
                passes &= all(bounds[step, best] < margin for step in way)
            assert (standing.upper < margin) == passes


def test_the_first_label_within_the_margin_is_decided():
    result = verdict(comparison([0.80, 0.846, 0.85, 0.849]), [1, 2, 3, 4], [1, 2, 3, 4])
    assert (result.decided, result.possible, result.recommended, result.reasons) == (2, (2,), 1, ())
    bound = 0.004 + 0.001 * stats.norm.ppf(1 - 0.04 / 2)
    assert result.standings[1].upper == pytest.approx(bound, abs=1e-6)
    assert result.standings[0].lower == pytest.approx(0.05 - 0.001 * stats.norm.ppf(1 - 0.04 / 3), abs=1e-6)
    assert verdict(comparison([0.80, 0.846, 0.85, 0.849]), [1, 2, 3, 4], [4, 3, 2, 1]).decided == 4


def test_a_best_one_that_others_may_equal_is_not_decided():
    result = verdict(comparison([0.80, 0.848, 0.85], 0.005), [1, 2, 3], [1, 2, 3], margin=0.0095)
    assert (result.decided, result.possible, result.recommended) == (None, (2, 3), 2)
    assert result.reasons == ("the first whose loss is bounded under 0.0095 is 3, and 2 may be no worse",)


def test_a_best_one_that_is_better_than_all_is_decided():
    result = verdict(comparison([0.80, 0.82, 0.85]), ["plain", "dense", "free"], ["plain", "dense", "free"])
    assert (result.decided, result.recommended, result.standings[2].upper) == ("free", 2, 0.0)


def test_where_nothing_is_bounded_all_that_may_be_best_are_possible():
    measured = comparison([0.80, 0.845, 0.85, 0.848], 0.008, units=5, groups=40)
    result = verdict(measured, [1, 2, 3, 4], [1, 2, 3, 4])
    assert (result.possible, result.reasons) == ((2, 3, 4), ("no loss is bounded under 0.01",))
    assert (result.decided, result.recommended) == (None, 2)
    more = needed(measured, [1, 2, 3, 4], [1, 2, 3, 4])
    assert more.units is None  # all the noise is in the images
    assert 40 < more.groups < 600
    enough, fewer = (measured.grown(5, groups) for groups in (more.groups, round(more.groups / 1.2)))
    assert verdict(enough, [1, 2, 3, 4], [1, 2, 3, 4]).decided is not None
    assert verdict(fewer, [1, 2, 3, 4], [1, 2, 3, 4]).decided is None


def test_more_candidates_to_choose_from_need_a_better_proof():
    one = verdict(comparison([0.80, 0.85]), [1, 2], [1, 2])
    three = verdict(comparison([0.80, 0.80, 0.80, 0.85]), [1, 1, 1, 2], [1, 2])
    assert one.standings[0].upper == pytest.approx(0.05 + 0.001 * stats.norm.ppf(1 - 0.04), abs=1e-6)
    assert three.standings[0].upper == pytest.approx(0.05 + 0.001 * stats.norm.ppf(1 - 0.04 / 3), abs=1e-6)


def test_the_gain_over_the_strongest_baseline():
    result = gain(comparison([0.80, 0.83, 0.85]), 2, [0, 1], chosen_among=4)
    low, high = (stats.norm.ppf(1 - 0.025 / count) for count in (4, 8))
    assert result.baseline == 1
    interval = result.interval
    assert (interval.estimate, interval.low, interval.high) == pytest.approx(
        (0.02, 0.02 - 0.001 * low, 0.02 + 0.001 * high), abs=1e-6
    )
    with pytest.raises(ValueError, match=r"^baselines: expected at least one, and not the candidate itself$"):
        gain(comparison([0.80, 0.83]), 1, [1], chosen_among=1)


@pytest.mark.parametrize("nested", [False, True])
def test_order_and_names_change_nothing(nested):
    scores = outcomes([0.8, 0.83, 0.84, 0.84, 0.82], nested=nested)
    labels = [1, 2, 3, 4, 4]
    result = verdict(compared(scores), labels, [1, 2, 3, 4])
    order = np.array([3, 1, 4, 0, 2])
    other = verdict(compared(scores[order]), [labels[place] for place in order], [1, 2, 3, 4])
    assert other.recommended == list(order).index(result.recommended)
    for one, two in zip(result.standings, other.standings, strict=True):
        assert (one.loss, one.lower, one.upper) == pytest.approx((two.loss, two.lower, two.upper))
    runs, images = np.random.default_rng(1).permutation(15), np.random.default_rng(2).permutation(24)
    moved = compare(
        cells_of(scores[:, runs][:, :, images], 9 - FOLDS[runs], SEEDS[runs], [f"patient {index}" for index in images])
    )
    assert moved.upper(0.05) == pytest.approx(compared(scores).upper(0.05))


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (["one stack"] * 24, "all test images are of one group: nothing is claimed beyond it"),
        (np.arange(24) % 5, "5 groups of test images: an interval needs 6"),
    ],
)
def test_too_few_groups_bound_nothing(groups, reason):
    measured = compared(outcomes([0.5, 0.8]), groups)
    result = verdict(measured, [1, 2], [1, 2])
    assert (result.decided, result.possible, result.recommended, result.reasons) == (None, (1, 2), 1, (reason,))
    assert all(own.upper is None and own.lower is None for own in result.standings)
    assert measured.interval(1, 0) == Interval(pytest.approx(0.3, abs=0.01), None, None)
    assert gain(measured, 1, [0], 1).interval.low is None


def test_what_would_settle_it_is_unknown_where_the_noise_is():
    assert needed(compared(outcomes([0.5, 0.8]), ["a"] * 24), [1, 2], [1, 2]) == Needed(None, None)
    assert needed(compared(outcomes([0.5, 0.8]), np.arange(24) % 5), [1, 2], [1, 2]) == Needed(6, None)
    two = replace(comparison([0.80, 0.845], 0.008, units=5, groups=400), units=2)
    assert needed(two, [1, 2], [1, 2]) == Needed(None, None), "two runs say next to nothing of their spread"


def test_no_more_folds_are_proposed_than_there_may_be():
    measured = comparison([0.80, 0.845, 0.85], 0.008, units=5, groups=400)
    measured = replace(measured, runs=measured.groups, groups=measured.runs)  # all the noise is in the folds
    wanted = needed(measured, [1, 2, 3], [1, 2, 3]).units
    assert wanted > 6
    assert needed(measured, [1, 2, 3], [1, 2, 3], most_units=wanted).units == wanted
    assert needed(measured, [1, 2, 3], [1, 2, 3], most_units=wanted - 1).units is None


def test_one_candidate_and_one_label():
    result = verdict(compared(outcomes([0.8])), [4], [4])
    assert (result.decided, result.possible, result.recommended) == (None, (4,), 0)
    assert result.reasons[0] == "4 is all there is: nothing to compare it with"
    assert verdict(compared(outcomes([0.8, 0.9])), [4, 4], [4]).recommended == 1


@pytest.mark.parametrize("nested", [False, True])
def test_identical_scores_take_the_preferred_label(nested):
    scores = np.repeat(outcomes([0.8], nested=nested), 3, axis=0)
    result = verdict(compared(scores), [1, 2, 3], [1, 2, 3])
    assert (result.decided, [own.upper for own in result.standings]) == (1, [0.0, 0.0, 0.0])


def test_what_is_missing_is_left_out_and_said():
    scores = outcomes([0.5, 0.8, 0.8, 0.6])
    scores[2] = np.nan
    scores[0, 14] = np.nan
    measured = compared(scores)
    assert measured.notes == ("candidate 2 has no scores", "1 of 15 runs are left out: some candidate lacks them")
    assert measured.interval(0, 2).low is None
    result = verdict(measured, [1, 2, 3, 4], [1, 2, 3, 4])
    assert (result.decided, [own.label for own in result.standings]) == (2, [1, 2, 4])
    assert (result.reasons, result.missing) == (measured.notes, (3,))
    kept = compare(cells_of(scores[:, :14][[0, 1, 3]], FOLDS[:14], SEEDS[:14], np.arange(24)))
    assert measured.upper(0.05)[np.ix_([0, 1, 3], [0, 1, 3])] == pytest.approx(kept.upper(0.05))


def test_labels_and_margins_that_do_not_fit_are_refused():
    measured = comparison([0.8, 0.9])
    with pytest.raises(ValueError, match=r"^labels: expected one for each of 2 candidates, got 1$"):
        verdict(measured, [1], [1])
    with pytest.raises(ValueError, match=r"^order: expected each label once, got \[1, 1\] for \[1, 2\]$"):
        verdict(measured, [1, 2], [1, 1])
    with pytest.raises(ValueError, match=r"^margin: expected a Dice above 0, got 0$"):
        verdict(measured, [1, 2], [1, 2], margin=0)


@pytest.mark.parametrize("nested", [False, True])
def test_in_simulation_intervals_cover_and_just_over_the_margin_is_not_named(nested):
    covered = named = 0
    for seed in range(500):
        measured = compared(outcomes([0.8, 0.8, 0.8], images=12, nested=nested, seed=seed))
        interval = measured.interval(0, 2)
        covered += interval.low <= 0 <= interval.high
        lossy = replace(measured, means=measured.means - np.array([0.0101, 0.0101, 0.0]))
        named += verdict(lossy, [1, 2, 3], [1, 2, 3]).decided in (1, 2)
    assert covered >= 465
    assert named <= 30
