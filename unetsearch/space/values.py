"""What a value of the space may be: a choice among options, each with choices of its own, or a range."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor

Scalar = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a choice. `values`: the choices it carries, visited only when it is picked."""

    value: Scalar
    values: Mapping[str, "Value"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A pick among options. With a single option nothing is left to pick: that is a fixed value."""

    options: tuple[Option, ...]

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to pick here (an option's own choices may still be open)."""
        return len(self.options) == 1


@dataclass(frozen=True, slots=True)
class Range:
    """low, low + step, ... up to high (inclusive), or everything between where `step` is None.

    `log`: drawn uniformly in the logarithm. `integer`: values are whole numbers, with step 1 where none is given.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    integer: bool = False

    @property
    def size(self) -> int | None:
        """How many values it has; None where it is continuous."""
        if self.step is None:
            return None
        return floor((self.high - self.low) / self.step + 1e-9) + 1

    def at(self, index: int) -> int | float:
        """The value at `index` of a range with a step."""
        if self.step is None:
            raise ValueError("a continuous range has no indices")
        value = self.low + index * self.step
        return round(value) if self.integer else round(value, 12)

    def nearest(self, value: object) -> int | float:
        """The range's own number for one that a sampler computed, free of rounding noise."""
        if not isinstance(value, int | float):
            raise TypeError(f"expected a number, got {value!r}")
        return value if self.step is None else self.at(round((value - self.low) / self.step))


Value = Choice | Range


def fixed(value: Scalar) -> Choice:
    """A value with nothing to pick."""
    return Choice((Option(value),))
