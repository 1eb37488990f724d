import numpy as np
import pytest

from unetsearch.data.load import from_dataset
from unetsearch.errors import DataError
from unetsearch.space.settings import DataSettings

RNG = np.random.default_rng(0)


def image(channels=()):
    return RNG.integers(0, 256, (40, 48, *channels), dtype=np.uint8)


def mask(height=40, width=48):
    array = np.zeros((height, width), np.uint8)
    array[2:6, 3:20] = 255
    return array


def items(count=10):
    return [(image().reshape(1, 40, 48), mask()) for _ in range(count)]


def test_a_data_set_in_memory():
    import torch

    class Tensors(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            pixels = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(index), requires_grad=True)
            return pixels, torch.from_numpy(mask()).long()[None], index // 2

    data = from_dataset(Tensors(), "mine", DataSettings())
    assert (data.name, data.in_channels, data.classes) == ("mine", 3, ("background", "foreground"))
    assert data.images[0].dtype == np.float32
    assert data.groups == tuple(str(index // 2) for index in range(10))
    assert data.split.by == "groups"
    np.testing.assert_array_equal(data.masks[0], mask() > 0)


def test_a_data_set_without_groups():
    data = from_dataset([(pixels[0], labels > 0) for pixels, labels in items()], "mine", DataSettings())
    assert data.images[0].shape == (1, 40, 48)
    assert data.stems == tuple(str(index) for index in range(10))


def test_every_problem_of_a_data_set_is_said_at_once():
    bad = items(13)
    bad[1] = (image(channels=(3,)), mask())
    bad[2] = (image(), mask(20, 20))
    bad[3] = (np.full((1, 40, 48), np.nan), mask())
    bad[11] = (np.full((1, 40, 48), 1e300), mask())
    bad[4] = (image(), mask() / 7)
    bad[5] = image()
    bad[6] = (image(), mask(), "group")
    bad[7] = (np.zeros(3), mask())
    bad[8] = (image(), mask().astype(str))
    bad[9] = (np.zeros((1, 0, 0)), np.zeros((0, 0)))
    bad[10] = ([[1, 2], [3]], mask())
    with pytest.raises(DataError) as error:
        from_dataset(bad, "mine", DataSettings())
    assert list(error.value.problems) == [
        "data set mine: 11 problems",
        "item 1: has an image of shape (40, 48, 3), channels last: give (channels, height, width)",
        "item 3: has an image with pixels that are NaN, infinite, or beyond 3.4e38: replace them",
        "item 4: its mask has fractions as values: save it with whole numbers, one for each class",
        "item 5: is not (image, mask) or (image, mask, group)",
        "item 7: has an image of shape (3,): give (channels, height, width)",
        "item 8: has a mask of <U3: give whole numbers",
        "item 9: has an image of shape (1, 0, 0), which holds no pixel: leave the item out",
        "item 10: its image does not become a numpy array: convert it",
        "item 11: has an image with pixels that are NaN, infinite, or beyond 3.4e38: replace them",
        "item 0: has no group, but others have: give all of them one, or none",
        "item 2: its mask is 20x20, but its image is 48x40: export both at the same size",
    ]


def test_an_empty_data_set():
    with pytest.raises(DataError) as error:
        from_dataset([], "mine", DataSettings())
    assert list(error.value.problems) == ["data set mine: 1 problem", "there are no images in it"]


class NotIndexed:
    def __len__(self):
        return 3


@pytest.mark.parametrize(
    ("dataset", "problem"),
    [
        (5, "a data set has a length, int has none"),
        (iter(items(3)), "a data set has a length, list_iterator has none"),
        ({"a": 1, "b": 2}, "item 0 of 0 to 1 cannot be taken from this dict (KeyError(0))"),
        (dict(enumerate(items(2))) | {9: 1}, "item 2 of 0 to 2 cannot be taken from this dict (KeyError(2))"),
        (
            NotIndexed(),
            "item 0 of 0 to 2 cannot be taken from this NotIndexed "
            "(TypeError(\"'NotIndexed' object is not subscriptable\"))",
        ),
    ],
)
def test_what_is_no_data_set(dataset, problem):
    with pytest.raises(DataError) as error:
        from_dataset(dataset, "mine", DataSettings())
    assert list(error.value.problems) == [
        "data set mine: 1 problem",
        problem,
        "Give a sequence of (image, mask), or a torch Dataset with __len__ and __getitem__.",
    ]


def test_a_dict_from_0_on_is_a_data_set():
    assert len(from_dataset(dict(enumerate(items())), "mine", DataSettings()).images) == 10
