"""The backbones that a study's YAML names, looked up, with every problem where it stands."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from unetsearch.errors import ArchitectureError
from unetsearch.space.backbone import PREFIX, Backbone
from unetsearch.space.marks import Marked
from unetsearch.space.reader import Reader
from unetsearch.space.settings import Baseline
from unetsearch.space.space import every_number
from unetsearch.space.values import Choice, Value

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


def document_backbones(
    at: Marked | None,
    architecture: Mapping[str, Value],
    baselines: Sequence[tuple[Baseline, Marked]],
    describe: Describe | None,
    reader: Reader,
) -> dict[str, Backbone]:
    """The backbones of the space, at each of its depths, and those that baselines are given."""
    given = at.value.get("encoder") if at is not None and isinstance(at.value, dict) else None
    found = find_backbones(
        list(named(given, "architecture.encoder")), every_number(architecture["depth"]), describe, reader
    )
    grouped, residual = (_offers(architecture, *value) for value in (("norm", "group"), ("decoder", "residual")))
    for name, backbone in found.items() if grouped and residual else ():
        try:
            backbone.check_groups()
        except ArchitectureError as error:
            reader.problem(next(at for at, _, other in named(given, "") if other == name), "architecture", str(error))
    for index, (baseline, place) in enumerate(baselines):
        encoder = Marked(baseline.values.get("encoder"), place.where)
        path = f"baselines[{index}].{baseline.name}.encoder"
        found |= find_backbones(list(named(encoder, path)), [baseline.depth], describe, reader)
    return found


def _offers(section: Mapping[str, Value], name: str, wanted: str) -> bool:
    value = section.get(name)
    return isinstance(value, Choice) and any(option.value == wanted for option in value.options)
