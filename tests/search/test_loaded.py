"""The images that a trainer has on its device."""

import pytest
import torch

from unetsearch.data.dataset import Split
from unetsearch.search.loaded import Loaded
from unetsearch.search.messages import (
    Setup,
)


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
