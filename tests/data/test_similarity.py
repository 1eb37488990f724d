import numpy as np
from scipy import ndimage

from unetsearch.data.similarity import likeness, same_images


def stack(count: int, drift: float) -> list[np.ndarray]:
    """Slices of a volume of smooth noise; `drift`: px from one to the next in a texture 3 px thick."""
    volume = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(count * 16, 64, 64)), 3)
    return [volume[int(index * drift)][None].astype(np.float32) for index in range(count)]


def test_slices_of_a_stack_look_alike():
    found = likeness(stack(20, drift=2))
    assert found is not None
    assert found.alike
    assert found.neighbours > 0.5 > found.others


def test_unrelated_images_do_not():
    found = likeness(stack(20, drift=16))
    assert found is not None
    assert not found.alike


def test_images_that_are_all_alike_have_no_neighbours():
    rng = np.random.default_rng(1)
    scene = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 2)
    found = likeness([(scene + 0.02 * rng.normal(size=(64, 64)))[None] for _ in range(20)])
    assert found is not None
    assert found.others > 0.9
    assert not found.alike


def test_images_of_different_sizes_and_without_contrast_are_compared():
    images = [np.full((3, 20 + index, 30), index, np.uint8) for index in range(9)]
    found = likeness(images)
    assert found is not None
    assert (found.neighbours, found.alike) == (0, False)


def test_few_images_tell_nothing():
    assert likeness(stack(7, drift=1)) is None


def test_equal_digests_are_found():
    assert same_images([b"a", b"b", b"a", None, b"b", None, b"a"]) == ((0, 2, 6), (1, 4))
