"""What the stages of a backbone see of the image, measured by gradients, since timm does not say."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from unetsearch.errors import ArchitectureError
from unetsearch.graph.receptive import Extent
from unetsearch.network.backbones import Stages
from unetsearch.space.backbone import PREFIX

HEIGHTS = (1536, 4608)
"""Rows of the images that a backbone is measured on: the second where one pixel reads the whole of the first."""

WIDTH = 64
"""Their columns: enough for a reduction of 64."""

BRIGHTNESS = 1e-9
"""Of their pixels: so little that no unit saturates."""


@lru_cache(maxsize=256)
def stage_extents(name: str, stages: int) -> tuple[Extent | None, ...]:
    """The extents of the first stages of the backbone `timm/<name>`, as `receptive_fields` takes them.

    One (low, high) a stage, in px: pixel p of a stage of reduction r reads the image's rows p * r + low to
    p * r + high. None where it reads the whole image, or more than 4608 px. The gradient of one pixel in the middle
    tells, in a network whose weights are made positive; statistics that norms take of an image do not count. Raises
    ArchitectureError for a backbone that cannot be measured so.
    """
    found: list[Extent | None] = []
    for count in range(1, stages + 1):
        try:
            found.append(_last_extent(make_positive(Stages(name, 1, count))))
        except Exception as error:  # whatever a model of a thousand raises when its weights are changed
            raise ArchitectureError(f"{PREFIX}{name}: its receptive fields cannot be measured ({error})") from None
        if found[-1] is None:  # deeper stages read this one
            break
    return (*found, *[None] * (stages - len(found)))


def make_positive(network: nn.Module) -> nn.Module:
    """Changes a network so that its gradients tell what it reads: wherever a value is read, the gradient is positive.

    Weights become positive, in double precision, each filter summing to 1/2 so that no value grows; biases become 0;
    maxima, which would pass the gradient of one pixel alone, become means, and norms that take their statistics from
    the image pass what they get. For positive inputs of at most 1e-6 or so. Returns the network, in evaluation mode.
    """
    network.double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                transposed = isinstance(network.get_submodule(name.rpartition(".")[0]), nn.ConvTranspose2d)
                inputs = parameter.shape[0] if transposed else parameter[0].numel()
                parameter.fill_(0.5 / inputs)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))
            elif isinstance(child, nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm2d):
                setattr(parent, name, nn.Identity())
    return network


def _last_extent(backbone: nn.Module) -> Extent | None:
    """Of the last stage's pixel in the middle; None where what it reads reaches the border of the largest image."""
    for height in HEIGHTS:
        image = torch.full((1, 1, height, WIDTH), BRIGHTNESS, dtype=torch.float64, requires_grad=True)
        feature: Tensor = backbone(image)[-1]
        rows, columns = feature.shape[-2:]
        row = rows // 2
        (gradient,) = torch.autograd.grad(feature[0, :, row, columns // 2].sum(), image)
        if not gradient.any():
            raise ArithmeticError("its weights cannot be made positive")
        read = gradient[0, 0].any(1).nonzero().flatten()
        first, last, centre = int(read[0]), int(read[-1]), row * (height // rows)
        if first > 0 and last < height - 1:
            return first - centre, last - centre
    return None
