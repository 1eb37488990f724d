"""The images that a trainer has on its device."""

from dataclasses import replace

import torch

from unetsearch.data.dataset import Split
from unetsearch.search.messages import Setup
from unetsearch.training.device import free_memory
from unetsearch.training.device_data import SHARE, DeviceData, on_device


class Loaded:
    """The images on the device: those of the trainer's own split, or of the last other one that was asked for."""

    def __init__(self, setup: Setup, device: torch.device) -> None:
        self._setup = setup
        self._device = device
        self._limit = SHARE * free_memory(device) / setup.sharing
        self._split = setup.data.split
        self._data: DeviceData | None = self._load()

    def of(self, split: Split | None) -> DeviceData:
        """Those of a split, None: of the trainer's own."""
        wanted = self._setup.data.split if split is None else split
        if self._data is None or wanted != self._split:
            self._data = None  # there may be no room for both; and if there is none for the new one, nothing is here
            self._split = wanted
            self._data = self._load()
        return self._data

    def _load(self) -> DeviceData:
        data = replace(self._setup.data, split=self._split)
        return on_device(data, self._device, objects=self._setup.objects, limit=self._limit)
