"""What is accepted comes back from its resolved document."""

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from unetsearch.space import fields, kinds
from unetsearch.space.document import parse_space
from unetsearch.space.resolved import dump_space, resolved
from unetsearch.space.schema import json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
"""Of the schema, which is checked once in test_schema."""


def values(field):
    """Anything the grammar allows for a field."""
    kind = field.kind
    if isinstance(kind, kinds.Number):
        top = min(kind.high, 64) if kind.integer else kind.high
        if kind.integer:
            number = st.integers(int(kind.low) // kind.multiple, int(top) // kind.multiple).map(
                lambda n: n * kind.multiple
            )
        else:
            if field is fields.ARCHITECTURE["growth"]:
                top = 2.6  # at a depth of 7, more makes more channels than there can be
            number = st.floats(max(kind.low, 1e-6), top, exclude_max=kind.below)
        number = number.filter(kind.fits)
        if not field.searched:
            return number
        ends = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])
        ranges = ends.map(lambda pair: {"low": pair[0], "high": pair[1]})
        return st.one_of(
            number, number.map(lambda n: {"value": n}), st.lists(number, min_size=1, max_size=3, unique=True), ranges
        )
    if isinstance(kind, kinds.Flag):
        return st.one_of(st.booleans(), st.just([True, False]))
    if isinstance(kind, kinds.Numbers):
        return st.sampled_from([*kind.names, "1 0.5", "2, 1 1", *([3] if kind.first else [])])
    assert isinstance(kind, kinds.Name | kinds.EncoderName)
    option = st.sampled_from(kind.names)
    if isinstance(kind, kinds.Name) and field.options:
        option = option.flatmap(
            lambda name: st.one_of(st.just(name), section(field.options[name]).map(lambda own: {name: own}))
        )
        return st.lists(option, min_size=1, max_size=3, unique_by=lambda o: o if isinstance(o, str) else next(iter(o)))
    return st.one_of(option, st.lists(option, min_size=1, unique=True))


def section(table):
    return st.fixed_dictionaries({}, optional={name: values(field) for name, field in table.items()})


documents = st.fixed_dictionaries(
    {"training": section(fields.TRAINING).map(lambda d: d | {"crop": 256, "steps": 1000})},
    optional={
        "name": st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
        "architecture": section(fields.ARCHITECTURE),
        "objectives": st.sampled_from([["dice"], ["iou", "params"], ["dice", "params", "macs"]]),
        "limits": st.just({"params": "8M"}),
        "baselines": st.just(["unet", {"unet3+": {"channels": 8, "depth": 2}}]),
        "search": st.just({"trials": 3, "time": 90, "sampler": "nsga2", "seed": 4}),
        "data": st.just({"path": "cells", "ignore": 3, "split": {"test": 0.1, "folds": 3}}),
    },
)


@pytest.mark.parametrize("name", ["08", "1e3", "2024", "off", "null", "true", "1_000", "0x10", "a"])
def test_every_name_comes_back_from_the_resolved_document(name):
    space = parse_space("architecture: {width: 8}", "x", stem=name)
    assert space.name == name
    assert parse_space(dump_space(space), "again").name == name
    if name not in ("off", "null", "true"):
        assert parse_space(f"name: {name}", "x").name == name


@given(documents.filter(lambda document: not {"reach", "averaging"} <= document.get("training", {}).keys()))
@settings(max_examples=25, deadline=None)
def test_whatever_is_accepted_comes_back_from_its_resolved_document(document):
    VALIDATOR.validate(document)
    space = parse_space(yaml.safe_dump(document), "x")
    again = parse_space(dump_space(space), "again")
    assert again == space
    assert resolved(again) == resolved(space)
    VALIDATOR.validate(resolved(space))
    assert space.sample(1) == again.sample(1)
