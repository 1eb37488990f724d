import numpy as np
import pytest
from scipy import ndimage

from unetsearch.data.load import MAKERS, load_data
from unetsearch.data.rings import DISC, NEEDED, RADIUS, make_rings
from unetsearch.graph.build import build_graph
from unetsearch.graph.receptive import receptive_fields
from unetsearch.graph.references import reference
from unetsearch.space.settings import EMBEDDED, DataSettings


@pytest.fixture(scope="module")
def rings():
    return make_rings(12)


def test_they_are_the_same_for_the_same_seed(rings):
    again, other = make_rings(12), make_rings(12, seed=1)
    assert all(np.array_equal(one, two) for one, two in zip(rings[0], again[0], strict=True))
    assert not np.array_equal(rings[0][0], other[0][0])


def test_every_image_has_whole_discs_with_numbers(rings):
    images, masks, instances = rings
    for image, mask, numbers in zip(images, masks, instances, strict=True):
        assert (image.dtype, mask.dtype, image.shape) == (np.uint8, np.uint8, (96, 96))
        assert np.array_equal(mask, numbers > 0)
        parts, count = ndimage.label(mask)
        assert count == numbers.max() >= 1
        areas = np.bincount(parts.ravel())[1:]
        assert all(abs(area - np.pi * DISC**2) < 8 for area in areas)


def test_the_discs_look_as_the_background_does(rings):
    """No threshold and no smoothing tells them: only the ring around does."""
    images, masks, _ = rings
    inside = np.concatenate([image[mask == 1] for image, mask in zip(images, masks, strict=True)]).astype(float)
    dark = [image[(mask == 0) & (image < 140)] for image, mask in zip(images, masks, strict=True)]
    outside = np.concatenate(dark).astype(float)
    assert abs(inside.mean() - outside.mean()) < 3
    assert abs(inside.std() - outside.std()) < 3


def test_what_tells_a_disc_is_as_far_away_as_is_said(rings):
    for image, mask in zip(rings[0], rings[1], strict=True):
        bright = ndimage.uniform_filter(image.astype(float), 3) > 150
        far = ndimage.distance_transform_edt(~bright)
        assert far[mask == 1].min() >= NEEDED - 1.5, "a blurred edge, a whole pixel"
        assert far[mask == 1].max() <= RADIUS


def test_a_plain_network_of_depth_1_sees_too_little_and_one_of_depth_2_the_whole_ring():
    def sees(depth):
        graph = build_graph(reference("unet", width=4, depth=depth))
        return receptive_fields(graph)[graph.heads[-1].node] / 2

    assert sees(1) < NEEDED
    assert sees(2) > RADIUS + DISC


def test_every_embedded_set_has_its_maker():
    assert set(MAKERS) == set(EMBEDDED)
    data = load_data(DataSettings(path="rings"))
    assert data.notes[0] == "the embedded synthetic rings: 60 images of 96x96, 1 channel, 8 bit"
    assert data.classes == ("0", "1")
