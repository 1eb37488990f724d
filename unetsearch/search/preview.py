"""A few validation images that every trained network predicts, so that a person sees what a Dice means."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import SegmentationData
from unetsearch.files import write_atomically
from unetsearch.search.folder import StudyFolder
from unetsearch.search.messages import Window

IMAGES = 4
SIDE = 256
"""At most so many pixels of an image's side are shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of a validation image, uint8 (H, W) or (H, W, 3), its truth and predictions (H, W), class indices."""

    stem: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    predictions: Mapping[str, NDArray[np.uint8]]


def windows(data: SegmentationData) -> tuple[Window, ...]:
    """The middle parts of validation images, taken evenly from all of them."""
    indices = data.split.validation
    chosen = [indices[len(indices) * part // min(IMAGES, len(indices))] for part in range(min(IMAGES, len(indices)))]
    return tuple(Window(index, *_middle(data.masks[index].shape)) for index in chosen)


def save_preview(folder: StudyFolder, data: SegmentationData, shown: Sequence[Window]) -> None:
    """Writes the windows of images and masks, for reports made when the data are no longer at hand."""
    arrays: dict[str, Any] = {"stems": np.array([data.stems[window.index] for window in shown])}
    for position, window in enumerate(shown):
        arrays[f"image_{position}"] = window.of(_visible(data.images[window.index]))
        arrays[f"truth_{position}"] = window.of(data.masks[window.index])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(folder.preview, buffer.getvalue())


def load_previews(folder: StudyFolder, names: Sequence[str]) -> tuple[Shown, ...]:
    """The saved windows with the predictions of the trials of these names, where both are still there."""
    found = {name: _arrays(folder.model(name) / "predictions.npz") for name in names}
    arrays = _arrays(folder.preview)
    return tuple(
        Shown(
            str(stem),
            np.moveaxis(arrays[f"image_{position}"], 0, -1).squeeze(),
            arrays[f"truth_{position}"],
            {name: labels[str(position)] for name, labels in found.items() if str(position) in labels},
        )
        for position, stem in enumerate(arrays.get("stems", ()))
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file; none where it is missing or damaged, since a report can do without its pictures."""
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, BadZipFile):
        return {}


def _middle(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    height, width = shape
    top, left = max(0, height - SIDE) // 2, max(0, width - SIDE) // 2
    return top, min(height, top + SIDE), left, min(width, left + SIDE)


def _visible(image: NDArray[Any]) -> NDArray[np.uint8]:
    """(C, H, W) of any type -> uint8 of 1 or 3 channels, stretched between the 0.5th and 99.5th percentile."""
    pixels = image[:3] if image.shape[0] >= 3 else image[:1]
    low, high = np.percentile(pixels, (0.5, 99.5))
    return np.asarray(np.clip((pixels - low) / max(high - low, 1e-6) * 255, 0, 255), dtype=np.uint8)
