import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetsearch.statistics.intervals import covered


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0),
        ([(2, 5)], 3),
        ([(0, 1), (4, 6)], 3),
        ([(0, 4), (1, 2)], 4),
        ([(3, 6), (0, 4)], 6),
        ([(0, 2), (2, 3)], 3),
        ([(1, 1)], 0),
    ],
)
def test_by_hand(intervals, length):
    assert covered(intervals) == length


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6))))
def test_on_whole_numbers_it_counts_the_seconds_that_lie_in_any(starts):
    intervals = [(start, start + length) for start, length in starts]
    assert covered(intervals) == len({second for start, end in intervals for second in range(start, end)})
