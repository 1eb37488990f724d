"""What one evaluation of a network found, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One evaluation on the validation images.

    `step`: optimizer steps done. `loss`: mean training loss since the last evaluation. `dice`, `iou`: means over
    the foreground classes, each the mean over images of the class's score (absent from truth and prediction: 1).
    `seconds`: since the training began, evaluations included. `object_f1`: mean over images, where it is an objective.
    """

    step: int
    loss: float
    dice: float
    iou: float
    dice_by_class: tuple[float, ...]
    iou_by_class: tuple[float, ...]
    seconds: float
    object_f1: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain scalars and lists, for JSON."""
        return {
            **asdict(self),
            "dice_by_class": list(self.dice_by_class),
            "iou_by_class": list(self.iou_by_class),
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Score":
        """The score that `to_dict` wrote."""
        return cls(
            **{
                **document,
                "dice_by_class": tuple(document["dice_by_class"]),
                "iou_by_class": tuple(document["iou_by_class"]),
            }
        )
