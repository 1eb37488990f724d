"""The images that a trainer has on its device."""

import pytest
import torch

from unetsearch.data.dataset import Split
from unetsearch.search.loaded import Loaded
from unetsearch.search.messages import Setup
from unetsearch.training.device_data import SHARE, Stored
from unetsearch.training.sources import Resident, Streamed


def test_images_that_find_no_room_leave_no_others_in_their_place(data, monkeypatch):
    """Else a second try would train on the split before."""
    own, other = data.split, Split(train=(1, 2), validation=(0,), test=(), by="x")
    loaded = Loaded(Setup(data, "cpu", 1), torch.device("cpu"))

    def fails(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("unetsearch.search.loaded.on_device", fails)
        with pytest.raises(MemoryError):
            loaded.of(other)
    assert len(loaded.of(other).validation) == len(other.validation)
    assert len(loaded.of(None).validation) == len(own.validation)


def test_images_are_read_from_the_disk_where_a_device_has_little_memory(data, monkeypatch):
    """Little is less than four times what they take there, for each of the trainers that share the device."""
    seen = data.split.train + data.split.validation
    taken = sum(4 * data.images[index].size + 6 * data.masks[index].size for index in seen)
    for free, sharing, streamed in ((taken, 1, False), (taken - 1, 1, True), (taken, 2, True), (2 * taken, 2, False)):
        monkeypatch.setattr("unetsearch.search.loaded.free_memory", lambda _, free=free: free / SHARE)
        there = Loaded(Setup(data, "cpu", 1, sharing=sharing), torch.device("cpu")).of(None)
        assert isinstance(there.train, Streamed if streamed else Resident)
        assert isinstance(there.validation, Stored) == streamed
