"""The tables of `training.py`."""

import argparse
from dataclasses import dataclass
from math import inf
from statistics import mean, median, stdev

from machine import description

from unetsearch.space.recipe import Recipe

WAYS = ("a", "b", "b2", "lib", "lib2", "c")

TRIAL = 300
"""Steps of a trial, as the space unet-family has them."""

LENGTHS = range(50, 100_001, 50)
"""Steps of all trials that are looked at."""

Curve = list[tuple[float, float]]
"""Seconds, and the Dice that was reached by then."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a step, and how much longer than that the first ones take together."""

    step: float
    start: float

    def of(self, steps: int) -> float:
        """Seconds of so many steps, from the first on."""
        return self.start + steps * self.step


def row(name: str, paces: dict[str, Pace], batch: int) -> str:
    """A line of the table of steps."""
    shown = [f"{batch / paces[way].step:.1f}" if way in paces else "-" for way in WAYS]
    ratios = [f"{paces[way].step / paces['a'].step:.2f}" if way in paces else "-" for way in WAYS[1:]]
    return f"| {name} | {' | '.join(shown)} | {' | '.join(ratios)} |"


def trial_row(name: str, paces: dict[str, Pace], batch: int) -> str:
    """A line of the table of whole trials."""
    ours, tuned = paces["a"], paces["b2"]
    rates = [f"{TRIAL * batch / paces[way].of(TRIAL):.1f}" if way in paces else "-" for way in ("a", "b2", "lib2")]
    ratios = [f"{paces[way].of(TRIAL) / ours.of(TRIAL):.2f}" if way in paces else "-" for way in ("b2", "lib2")]
    gain = ours.step - tuned.step
    ahead = f"{(tuned.start - ours.start) / gain:.0f}" if gain > 0 else "never"
    least = min(tuned.of(steps) / ours.of(steps) for steps in LENGTHS)
    return f"| {name} | {' | '.join([*rates, *ratios, f'{tuned.start:.1f}', ahead])} | {least:.2f} |"


def page(
    introduction: list[str],
    rows: list[str],
    augmented: list[str],
    trials: list[str],
    ends: list[str],
    recipe: Recipe,
    data: str,
    given: argparse.Namespace,
) -> list[str]:
    """The whole result."""
    head = [
        f"| network | {' | '.join(WAYS)} | {' | '.join(f'a/{way}' for way in WAYS[1:])} |",
        "|---" * (2 * len(WAYS)) + "|",
    ]
    lines = ["# Speed of training", "", description(), "", *introduction, ""]
    what = f"{data}, {recipe.batch_size} crops of {recipe.crop}x{recipe.crop} px a step"
    lines += [f"{what}, flips and turns by right angles. Images a second:", "", *head, *rows]
    if augmented:
        lines += ["", "The same with augmentation at strength 1:", "", *head, *augmented]
    if trials:
        lines += [
            "",
            f"Images a second of a whole trial of {TRIAL} steps, compilation included; the seconds that (b2) takes "
            "before it is up to speed; the steps after which it would be ahead of (a); and the least a/b2 of all "
            f"lengths up to {LENGTHS[-1]:,} steps (computed from the step and the start of each way):",
            "",
            "| network | a | b2 | lib2 | a/b2 | a/lib2 | seconds | ahead after | least a/b2 |",
            "|---" * 9 + "|",
            *trials,
        ]
    if ends:
        lines += [
            "",
            f"Final Dice of {given.train} steps, mean and deviation of {given.seeds} seeds, and seconds to "
            "98 % of (b)'s final Dice, median, with evaluations; what (b2) compiles is in its cache by then, and takes "
            "longer where a network is trained for the first time:",
            "",
            "| network | a | b | b2 | Dice | a | b | b2 |",
            "|---|---|---|---|---|---|---|---|",
            *ends,
        ]
    return lines


def first(curve: Curve, dice: float) -> float:
    """When a curve reaches a Dice; infinite where it does not."""
    return next((seconds for seconds, reached in curve if reached >= dice), inf)


def end_row(name: str, runs: list[dict[str, Curve]]) -> str:
    """Means and spread of the final Dice over seeds, and the median of the seconds to 98 % of (b)'s mean."""
    finals = {way: [curves[way][-1][1] for curves in runs] for way in ("a", "b", "b2")}
    target = 0.98 * mean(finals["b"])
    ends = [f"{mean(values):.4f} ± {stdev(values):.4f}" for values in finals.values()]
    times = [median(first(curves[way], target) for curves in runs) for way in finals]
    shown = [f"{seconds:.1f}" if seconds < inf else "-" for seconds in times]
    return f"| {name} | {' | '.join(ends)} | {target:.4f} | {' | '.join(shown)} |"
