"""What is said of a study's YAML that is refused."""

import pytest

from unetsearch.errors import SpaceError
from unetsearch.space.document import parse_space


def problems(text, overrides=()):
    with pytest.raises(SpaceError) as caught:
        parse_space(text, "x.yaml", overrides)
    return list(caught.value.problems)
