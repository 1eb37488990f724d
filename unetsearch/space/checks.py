"""Checks of an architecture's values: each raises ArchitectureError and says what was expected."""

from math import isfinite
from typing import Any, get_args

from unetsearch.errors import ArchitectureError, did_you_mean

MAX_CHANNELS = 2**16


def check_count(name: str, value: object) -> None:
    """A whole number of channels."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CHANNELS:
        raise ArchitectureError(f"{name}: expected a whole number from 1 to {MAX_CHANNELS:,}, got {value!r}")


def check_number(name: str, value: object) -> None:
    """A number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ArchitectureError(f"{name}: expected a number, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise ArchitectureError(f"{name}: expected true or false, got {value!r}")


def check_literal(name: str, value: object, kind: Any) -> None:
    """One of a Literal's names."""
    allowed = get_args(kind)
    if not isinstance(value, str) or value not in allowed:
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        raise ArchitectureError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}{hint}")
