"""The stages composed for `unetsearch confirm`: which depth is enough, on images that no search has seen."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import torch

from unetsearch.api import STORAGE
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.data.splits import FEWEST_TRAINING, outer_folds
from unetsearch.data.splits import folds as inner_folds
from unetsearch.errors import StudyError, UnetsearchError, WorkFailedError
from unetsearch.report.answer import answer
from unetsearch.report.confirmation import Confirmation
from unetsearch.report.words import several
from unetsearch.report.write import leave_report, what_is_confirmed
from unetsearch.search.confirm import MOST_FOLDS, Planned, Repetition, longer, measured, more_follow, planned, tunings
from unetsearch.search.confirmed import Confirmed, Plan, open_confirmed, read_confirmed
from unetsearch.search.events import Event, Noted, SearchedAgain
from unetsearch.search.finalists import candidates, chosen, finalists, labels_of
from unetsearch.search.folder import StudyFolder, create_folder, open_folder, owned
from unetsearch.search.opening import DATA_CHANGED, IN_MEMORY, Opened, load_for, other_data, reopen
from unetsearch.search.pool import Pool
from unetsearch.search.records import TrialRecord
from unetsearch.search.whole import search, setups
from unetsearch.space.document import search_settings
from unetsearch.space.settings import ranked_by
from unetsearch.statistics.differences import MINIMUM_GROUPS, refusal
from unetsearch.training.device import find_device, slot_devices

FEW_IMAGES, FEW_GROUPS = 100, 10
"""With fewer, one held-out test set tells too little, and every image is tested once instead."""

MOST_STEPS = 1000
"""Times the steps of the search."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a confirmation found. `report`: the page. `confirmed`: the numbers; None while there are none."""

    report: Path
    confirmed: Confirmation | None
    data: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer in sentences, the verdict first."""
        if self.confirmed is None:
            return ("Nothing is confirmed yet: no part of the images was tested for every finalist.",)
        return answer(self.confirmed, self.data)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is confirmed, on what: the study as it was read, its data, one slot a device."""

    folder: StudyFolder
    opened: Opened
    data: SegmentationData
    devices: Sequence[torch.device]
    happened: Callable[[Event], None]


def confirm(
    study: str | Path,
    *,
    data: Any = None,
    folds: int = 5,
    seeds: int = 3,
    margin: float = 0.01,
    nested: bool | None = None,
    budgets: Sequence[float] = (1,),
    time: str | float | None = None,
    device: str = "auto",
    slots: int | None = None,
    storage: str | None = None,
    happened: Callable[[Event], None] | None = None,
) -> Verdict:
    """Trains the finalists of a study again and tests them; its report then leads with the verdict.

    Finalists: the front, the two best of every depth (nested: the best), the best of every skip rule and encoder, and
    the baselines. Each is trained at full length without each of `folds` parts of the images and from each of `seeds`
    seeds, and scored on the test images. `nested`: the search is repeated without each part of all images, and what it
    chooses is scored on that part; left out, where there are fewer than 100 images, 10 groups, or 6 groups to test on.
    `margin`: the loss in score that does not matter.
    `budgets`: these of each depth are trained and tested with so many times the steps too, each at the learning rate
    that suits it; a verdict that turns with it is none. `time` (seconds, or `30m`): of these trainings in all. What is
    done is kept: the same call goes on. `data`, `device`, `slots`, `storage` as in `run`. Raises UnetsearchError where
    the input is wrong.
    """
    _check(folds, seeds, margin, budgets)
    seconds = search_settings({"time": time}).get("time")
    devices = slot_devices(find_device(device), slots)
    storage = storage or os.environ.get(STORAGE)
    folder = open_folder(Path(study))
    with closing(reopen(folder, storage)) as opened:
        loaded = _same_data(folder, opened, data)
        wanted = _Wanted(folder, opened, loaded, devices, happened or (lambda _: None))
        plan = _plan(wanted, folds, seeds, margin, nested, tuple(dict.fromkeys(map(float, budgets))))
        baselines = [record for record in opened.studies.records if record.baseline and record.distinct]
    with owned(folder):
        if plan.nested:
            plan = replace(plan, finalists=_searched_again(wanted, baselines, _outer(wanted, plan)))
        with closing(reopen(folder, storage)) as opened:
            if (earlier := read_confirmed(opened.studies)) and earlier.plan.design != plan.design:
                wanted.happened(
                    Noted(
                        f"{_asked(earlier.plan)} before: what was found so is kept, and comes back with these options"
                    )
                )
            confirmed = open_confirmed(opened.studies)
            confirmed.plan = plan
            try:
                _trained(wanted, plan, confirmed, seconds)
            except BaseException:
                # after Ctrl-C too, the report shows what is finished; it hides no error that came before
                with suppress(UnetsearchError, WorkFailedError, OSError):
                    leave_report(folder, opened.space, opened.facts, opened.studies)
                raise
            page = leave_report(folder, opened.space, opened.facts, opened.studies)
            return Verdict(page, what_is_confirmed(opened.studies), opened.facts["data"])


def read_budgets(text: str) -> tuple[float, ...]:
    """`1,4` as numbers. Raises UnetsearchError where they are none."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UnetsearchError(f"budgets: expected numbers such as 1,4, got {text!r}") from None


def _check(folds: int, seeds: int, margin: float, budgets: Sequence[float]) -> None:
    """Raises UnetsearchError where a number cannot be meant."""
    if not 1 <= folds <= MOST_FOLDS:
        raise UnetsearchError(f"folds: expected 1 to {MOST_FOLDS}, got {folds}")
    if seeds < 1:
        raise UnetsearchError(f"seeds: expected 1 or more, got {seeds}")
    if not 0 < margin < inf:
        raise UnetsearchError(f"margin: expected a loss in score above 0 such as 0.01, got {margin:g}")
    for budget in budgets:
        if not 0 < budget <= MOST_STEPS:
            raise UnetsearchError(f"budgets: expected numbers above 0 and up to {MOST_STEPS}, got {budget:g}")


def _same_data(folder: StudyFolder, opened: Opened, data: Any) -> SegmentationData:
    """The study's data. Raises StudyError where they are others than those that were searched on."""
    if data is None and opened.space.data.path == IN_MEMORY:
        raise StudyError(f"{folder.path}: its data came from Python; give them again (data=)")
    loaded, _ = load_for(opened.space, data)
    if other_data(opened.facts, opened.space, loaded):
        raise StudyError(f"{folder.path}: was searched on other data ({DATA_CHANGED})")
    return loaded


def _plan(
    wanted: _Wanted, folds: int, seeds: int, margin: float, nested: bool | None, budgets: tuple[float, ...]
) -> Plan:
    """What is to be done; the finalists of the one search. Raises StudyError where it cannot be."""
    data, opened, path = wanted.data, wanted.opened, wanted.folder.path
    records = opened.studies.records
    points = candidates(records)
    if not points:
        raise StudyError(f"{path}: no candidate is trained yet; `unetsearch run` trains some")
    groups = data.groups if not data.split.by.endswith("blocks") else ("all",) * len(data.images)
    few = len(data.images) < FEW_IMAGES or len(set(groups)) < FEW_GROUPS
    held_out = len({groups[index] for index in data.split.test})
    nested = few or held_out < MINIMUM_GROUPS if nested is None else nested
    if not nested and not data.split.test:
        raise StudyError(f"{path}: no image was held out (`data: {{split: {{test: 0}}}}`); --nested does without")
    if nested and folds == 1:
        raise StudyError(
            f"{path}: --folds 1 would test all images at once and train on none; take 2 or more, or --no-nested"
        )
    steps = opened.space.recipe.steps
    if short := [budget for budget in budgets if round(steps * budget) < 1]:
        raise StudyError(f"{path}: budgets: {short[0]:g} times {steps} steps are none")
    parts = len({data.groups[index] for index in (range(len(data.images)) if nested else _seen(data))})
    if parts < folds:
        there = several(parts, "group" if len(set(data.groups)) < len(data.images) else "image")
        are = f"there {'is' if parts == 1 else 'are'} {there}: {several(parts, 'fold')}"
        wanted.happened(Noted(f"{folds} folds were asked for, but {are}"))
    plan = Plan(
        nested=nested,
        folds=min(folds, parts),
        seeds=seeds,
        budgets=budgets,
        margin=margin,
        score=ranked_by(opened.space.objectives),
        groups=groups,
        # nested, a baseline's score is that of a search which saw every image: it chooses nothing
        points=() if nested else tuple(record.baseline for record in points if record.baseline),
        finalists=(finalists(records, opened.space.objectives),),
        labels=labels_of(opened.space),
    )
    if min(len(split.train) for split in _outer(wanted, plan)) < FEWEST_TRAINING:
        raise StudyError(
            f"{path}: with {several(plan.folds, 'fold')} fewer than {FEWEST_TRAINING} images would be left to train "
            f"on; add images{', or take --no-nested' if nested else ''}"
        )
    wanted.happened(Noted(_told(wanted, plan)))
    units, unit = (plan.folds, "fold") if plan.folds > 1 else (seeds, "seed")
    if reason := refusal(len(set(groups)) if nested else held_out, units, unit):
        wanted.happened(Noted(f"nothing will be decided: {reason}"))
    return plan


def _told(wanted: _Wanted, plan: Plan) -> str:
    """What is to come, in a sentence."""
    images, trials = len(wanted.data.images), wanted.opened.space.search.trials
    groups = several(len(set(plan.groups)), "group")
    times = f"from {several(plan.seeds, 'seed')}"
    if not plan.nested:
        again = f"{several(len(plan.finalists[0]), 'network')} {'is' if len(plan.finalists[0]) == 1 else 'are'}"
        without = f" without each of {plan.folds} parts of the images" if plan.folds > 1 else ""
        return f"{again} trained again{without}, {times}"
    return (
        f"{images} images in {groups}: the search ({several(trials, 'trial')}) is repeated without each of "
        f"{plan.folds} parts of them, and what it chooses trained {times}; --no-nested does without"
    )


def _asked(plan: Plan) -> str:
    """The options of an earlier plan."""
    return f"confirmed with {'--nested' if plan.nested else '--no-nested'} --folds {plan.folds}"


def _seen(data: SegmentationData) -> tuple[int, ...]:
    return (*data.split.train, *data.split.validation)


def _outer(wanted: _Wanted, plan: Plan) -> tuple[Split, ...]:
    """What each fold trains on, and tests."""
    data, settings = wanted.data, wanted.opened.space.data.split
    if plan.nested:
        return outer_folds(data, settings, plan.folds)
    return inner_folds(data, replace(settings, folds=plan.folds)) if plan.folds > 1 else (data.split,)


def _searched_again(
    wanted: _Wanted, baselines: Sequence[TrialRecord], splits: Sequence[Split]
) -> tuple[tuple[TrialRecord, ...], ...]:
    """The finalists of a search for each outer fold, which never saw its images; each a study of its own."""
    found = []
    space = wanted.opened.space
    for number, split in enumerate(splits, start=1):
        wanted.happened(SearchedAgain(number, len(splits)))
        fingerprint = f"{wanted.data.fingerprint}, without fold {number} of {len(splits)}"
        data = replace(wanted.data, split=split, fingerprint=fingerprint)
        path = wanted.folder.path / "confirm" / f"{number}-of-{len(splits)}"
        folder = create_folder(path, "let the study's folder be written, or confirm a copy of it")
        inner = replace(space, baselines=())
        with owned(folder):
            records = search(
                folder,
                inner,
                data,
                wanted.devices,
                begun=lambda: None,
                happened=wanted.happened,
                left=lambda facts, studies: None,
            )
        found.append((*baselines, *chosen(records, space.objectives)))
    return tuple(found)


def _trained(wanted: _Wanted, plan: Plan, confirmed: Confirmed, seconds: float | None) -> None:
    """Trains and tests what is planned and not done yet."""
    space = wanted.opened.space
    with Pool(setups(space, wanted.data, wanted.devices), stall=space.search.stall) as pool:
        for stage in (stages := _stages(wanted, plan, confirmed)):
            repetition = Repetition(stage, confirmed, pool, wanted.folder, seed=space.search.seed, seconds=seconds)
            try:
                for event in repetition.run():
                    wanted.happened(event)
            except BaseException:
                repetition.close()
                raise
            if repetition.left:
                later = ", and those with other steps" if more_follow(stage, stages, confirmed) else ""
                one = repetition.left == 1
                left = f"{several(repetition.left, 'training')} {'is' if one else 'are'} left{later}"
                those = "it" if one and not later else "them"
                wanted.happened(Noted(f"the time is spent, {left}: a longer --time goes on with {those}"))
                break
        if found := what_is_confirmed(confirmed.studies):
            measured(found.networks, confirmed, pool)


def _stages(wanted: _Wanted, plan: Plan, confirmed: Confirmed) -> Iterator[list[Planned]]:
    """The trainings with the search's steps; then for each budget those that find a rate, and those that use it."""
    splits = _outer(wanted, plan)
    yield planned(plan, splits)
    for budget in plan.budgets:
        if budget != 1:
            yield tunings(plan, splits if plan.nested else [wanted.data.split], budget)
            yield longer(plan, splits, budget, confirmed.runs)
