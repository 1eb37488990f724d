"""The JSON schema of the YAML, from the same fields that the reader follows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unetsearch.space import fields
from unetsearch.space.fields import Field
from unetsearch.space.kinds import BACKBONE_PATTERN, Number


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Editors complete and check a search space with it."""
    sections = {
        "name": _described(fields.NAME.schema(), "the study's name; left out, the file's"),
        "data": _data(),
        "architecture": _object({name: _searched(field) for name, field in fields.ARCHITECTURE.items()}, "the network"),
        "training": _object({name: _searched(field) for name, field in fields.TRAINING.items()}, "one training"),
        "objectives": _described(
            {"anyOf": [_unique(fields.OBJECTIVES.schema()), fields.OBJECTIVES.schema()]}, "what is searched for"
        ),
        "limits": _section(fields.LIMITS, "checked before any training"),
        "baselines": _baselines(),
        "search": _section(fields.SEARCH, "how far and how the study searches"),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "unetsearch search space",
        "description": "One file is a whole study.",
    } | _object({name: sections[name] for name in fields.SECTIONS})


def _data() -> dict[str, Any]:
    classes = {
        "anyOf": [
            {"const": "auto"},
            {"type": "object", "minProperties": 2, "additionalProperties": fields.MASK_VALUE.schema()},
        ]
    }
    properties = {name: _fixed(field) for name, field in fields.DATA.items()}
    properties["classes"] = _described(classes, "auto, or the mask value of each class by its name, background first")
    properties["split"] = _section(fields.SPLIT, "training, validation and test images")
    return _object(properties, "images and masks")


def _baselines() -> dict[str, Any]:
    names = fields.BASELINES.names
    own = _object({name: _fixed(field) for name, field in fields.BASELINE.items()})
    one = {"anyOf": [{"enum": list(names)}, _one_of_these(dict.fromkeys(names, own))]}
    several = _unique(one) | {"minItems": 0}
    return _described({"anyOf": [several, one]}, "published networks that are trained first")


def _section(section: Mapping[str, Field], meaning: str) -> dict[str, Any]:
    return _object({name: _fixed(field) for name, field in section.items()}, meaning)


def _fixed(field: Field) -> dict[str, Any]:
    schema = field.kind.schema()
    return _described(schema if field.default is not None else {"anyOf": [schema, {"type": "null"}]}, field.meaning)


def _searched(field: Field) -> dict[str, Any]:
    """A fixed value, a list of choices, a range, or `{value: ...}`; a choice may carry choices of its own."""
    plain = field.kind.schema()
    if not field.searched:
        return _described(plain, field.meaning)
    option = [plain, _object({"value": plain}, required=["value"])]
    if field.options:
        own = {
            name: _nullable(_object({key: _searched(inner) for key, inner in keys.items()}))
            for name, keys in field.options.items()
        }
        option.append(_one_of_these(own))
    forms = [*option, _unique({"anyOf": option})]
    if isinstance(field.kind, Number):
        forms.append(_range(field.kind))
    return _described({"anyOf": forms}, field.meaning)


def _range(kind: Number) -> dict[str, Any]:
    step = Number(0, 1e9, above=True, integer=kind.integer, multiple=kind.multiple).schema()
    end = replace(kind, names=()).schema()
    keys = {"low": end, "high": end, "step": step, "log": {"type": "boolean"}}
    return _object(keys, required=["low", "high"])


def _one_of_these(keys: Mapping[str, Any]) -> dict[str, Any]:
    named = _object({name: own for name, own in keys.items() if name != fields.ANY_BACKBONE})
    if fields.ANY_BACKBONE in keys:
        named["patternProperties"] = {BACKBONE_PATTERN: keys[fields.ANY_BACKBONE]}
    return named | {"minProperties": 1, "maxProperties": 1}


def _unique(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Any], meaning: str = "", required: list[str] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        document["required"] = required
    return _described(document, meaning) if meaning else document


def _described(schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"description": meaning} | schema
