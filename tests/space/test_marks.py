"""The YAML itself: what is none, what is given twice, what would grow without end."""

import pytest

from tests.space.refusals import problems
from unetsearch.space.document import parse_space
from unetsearch.space.values import fixed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\na: [", "x.yaml:2  not YAML: expected the node content, but found '<stream end>'"),
        ("name: \u0007", "x.yaml  not YAML: unacceptable character #x0007: special characters are not allowed"),
        ("name: x\nname: y", "x.yaml:2  name: given twice, first in line 1; keep one"),
        (
            "architecture: {width: !!python/object:os.system 8}",
            "x.yaml:1  architecture.width: the tag tag:yaml.org,2002:python/object:os.system is not allowed; "
            "write a plain value",
        ),
        ("name: " + "[" * 3000, "x.yaml  not a study: brackets within brackets without end"),
    ],
)
def test_what_is_no_plain_yaml(text, message):
    assert problems(text) == [message]


def test_numbers_and_words_are_what_they_look_like():
    space = parse_space("training: {learning_rate: 1e-3, weight_decay: .5}\nname: 2024-01-01", "x")
    assert (space.recipe.learning_rate, space.recipe.weight_decay, space.name) == (1e-3, 0.5, "2024-01-01")
    assert parse_space("training: {steps: 010, evaluations: 1}", "x").recipe.steps == 10, "not octal"
    assert parse_space("architecture: {norm: 'none', depth: {value: 2}}", "x").architecture["norm"] == fixed("none")


def test_a_bomb_of_aliases_is_refused_at_once():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert any("aliases that contain themselves or grow too large" in line for line in problems("\n".join(lines)))


def test_an_alias_of_itself_is_refused():
    assert problems("limits: &a {params: *a}")[0] == (
        "x.yaml:1  limits.params: aliases that contain themselves or grow too large"
    )


def test_aliases_are_fine():
    space = parse_space("architecture: {depth: &few [1, 2], growth: *few}", "x")
    assert space.size == 4
