"""How a candidate is trained, as plain data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Loss = Literal[
    "dice_ce",
    "cross_entropy",
    "dice",
    "focal",
    "iou",
    "tversky",
    "lovasz",
    "ms_ssim",
    "unet++-2018",
    "unet++",
    "unet3+",
]
Heads = Literal["mean", "sum"]

EQUAL, MEDIAN_FREQUENCY = "equal", "median_frequency"

AUTO = "auto"
"""In the document, the batch size that is still to be found."""

TO_BE_FOUND = 0
"""The same in a Recipe."""

WINDOWED: frozenset[Loss] = frozenset({"ms_ssim", "unet3+"})
"""Losses with MS-SSIM in them."""

AREAS: frozenset[Loss] = frozenset({"dice", "iou", "tversky", "lovasz"})
"""Losses of the classes but the background, whose mean the class weights weigh."""

UNWEIGHED: frozenset[Loss] = AREAS | {"ms_ssim"}
"""Losses in which no pixel has a weight."""

MS_SSIM_SIDE = 176
"""Pixels that a crop needs for MS-SSIM: its window of 11 px on the coarsest of 5 scales, each half of the last."""


LATER = ("heads", "head_weights", "class_weights", "weight_map", "augmentation", "foreground")
"""Values that trainings of version 0.1.0 had not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training. Its length is `steps` optimizer steps, scored `evaluations` times at equal distances.

    `batch_size` crops of `crop` x `crop` pixels a step; with TO_BE_FOUND no training can begin. The learning rate rises
    over the first `warmup` of the steps, is flat, and falls linearly to zero over the last `decay`; where these overlap
    it is the lower of the two. Scores are those of a moving average of the weights, which reaches back over the share
    `reach` of the steps so far: an early score then tells more of the final one (`benchmarks/early_scores.py`).
    `averaging`: an exponential average with this decay a step instead.

    `heads`: the losses of several heads are averaged or summed up; `head_weights`: what each counts, the final one
    first, the last number for all that are left (`1 0.5`). `class_weights`: `equal`, `median_frequency`, or a number
    for each class, background first. `weight_map`: pixels between close objects count more, as in the 2015 U-Net, and
    objects that touch are told apart. `augmentation`: its strength; at 0, crops are only flipped and turned by right
    angles. `foreground`: the share of the crops that are laid so that they show a pixel of the foreground.
    """

    steps: int = 600
    evaluations: int = 12
    crop: int = 96
    batch_size: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    loss: Loss = "dice_ce"
    heads: Heads = "mean"
    head_weights: str = "1"
    class_weights: str = EQUAL
    weight_map: bool = False
    augmentation: float = 0.0
    foreground: float = 0.0
    warmup: float = 0.05
    decay: float = 0.25
    reach: float = 0.2
    averaging: float | None = None

    @property
    def weights_of_heads(self) -> tuple[float, ...]:
        """The numbers of `head_weights`."""
        return numbers(str(self.head_weights))

    @property
    def weights_of_classes(self) -> tuple[float, ...] | None:
        """The numbers of `class_weights`; None where none are given."""
        return None if self.class_weights in (EQUAL, MEDIAN_FREQUENCY) else numbers(str(self.class_weights))

    def to_dict(self) -> dict[str, Any]:
        """Plain scalars, for YAML, JSON and the canonical hash; of `reach` and `averaging` the one that counts."""
        unused = "averaging" if self.averaging is None else "reach"
        return {name: value for name, value in asdict(self).items() if name != unused}

    def identity(self, heads: int, maps: int) -> dict[str, Any]:
        """What tells one training of a network with so many heads and logit maps from another, for the canonical hash.

        Weights count by their ratios and where the loss has them, values that came after version 0.1.0 where they
        change something.
        """
        default = Recipe()
        values, given = self.to_dict(), self.weights_of_heads
        values["head_weights"] = _told([given[min(place, len(given) - 1)] for place in range(heads)], self.heads)
        if heads == 1 and values["head_weights"] == "1":
            values["heads"] = default.heads
        values["class_weights"] = self._identity_of_classes(max(1, maps - 1))
        return {name: value for name, value in values.items() if name not in LATER or value != getattr(default, name)}

    def _identity_of_classes(self, foregrounds: int) -> str:
        weights, only = self.weights_of_classes, self.loss in AREAS
        if self.loss == "ms_ssim" or (only and foregrounds == 1):
            return EQUAL
        if weights is None:
            return self.class_weights
        if only:
            weights = weights[-foregrounds:]
        told = _told(weights, "sum" if self.weight_map and not only else "mean")
        return EQUAL if told == "1" else told


def _told(weights: Sequence[float], heads: Heads) -> str:
    """Weights as one text: of a mean, multiples are the same; equal ones at the end are told once."""
    scale = weights[0] if heads == "mean" and weights[0] else 1.0
    told = [f"{weight / scale:g}" for weight in weights]
    while len(told) > 1 and told[-1] == told[-2]:
        told.pop()
    return " ".join(told)


def numbers(text: str) -> tuple[float, ...]:
    """`1 0.5` -> (1.0, 0.5). Raises ValueError where it is no list of numbers."""
    return tuple(float(word) for word in text.replace(",", " ").split())
