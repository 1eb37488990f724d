"""What must hold of a space and its data together, before a folder is made and anything is trained."""

from collections.abc import Iterator, Sequence
from typing import Any

from unetsearch.data.checks import check_depth, check_guidance
from unetsearch.data.dataset import SegmentationData
from unetsearch.errors import SpaceError
from unetsearch.graph.references import baseline_architecture
from unetsearch.network.pretrained import pretrained_file
from unetsearch.search.candidate import Candidate
from unetsearch.space.architecture import Architecture
from unetsearch.space.backbone import PREFIX, Backbone
from unetsearch.space.recipe import UNWEIGHED, Loss, Recipe
from unetsearch.space.settings import LimitSettings
from unetsearch.space.space import SearchSpace
from unetsearch.space.values import Choice, Option, Range, Scalar
from unetsearch.training.context import check_context

LOOKED_AT = 1000
"""So many points are counted before limits are called too low."""


def check_fit(space: SearchSpace, data: SegmentationData) -> None:
    """Raises UnetsearchError where images are too small for a network, where there is nothing for guidance to learn,
    where pretrained weights are not to be had, or where no point keeps the limits.
    """
    check_depth(data, space.depths, space.recipe.crop)
    check_class_weights(space, data)
    losses = _picks(space, "loss") if True in _picks(space, "weight_map") else []
    if space.baselines and space.recipe.weight_map:
        losses.append(space.recipe.loss)
    check_weight_map(losses, data)
    if any(option.value is True for option in _options(space, "guidance")):
        check_guidance(data, "architecture.guidance")
    for name, architecture in _baselines(space):
        if architecture.padding == "valid":
            check_context(data, name, architecture, space.recipe.crop)
        if architecture.guidance:
            check_guidance(data, name)
    for name in sorted(set(_pretrained(space))):
        pretrained_file(name)
    check_limits(space)


def check_class_weights(space: SearchSpace, data: SegmentationData) -> None:
    """Raises SpaceError unless weights that are given are one a class."""
    for text in _picks(space, "class_weights"):
        weights = Recipe(class_weights=str(text)).weights_of_classes
        if weights is not None and len(weights) != len(data.classes):
            classes = ", ".join(data.classes)
            raise SpaceError(
                [
                    f"training.class_weights: {text!r} are {len(weights)} numbers, but there are {len(data.classes)} "
                    f"classes ({classes}): give one for each, background first"
                ]
            )


def check_weight_map(losses: Sequence[Loss], data: SegmentationData) -> None:
    """Raises SpaceError where a map of weights changes none of the losses that are to have it."""
    losses = list(dict.fromkeys(losses))
    if losses and data.objects is None and UNWEIGHED.issuperset(losses):
        raise SpaceError(
            [
                f"training.weight_map: it weighs pixels in cross-entropy and focal loss, and {' and '.join(losses)} "
                f"{'has' if len(losses) == 1 else 'have'} neither; nor are objects numbered in {data.name}, to be "
                "told apart: take another loss, such as dice_ce, or leave it out"
            ]
        )


def _picks(space: SearchSpace, name: str) -> list[Any]:
    """What a value of the training may be."""
    value = space.training.get(name)
    return [option.value for option in value.options] if isinstance(value, Choice) else [getattr(space.recipe, name)]


def check_limits(space: SearchSpace) -> None:
    """Raises SpaceError where none of the points looked at keeps the limits: a study would train nothing."""
    if space.limits == LimitSettings():
        return
    every = space.size is not None and space.size <= LOOKED_AT
    params, macs = [], []
    for candidate in _candidates(space, every):
        if candidate.within(space.limits):
            return
        params.append(candidate.cost.params)
        macs.append(candidate.cost.macs)
    which = "none of its points" if every else f"none of {LOOKED_AT:,} points drawn at random"
    raise SpaceError(
        [
            f"limits: {which} keeps them: the fewest parameters are {min(params):,}, the fewest MACs {min(macs):,}; "
            "raise the limits, or let width and depth be smaller"
        ]
    )


def _candidates(space: SearchSpace, every: bool) -> Iterator[Candidate]:
    if every:
        yield from map(Candidate.at, space.enumerate())
    else:
        yield Candidate.at(space.draw(_smallest))  # random draws may miss the few that fit
        yield from map(Candidate.at, map(space.sample, range(LOOKED_AT)))


def _smallest(_: str, value: Choice | Range) -> Scalar:
    """Picks the lowest number, and the first of other choices."""
    if isinstance(value, Range):
        return value.low if value.step is None else value.at(0)
    numbers = [option.value for option in value.options if isinstance(option.value, int | float)]
    return min(numbers) if numbers else value.options[0].value


def _options(space: SearchSpace, name: str) -> tuple[Option, ...]:
    value = space.architecture.get(name)
    return value.options if isinstance(value, Choice) else ()


def _baselines(space: SearchSpace) -> Iterator[tuple[str, Architecture]]:
    for baseline in space.baselines:
        name = f"the baseline {baseline.name} of depth {baseline.depth}"
        yield name, baseline_architecture(space, baseline)


def _pretrained(space: SearchSpace) -> Iterator[str]:
    """The backbones whose pretrained weights may be asked for."""
    for option in _options(space, "encoder"):
        wanted = option.values.get("pretrained")
        if isinstance(wanted, Choice) and any(inner.value is True for inner in wanted.options):
            yield str(option.value).removeprefix(PREFIX)
    for _, architecture in _baselines(space):
        if isinstance(architecture.encoder, Backbone) and architecture.encoder.pretrained:
            yield architecture.encoder.name
