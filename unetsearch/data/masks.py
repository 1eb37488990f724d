"""From the values found in the masks to classes: what each value means, and what is to be refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unetsearch.data.dataset import IGNORE
from unetsearch.space.settings import DataSettings

MOST_CLASSES = 32
FEWEST_OBJECTS = 8  # a mask with more values than this may number its objects
SIDES = ("background", "foreground")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A mask as stored, (H, W) whole numbers from -1 to 65535, with its name in messages and its pixels per value."""

    name: str
    pixels: NDArray[Any]
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """Names of the classes, background first, and the class index (or IGNORE) of every mask value."""

    names: tuple[str, ...]
    index: Mapping[int, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the mask values cannot become classes, one line a problem."""

    problems: tuple[str, ...]


def as_mask(name: str, pixels: NDArray[Any]) -> Mask:
    """A mask with its values counted."""
    if pixels.dtype == np.int32:  # bincount knows no negative numbers
        values, counts = np.unique(pixels, return_counts=True)
    else:
        found = np.bincount(pixels.ravel())
        values = np.flatnonzero(found)
        counts = found[values]
    return Mask(name=name, pixels=pixels, counts=dict(zip(values.tolist(), counts.tolist(), strict=True)))


def encode(mask: Mask, coding: Coding) -> NDArray[np.uint8]:
    """The mask as class indices, (H, W) uint8."""
    table = np.full(2**16 + 1, IGNORE, np.uint8)  # the value -1 finds the last entry
    for value, index in coding.index.items():
        table[value] = index
    classes: NDArray[np.uint8] = table[mask.pixels]
    return classes


def decide_classes(masks: Sequence[Mask], settings: DataSettings, *, instances: bool) -> Coding | Refusal:
    """What each mask value means. `instances`: the masks are known to number their objects."""
    clash = _clash(settings)
    if clash:
        return Refusal(clash)
    total: Counter[int] = Counter()
    for mask in masks:
        total.update(mask.counts)
    left_out = total.pop(settings.ignore, 0) if settings.ignore is not None else 0
    coding = _coding(masks, total, settings, instances)
    if settings.ignore is None or isinstance(coding, Refusal):
        return coding
    note = f"ignore: {settings.ignore} marks {_share(left_out, total.total() + left_out)} of all pixels"
    if not left_out:
        note = f"ignore: {settings.ignore} occurs in no mask"
    return Coding(names=coding.names, index={**coding.index, settings.ignore: IGNORE}, notes=(*coding.notes, note))


def _clash(settings: DataSettings) -> tuple[str, ...]:
    """What is wrong with the settings themselves."""
    if settings.classes == "auto":
        return ()
    values = Counter(settings.classes.values())
    if settings.threshold is not None:
        return ("`threshold` makes two classes by itself: leave out either `classes` or `threshold`",)
    if len(values) < 2:
        return (f"classes: {len(values)} mask value given: a background and at least one more class are needed",)
    if len(settings.classes) > IGNORE:
        return (f"classes: {len(settings.classes)} classes: at most {IGNORE} are possible",)
    problems = [
        f"classes: {_listed([repr(name) for name, other in settings.classes.items() if other == value])} "
        f"have the same mask value {value}"
        for value, count in values.items()
        if count > 1
    ]
    problems += [
        f"classes: {name!r} has the mask value {value}, which is also `ignore`: change one of the two"
        for name, value in settings.classes.items()
        if value == settings.ignore
    ]
    return tuple(problems)


def _coding(masks: Sequence[Mask], total: Counter[int], settings: DataSettings, instances: bool) -> Coding | Refusal:
    if settings.threshold is not None:
        return _by_threshold(total, settings.threshold)
    if settings.classes != "auto":
        return _by_name(masks, total, settings.classes, settings.ignore)
    if len(total) < 2:
        only = "".join(f"{value}" for value in total)
        what = f"every pixel of every mask is {only}" if total else "no mask has a pixel that is not ignored"
        return Refusal((f"{what}: there is nothing to learn",))
    if instances or _number_objects(masks):
        most = max(len(mask.counts) for mask in masks) - 1
        note = f"masks number their objects (up to {most} in one image): any value above 0 is foreground"
        return _two(total, {value: int(value > 0) for value in total}, note)
    if set(total) == {0, 1, 255} and not any({1, 255} <= set(mask.counts) for mask in masks):
        example = {value: next(mask.name for mask in masks if value in mask.counts) for value in (1, 255)}
        return Refusal(
            (
                f"some masks use 0 and 1 ({example[1]}), others 0 and 255 ({example[255]}): "
                "set `data: {threshold: 0}` if 1 and 255 mean the same",
            )
        )
    if len(total) == 2:
        return _rarer(total)
    return _smoothed(masks, total) or _by_value(masks, total)


def _by_threshold(total: Counter[int], threshold: int) -> Coding | Refusal:
    index = {value: int(value > threshold) for value in total}
    if len(set(index.values())) < 2:
        side = "above" if 1 in index.values() else "at or below"
        return Refusal((f"threshold: every mask value ({_range(total)}) is {side} {threshold}: choose one in between",))
    return _two(total, index, f"mask values above {threshold} are foreground")


def _by_name(
    masks: Sequence[Mask], total: Counter[int], classes: Mapping[str, int], ignore: int | None
) -> Coding | Refusal:
    index = {value: number for number, value in enumerate(classes.values())}
    known = ", ".join(f"{name} {value}" for name, value in classes.items())
    problems = []
    for mask in masks:
        strange = sorted(set(mask.counts) - set(index) - {ignore})
        if strange:
            some = _listed([str(value) for value in strange[:8]]) + (" ..." if len(strange) > 8 else "")
            problems.append(f"{mask.name}: value{'s' * (len(strange) > 1)} {some} of no class (classes: {known})")
    problems += [
        f"classes: {name!r} (value {value}) occurs in no mask: correct its value or leave it out"
        for name, value in classes.items()
        if value not in total
    ]
    if problems:
        return Refusal(tuple(problems))
    shares = ", ".join(f"{name} {_share(total[value], total.total())}" for name, value in classes.items())
    return Coding(names=tuple(classes), index=index, notes=(f"classes: {shares}",))


def _two(total: Counter[int], index: Mapping[int, int], note: str) -> Coding:
    foreground = sum(count for value, count in total.items() if index[value])
    return Coding(names=SIDES, index=index, notes=(f"{note} ({_share(foreground, total.total())} of the pixels)",))


def _rarer(total: Counter[int]) -> Coding:
    """The rarer value is the foreground; of two equally frequent ones, the higher."""
    foreground, background = sorted(total, key=lambda value: (total[value], -value))
    note = (
        f"of the two mask values the rarer is the foreground: {foreground} "
        f"({_share(total[foreground], total.total())} of the pixels); "
        f"`classes: {{background: {foreground}, foreground: {background}}}` turns them round"
    )
    return Coding(names=SIDES, index={background: 0, foreground: 1}, notes=(note,))


def _by_value(masks: Sequence[Mask], total: Counter[int]) -> Coding | Refusal:
    if len(total) > MOST_CLASSES:
        worst = max(masks, key=lambda mask: len(mask.counts))
        return Refusal(
            (
                f"{len(total)} mask values ({worst.name} alone has {len(worst.counts)}), and at most {MOST_CLASSES} "
                "are read as classes: name the values that count by `classes`, or set `data: {threshold: 0}` if they "
                "number objects",
            )
        )
    background = max(sorted(total), key=lambda value: total[value])
    values = [background, *sorted(set(total) - {background})]
    shares = ", ".join(f"{value} ({_share(total[value], total.total())})" for value in values)
    notes = [f"one class for each mask value, the most frequent as background: {shares}"]
    labels = sorted(total)[:-1]
    if max(total) == IGNORE and labels[-1] < MOST_CLASSES:
        notes.append("255 is read as a class; if it marks pixels to leave out, set `data: {ignore: 255}`")
    return Coding(
        names=tuple(str(value) for value in values),
        index={value: number for number, value in enumerate(values)},
        notes=tuple(notes),
    )


def _smoothed(masks: Sequence[Mask], total: Counter[int]) -> Refusal | None:
    """Anti-aliased or lossy masks: nearly all pixels have one of two values, the others are strewn along outlines."""
    low, high = sorted(sorted(total, key=lambda value: total[value])[-2:])
    strewn = [mask for mask in masks if len(set(mask.counts) - {low, high}) >= 3]
    if not strewn:
        return None
    worst = max(strewn, key=lambda mask: len(mask.counts))
    if not worst.name.lower().endswith((".jpg", ".jpeg")):
        between = (worst.pixels > low) & (worst.pixels < high)
        flat = ndimage.maximum_filter(worst.pixels, 3) == ndimage.minimum_filter(worst.pixels, 3)
        if (low, high) != (min(total), max(total)) or (flat & between).sum() > 0.05 * between.sum():
            return None  # some of the other values fill areas of their own
    return Refusal(
        (
            f"{len(strewn)} of {len(masks)} masks are smoothed ({worst.name} has {len(worst.counts)} values, most of "
            f"them along outlines): save masks as PNG without smoothing, or set "
            f"`data: {{threshold: {(low + high) // 2}}}`",
        )
    )


def _number_objects(masks: Sequence[Mask]) -> bool:
    """Whether masks give every object a number of its own: many values from 1 on, nearly all in one piece each."""
    crowded = sorted((mask for mask in masks if len(mask.counts) > FEWEST_OBJECTS), key=lambda mask: -len(mask.counts))
    return bool(crowded) and all(_in_pieces(mask) for mask in crowded[:3])


def _in_pieces(mask: Mask) -> bool:
    values = [value for value in mask.counts if value > 0]
    if 0 not in mask.counts or max(values) > 2 * len(values):
        return False
    boxes = ndimage.find_objects(mask.pixels.astype(np.int32))
    whole = 0
    sample = values[:: 1 + len(values) // 32]  # enough to tell
    for value in sample:
        pieces, _ = ndimage.label(mask.pixels[boxes[value - 1]] == value, np.ones((3, 3)))
        largest = int(np.bincount(pieces.ravel())[1:].max())
        whole += largest >= 5 and largest >= 0.9 * mask.counts[value]
    return whole >= 0.75 * len(sample)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _range(values: Counter[int]) -> str:
    return f"{min(values)} to {max(values)}" if len(values) > 1 else "".join(map(str, values))


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
