"""Images whose pixels say where they are, and recipes of small crops of them."""

import numpy as np
import torch

from unetsearch.space.recipe import Recipe
from unetsearch.training.sources import Resident

CPU = torch.device("cpu")


def coded(height, width, offset=0.0):
    """An image whose first channel says the mask and whose other two say the position."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    mask = ((rows // 3 + columns // 5) % 2).astype(np.uint8)
    return np.stack([mask.astype(np.float32), rows + offset, columns]), mask


def resident(*pairs):
    return Resident.of([image for image, _ in pairs], [mask for _, mask in pairs], CPU)


def recipe(**values):
    return Recipe(**{"crop": 16, "batch_size": 6, **values})
