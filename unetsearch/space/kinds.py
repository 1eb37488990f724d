"""What a value of the document may be: each kind says what it expects, what fits, and how a JSON schema has it."""

import re
from dataclasses import dataclass
from typing import Any

from unetsearch.space.backbone import PREFIX
from unetsearch.space.marks import Switch
from unetsearch.space.quantities import Quantity
from unetsearch.space.recipe import numbers


@dataclass(frozen=True, slots=True)
class Number:
    """A number from low to high; `below`: high itself does not fit. `multiple`: of which it must be one.

    `names`: names that fit as well.
    """

    low: float
    high: float
    integer: bool = False
    below: bool = False
    above: bool = False
    multiple: int = 1
    names: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What fits, in words."""
        return ", or ".join((self._number, *self.names))

    @property
    def _number(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        if self.multiple > 1:
            kind = f"a multiple of {self.multiple}"
        low = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        high = f"{self.high:g}" if self.high < 1e5 else f"{self.high:,.0f}"
        return f"{kind} {low} {'below' if self.below else 'to'} {high}"

    def fits(self, value: object) -> bool:
        """Whether a value of the document is such a number. A boolean is none."""
        if value in self.names and isinstance(value, str):
            return True
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (self.integer and not isinstance(value, int))
        ):
            return False
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and value % self.multiple == 0 if self.integer else low and high

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        document: dict[str, Any] = {"type": "integer" if self.integer else "number"}
        document["exclusiveMinimum" if self.above else "minimum"] = self.low
        document["exclusiveMaximum" if self.below else "maximum"] = self.high
        document |= {"multipleOf": self.multiple} if self.multiple > 1 else {}
        return {"anyOf": [document, {"enum": list(self.names)}]} if self.names else document


@dataclass(frozen=True, slots=True)
class Name:
    """One of some names."""

    names: tuple[str, ...]

    @property
    def expected(self) -> str:
        """What fits, in words."""
        return f"one of {', '.join(self.names)}"

    def fits(self, value: object) -> bool:
        """Whether a value of the document is such a name."""
        return value in self.names and not isinstance(value, Switch)

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        return {"enum": list(self.names)}


BACKBONE_PATTERN = rf"^{PREFIX}[A-Za-z0-9_.-]+$"


@dataclass(frozen=True, slots=True)
class EncoderName:
    """A family, or `timm/<name>`; whether timm has one of that name is looked up later."""

    names: tuple[str, ...]

    @property
    def expected(self) -> str:
        """What fits, in words."""
        return f"one of {', '.join(self.names)}, or {PREFIX} with the name of a backbone"

    def fits(self, value: object) -> bool:
        """Whether a value of the document is such a name."""
        if not isinstance(value, str) or isinstance(value, Switch):
            return False
        return value in self.names or re.search(BACKBONE_PATTERN, value) is not None

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        return {"anyOf": [{"enum": list(self.names)}, {"type": "string", "pattern": BACKBONE_PATTERN}]}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    expected = "true or false"

    def fits(self, value: object) -> bool:
        """Whether a value of the document is one of the two."""
        return isinstance(value, bool)

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches a pattern as a whole."""

    expected: str
    pattern: str = r".+"

    def fits(self, value: object) -> bool:
        """Whether a value of the document is such a text."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


NUMBER = r"\d+(\.\d+)?(e[+-]?\d+)?"
NUMBERS_PATTERN = rf"{NUMBER}([ ,]+{NUMBER})*"

LEAST, MOST = 1e-6, 1e6
"""No weight is greater, and none but 0 smaller: a loss may be the sum of many, in single precision."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Some numbers in a text, `1 0.5`, each 0 or from LEAST to MOST; or one of some names.

    `first`: the first is above 0, else one behind it.
    """

    expected: str
    names: tuple[str, ...] = ()
    first: bool = True

    def fits(self, value: object) -> bool:
        """Whether a value of the document is such a text, or a single number."""
        if value in self.names:
            return True
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(text, str) or re.fullmatch(NUMBERS_PATTERN, text) is None:
            return False
        given = numbers(text)
        told = all(number == 0 or LEAST <= number <= MOST for number in given)
        return told and (given[0] > 0 if self.first else any(given[1:]))

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        one: list[dict[str, Any]] = [{"type": "string", "pattern": f"^(?:{NUMBERS_PATTERN})$"}]
        if self.first:
            one.append({"type": "number", "minimum": LEAST, "maximum": MOST})
        return {"anyOf": [*one, *([{"enum": list(self.names)}] if self.names else [])]}


Kind = Number | Name | EncoderName | Flag | Text | Numbers | Quantity
