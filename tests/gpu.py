"""Where there is no NVIDIA GPU, tests that need one say so."""

import pytest
import torch

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
