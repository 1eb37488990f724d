"""What a training minimises: the terms of one head's loss. Pixels whose target is IGNORE have no gradient.

Cross-entropy is torch's, MS-SSIM torchmetrics'. The others stand here: MONAI's take no weights of pixels, and where
classes are weighed a step waits for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from unetsearch.data.dataset import IGNORE
from unetsearch.space.recipe import Loss

SMOOTH = 1.0
"""Added to both sides of each ratio of areas, in pixels: a crop without the class asks for no prediction of it."""


@dataclass(frozen=True)
class Truth:
    """What the heads are to say of a batch. `maps`: K, the logit maps of a head: 1 (sigmoid), or one a class (softmax).

    `labels`: (B, H, W), class indices or IGNORE. `classes`: (C,), what an error of each class weighs, background first,
    or None: 1. `pixels`: (B, H, W), what one of each pixel weighs beside that, or None: nothing.
    """

    maps: int
    labels: Tensor
    pixels: Tensor | None = None
    classes: Tensor | None = None

    @cached_property
    def valid(self) -> Tensor:
        """1 where a pixel has a label, else 0: (B, 1, H, W)."""
        return (self.labels != IGNORE).unsqueeze(1).float()

    @cached_property
    def index(self) -> Tensor:
        """The labels as int64, 0 where there is none."""
        return torch.where(self.labels == IGNORE, 0, self.labels).long()

    @cached_property
    def foreground(self) -> Tensor:
        """The classes but the background: (B, F, H, W), 0 or 1, with F = 1 for K = 1, else K - 1."""
        return torch.stack([self.labels == index for index in range(1, self.foregrounds + 1)], 1).float()

    @property
    def foregrounds(self) -> int:
        """F: how many classes there are besides the background."""
        return max(1, self.maps - 1)

    @cached_property
    def weights(self) -> Tensor:
        """What each pixel counts (B, H, W): w_c of its class and what its place adds, as in the 2015 U-Net."""
        weights = torch.ones_like(self.valid[:, 0]) if self.classes is None else self.classes[self.index]
        return self.valid[:, 0] * (weights if self.pixels is None else weights + self.pixels)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of the classes but the background: (B, F, H, W), 0 where there is no label."""
        each = logits.sigmoid() if self.maps == 1 else logits.softmax(1)[:, 1:]
        return each * self.valid

    def mean_of_pixels(self, each: Tensor) -> Tensor:
        """The weighted mean of (B, H, W) over the labelled pixels; 0 where none is."""
        total = self.weights.sum()
        return (each * self.weights).sum() / torch.where(total > 0, total, 1.0)

    def mean_of_classes(self, each: Tensor) -> Tensor:
        """The weighted mean of a term by image and class, or by class: (..., F)."""
        if self.classes is None:
            return each.mean()
        weights = self.classes[-self.foregrounds :]
        mean = weights.mean()
        return (each * weights).mean() / torch.where(mean > 0, mean, 1.0)


Term = Callable[[Tensor, Truth], Tensor]
"""A head's logits (B, K, H, W), float32 or float64, and the truth -> a number."""


def cross_entropy(logits: Tensor, truth: Truth) -> Tensor:
    """Mean cross-entropy, nats; weighted pixels and classes count by their weights, as in the 2015 U-Net."""
    return truth.mean_of_pixels(_entropies(logits, truth))


def _entropies(logits: Tensor, truth: Truth) -> Tensor:
    """Of each pixel: (B, H, W)."""
    if truth.maps == 1:
        wanted = (truth.labels == 1).to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits[:, 0], wanted, reduction="none")
    return functional.cross_entropy(logits, truth.index, reduction="none")


def focal(logits: Tensor, truth: Truth) -> Tensor:
    """Mean focal loss with gamma = 2 and no alpha (Lin et al., arXiv 1708.02002), weighted as the cross-entropy is."""
    each = _entropies(logits, truth)
    return truth.mean_of_pixels((1 - (-each).exp()) ** 2 * each)


def areas(
    logits: Tensor, truth: Truth, false: float = 0.5, missed: float = 0.5, *, by_image: bool = False, power: int = 1
) -> Tensor:
    """1 - hits / (hits + false * false ones + missed * missed ones), the Tversky index (Salehi et al., 1706.05721).

    Each in pixels, by class, over the whole batch or image by image, then the mean; the background has no term. With
    1/2 and 1/2 it is soft Dice (Milletari et al., 1606.04797), with 1 and 1 soft IoU (Rahman and Wang 2016). `power`:
    of the probabilities, where they are summed up by themselves.
    """
    probability = truth.probabilities(logits)
    wanted = truth.foreground.to(probability.dtype)
    over = (2, 3) if by_image else (0, 2, 3)
    hits = (probability * wanted).sum(over)
    wrong = false * ((probability**power).sum(over) - hits) + missed * (wanted.sum(over) - hits)
    smooth = SMOOTH * (false + missed) / 2
    return truth.mean_of_classes(1 - (hits + smooth) / (hits + wrong + smooth))


def lovasz(logits: Tensor, truth: Truth) -> Tensor:
    """Lovasz-Softmax (Berman et al., arXiv 1705.08790, algorithm 1) of the batch, mean over the classes in it.

    A class that is not there asks for nothing.
    """
    wanted = truth.foreground.transpose(0, 1).flatten(1).to(logits.dtype)
    found = truth.probabilities(logits).transpose(0, 1).flatten(1)
    errors, order = (wanted - found).abs().sort(1, descending=True)
    hits = wanted.gather(1, order)
    total = hits.sum(1, keepdim=True)
    jaccard = 1 - (total - hits.cumsum(1)) / (total + (1 - hits).cumsum(1)).clamp(min=1)
    steps = torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], 1)
    there = (total[:, 0] > 0).to(logits.dtype)
    if truth.classes is not None:
        there = there * truth.classes[-truth.foregrounds :]
    weight = there.sum()
    return ((errors * steps).sum(1) * there).sum() / torch.where(weight > 0, weight, 1.0)


def ms_ssim(logits: Tensor, truth: Truth) -> Tensor:
    """1 - MS-SSIM of probabilities and truth (Wang et al. 2003: 5 scales, 11 px window), mean over images and classes.

    The mean is over unlabelled pixels too, as if they were predicted without a fault. Crops have at least MS_SSIM_SIDE
    pixels a side. It is torchmetrics', whose coarsest scale has windows beyond the border too, mirrored. Each
    similarity is taken as (1 + s) / 2: the gradient of a power of one near 0 would have no bound.
    """
    # imported here: it takes a trainer seconds at its start, and no other loss needs it
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    found, wanted = (maps.flatten(0, 1).unsqueeze(1) for maps in (truth.probabilities(logits), truth.foreground))
    similarity = multiscale_structural_similarity_index_measure(
        found, wanted.to(found.dtype), data_range=1.0, normalize="simple"
    )
    assert isinstance(similarity, Tensor)
    return 1 - similarity


def _iou(logits: Tensor, truth: Truth) -> Tensor:
    return areas(logits, truth, 1.0, 1.0)


LOSSES: dict[Loss, Term] = {
    "dice_ce": lambda logits, truth: cross_entropy(logits, truth) + areas(logits, truth),
    "cross_entropy": cross_entropy,
    "dice": areas,
    "focal": focal,
    "iou": _iou,
    "tversky": lambda logits, truth: areas(logits, truth, 0.3, 0.7),
    "lovasz": lovasz,
    "ms_ssim": ms_ssim,
    # Zhou et al., arXiv 1807.10165, equation 2: Dice of each image
    "unet++-2018": lambda logits, truth: 0.5 * cross_entropy(logits, truth) + areas(logits, truth, by_image=True),
    # Zhou et al., arXiv 1912.05074, equation 3: no half, squares in the denominator
    "unet++": lambda logits, truth: cross_entropy(logits, truth) + areas(logits, truth, by_image=True, power=2),
    # Huang et al., arXiv 2004.08790, section 2.3: pixel, patch and map level
    "unet3+": lambda logits, truth: focal(logits, truth) + ms_ssim(logits, truth) + _iou(logits, truth),
}
