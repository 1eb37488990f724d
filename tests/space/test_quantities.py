import math

import pytest

from unetsearch.space.quantities import parse_count, parse_duration


@pytest.mark.parametrize(
    ("value", "count"), [("8M", 8_000_000), ("1.5k", 1500), ("2 g", 2 * 10**9), ("77", 77), (5, 5), (2e6, 2_000_000)]
)
def test_counts(value, count):
    assert parse_count(value) == count


@pytest.mark.parametrize("value", ["", "M", "0M", "0.2", "8T", "-3", 0, 0.3, -1, True, None, math.inf, math.nan, []])
def test_what_is_no_count(value):
    assert parse_count(value) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1h 5s", 3605), ("45", 45), (9, 9)],
)
def test_durations(value, seconds):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize("value", ["", "soon", "0s", "0", "30m1h", "-5m", 0, -1, True, None, math.inf, math.nan])
def test_what_is_no_duration(value):
    assert parse_duration(value) is None
