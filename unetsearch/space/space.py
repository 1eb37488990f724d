"""A search space: what may vary, and the one walk that draws points from it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log
from random import Random
from typing import Any, cast

from unetsearch.errors import ArchitectureError
from unetsearch.space.architecture import Architecture, channels_by_level
from unetsearch.space.backbone import PREFIX, Backbone
from unetsearch.space.checks import check_flag
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import (
    Baseline,
    DataSettings,
    LimitSettings,
    Objective,
    SearchSettings,
)
from unetsearch.space.skip import Skip, Sources, free_edges, mend, node_name
from unetsearch.space.values import Choice, Option, Range, Scalar, Value, fixed

Pick = Callable[[str, Choice | Range], Scalar]
"""Picks one of a choice's option values, or a number of a range, for the dotted name of the value."""

ARCHITECTURE_DEFAULTS: Mapping[str, Scalar] = {
    "depth": 4,
    "width": 16,
    "growth": 2.0,
    "encoder": "plain",
    "decoder": "plain",
    "norm": "batch",
    "activation": "relu",
    "down": "max",
    "up": "transposed",
    "dropout": 0.0,
    "guidance": False,
}

EDGE = Choice((Option(False), Option(True)))
"""Whether an edge of free skips is there."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a space: what was picked, by dotted name, and what it means."""

    values: Mapping[str, Scalar]
    architecture: Architecture
    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A study as one YAML file describes it.

    `architecture` and `training` hold the values that may vary (a value with one option is fixed); `recipe` holds
    the training that baselines get: the fixed values, and the defaults of those that vary. `in_channels` and
    `out_channels` come from the data (`for_data`). `backbones`: what is known of those named, by `timm/<name>`.
    """

    name: str
    architecture: Mapping[str, Value] = field(default_factory=dict)
    training: Mapping[str, Value] = field(default_factory=dict)
    recipe: Recipe = field(default_factory=Recipe)
    data: DataSettings = field(default_factory=DataSettings)
    objectives: tuple[Objective, ...] = ("dice", "params")
    limits: LimitSettings = field(default_factory=LimitSettings)
    baselines: tuple[Baseline, ...] = ()
    search: SearchSettings = field(default_factory=SearchSettings)
    backbones: Mapping[str, Backbone] = field(default_factory=dict)
    in_channels: int = 1
    out_channels: int = 1

    @property
    def size(self) -> int | None:
        """How many points the space has, counted without listing them; None with a continuous range."""
        values = dict(self.architecture)
        depth, skip = values.pop("depth", fixed(ARCHITECTURE_DEFAULTS["depth"])), values.pop("skip", fixed("plain"))
        rest = _product((*values.values(), *self.training.values()))
        skips = [_skips(skip, depth) for depth in every_number(depth)]
        return None if rest is None or None in skips else rest * sum(size for size in skips if size is not None)

    @property
    def max_depth(self) -> int:
        """The greatest depth that can be drawn."""
        return max(_numbers(self.architecture.get("depth", fixed(ARCHITECTURE_DEFAULTS["depth"]))))

    @property
    def depths(self) -> dict[str, int]:
        """The greatest depths there are, by what has them: the space itself, and each baseline."""
        own = {f"depth {self.max_depth}": self.max_depth}
        for baseline in self.baselines:
            own[f"the baseline {baseline.name} of depth {baseline.depth}"] = baseline.depth
        return own

    @property
    def min_width(self) -> int:
        """The smallest width that can be drawn; baselines take it unless they are given one."""
        return min(_numbers(self.architecture.get("width", fixed(ARCHITECTURE_DEFAULTS["width"]))))

    def for_data(self, in_channels: int, out_channels: int) -> "SearchSpace":
        """The same space for images of `in_channels` channels and `out_channels` logit maps."""
        return replace(self, in_channels=in_channels, out_channels=out_channels)

    def draw(self, pick: Pick) -> Point:
        """Walks the choices, parents first, asks `pick` where there is something to pick, and gives the point."""
        values: dict[str, Scalar] = {}
        architecture: dict[str, Any] = {**_walk(self.architecture, pick, values, "")}
        if architecture.get("skip") == "free":
            depth = cast(int, architecture.get("depth", ARCHITECTURE_DEFAULTS["depth"]))
            architecture["sources"] = _draw_sources(depth, pick, values)
        training = _walk(self.training, pick, values, "training.")
        return Point(
            values,
            make_architecture(
                architecture,
                in_channels=self.in_channels,
                out_channels=self.out_channels,
                backbones=self.backbones,
            ),
            replace(self.recipe, **cast(Any, training)),
        )

    def sample(self, seed: int) -> Point:
        """A random point; the same for the same seed."""
        return self.draw(random_pick(Random(seed)))

    def enumerate(self) -> Iterator[Point]:
        """Every point, each once. Raises ValueError where a range is continuous."""
        if self.size is None:
            raise ValueError(f"{self.name} has a continuous range, its points cannot be listed")
        indices: list[int] = []
        while True:
            sizes: list[int] = []
            yield self.draw(_indexed_pick(indices, sizes))
            indices += [0] * (len(sizes) - len(indices))
            while indices and indices[-1] + 1 == sizes[len(indices) - 1]:
                indices.pop()
            if not indices:
                return
            indices[-1] += 1


def make_architecture(
    values: Mapping[str, Any], *, in_channels: int, out_channels: int, backbones: Mapping[str, Backbone] | None = None
) -> Architecture:
    """An architecture from the values of a walk: depth, width and growth become channels a level.

    Missing values take their defaults; `sources` are what free skips chose (any choice becomes a network, by `mend`).
    `backbones` are looked up by `timm/<name>`. Raises ArchitectureError where values do not fit each other.
    """
    values = {**ARCHITECTURE_DEFAULTS, **values}
    depth, width, growth = (values.pop(name) for name in ("depth", "width", "growth"))
    rule, edge_channels, chosen = values.pop("skip", "plain"), values.pop("channels", None), values.pop("sources", None)
    if rule == "full_scale" and edge_channels is None:
        edge_channels = width
    channels = channels_by_level(width, growth, depth)
    pretrained = values.pop("pretrained", False)
    check_flag("pretrained", pretrained)
    if pretrained and not str(values["encoder"]).startswith(PREFIX):
        raise ArchitectureError(f"pretrained: only a {PREFIX} backbone has weights to start from")
    if isinstance(values["encoder"], str) and values["encoder"].startswith(PREFIX):
        values["encoder"] = replace((backbones or {})[values["encoder"]], pretrained=pretrained)
    sources = None
    if rule == "free":
        backbone = values["encoder"]
        stemless = isinstance(backbone, Backbone) and values.get("stem") == "none"
        sources = mend(depth, dict(chosen or ()), top=backbone.first_level if stemless else 0)
    return Architecture(
        in_channels=in_channels,
        out_channels=out_channels,
        channels=channels,
        skip=Skip(rule=rule, channels=edge_channels, sources=sources),
        **values,
    )


def random_pick(random: Random) -> Pick:
    """A picker that draws uniformly (uniformly in the logarithm where a range says so)."""

    def pick(_: str, value: Choice | Range) -> Scalar:
        if isinstance(value, Choice):
            return random.choice(value.options).value
        if value.log:
            return exp(random.uniform(log(value.low), log(value.high)))
        if value.size is not None:
            return value.at(random.randrange(value.size))
        return random.uniform(value.low, value.high)

    return pick


def _indexed_pick(indices: Sequence[int], sizes: list[int]) -> Pick:
    """Picks by index, the first option where `indices` ends, and notes how many options each pick had."""

    def pick(_: str, value: Choice | Range) -> Scalar:
        index = indices[len(sizes)] if len(sizes) < len(indices) else 0
        size = len(value.options) if isinstance(value, Choice) else value.size
        assert size is not None, "only called where no range is continuous"
        sizes.append(size)
        return value.options[index].value if isinstance(value, Choice) else value.at(index)

    return pick


def _walk(section: Mapping[str, Value], pick: Pick, picked: dict[str, Scalar], prefix: str) -> dict[str, Scalar]:
    """The section's values by their names; an option's own values stand beside the value it was picked for."""
    result: dict[str, Scalar] = {}
    for name, value in section.items():
        path = f"{prefix}{name}"
        if isinstance(value, Range):
            result[name] = picked[path] = value.nearest(pick(path, value))
            continue
        if value.fixed:
            option = value.options[0]
        else:
            chosen = picked[path] = pick(path, value)
            option = next(option for option in value.options if _same(option.value, chosen))
        result[name] = option.value
        result |= _walk(option.values, pick, picked, f"{path}.{option.value}.")
    return result


def _draw_sources(depth: int, pick: Pick, picked: dict[str, Scalar]) -> Sources:
    """Under free skips every legal edge is a choice of its own, once the depth is known."""
    chosen: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for node, source in free_edges(depth):
        path = f"skip.free.{node_name(*node)}.{node_name(*source)}"
        picked[path] = pick(path, EDGE)
        if picked[path]:
            chosen.setdefault(node, []).append(source)
    return tuple((node, tuple(sources)) for node, sources in chosen.items())


def _skips(skip: Value, depth: int) -> int | None:
    """How many skips there are at a depth; None where one has a continuous range."""
    total = 0
    assert isinstance(skip, Choice), "a rule is a name"
    for option in skip.options:
        size = _product(option.values.values())
        if size is None:
            return None
        total += size * (2 ** sum(1 for _ in free_edges(depth)) if option.value == "free" else 1)
    return total


def _same(one: Scalar, other: Scalar) -> bool:
    """Equal, and of one kind: 1 is not True."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _size(value: Value) -> int | None:
    """How many points a value has, with those of its options' own values; None where continuous."""
    if isinstance(value, Range):
        return value.size
    total = 0
    for option in value.options:
        size = _product(option.values.values())
        if size is None:
            return None
        total += size
    return total


def _product(values: Iterable[Value]) -> int | None:
    product = 1
    for value in values:
        size = _size(value)
        if size is None:
            return None
        product *= size
    return product


def every_number(value: Value) -> list[int]:
    """Every whole number that can be picked."""
    if isinstance(value, Range):
        return [int(value.at(index)) for index in range(value.size or 0)]
    return [option.value for option in value.options if isinstance(option.value, int)]


def _numbers(value: Value) -> list[int]:
    """The values of a numeric choice, or the ends of a range."""
    if isinstance(value, Range):
        return [round(value.low), round(value.high)]
    return [option.value for option in value.options if isinstance(option.value, int)]
