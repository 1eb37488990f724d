"""The one door of the YAML: from text to a SearchSpace, with every error at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unetsearch.errors import ArchitectureError, SpaceError
from unetsearch.space import fields
from unetsearch.space.backbone import Backbone
from unetsearch.space.checks import MAX_CHANNELS
from unetsearch.space.encoders import Describe, document_backbones
from unetsearch.space.marks import Marked, Marker
from unetsearch.space.quantities import parse_count, parse_duration
from unetsearch.space.reader import Reader, largest
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import (
    EMBEDDED,
    MAXIMISED,
    Baseline,
    DataSettings,
    LimitSettings,
    SearchSettings,
    SplitSettings,
)
from unetsearch.space.space import SearchSpace
from unetsearch.space.training import read_training
from unetsearch.space.values import Value

Check = Callable[[SearchSpace, Baseline], object]
"""Raises ArchitectureError where the values of a baseline do not fit each other."""


def load_space(
    path: Path, overrides: Sequence[str] = (), describe: Describe | None = None, check: Check | None = None
) -> SearchSpace:
    """The space of a YAML file; a relative `data.path` starts at the file's folder.

    `overrides`: `a.b=value`, set before anything is checked; a path in them starts at the working folder. `describe`
    looks up backbones, `check` makes a baseline's architecture. Raises SpaceError with every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SpaceError([f"{path}: not a text in UTF-8"]) from None
    except OSError as error:
        raise SpaceError([f"{path}: cannot be read ({error.strerror or error})"]) from None
    space = parse_space(text, str(path), overrides, stem=path.stem, describe=describe, check=check)
    if space.data.path in EMBEDDED:
        return space
    told_here = any(override.partition("=")[0].strip() in ("data", "data.path") for override in overrides)
    folder = (Path() if told_here else path.parent) / Path(space.data.path).expanduser()
    return replace(space, data=replace(space.data, path=str(folder.absolute())))


def parse_space(
    text: str,
    source: str,
    overrides: Sequence[str] = (),
    stem: str = "study",
    describe: Describe | None = None,
    check: Check | None = None,
) -> SearchSpace:
    """The space of a YAML text. `source` names it in messages, `stem` the study where the text does not."""
    marker = Marker(source)
    document = marker.read(text)
    if document is None:
        raise SpaceError(marker.problems)
    reader = Reader(marker.problems)
    for override in overrides:
        _override(document, override, reader)
    space = _space(document, stem, describe, check, reader)
    if reader.problems:
        raise SpaceError(sorted(reader.problems, key=_line))
    return space


def search_settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Values of the section `search` that came from elsewhere, checked; None is left out. Raises SpaceError."""
    reader = Reader()
    told = {name: Marked(value, name) for name, value in given.items() if value is not None}  # type: ignore[arg-type]
    for name, at in told.items():
        if not fields.SEARCH[name].kind.fits(at.value):
            reader.problems.append(f"{name}: expected {fields.SEARCH[name].kind.expected}, got {at.words}")
    if reader.problems:
        raise SpaceError(reader.problems)
    return {name: parse_duration(at.value) if name == "time" else at.value for name, at in told.items()}


def _override(document: Marked, override: str, reader: Reader) -> None:
    """Sets one value of the document as `--set` asks; the value is read as YAML."""
    where = f"--set {override}"
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        reader.problem(Marked(None, where), "", "expected a.b=value, such as training.steps=300")
        return
    marker = Marker(where, numbered=False)
    value = marker.read(text)
    reader.problems += marker.problems
    if value is None:
        return
    if document.value is None:
        document.value = {}
    at = document
    for key in keys[:-1]:
        if not isinstance(at.value, dict):
            break
        at = at.value.setdefault(key, Marked({}, where))
        if at.value is None:
            at.value = {}
    if not isinstance(at.value, dict):
        reader.problem(
            Marked(None, where), "", f"{name} is no place in the file: a value stands where a section should"
        )
        return
    at.value[keys[-1]] = value


def _space(document: Marked, stem: str, describe: Describe | None, check: Check | None, reader: Reader) -> SearchSpace:
    if document.value is None:
        reader.problem(document, "", "the file is empty; `unetsearch schema` tells what it may hold")
    keys = reader.mapping(document, "", fields.SECTIONS)
    architecture = reader.searched(keys.get("architecture"), "architecture", fields.ARCHITECTURE)
    recipe, training = read_training(keys.get("training"), reader)
    search = _search(keys.get("search"), reader)
    baselines = _baselines(keys.get("baselines"), reader)
    backbones: dict[str, Backbone] = {}
    if not reader.problems:
        _check_together(keys, architecture, recipe, baselines, reader)
        backbones = document_backbones(keys.get("architecture"), architecture, baselines, describe, reader)
    space = SearchSpace(
        name=_name(keys.get("name"), stem, reader),
        architecture=architecture,
        training=training,
        recipe=recipe,
        data=_data(keys.get("data"), reader),
        objectives=_objectives(keys.get("objectives"), reader),
        limits=_limits(keys.get("limits"), reader),
        baselines=tuple(baseline for baseline, _ in baselines),
        search=search,
        backbones=backbones,
    )
    for index, (baseline, at) in enumerate(() if reader.problems else baselines):
        try:
            if check is not None:
                check(space, baseline)
        except ArchitectureError as error:
            reader.problem(at, f"baselines[{index}].{baseline.name}", str(error))
    if search.sampler == "enumerate" and not reader.problems and space.size is None:
        at = keys["search"]
        reader.problem(at, "search.sampler", "enumerate needs a space without continuous ranges; give them a step")
    return space


def _name(at: Marked | None, stem: str, reader: Reader) -> str:
    if at is None:
        return re.sub(r"[^A-Za-z0-9._-]", "-", stem) or "study"
    text = Marked(at.text, at.where) if isinstance(at.value, int | float) else at
    reader.fits(text, "name", fields.NAME)
    return str(text.value)


def _data(at: Marked | None, reader: Reader) -> DataSettings:
    keys = reader.mapping(at, "data", (*fields.DATA, "classes", "split"))
    plain = {name: value for name, value in keys.items() if name in fields.DATA}
    values = reader.section(Marked(plain, ""), "data", fields.DATA)
    split = reader.section(keys.get("split"), "data.split", fields.SPLIT)
    if split["groups"] is not None:
        try:
            re.compile(split["groups"])
        except re.error as error:
            reader.problem(keys["split"], "data.split.groups", f"not a regular expression: {error}")
        if split["by"] == "auto":
            split["by"] = "groups"
    return DataSettings(**values, classes=_classes(keys.get("classes"), reader), split=SplitSettings(**split))


def _classes(at: Marked | None, reader: Reader) -> Any:
    if at is None or at.value == "auto":
        return "auto"
    if not isinstance(at.value, dict) or len(at.value) < 2:
        reader.expect(at, "data.classes", "auto, or at least two names with their mask values, background first")
        return "auto"
    for name, value in at.value.items():
        reader.fits(value, f"data.classes.{name}", fields.MASK_VALUE)
    classes = {name: value.value for name, value in at.value.items()}
    if len(set(map(str, classes.values()))) < len(classes):
        reader.problem(at, "data.classes", "two names have the same mask value; give each its own")
    return classes


def _objectives(at: Marked | None, reader: Reader) -> Any:
    if at is None:
        return SearchSpace(name="").objectives
    items = at.value if isinstance(at.value, list) else [at]
    names = [item.value for i, item in enumerate(items) if reader.fits(item, f"objectives[{i}]", fields.OBJECTIVES)]
    if len(set(names)) < len(names):
        reader.problem(at, "objectives", "an objective is named twice; name each once")
    elif len(names) == len(items) and not MAXIMISED & set(names):
        reader.problem(
            at, "objectives", "expected dice, iou or object_f1 among them, or the smallest network would win"
        )
    return tuple(names)


def _limits(at: Marked | None, reader: Reader) -> LimitSettings:
    before = len(reader.problems)
    values = reader.section(at, "limits", fields.LIMITS)
    if len(reader.problems) > before:
        return LimitSettings()
    return LimitSettings(**{name: None if value is None else parse_count(value) for name, value in values.items()})


def _search(at: Marked | None, reader: Reader) -> SearchSettings:
    before = len(reader.problems)
    values = reader.section(at, "search", fields.SEARCH)
    if len(reader.problems) > before:
        return SearchSettings()
    time, stall = values.pop("time"), parse_duration(values.pop("stall"))
    assert stall is not None, "the reader takes durations only"
    return SearchSettings(**values, time=None if time is None else parse_duration(time), stall=stall)


def _baselines(at: Marked | None, reader: Reader) -> list[tuple[Baseline, Marked]]:
    """Each baseline with the place it stands at."""
    if at is None or at.value is None:
        return []
    items = at.value if isinstance(at.value, list) else [at]
    baselines: list[tuple[Baseline, Marked]] = []
    for index, item in enumerate(items):
        path, name, inner = f"baselines[{index}]", item, None
        if isinstance(item.value, dict) and len(item.value) == 1:
            [(key, inner)] = item.value.items()
            name = Marked(key, item.where)
        if not reader.fits(name, path, fields.BASELINES):
            continue
        given = reader.section(inner, f"{path}.{name.value}", fields.BASELINE)
        values = {key: value for key, value in given.items() if value is not None}
        if "channels" in values and name.value != "unet3+":
            reader.problem(item, f"{path}.{name.value}.channels", "only unet3+ has channels of an edge")
        if name.value in [baseline.name for baseline, _ in baselines]:
            reader.problem(item, path, f"{name.value!r} is a baseline already; name each once")
        baselines.append((Baseline(name=name.value, values=values), item))  # type: ignore[arg-type]
    return baselines


def _check_together(
    keys: dict[str, Marked],
    architecture: dict[str, Value],
    recipe: Recipe,
    baselines: list[tuple[Baseline, Marked]],
    reader: Reader,
) -> None:
    """The bottleneck keeps 2x2 pixels of the training crop, and no level has too many channels."""
    fitting = max(0, recipe.crop.bit_length() - 2)
    advice = f"training.crop is {recipe.crop}: take a depth of at most {fitting}, or a larger crop"

    def check(at: Marked, path: str, depth: float) -> None:
        if depth > fitting:
            needed = 2 ** (round(depth) + 1)
            reader.problem(at, path, f"depth {depth:g} needs crops of at least {needed} pixels, and {advice}")

    section = keys.get("architecture") or keys.get("training") or Marked(None, "the defaults")
    given = section.value.get("depth", section) if isinstance(section.value, dict) else section
    check(given, "architecture.depth", largest(architecture["depth"]))
    for index, (baseline, at) in enumerate(baselines):
        check(at, f"baselines[{index}].{baseline.name}", baseline.depth)
    width, growth, depth = (largest(architecture[name]) for name in ("width", "growth", "depth"))
    if (most := round(width * max(1, growth) ** depth)) > MAX_CHANNELS:
        which = f"width {width:g}, growth {growth:g} and depth {depth:g} make {most:,} channels on the deepest level"
        reader.problem(section, "architecture", f"{which}; at most {MAX_CHANNELS:,} are possible: lower one of them")


def _line(problem: str) -> int:
    """The line a problem stands in; those of the command line come last."""
    match = re.match(r".*?:(\d+)  ", problem)
    return int(match[1]) if match else 10**9
