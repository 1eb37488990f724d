"""Which images are trained on, which choose, which test: pure functions on names and groups.

A group is never cut. Groups stand in the order of the names (`blocks`) or in a seeded random order (`random`); the test
images are the last of them, and validation is one of `folds` nearly equal runs of the rest.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Literal

import numpy as np

from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.space.settings import SplitSettings

Order = Literal["blocks", "random"]

FEWEST_TRAINING = 2  # images
SIDE = re.compile(
    r"(?P<subject>.*\d)(?P<side>[lr])|(?P<subject2>.+?)[ _.-]?(?P<side2>left|right|od|os)"
    r"|(?P<subject3>.+)[ _.-](?P<side3>[lr])",
    re.IGNORECASE,
)


def pattern_groups(stems: Sequence[str], pattern: str) -> tuple[str | None, ...]:
    """Each stem's group: the match of `pattern` (its groups joined, where it has any), or None without a match."""
    found = [re.search(pattern, stem) for stem in stems]
    return tuple(
        match and ("_".join(part or "" for part in match.groups()) if match.re.groups else match[0]) for match in found
    )


def paired_sides(stems: Sequence[str]) -> tuple[str, ...] | None:
    """Groups of a left and a right image of one subject (Image_01L, Image_01R), where at least 80 % have a partner."""
    subjects = []
    for stem in stems:
        match = SIDE.fullmatch(stem)
        part = match and next(text for text in match.group("subject", "subject2", "subject3") if text is not None)
        subjects.append(part or stem)
    sides: dict[str, int] = {}
    for subject, stem in zip(subjects, stems, strict=True):
        sides[subject] = sides.get(subject, 0) + (subject != stem)
    paired = sum(sides[subject] == 2 for subject in subjects)
    return tuple(subjects) if stems and paired >= 0.8 * len(stems) else None


def join_groups(groups: Sequence[str], same: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """The groups after every set of indices in `same` was put into one; it takes its first member's name."""
    joined = list(groups)
    for indices in same:
        names = {joined[index] for index in indices}
        target = joined[min(indices)]
        joined = [target if name in names else name for name in joined]
    return tuple(joined)


def too_few(images: int, groups: int, parts: Sequence[str], *, grouped: bool) -> str | None:
    """The problem line where `images` in `groups` do not suffice for training and `parts` (validation, test).

    `grouped`: the groups were asked for; else there are fewer of them than images only where images are the same.
    """

    def suffice(count: int) -> bool:
        return images >= FEWEST_TRAINING + count and groups >= 1 + count

    if suffice(len(parts)):
        return None
    number, way_out = f"{images} image{'s' * (images != 1)}", "add images"
    if grouped:
        number, way_out = f"{number} in {groups} group{'s' * (groups != 1)}", "add images of other groups"
    elif groups < images:
        number = f"{groups} different image{'s' * (groups != 1)} among {images} (images that are the same count once)"
    wanted = " and ".join([f"training (at least {FEWEST_TRAINING} images)", *(f"{part} (1)" for part in parts)])
    if "test" in parts and suffice(len(parts) - 1):
        way_out += ", or set `data: {split: {test: 0}}`"
    return f"{number} cannot be split into {wanted}: {way_out}"


def hold_out(
    groups: Sequence[str], indices: Sequence[int], order: Order, settings: SplitSettings
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The images of `indices` that stay and those of the last groups, about `settings.test` of all, for the test."""
    members = _ordered(groups, indices, order, settings.seed)
    if settings.test == 0:
        return _flat(members), ()
    sizes = list(accumulate(len(group) for group in reversed(members)))
    wanted = settings.test * sizes[-1]
    # two groups at least remain, for training and validation
    taken = min(range(1, max(len(members) - 1, 2)), key=lambda count: abs(sizes[count - 1] - wanted))
    return _flat(members[:-taken]), _flat(members[-taken:])


def fold(
    groups: Sequence[str],
    indices: Sequence[int],
    test: Sequence[int],
    order: Order,
    settings: SplitSettings,
    *,
    by: str,
) -> tuple[Split, ...]:
    """One split a fold of the images `indices`; the first is the one that a search uses.

    Each of `settings.folds` nearly equal runs of groups is validation once, the last run first: in blocks it lies
    beside the test. With fewer groups than folds there are as many folds as groups. `groups`: one name an image.
    """
    members = _ordered(groups, indices, order, settings.seed)
    runs = _runs(members, min(settings.folds, len(members)))
    return tuple(
        Split(
            train=_flat([group for other in runs if other is not run for group in other]),
            validation=_flat(run),
            test=tuple(sorted(test)),
            by=by,
        )
        for run in reversed(runs)
    )


def folds(data: SegmentationData, settings: SplitSettings) -> tuple[Split, ...]:
    """The splits that repeat a search's result over other validation images, none of them with another test image.

    The first is `data.split`, unless the data came with validation images of their own: then training and validation
    images are cut anew, at random.
    """
    order: Order = "blocks" if data.split.by.endswith("blocks") else "random"
    rest = sorted((*data.split.train, *data.split.validation))
    return fold(data.groups, rest, data.split.test, order, settings, by=data.split.by)


def outer_folds(data: SegmentationData, settings: SplitSettings, count: int) -> tuple[Split, ...]:
    """`count` splits whose test images are, one after the other, all images; at most as many as there are groups.

    The rest of each is cut into training and validation as `settings` cut the images of a search.
    """
    order: Order = "blocks" if data.split.by.endswith("blocks") else "random"
    everything = range(len(data.images))
    outer = fold(data.groups, everything, (), order, replace(settings, folds=count), by=data.split.by)
    return tuple(
        fold(data.groups, split.train, split.validation, order, settings, by=data.split.by)[0] for split in outer
    )


def _ordered(groups: Sequence[str], indices: Sequence[int], order: Order, seed: int) -> list[list[int]]:
    """The members of every group, groups by their first image or at random."""
    members: dict[str, list[int]] = {}
    for index in indices:
        members.setdefault(groups[index], []).append(index)
    found = list(members.values())
    if order == "blocks":
        return found
    # a number for each group, drawn for all groups: leaving some out (the test images) keeps the order of the others
    names = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    place = np.random.default_rng(seed).permutation(len(names))
    return [members[name] for name in sorted(members, key=lambda name: place[names[name]])]


def _runs(members: list[list[int]], count: int) -> list[list[list[int]]]:
    """`count` runs of groups with nearly equal numbers of images, none of them empty."""
    sizes = [0, *accumulate(len(group) for group in members)]
    ends = [0]
    for part in range(1, count):
        # the end nearest to an equal share, with a group at least for this part and for each one that follows
        choices = range(ends[-1] + 1, len(members) - (count - part) + 1)
        ends.append(min(choices, key=lambda end: (abs(sizes[end] - part * sizes[-1] / count), -end)))
    return [members[start:end] for start, end in zip(ends, [*ends[1:], len(members)], strict=True)]


def _flat(members: list[list[int]]) -> tuple[int, ...]:
    return tuple(sorted(index for group in members for index in group))
