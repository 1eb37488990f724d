"""How often the depth verdict is wrong, right and undecided on simulated confirmations with a known truth.

    python benchmarks/verdict.py [seconds]

Every cell is 4,000 confirmations of 5 folds and 3 seeds, unless it says otherwise: Dice by candidate, run and image, of
which the verdict knows nothing else. A label that loses 0.0101 against a margin of 0.01 must not be named. Cells that
are in results/verdict.csv already are not run again; after so many seconds no further cell is begun. Writes
results/verdict.csv and results/verdict.md.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
from machine import description
from numpy.typing import NDArray
from outcomes import World, noise

from unetsearch.statistics.differences import Comparison, compare
from unetsearch.statistics.gain import gain
from unetsearch.statistics.outcomes import cells_of
from unetsearch.statistics.verdict import verdict

RESULTS = Path(__file__).parent / "results"
REPEATS, MARGIN = 4000, 0.01

SEED = 4_000_561
"""Of the random numbers: none of these was looked at while the method was chosen."""

PROFILES = {  # losses by label, in the order of preference; with the number of labels of a world goes which are tried
    "over": (0.0101, 0.0),
    "peak": (0.0101, 0.0, 0.0101),
    "many over": (0.0101, 0.0101, 0.0101, 0.0),
    "clear": (0.08, 0.04, 0.0, 0.04),
    "plateau": (0.08, 0.04, 0.0, 0.0),
}

SHARP = World(30, 30, nested=False, seed=0.002, fold=0.001, group=0.002, image=0.006)
"""So little noise that losses about the margin can be told apart: here a bound that is too low names the wrong one."""


@dataclass(frozen=True)
class Row:
    """What came of a cell, as shares of its repeats; `covered`, `gain_covered`: of the intervals given, NaN without."""

    world: str
    profile: str
    covered: float
    gain_covered: float
    wrong: float
    right: float
    undecided: float
    possible: float
    bounded: float


def grid() -> Iterator[World]:
    """Small and large data, with the spreads of real trainings."""
    sizes = [(6, 1), (6, 2), (6, 6), (12, 1), (12, 3), (12, 6), (12, 12), (30, 1), (30, 6), (30, 10), (30, 30)]
    for (images, groups), nested, seed in product(
        [*sizes, (100, 1), (100, 6), (100, 10), (100, 100)], (False, True), (0.005, 0.01, 0.02)
    ):
        yield World(images, groups, nested, seed=seed, fold=seed / 2)


def more_folds() -> dict[str, list[World]]:
    """The largest spread between seeds, with as many folds as it takes."""
    large = [world for world in grid() if world.seed == 0.02 and world.images == 100 and world.groups >= 10]
    return {f"{folds} folds": varied(large, folds=(folds,)) for folds in (10, 20)}


def adversaries() -> dict[str, list[World]]:
    """Worlds made to mislead, under what they are."""
    sizes = ((6, 6), (12, 12), (30, 10), (30, 30), (100, 10), (100, 100))
    both = [replace(SHARP, images=n, groups=g, nested=nested) for nested in (False, True) for n, g in sizes]
    few = [world for world in both if (world.images, world.groups) in ((12, 12), (30, 10), (100, 100))]
    tens = [world for world in both if world.groups == 10]
    by_group = [replace(world, group=0.006, image=0.002, shape="failures") for world in tens]
    return {
        "Normal effects": varied(both, labels=(2, 3, 4)),
        "Heavy tails": varied(both, labels=(2, 4), shape=("heavy",)),
        "Skewed effects": varied(both, labels=(2, 4), shape=("skewed",)),
        "Failures on images": varied(both, labels=(2, 4), shape=("failures",)),
        "Groups of sizes 1 to 10": varied(tens, labels=(2,), unequal=(True,)),
        "Failures on images in groups of sizes 1 to 10": varied(
            tens, labels=(2,), unequal=(True,), shape=("failures",)
        ),
        "3 candidates a label": varied(few, labels=(2, 4), each=(3,)),
        "Noise of runs and folds": varied(few, labels=(2,), seed=(0.005, 0.02), fold=(0.005, 0.02)),
        "3 folds of 1 seed": varied(few, labels=(2,), folds=(3,), seeds=(1,), seed=(0.005,), fold=(0.005,)),
        "10 folds of 1 seed": varied(few, labels=(2,), folds=(10,), seeds=(1,), seed=(0.005,), fold=(0.005,)),
        "1 fold of 5 seeds": varied(few[:3], labels=(2,), folds=(1,), seeds=(5,), seed=(0.005,), fold=(0.0,)),
        "At the limit: whole groups fail, of one size and of sizes 1 to 10": varied(
            by_group, labels=(2, 3), unequal=(False, True)
        ),
    }


def varied(worlds: Sequence[World], **values: Sequence[Any]) -> list[World]:
    """Each world with each combination of the values."""
    return [
        replace(world, **dict(zip(values, each, strict=True))) for world in worlds for each in product(*values.values())
    ]


def measured(world: World) -> list[Row]:
    """A cell: the same noise under each profile of as many labels."""
    random = np.random.default_rng([SEED, crc32(repr(world).encode())])
    folds, seeds = world.runs
    profiles = [name for name, losses in PROFILES.items() if len(losses) == world.labels]
    counts = {name: np.zeros(len(fields(Row)) - 2) for name in profiles}
    for _ in range(REPEATS):
        comparison = compare(cells_of(noise(world, random), folds, seeds, world.group_of))
        for name in profiles:
            counts[name] += tried(comparison, np.repeat(PROFILES[name], world.each), world)
    return [Row(repr(world), name, *(float(value) for value in count / REPEATS)) for name, count in counts.items()]


def tried(comparison: Comparison, losses: NDArray[np.float64], world: World) -> list[float]:
    """One confirmation under a profile, in the order of a Row's figures; NaN where no interval is given."""
    comparison = replace(comparison, means=comparison.means - losses)
    labels = np.repeat(np.arange(world.labels), world.each)
    result = verdict(comparison, labels.tolist(), range(world.labels), MARGIN)
    answer = int(labels[np.argmax(losses <= MARGIN)])
    bounds = {standing.label: standing.upper for standing in result.standings}
    decided = None if result.decided is None else losses[labels == result.decided].min()
    baselines, rest = labels == 0, np.flatnonzero(labels > 0)
    best = int(rest[np.argmax(comparison.means[rest])])
    gained = gain(comparison, best, np.flatnonzero(baselines).tolist(), len(rest)).interval
    pair = comparison.interval(0, len(losses) - 1)
    return [
        _within(pair.low, losses[-1] - losses[0], pair.high),
        _within(gained.low, losses[0] - losses[best], gained.high),
        decided is not None and decided > MARGIN,
        result.decided == answer,
        decided is None,
        answer in result.possible,
        decided is None or decided <= bounds[result.decided],
    ]


def _within(low: float | None, truth: float, high: float | None) -> float:
    return float("nan") if low is None or high is None else float(low <= truth <= high)


def main() -> None:
    path = RESULTS / "verdict.csv"
    rows = read(path)
    until = perf_counter() + (float(sys.argv[1]) if len(sys.argv) > 1 else float("inf"))
    named = more_folds() | adversaries()
    for world in (*grid(), *(world for worlds in named.values() for world in worlds)):
        if perf_counter() < until and all(row.world != repr(world) for row in rows):
            rows += measured(world)
            write(path, rows)
            print(rows[-1], flush=True)
    (RESULTS / "verdict.md").write_text(page({(row.world, row.profile): row for row in rows}), encoding="utf-8")


def page(rows: Mapping[tuple[str, str], Row]) -> str:
    """The tables, of the cells that have been run."""
    every = list(rows.values())

    def lowest(figure: str) -> str:
        return shown(min(value for row in every if not np.isnan(value := getattr(row, figure))))

    lines = [
        "# The depth verdict on simulated confirmations",
        "",
        f"{description()}, numpy {version('numpy')}, scipy {version('scipy')}",
        "",
        *(__doc__ or "").splitlines()[4:8],
        "",
        f"The worst of {len(every)} cells: a label that loses more than the margin is named in "
        f"{shown(max(row.wrong for row in every))} %; an interval of a pair covers the truth in {lowest('covered')} %, "
        f"one of the gain over the strongest baseline in {lowest('gain_covered')} %; the named label's loss is under "
        f"its bound in {lowest('bounded')} %.",
        "",
        "## Spreads as measured on real sets",
        "",
        *table(rows, grid(), ("many over", "clear", "plateau")),
    ]
    for title, worlds in more_folds().items():
        lines += ["", f"## {title}", "", *table(rows, worlds, ("many over", "clear", "plateau"))]
    for title, worlds in adversaries().items():
        lines += ["", f"## {title}", "", *table(rows, worlds, ("over", "peak", "many over"))]
    return "\n".join(lines) + "\n"


def table(rows: Mapping[tuple[str, str], Row], worlds: Iterable[World], profiles: Sequence[str]) -> Iterator[str]:
    """A line for each world and profile."""
    yield "| design | images | groups | labels | seeds' spread | losses | interval | gain | wrong | right | undecided |"
    yield "|" + "---|" * 11
    for world, profile in product(worlds, profiles):
        if row := rows.get((repr(world), profile)):
            what = ("nested" if world.nested else "crossed", world.images, world.groups, world.labels, world.seed)
            losses = ", ".join(f"{loss:g}" for loss in PROFILES[profile])
            shares = (row.covered, row.gain_covered, row.wrong, row.right, row.undecided)
            yield f"| {' | '.join(map(str, what))} | {losses} | {' | '.join(map(shown, shares))} |"


def shown(share: float) -> str:
    return "none" if np.isnan(share) else f"{100 * share:.1f}"


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(*row[:2], *map(float, row[2:])) for row in list(csv.reader(file))[1:]]


def write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)


if __name__ == "__main__":
    main()
