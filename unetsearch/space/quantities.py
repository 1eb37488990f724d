"""Numbers with a unit, as a person writes them: `8M` parameters, `1h30m` of time."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9}
SECONDS = {"h": 3600, "m": 60, "s": 1}
COUNT_PATTERN = r"\d+(\.\d+)? ?[kKmMgG]?"
DURATION_PATTERN = r"(?=.*\d)(\d+(\.\d+)?h)? ?(\d+(\.\d+)?m)? ?(\d+(\.\d+)?s)?|\d+(\.\d+)?"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number above nothing, bare or with its unit."""

    expected: str
    pattern: str
    parse: Callable[[object], float | None]

    def fits(self, value: object) -> bool:
        """Whether a value of the document is such a quantity."""
        return self.parse(value) is not None

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        text = {"type": "string", "pattern": f"^(?:{self.pattern})$"}
        return {"anyOf": [text, {"type": "number", "exclusiveMinimum": 0}]}


def parse_count(value: object) -> int | None:
    """`8M` -> 8,000,000; None where it is no whole number of at least 1."""
    if isinstance(value, str):
        if not re.fullmatch(COUNT_PATTERN, value):
            return None
        factor = SUFFIXES.get(value[-1].lower(), 1)
        number = float(value[:-1] if factor > 1 else value) * factor
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    else:
        number = float(value)
    return round(number) if isfinite(number) and number >= 1 else None


def parse_duration(value: object) -> float | None:
    """`1h30m` -> 5400 seconds, a bare number likewise; None where it is no time above 0."""
    if isinstance(value, str):
        if not re.fullmatch(DURATION_PATTERN, value):
            return None
        parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", value)
        seconds = sum(float(number) * SECONDS.get(unit, 1) for number, unit in parts)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    else:
        seconds = float(value)
    return seconds if isfinite(seconds) and seconds > 0 else None
