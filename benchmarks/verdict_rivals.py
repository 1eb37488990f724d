"""The bound of the verdict beside its rivals: Student's t alone, and percentiles of the pigeonhole bootstrap.

    python benchmarks/verdict_rivals.py

Pairs of candidates in the crossed design, 2,000 confirmations a line. How often a two-sided 95 % interval misses the
truth, and how often a one-sided 95 % bound on the loss of the first candidate is too low, in %. Failures: that one has
an exponential tail. The bootstrap (Owen 2007) draws folds and groups of images 1,000 times each. With under 3 folds or
6 groups the verdict gives no bound; here it has to. Writes results/verdict_rivals.md.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
from machine import description
from numpy.typing import NDArray
from outcomes import World, noise

from unetsearch.statistics.differences import Comparison, compare
from unetsearch.statistics.outcomes import Cells, cells_of

RESULT = Path(__file__).parent / "results" / "verdict_rivals.md"
REPEATS, DRAWS = 2000, 1000
SIDES = np.array([0.025, 0.95, 0.975])
"""What of the bounds is looked at: both ends of the interval, and the one-sided upper one."""


def main() -> None:
    lines = [
        "# Bounds beside their rivals",
        "",
        description(),
        "",
        *(__doc__ or "").splitlines()[4:8],
        "",
        "| folds | groups | effects | misses: here | t alone | bootstrap | too low: here | t alone | bootstrap |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    world = World(6, 6, nested=False, labels=2, seeds=1, seed=0.005, fold=0.005, group=0.02, image=0.0)
    for folds, groups, shape in product((2, 5, 20), (4, 6, 20, 100), ("normal", "failures")):
        world = replace(world, images=groups, groups=groups, folds=folds, shape=shape)
        shares = " | ".join(f"{100 * share:.1f}" for share in measured(world).T.ravel())
        lines.append(f"| {folds} | {groups} | {shape} | {shares} |")
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measured(world: World) -> NDArray[np.float64]:
    """Shares of misses and of too low bounds, for each method (3, 2)."""
    random = np.random.default_rng(crc32(repr(world).encode()))
    counts = np.zeros((3, 2))
    for _ in range(REPEATS):
        cells = cells_of(noise(world, random), *world.runs, world.group_of)
        comparison = compare(cells)
        students = replace(comparison, skewness=np.zeros((2, 2)))
        bounds = (ends(comparison), ends(students), percentiles(cells, random))
        counts += [(not low <= 0 <= high, one_sided < 0) for low, one_sided, high in bounds]
    return counts / REPEATS


def ends(comparison: Comparison) -> tuple[float, float, float]:
    """On the loss of the first candidate against the second one, in the order of SIDES."""
    return -comparison.upper(0.025)[0, 1], comparison.upper(0.05)[1, 0], comparison.upper(0.025)[1, 0]


def percentiles(cells: Cells, random: np.random.Generator) -> NDArray[np.float64]:
    """Of the loss of the first candidate against the second one, over draws of units and of groups."""
    loss = cells.scores[1] - cells.scores[0]
    units, groups = (random.multinomial(size, np.full(size, 1 / size), DRAWS) / size for size in loss.shape)
    return np.quantile(((units @ loss) * groups).sum(axis=1), SIDES)


if __name__ == "__main__":
    main()
