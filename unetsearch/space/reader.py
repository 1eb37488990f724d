"""One section of the document against its fields: fixed values, choices, ranges, and every error in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from unetsearch.errors import did_you_mean
from unetsearch.space.fields import (
    ARCHITECTURE,
    DATA,
    LIMITS,
    SEARCH,
    SPLIT,
    TRAINING,
    Field,
)
from unetsearch.space.kinds import EncoderName, Kind, Name, Number, Numbers
from unetsearch.space.marks import Marked, Switch
from unetsearch.space.values import Choice, Option, Range, Scalar, Value, fixed

RANGE_KEYS = ("low", "high", "step", "log")


class Reader:
    """Collects every problem as `file:line  path: expected ..., got ...`."""

    def __init__(self, problems: Iterable[str] = ()) -> None:
        self.problems = list(problems)

    def problem(self, at: Marked, path: str, text: str) -> None:
        """Notes what is wrong with a value."""
        self.problems.append(f"{at.where}  {path}: {text}" if path else f"{at.where}  {text}")

    def expect(self, at: Marked, path: str, expected: str, names: Sequence[str] = ()) -> None:
        """Notes that something else was expected, with the closest name."""
        hint = ""
        if isinstance(at.value, str) and names:
            hint = did_you_mean(at.value, names)
        elif isinstance(at.value, Switch) and expected != "true or false":
            hint = "; quote it if it is a text"
        self.problem(at, path, f"expected {expected}, got {at.words}{hint}")

    def mapping(self, at: Marked | None, path: str, allowed: Iterable[str]) -> dict[str, Marked]:
        """The known keys of a section; unknown ones are noted. None and nothing: no keys."""
        if at is None or at.value is None:
            return {}
        if not isinstance(at.value, dict):
            self.expect(at, path, "a mapping")
            return {}
        names = tuple(allowed)
        for key, value in at.value.items():
            if key not in names:
                inner = f"{path}.{key}" if path else key
                hint = did_you_mean(key, names) or (homes(key) if not path else "")
                self.problem(value, inner, f"unknown key; expected one of {', '.join(names)}{hint}")
        return {key: value for key, value in at.value.items() if key in names}

    def section(self, at: Marked | None, path: str, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The values of a section that may not vary, defaults filled in; a wrong value leaves its default."""
        given = self.mapping(at, path, fields)
        values = {name: field.default for name, field in fields.items()}
        for name, value in given.items():
            if value.value is None and fields[name].default is None:
                continue  # null where nothing is the default
            if self.fits(value, f"{path}.{name}", fields[name].kind):
                values[name] = value.value  # type: ignore[assignment]
        return values

    def searched(self, at: Marked | None, path: str, fields: Mapping[str, Field]) -> dict[str, Value]:
        """The values of a section that may vary, defaults filled in where there are any."""
        given = self.mapping(at, path, fields)
        values: dict[str, Value] = {}
        for name, field in fields.items():
            if name in given:
                values[name] = self.value(given[name], f"{path}.{name}", field)
            elif field.default is not None:
                values[name] = Choice((self._option(Marked(field.default, ""), "", field),))
        return values

    def value(self, at: Marked, path: str, field: Field) -> Value:
        """A fixed value, a list of choices, a range, or `{value: ...}`."""
        if not field.searched:
            self._fixed_only(at, path, field)
        elif isinstance(at.value, list):
            return self._choice(at, at.value, path, field)
        elif isinstance(at.value, dict) and at.value and set(at.value) <= set(RANGE_KEYS):
            return self._range(at, at.value, path, field.kind)
        return Choice((self._option(at, path, field),))

    def fits(self, at: Marked, path: str, kind: Kind) -> bool:
        """Whether the value is of the kind; notes it where it is not."""
        if kind.fits(at.value):
            return True
        self.expect(
            at, path, kind.expected, kind.names if isinstance(kind, Name | EncoderName | Number | Numbers) else ()
        )
        return False

    def _fixed_only(self, at: Marked, path: str, field: Field) -> None:
        if isinstance(at.value, list | dict):
            self.problem(at, path, f"is never searched; expected {field.kind.expected}, got {at.words}")
            at.value = field.default

    def _choice(self, at: Marked, items: list[Marked], path: str, field: Field) -> Value:
        if not items:
            self.problem(at, path, f"expected at least one choice, {field.kind.expected}, got an empty list")
            return fixed(field.default)
        if (
            isinstance(field.kind, Numbers)
            and len(items) > 1
            and all(type(item.value) in (int, float) for item in items)
        ):
            one = " ".join(str(item.value) for item in items)
            self.problem(at, path, f"a list is of choices; the numbers of one are a text: {one!r}")
            return fixed(field.default)
        options: list[Option] = []
        for index, item in enumerate(items):
            before = len(self.problems)
            option = self._option(item, f"{path}[{index}]", field)
            if option.value in [other.value for other in options] and len(self.problems) == before:
                self.problem(item, f"{path}[{index}]", f"{option.value!r} is a choice already; name each once")
            options.append(option)
        return Choice(tuple(options))

    def _option(self, at: Marked, path: str, field: Field) -> Option:
        """A scalar, `{value: scalar}`, or `{name: {its own choices}}`."""
        name, inner = at, None
        if isinstance(at.value, dict) and len(at.value) == 1:
            [(key, inner)] = at.value.items()
            if key == "value":
                return self._option(inner, f"{path}.value", field)
            name = Marked(key, at.where)
        if not self.fits(name, path, field.kind):
            return Option(field.default)
        picked = name.value
        assert not isinstance(picked, list | dict)
        if isinstance(field.kind, Number) and not field.kind.integer:
            assert isinstance(picked, int | float)
            picked = float(picked)  # 0 and 0.0 are one value
        if inner is not None and not field.own(str(picked)):
            self.problem(at, path, f"expected {field.kind.expected} alone, got a mapping")
            inner = None
        own = field.own(str(picked))
        return Option(picked, self.searched(inner, f"{path}.{name.value}", own))

    def _range(self, at: Marked, keys: dict[str, Marked], path: str, kind: Kind) -> Value:
        """`{low, high, step, log}` of a number; something valid comes back also where a problem is noted."""
        before = len(self.problems)
        if not isinstance(kind, Number):
            self.problem(at, path, f"expected {kind.expected}, or a list of those; a range is for numbers")
            return fixed(None)
        kind = replace(kind, names=())
        missing = [key for key in ("low", "high") if key not in keys]
        if missing:
            self.problem(at, path, f"a range needs low and high; {' and '.join(missing)} is missing")
        for key in ("low", "high"):
            if key in keys:
                self.fits(keys[key], f"{path}.{key}", kind)
        step, log = self._step(keys, path, kind), self._log(keys, path)
        if len(self.problems) > before:
            return fixed(None)
        low, high = _number(keys["low"]), _number(keys["high"])
        if low >= high:
            self.problem(at, path, f"low must be below high, got {low:g} and {high:g}")
        if step and not log and low < high and (high - low) % step > 1e-9 * step < step - (high - low) % step:
            last = low + (high - low) // step * step
            self.problem(at, path, f"high is no step of the range: {last:g} or {last + step:g} would be, got {high:g}")
        if log and low <= 0:
            self.problem(keys["low"], f"{path}.low", f"a logarithmic range starts above 0, got {low:g}")
        if log and "step" in keys:
            self.problem(keys["step"], f"{path}.step", "a logarithmic range takes no step; leave out one of the two")
        return Range(low, high, step=step, log=log, integer=kind.integer)

    def _step(self, keys: dict[str, Marked], path: str, kind: Number) -> float | None:
        if "step" not in keys:
            return kind.multiple if kind.integer else None
        step = Number(0, 1e9, above=True, integer=kind.integer, multiple=kind.multiple)
        return _number(keys["step"]) if self.fits(keys["step"], f"{path}.step", step) else None

    def _log(self, keys: dict[str, Marked], path: str) -> bool:
        if "log" not in keys:
            return False
        if not isinstance(keys["log"].value, bool):
            self.expect(keys["log"], f"{path}.log", "true or false")
        return keys["log"].value is True


def homes(key: str) -> str:
    """`; it belongs under architecture`, for a key that stands outside its section."""
    sections = {
        "architecture": ARCHITECTURE,
        "architecture.skip": {name for own in ARCHITECTURE["skip"].options.values() for name in own},
        "training": TRAINING,
        "data": {*DATA, "classes", "split"},
        "data.split": SPLIT,
        "search": SEARCH,
        "limits": LIMITS,
    }
    return next((f"; it belongs under {name}" for name, section in sections.items() if key in section), "")


def largest(value: Value) -> float:
    """The greatest number that can be picked."""
    return value.high if isinstance(value, Range) else max(_as_number(option.value) for option in value.options)


def _as_number(value: Scalar) -> float:
    return value if isinstance(value, int | float) else 0


def _number(at: Marked) -> float:
    assert isinstance(at.value, int | float)
    return at.value
