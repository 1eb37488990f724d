"""The table of learning curves: which networks it holds, how it is written and read."""

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from unetsearch import load_space
from unetsearch.data.dataset import SegmentationData
from unetsearch.data.load import load_data
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.space.space import Point, SearchSpace

TABLES = Path(__file__).parent / "tables"

VALUES = ("depth", "width", "growth", "skip", "encoder")
"""The columns that name a network, by their names under `architecture`."""

SCHEDULES: Mapping[str, Mapping[str, float]] = {
    "flat": {"learning_rate": 4e-3, "warmup": 0.05, "decay": 0.25},
    "flat-half": {"learning_rate": 4e-3, "warmup": 0.05, "decay": 0.5},
    "one-cycle": {"learning_rate": 1e-2, "warmup": 0.3, "decay": 0.7},
}
"""Learning rates over the steps: rise, flat part, linear fall to zero. In a one-cycle rate nothing is flat."""

FIXED: Mapping[str, float] = {"weights": 0.0, "ema-0.9": 0.9}
"""Exponential moving averages of the weights whose scores are recorded, by their decay a step (0: no average)."""

SHARES: Mapping[str, float] = {"share-0.1": 0.1, "share-0.2": 0.2, "share-0.4": 0.4, "share-0.8": 0.8}
"""The same, of averages that reach back over this share of the steps so far: the decay at step n is s*n / (1 + s*n)."""

QUARTER = "share-0.1, a quarter of the images"
"""The scores of `share-0.1` on every fourth image only."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What is scored: the middle `side` x `side` pixels of the first `images` validation images."""

    side: int
    images: int


SETS: Mapping[str, Windows] = {"isbi2012_em": Windows(192, 5), "dsb2018_fluo": Windows(96, 20)}


@dataclass(frozen=True, slots=True)
class Run:
    """One training that the table holds: a network by its values, a schedule, a seed."""

    network: tuple[str, ...]
    schedule: str
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """The learning curve of a run: Dice after each of its evaluations, scored as `score` says."""

    run: Run
    score: str
    params: int
    macs: int
    dice: tuple[float, ...]


@cache
def recorded_space() -> SearchSpace:
    """The space of the table, for grey images of two classes."""
    return load_space(TABLES / "space.yaml").for_data(1, 1)


def name_of(point: Point) -> tuple[str, ...]:
    """The network of a point as the table names it."""
    return tuple(str(point.values[name]) for name in VALUES)


def recipe_of(schedule: str) -> Recipe:
    """The training of a schedule."""
    return replace(recorded_space().recipe, **SCHEDULES[schedule])


def load_set(name: str) -> SegmentationData:
    """The images from the folder `UNETSEARCH_DATA` names."""
    return load_data(DataSettings(path=str(Path(os.environ["UNETSEARCH_DATA"]) / name)))


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table; none where it is not there yet."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            yield Row(
                Run(tuple(line[name] for name in VALUES), line["schedule"], int(line["seed"])),
                line["score"],
                int(line["params"]),
                int(line["macs"]),
                tuple(float(dice) for dice in line["dice"].split()),
            )


def append_rows(path: Path, rows: list[Row]) -> None:
    """Adds rows at the end of a table, which is begun where it is not there yet."""
    begun = path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not begun:
            writer.writerow((*VALUES, "params", "macs", "schedule", "seed", "score", "dice"))
        for row in rows:
            dice = " ".join(f"{value:.4f}" for value in row.dice)
            writer.writerow((*row.run.network, row.params, row.macs, row.run.schedule, row.run.seed, row.score, dice))
