from itertools import product
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unetsearch.statistics.front import hypervolume_gains, hypervolume_growth, non_dominated

populations = st.integers(1, 3).flatmap(
    lambda m: st.integers(0, 12).flatmap(lambda n: arrays(np.float64, (n, m), elements=st.integers(0, 4).map(float)))
)


def beaten(a, b):
    """Whether b beats a, word for word."""
    return all(y <= x for x, y in zip(a, b, strict=True)) and any(y < x for x, y in zip(a, b, strict=True))


@given(populations, st.randoms())
@settings(deadline=None)
def test_the_front_by_its_definition_and_in_any_order(losses, random):
    front = non_dominated(losses)
    assert front.tolist() == [not any(beaten(a, b) for b in losses) for a in losses]
    order = list(range(len(losses)))
    random.shuffle(order)
    assert non_dominated(losses[order]).tolist() == front[order].tolist()


def test_the_front_by_hand():
    losses = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 3.0], [4.0, 1.0], [2.0, 3.0], [np.nan, 0.0]])
    assert non_dominated(losses).tolist() == [True, True, False, True, True, False]


def test_the_hypervolume_by_hand():
    losses = np.array([[0.2, 0.6], [0.5, 0.3], [0.6, 0.6], [2.0, 0.0], [0.2, 0.5]])
    volumes = [0.8 * 0.4, 0.8 * 0.4 + 0.5 * 0.3, 0.47, 0.47, 0.47 + 0.3 * 0.1]
    assert hypervolume_growth(losses, (1, 1)) == pytest.approx(volumes)
    assert hypervolume_growth(np.empty((0, 2)), (1, 1)) == []
    assert hypervolume_growth(np.array([[1.0, 0.0]]), (1, 1)) == [0]


@given(st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.integers(0, 5).map(float))))
@settings(deadline=None)
def test_the_hypervolume_counts_the_cells_of_a_grid(losses):
    """On whole numbers the dominated volume is the number of unit cells that some point is not above."""
    cells = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), -1).reshape(-1, 2)
    for count, volume in enumerate(hypervolume_growth(losses, (5, 5)), start=1):
        assert volume == sum(any((point <= cell).all() for point in losses[:count]) for cell in cells)


def test_ten_thousand_points_take_a_moment():
    """All of them on the front, in the worst order for neither."""
    random = np.random.default_rng(0)
    x = random.permutation(10_000) / 10_000
    losses = np.stack([x, 1 - x], 1)
    started = perf_counter()
    assert non_dominated(losses).all()
    assert hypervolume_growth(losses, (1, 1))[-1] == pytest.approx(0.5, abs=1e-3)
    assert perf_counter() - started < 2


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_ten_thousand_points_of_three_objectives_take_a_moment_too(noise):
    random = np.random.default_rng(0)
    losses = random.random((10_000, 3))
    losses[:, 2] = (1 - noise) * losses[:, 0] + noise * losses[:, 2]
    started = perf_counter()
    front = non_dominated(losses)
    assert perf_counter() - started < 2
    for index in random.choice(10_000, 50, replace=False):
        assert front[index] == (not ((losses <= losses[index]).all(1) & (losses < losses[index]).any(1)).any())


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda m: st.lists(st.lists(st.integers(0, 4), min_size=m, max_size=m), min_size=2)))
def test_what_one_adds_to_the_hypervolume_counts_the_cells_that_it_alone_dominates(rows):
    rows = rows[:8]
    *front, new = rows
    cells = list(product(range(5), repeat=len(new)))

    def dominated(row):
        return {cell for cell in cells if all(a <= c for a, c in zip(row, cell, strict=True))}

    alone = dominated(new).difference(*map(dominated, front))
    assert hypervolume_gains(np.array([new], float), np.array(front, float), 5.0) == pytest.approx([len(alone)])
    assert hypervolume_gains(np.array([new], float), np.empty((0, len(new))), 5.0) == pytest.approx(
        [len(dominated(new))]
    )
