"""From the values found in the masks to classes: what each value means, and what is to be refused."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetsearch.data.dataset import IGNORE
from unetsearch.data.masks import FEWEST_OBJECTS, Mask, number_objects, strewn_values, without
from unetsearch.space.settings import DataSettings

MOST_CLASSES = 32
STEP = 32  # values this close together number classes; between black and white they are steps of grey
SIDES = ("background", "foreground")
UNNUMBERED = "its values are not taken for numbers of objects: if they are, name the folder of these masks instances/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """Names of the classes, background first, and the class index (or IGNORE) of every mask value.

    `numbered`: the mask values number the objects.
    """

    names: tuple[str, ...]
    index: Mapping[int, int]
    notes: tuple[str, ...] = ()
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the mask values cannot become classes, one line a problem, and what to do where it is the same for all."""

    problems: tuple[str, ...]
    advice: tuple[str, ...] = ()


def encode(pixels: NDArray[Any], coding: Coding) -> NDArray[np.uint8]:
    """A mask as stored, (H, W), as class indices, (H, W) uint8."""
    table = np.full(2**16 + 1, IGNORE, np.uint8)  # the value -1 finds the last entry
    for value, index in coding.index.items():
        table[value] = index
    classes: NDArray[np.uint8] = table[pixels]
    return classes


def decide_classes(masks: Sequence[Mask], settings: DataSettings, *, instances: bool) -> Coding | Refusal:
    """What each mask value means. `instances`: the masks are known to number their objects."""
    clash = _clash(settings)
    if clash:
        return Refusal(clash)
    counted = [without(mask, settings.ignore) for mask in masks]
    total: Counter[int] = Counter()
    for mask in counted:
        total.update(mask.counts)
    coding = _coding(counted, total, settings, instances)
    if settings.ignore is None or isinstance(coding, Refusal):
        return coding
    pixels = sum(mask.pixels.size for mask in masks)
    left_out = pixels - total.total()
    share = f"marks {_share(left_out, pixels)} of all pixels" if left_out else "occurs in no mask"
    note = f"`data: {{ignore: {settings.ignore}}}` {share}"
    return replace(coding, index={**coding.index, settings.ignore: IGNORE}, notes=(*coding.notes, note))


def _clash(settings: DataSettings) -> tuple[str, ...]:
    """What is wrong with the settings themselves."""
    if settings.classes == "auto":
        return ()
    values = Counter(settings.classes.values())
    if settings.threshold is not None:
        return ("data.threshold makes two classes by itself: leave out either data.classes or data.threshold",)
    if len(values) < 2:
        return (f"data.classes: {len(values)} mask value given: a background and at least one more class are needed",)
    if len(settings.classes) > IGNORE:
        return (f"data.classes: {len(settings.classes)} classes: at most {IGNORE} are possible",)
    problems = [
        f"data.classes: {_listed([repr(name) for name, other in settings.classes.items() if other == value])} "
        f"have the same mask value {value}"
        for value, count in values.items()
        if count > 1
    ]
    problems += [
        f"data.classes: {name!r} has the mask value {value}, which is also data.ignore: change one of the two"
        for name, value in settings.classes.items()
        if value == settings.ignore
    ]
    return tuple(problems)


def _coding(masks: Sequence[Mask], total: Counter[int], settings: DataSettings, instances: bool) -> Coding | Refusal:
    """What each value of `total` means; the pixels to ignore are not counted in it, nor in the masks."""
    if not total:
        return Refusal(("no mask has a pixel that is not ignored: there is nothing to learn",))
    if settings.threshold is not None:
        return _by_threshold(masks, total, settings.threshold, instances)
    lossy = _lossy(masks)
    if lossy is not None:
        return lossy
    if settings.classes != "auto":
        return _by_name(masks, total, settings.classes)
    if len(total) < 2:
        return Refusal((f"every pixel of every mask is {min(total)}: there is nothing to learn",))
    if instances or number_objects(masks):
        most = max(len(mask.counts) for mask in masks) - 1
        note = f"masks number their objects (up to {most} in one image): any value above 0 is foreground"
        return replace(_two(total, {value: int(value > 0) for value in total}, note), numbered=True)
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


def _by_threshold(masks: Sequence[Mask], total: Counter[int], threshold: int, instances: bool) -> Coding | Refusal:
    """Two classes; above 0 the values may still number objects."""
    index = {value: int(value > threshold) for value in total}
    if len(set(index.values())) < 2:
        side = "above" if 1 in index.values() else "at or below"
        return Refusal(
            (f"data.threshold: every mask value ({_range(total)}) is {side} {threshold}: choose one in between",)
        )
    numbered = threshold == 0 and (instances or number_objects(masks, sparse=True))
    words = f"mask values above {threshold} are foreground{' and number objects' if numbered else ''}"
    coding = replace(_two(total, index, words), numbered=numbered)
    several = any(sum(value > 0 for value in mask.counts) > 1 for mask in masks)
    return coding if threshold or numbered or not several else replace(coding, notes=(*coding.notes, UNNUMBERED))


def _by_name(masks: Sequence[Mask], total: Counter[int], classes: Mapping[str, int]) -> Coding | Refusal:
    index = {value: number for number, value in enumerate(classes.values())}
    known = ", ".join(f"{name} {value}" for name, value in classes.items())
    problems = []
    for mask in masks:
        strange = [str(value) for value in sorted(set(mask.counts) - set(index))]
        if strange:
            some = ", ".join([*strange[:8], "..."]) if len(strange) > 8 else _listed(strange)
            problems.append(f"{mask.name}: value{'s' * (len(strange) > 1)} {some} of no class (classes: {known})")
    advice = (
        "Values of no class: add them to `data: {classes: {...}}`, or leave out the pixels of one by "
        "`data: {ignore: ...}`; if smoothing made them, export the masks again without (nearest-neighbour)."
    )
    absent = [
        f"data.classes: {name!r} (value {value}) occurs in no mask: correct its value or leave it out"
        for name, value in classes.items()
        if value not in total
    ]
    if problems or absent:
        return Refusal((*absent, *problems), (advice,) if problems else ())
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
        f"`data: {{classes: {{background: {foreground}, foreground: {background}}}}}` turns them round"
    )
    return Coding(names=SIDES, index={background: 0, foreground: 1}, notes=(note,))


def _by_value(masks: Sequence[Mask], total: Counter[int]) -> Coding | Refusal:
    if len(total) > MOST_CLASSES:
        worst = max(masks, key=lambda mask: len(mask.counts))
        return Refusal(
            (
                f"{len(total)} mask values ({worst.name} alone has {len(worst.counts)}), and at most {MOST_CLASSES} "
                "are read as classes: if they number objects, set `data: {threshold: 0}`; if smoothing made them, "
                "export the masks again without (nearest-neighbour); else name them by `data: {classes: {...}}`",
            )
        )
    background = max(sorted(total), key=lambda value: total[value])
    values = [background, *sorted(set(total) - {background})]
    shares = ", ".join(f"{value} ({_share(total[value], total.total())})" for value in values)
    notes = [f"one class for each mask value, the most frequent as background: {shares}"]
    notes += [
        f"{value} is read as a class; if it marks pixels to leave out, set `data: {{ignore: {value}}}`"
        for value in (-1, IGNORE)
        if value in total and (value < 0 or _labels(set(total)))
    ]
    if len(total) > FEWEST_OBJECTS and not _labels(set(total)):
        notes.append("if these values number objects, set `data: {threshold: 0}`")
    return Coding(
        names=tuple(str(value) for value in values),
        index={value: number for number, value in enumerate(values)},
        notes=tuple(notes),
    )


def _labels(values: Set[int]) -> bool:
    """Whether the values, three at least, number classes: they are small, save perhaps 255 for what is not known."""
    return max(values - {IGNORE}) - min(values) <= STEP


def _lossy(masks: Sequence[Mask]) -> Refusal | None:
    """JPEG changes values, so that more than two of them are no classes."""
    lossy = [mask for mask in masks if mask.is_jpeg]
    values = {value for mask in lossy for value in mask.counts}
    if len(values) <= 2:
        return None
    worst = max(lossy, key=lambda mask: len(mask.counts))
    # of masks of 0 and 1, JPEG makes 0, 1 and 2
    threshold = min(values) if _labels(values) else _middle(values)
    return Refusal(
        (
            f"{len(lossy)} of {len(masks)} masks are JPEG files, which do not keep values ({worst.name} has "
            f"{len(worst.counts)}): save masks as PNG, or, for two classes, set `data: {{threshold: {threshold}}}`",
        )
    )


def _smoothed(masks: Sequence[Mask], total: Counter[int]) -> Refusal | None:
    """Anti-aliased masks: the lowest and the highest value fill areas, most of those in between fill none."""
    between = {value for value in total if min(total) < value < max(total)}
    strewn = strewn_values(masks, between)
    if not strewn or _labels(set(total)):
        return None
    smoothed = [mask for mask in masks if not strewn.isdisjoint(mask.counts)]
    worst = max(smoothed, key=lambda mask: len(mask.counts))
    which = "most of them" if len(strewn) > 3 else f"{_listed([str(value) for value in sorted(strewn)])} only"
    or_else = "or" if strewn == between else "i.e. with nearest-neighbour, or, for two classes,"
    way_out = f"save masks as PNG without smoothing, {or_else} set `data: {{threshold: {_middle(set(total))}}}`"
    if len(total) <= MOST_CLASSES:
        way_out += "; if each value is a class, name it by `data: {classes: {...}}`"
    return Refusal(
        (
            f"{len(smoothed)} of {len(masks)} masks are smoothed ({worst.name} has {len(worst.counts)} values, {which} "
            f"along outlines): {way_out}",
        )
    )


def _middle(values: Set[int]) -> int:
    return (min(values) + max(values)) // 2


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _range(values: Counter[int]) -> str:
    return f"{min(values)} to {max(values)}" if len(values) > 1 else "".join(map(str, values))


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
