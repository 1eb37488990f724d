"""What one evaluation of a network found, as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from unetsearch.space.settings import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One evaluation on the validation images.

    `step`: optimizer steps done. `loss`: mean training loss since the last evaluation. `dice`, `iou`: means over
    the foreground classes, each the mean over images of the class's score (absent from truth and prediction: 1).
    `seconds`: since the training began, evaluations included. `object_f1`: mean over images, where it is an objective.
    `by_image`: what each image scored, by `dice`, `iou` and `object_f1`, where it is asked for.
    """

    step: int
    loss: float
    dice: float
    iou: float
    dice_by_class: tuple[float, ...]
    iou_by_class: tuple[float, ...]
    seconds: float
    object_f1: float | None = None
    by_image: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def of(self, name: Objective) -> float:
        """One of the scores: dice, iou or object_f1. Raises TypeError where it is not known."""
        return float(getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Plain scalars and lists, for JSON."""
        document = asdict(self)
        for name in ("dice_by_class", "iou_by_class"):
            document[name] = list(document[name])
        by_image = {name: list(values) for name, values in document.pop("by_image").items()}
        return document | ({"by_image": by_image} if by_image else {})

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Score":
        """The score that `to_dict` wrote."""
        return cls(
            **{
                **document,
                "dice_by_class": tuple(document["dice_by_class"]),
                "iou_by_class": tuple(document["iou_by_class"]),
                "by_image": {name: tuple(values) for name, values in document.get("by_image", {}).items()},
            }
        )
