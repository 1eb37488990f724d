"""What the picture of augmentation shows."""

import numpy as np

from tests.training.images import recipe
from unetsearch.augmented import GAP, HEAD, STRENGTHS, augmentation_picture
from unetsearch.data.load import load_data
from unetsearch.space.settings import DataSettings


def test_contrasts_are_seen_and_all_crops_hold_foreground():
    """Were each crop drawn by its own range, the brightest of every one would be white."""
    side = 48
    picture = augmentation_picture(load_data(DataSettings(path="cells")), recipe(crop=side)).astype(int)
    crops = [
        picture[top : top + side, left : left + side]
        for top in range(HEAD, len(picture), side + GAP)
        for left in range(0, picture.shape[1], side + GAP)
    ]
    assert len(crops) == 4 * 2 * len(STRENGTHS)
    grey = [np.where(np.ptp(crop, axis=2) == 0, crop[..., 0], -1) for crop in crops]
    assert all((values < 0).any() for values in grey), "the outlines are coloured"
    brightest = [np.percentile(values[values >= 0], 99) for values in grey]
    assert min(brightest) < 200
