import jsonschema
import pytest

from unetsearch.api import load_space
from unetsearch.space.fields import ARCHITECTURE
from unetsearch.space.marks import Marked, Marker
from unetsearch.space.schema import json_schema
from unetsearch.space.starters import starters

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def plain(marked: Marked):
    if isinstance(marked.value, dict):
        return {key: plain(value) for key, value in marked.value.items()}
    if isinstance(marked.value, list):
        return [plain(value) for value in marked.value]
    return marked.value


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    keys = SCHEMA["properties"]["architecture"]["properties"]
    assert set(keys) == set(ARCHITECTURE)
    assert all(key["description"] for key in keys.values())


@pytest.mark.parametrize("path", starters().values(), ids=lambda path: path.stem)
def test_the_shipped_spaces_follow_it(path):
    document = Marker(path.name).read(path.read_text(encoding="utf-8"))
    VALIDATOR.validate(plain(document))
    assert load_space(path).name == path.stem


@pytest.mark.parametrize(
    "document",
    [
        {"widht": 3},
        {"architecture": {"depth": 9}},
        {"architecture": {"depth": [1, 1]}},
        {"architecture": {"depth": []}},
        {"architecture": {"width": 6}},
        {"architecture": {"growth": {"low": 1}}},
        {"architecture": {"norm": None}},
        {"architecture": {"skip": ["denze"]}},
        {"architecture": {"skip": [{"plain": {"channels": 8}}]}},
        {"architecture": {"skip": {"plain": {}, "dense": {}}}},
        {"training": {"steps": [1, 2]}},
        {"training": {"learning_rate": "fast"}},
        {"limits": {"params": "8X"}},
        {"search": {"time": "soon"}},
        {"baselines": ["unet4"]},
        {"objectives": []},
        {"data": {"classes": {"a": 1}}},
    ],
)
def test_it_refuses_what_the_reader_refuses(document):
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)
