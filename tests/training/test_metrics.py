import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsearch.data.dataset import IGNORE
from unetsearch.training.metrics import image_scores, mean_overlap


def by_sets(prediction, truth, classes):
    """Dice and IoU from sets of pixel positions, the definitions word for word."""
    valid = {p for p in np.ndindex(truth.shape) if truth[p] != IGNORE}
    rows = []
    for index in range(1, classes):
        found = {p for p in valid if prediction[p] == index}
        there = {p for p in valid if truth[p] == index}
        if not found and not there:
            rows.append((1.0, 1.0))
        else:
            both = len(found & there)
            rows.append((2 * both / (len(found) + len(there)), both / len(found | there)))
    return [row[0] for row in rows], [row[1] for row in rows]


@given(st.integers(2, 4), st.integers(0, 2**32 - 1), st.floats(0, 0.5))
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_sets_of_pixels(classes, seed, ignored):
    random = np.random.default_rng(seed)
    prediction = random.integers(0, classes, (6, 5)).astype(np.uint8)
    truth = random.integers(0, classes, (6, 5)).astype(np.uint8)
    truth[random.random(truth.shape) < ignored] = IGNORE
    dice, iou = image_scores(torch.from_numpy(prediction), torch.from_numpy(truth), classes)
    expected_dice, expected_iou = by_sets(prediction, truth, classes)
    assert dice.tolist() == pytest.approx(expected_dice)
    assert iou.tolist() == pytest.approx(expected_iou)


def test_absent_classes():
    empty, full = torch.zeros(4, 4, dtype=torch.uint8), torch.ones(4, 4, dtype=torch.uint8)
    assert [scores.tolist() for scores in image_scores(empty, empty, 2)] == [[1.0], [1.0]]
    assert [scores.tolist() for scores in image_scores(full, empty, 2)] == [[0.0], [0.0]]
    assert [scores.tolist() for scores in image_scores(empty, full, 2)] == [[0.0], [0.0]]
    everything_ignored = torch.full((4, 4), IGNORE, dtype=torch.uint8)
    assert image_scores(full, everything_ignored, 2)[0].tolist() == [1.0]


def test_the_mean_is_over_images_first():
    """Two images of different sizes count alike, whatever their pixels."""
    large, small = torch.ones(100, 100, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.uint8)
    scores = [image_scores(large, large, 3), image_scores(torch.zeros_like(small), small, 3)]
    overlap = mean_overlap(scores)
    assert overlap.dice == (0.5, 1.0)
    assert overlap.iou == (0.5, 1.0)
