import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unetsearch.statistics.front import hypervolume, non_dominated

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
    losses = np.array([[0.2, 0.6], [0.5, 0.3], [0.6, 0.6], [2.0, 0.0]])
    assert hypervolume(losses, np.ones(2)) == pytest.approx(0.8 * 0.4 + 0.5 * 0.3)
    assert hypervolume(np.array([[0.5, 0.5, 0.5], [0.0, 0.9, 0.9]]), np.ones(3)) == pytest.approx(0.125 + 0.01 - 0.005)
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0
    assert hypervolume(np.array([[1.0, 0.0]]), np.ones(2)) == 0


@given(populations)
@settings(deadline=None)
def test_the_hypervolume_counts_the_cells_of_a_grid(losses):
    """On whole numbers the dominated volume is the number of unit cells that some point is not above."""
    m = losses.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(5)] * m, indexing="ij"), -1).reshape(-1, m)
    dominated = sum(any((point <= cell).all() for point in losses) for cell in cells)
    assert hypervolume(losses, np.full(m, 5.0)) == pytest.approx(dominated)
