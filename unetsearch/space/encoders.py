"""The backbones that a study's YAML names, looked up, with every problem where it stands."""

from collections.abc import Callable, Iterator, Sequence

from unetsearch.errors import ArchitectureError
from unetsearch.space.backbone import PREFIX, Backbone
from unetsearch.space.marks import Marked
from unetsearch.space.reader import Reader

Describe = Callable[[str], Backbone]
"""What is known of `timm/<name>`. Raises ArchitectureError with the reason where it cannot be an encoder."""


def named(at: Marked | None, path: str) -> Iterator[tuple[Marked, str, str]]:
    """Every backbone of a value, a list of choices or a choice with choices of its own: where, its path, its name."""
    if at is None:
        return
    if isinstance(at.value, list):
        for index, item in enumerate(at.value):
            yield from named(item, f"{path}[{index}]")
    elif isinstance(at.value, dict):
        for key, inner in at.value.items():
            yield from named(inner if key == "value" else Marked(key, at.where), path)
    elif isinstance(at.value, str) and at.value.startswith(PREFIX):
        yield at, path, at.value


def find_backbones(
    places: Sequence[tuple[Marked, str, str]], depths: Sequence[int], describe: Describe | None, reader: Reader
) -> dict[str, Backbone]:
    """What is known of each, by `timm/<name>`; a problem is noted for one that cannot be used, or not at the depths."""
    found: dict[str, Backbone] = {}
    for at, path, name in places:
        try:
            if describe is None:
                raise ArchitectureError(f"{name}: backbones are looked up by unetsearch.load_space")
            found[name] = describe(name)
            for depth in depths:
                found[name].check_depth(depth)
        except ArchitectureError as error:
            reader.problem(at, path, str(error))
    return found
