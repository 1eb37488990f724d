"""A SearchSpace as a document again, with every default filled in."""

from dataclasses import asdict
from typing import Any

import yaml

from unetsearch.space.marks import scalar
from unetsearch.space.recipe import AUTO, TO_BE_FOUND
from unetsearch.space.space import SearchSpace
from unetsearch.space.values import Choice, Option, Range, Scalar, Value


def resolved(space: SearchSpace) -> dict[str, Any]:
    """The whole study as plain data; `parse_space` reads an equal space of its YAML."""
    data = asdict(space.data)
    limits = {name: value for name, value in asdict(space.limits).items() if value is not None}
    return {
        "name": space.name,
        "data": {name: value for name, value in data.items() if value is not None and name != "split"}
        | {"split": {name: value for name, value in data["split"].items() if value is not None}},
        "architecture": {name: _value(value) for name, value in space.architecture.items()},
        "training": _training(space),
        "objectives": list(space.objectives),
        "limits": limits,
        "baselines": [{b.name: dict(b.values)} if b.values else b.name for b in space.baselines],
        "search": {name: value for name, value in asdict(space.search).items() if value is not None},
    }


def _training(space: SearchSpace) -> dict[str, Any]:
    varied = {name: _value(value) for name, value in space.training.items()}
    fixed = space.recipe.to_dict()
    if space.recipe.batch_size == TO_BE_FOUND:
        fixed["batch_size"] = AUTO
    if "averaging" in varied:
        del fixed["reach"]
    return fixed | varied


def dump_space(space: SearchSpace) -> str:
    """The resolved document as YAML."""
    text: str = yaml.dump(resolved(space), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def dump_value(value: Any) -> str:
    """One value of the document as YAML in one line."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()


class _Dumper(yaml.SafeDumper):
    """Quotes every text that would be read as something else: names such as `08`, `1e3` or `off`."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if type(scalar(text)) is str else "'")


_Dumper.add_representer(str, _represent_text)


def _value(value: Value) -> Any:
    if isinstance(value, Range):
        plain: dict[str, Scalar] = {"low": value.low, "high": value.high}
        if value.log:
            return plain | {"log": True}
        return plain | ({"step": value.step} if value.step is not None else {})
    assert isinstance(value, Choice)
    options = [_option(option) for option in value.options]
    return options[0] if value.fixed else options


def _option(option: Option) -> Any:
    if not option.values:
        return option.value
    return {str(option.value): {name: _value(value) for name, value in option.values.items()}}
