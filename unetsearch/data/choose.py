"""Which way the images are split: by folders, groups, blocks or at random, and the reason for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from unetsearch.data.checks import Problems
from unetsearch.data.dataset import Split
from unetsearch.data.layouts import Role
from unetsearch.data.similarity import likeness, same_images
from unetsearch.data.splits import (
    FEWEST_TRAINING,
    Order,
    fold,
    hold_out,
    join_groups,
    paired_sides,
    pattern_groups,
    too_few,
)
from unetsearch.space.settings import SplitSettings

FEW = 5  # images or groups; with fewer, one image decides a score
EXAMPLE = r"patient(\d+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What a split is chosen by, one entry an image in the order of the names; `names`: the images in messages.

    `roles`: from the folders train/, val/, test/, else None. `groups`: given with the data, else None. `digests`:
    equal for equal images; None for an image without contrast, which equals others by chance.
    """

    stems: Sequence[str]
    names: Sequence[str]
    images: Sequence[NDArray[Any]]
    digests: Sequence[bytes | None]
    roles: Sequence[Role | None]
    groups: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The split, the group of every image, and notes on both."""

    split: Split
    groups: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The groups, in which order they are cut, what to call it (`by`) and why."""

    groups: tuple[str, ...]
    order: Order
    by: str
    reason: str


def choose_split(members: Members, settings: SplitSettings) -> Chosen | Problems:
    """The split that the settings ask for, or with `auto` the first of folders, groups, blocks, random that fits."""
    problems = _clashes(members, settings)
    if problems:
        return problems
    by_folders = settings.by == "folders" or (settings.by == "auto" and any(members.roles))
    way = _way(members, settings)
    if isinstance(way, tuple):
        return way
    same = same_images(members.digests)
    if by_folders:
        crossing = _crossing(members, way.groups, same)
        if crossing:
            return crossing
    way = Way(groups=join_groups(way.groups, same), order=way.order, by=way.by, reason=way.reason)
    split = _by_folders(members, way, settings) if by_folders else _by_way(way, settings)
    if isinstance(split, tuple):
        return split
    notes = (_split_note(split, way, settings), *_few_note(split, way, settings), *_same_note(members.stems, same))
    return Chosen(split=split, groups=way.groups, notes=notes)


def _clashes(members: Members, settings: SplitSettings) -> Problems:
    problems = []
    if settings.folds < 2:
        problems.append(f"data.split.folds: {settings.folds} leaves nothing to train on: take at least 2")
    if not 0 <= settings.test < 1:
        problems.append(f"data.split.test: {settings.test} is not a share from 0 up to 1, e.g. 0.2")
    if settings.by == "folders" and not any(members.roles):
        problems.append("data.split.by: folders, but there is no train/ folder: choose another way, or auto")
    if settings.groups is not None:
        if members.groups is not None:
            problems.append("data.split.groups: reads file names, but the groups came with the data: leave it out")
        try:
            re.compile(settings.groups)
        except re.error as error:
            problems.append(f"data.split.groups: {settings.groups!r} is not a regular expression ({error})")
    return tuple(problems)


def _way(members: Members, settings: SplitSettings) -> Way | Problems:
    """How the images are cut where no folder says it."""
    stems = tuple(members.stems)
    if members.groups is not None and settings.by in ("auto", "groups"):
        return Way(groups=tuple(members.groups), order="random", by="groups", reason="given with the data")
    if settings.groups is not None:
        return _by_pattern(stems, settings, settings.groups)
    sides = paired_sides(stems) if settings.by in ("auto", "groups", "folders") else None
    if sides is not None:
        reason = "the file names tell a left and a right image of each subject"
        return Way(groups=sides, order="random", by="groups", reason=reason)
    if settings.by == "groups":
        return (f"data.split.by: groups, but nothing says which images belong together: set e.g. {_pattern(EXAMPLE)}",)
    if settings.by in ("blocks", "random"):
        return Way(groups=stems, order=settings.by, by=settings.by, reason="")
    found = likeness(
        [image for image, role in zip(members.images, members.roles, strict=True) if role in (None, "train")]
    )
    if found is None:
        return Way(
            groups=stems, order="random", by="random", reason="too few images to tell whether neighbours are alike"
        )
    measured = f"correlation {found.neighbours:.2f}, of others {found.others:.2f}"
    if found.alike:
        return Way(groups=stems, order="blocks", by="blocks", reason=f"neighbouring images look alike: {measured}")
    reason = f"neighbouring images are no more alike than others: {measured}"
    return Way(groups=stems, order="random", by="random", reason=reason)


def _by_pattern(stems: tuple[str, ...], settings: SplitSettings, pattern: str) -> Way | Problems:
    found = pattern_groups([stem.rpartition("/")[2] for stem in stems], pattern)
    strangers = [stem for stem, group in zip(stems, found, strict=True) if group is None]
    if strangers:
        return tuple(f"{stem}: its name does not match {_pattern(pattern)}" for stem in strangers)
    if len(stems) > 1 and len(set(found)) == 1:
        return (
            f"{_pattern(pattern)} puts all {len(stems)} images into one group, {found[0]!r}: its match must differ "
            f"between groups, as that of {EXAMPLE} does",
        )
    order: Order = "blocks" if settings.by == "blocks" else "random"
    by = settings.by if settings.by in ("blocks", "random") else "groups"
    groups = tuple(group for group in found if group is not None)
    return Way(groups=groups, order=order, by=by, reason=f"{len(set(groups))} groups by {_pattern(pattern)}")


def _pattern(pattern: str) -> str:
    """The setting of the pattern, as it stands in the YAML."""
    quoted = pattern.replace("'", "''")
    return f"`data: {{split: {{groups: '{quoted}'}}}}`"


def _crossing(members: Members, groups: Sequence[str], same: Sequence[Sequence[int]]) -> Problems:
    """What would be trained on and scored at once."""
    problems = []
    for indices in same:
        for index in indices[1:]:
            if members.roles[index] != members.roles[indices[0]]:
                twin = members.names[indices[0]]
                problems.append(f"{members.names[index]}: the same image as {twin}: remove one of the two")
    folders: dict[str, dict[str, None]] = {}
    for stem, group in zip(members.stems, groups, strict=True):
        folders.setdefault(group, {})[stem.partition("/")[0]] = None
    problems += [
        f"group {group!r} lies in {' and '.join(f'{name}/' for name in names)}: move it to one side, or set "
        "`data: {split: {by: groups, groups: ...}}`"
        for group, names in folders.items()
        if len(names) > 1
    ]
    return tuple(problems)


def _by_way(way: Way, settings: SplitSettings) -> Split | Problems:
    parts = ("validation", "test") if settings.test else ("validation",)
    everything = range(len(way.groups))
    problem = too_few(len(way.groups), len(set(way.groups)), parts, grouped=way.by == "groups")
    if problem:
        return (problem,)
    kept, test = hold_out(way.groups, everything, way.order, settings)
    return _enough(fold(way.groups, kept, test, way.order, settings, by=way.by)[0], settings)


def _by_folders(members: Members, way: Way, settings: SplitSettings) -> Split | Problems:
    """The split that is given; what has no folder is cut from train/."""
    train, validation, test = (
        tuple(index for index, role in enumerate(members.roles) if role == wanted)
        for wanted in ("train", "validation", "test")
    )
    parts = (("validation",) if not validation else ()) + (("test",) if not test and settings.test else ())
    groups = {way.groups[index] for index in train}
    problem = too_few(len(train), len(groups), parts, grouped=way.by == "groups")
    if problem:
        return (f"train/: {problem}",)
    if not test:
        train, test = hold_out(way.groups, train, way.order, settings)
    if validation:
        return _enough(Split(train=train, validation=validation, test=test, by="folders"), settings)
    return _enough(fold(way.groups, train, test, way.order, settings, by=f"folders and {way.by}")[0], settings)


def _enough(split: Split, settings: SplitSettings) -> Split | Problems:
    count = len(split.train)
    if count >= FEWEST_TRAINING:
        return split
    less = f", or set less than {settings.test:g} for `data: {{split: {{test: ...}}}}`"
    cut = settings.test and not split.by.startswith("folders")
    return (f"the split leaves {count} training image: add images{less if cut else ''}",)


def _split_note(split: Split, way: Way, settings: SplitSettings) -> str:
    words = {"random": f"at random with seed {settings.seed}", "blocks": "in blocks of neighbouring names"}
    given, _, way_of_rest = split.by.rpartition(" and ")
    how = words.get(way_of_rest, f"by {way_of_rest}")
    text = f"by folders, the parts without a folder {how}" if given else how
    sizes = f"{len(split.train)} training, {len(split.validation)} validation and {len(split.test)} test images"
    reason = f" ({way.reason})" if way.reason and split.by != "folders" else ""
    change = "; another way: `data: {split: {by: ...}}`, or --set data.split.by=..." if settings.by == "auto" else ""
    return f"split {text}{reason}: {sizes}{change}"


def _few_note(split: Split, way: Way, settings: SplitSettings) -> tuple[str, ...]:
    groups = len(set(way.groups))
    if groups < FEW:
        return (f"only {groups} {'groups' if way.by == 'groups' else 'images'}: scores on so few say little",)
    left = len({way.groups[index] for index in (*split.train, *split.validation)})
    if split.by != "folders" and left < settings.folds:
        return (f"{left} folds instead of {settings.folds}: there are no more groups beside the test",)
    return ()


def _same_note(stems: Sequence[str], same: Sequence[Sequence[int]]) -> tuple[str, ...]:
    if not same:
        return ()
    first = " and ".join(stems[index] for index in same[0][:2])
    if len(same) == 1 and len(same[0]) == 2:
        return (f"{first} are the same image: kept on one side of the split",)
    count = sum(len(indices) for indices in same)
    return (f"{count} images are not unique, e.g. {first}: the same ones are kept on one side of the split",)
