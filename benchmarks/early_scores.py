"""How much an early score tells of the final one: rank correlations by schedule, by averaging, by scored images.

    python benchmarks/early_scores.py

Reads the learning curves of tables/, and writes results/early_scores.md. Networks of one set, trained with the same
seeds under every schedule that is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
from machine import description
from numpy.typing import NDArray
from recording import SCHEDULES, SETS, TABLES, read_rows
from scipy.stats import spearmanr

RESULT = Path(__file__).parent / "results" / "early_scores.md"

PARTS = (1, 2, 3, 4, 5, 6, 8, 10)
"""Evaluations, of twelve, whose scores are compared with final ones."""

RESAMPLES = 200

LEAST_CEILING = 0.05
"""Below it seeds tell nothing of one another, and there is nothing to have a share of."""

Curves = NDArray[np.float64]
"""Dice of networks x seeds x evaluations."""


def main() -> None:
    lines = ["# What an early score tells", "", description(), "", *(__doc__ or "").splitlines()[4:6], ""]
    for name in SETS:
        lines += report(f"{name}, the default schedule", read_curves(name, ("flat",)))
        for other in SCHEDULES:
            if other != "flat":
                lines += report(f"{name}, flat and {other}", read_curves(name, ("flat", other)))
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def report(title: str, recorded: Mapping[tuple[str, str], Curves]) -> Iterator[str]:
    """A table, as Markdown; none where two seeds cannot be compared."""
    networks, seeds = next(iter(recorded.values())).shape[:2] if recorded else (0, 0)
    if seeds < 2:
        return
    yield f"## {title}: {networks} networks, {seeds} seeds"
    yield ""
    yield "Rank correlation (Spearman) of the score after n twelfths of the steps with the final score of another seed;"
    yield "`ceiling`: of the final score with that of another seed; `share`: that after a third, of the ceiling, with"
    yield "its uncertainty over networks (half of the range of 68 % of resamples), where the ceiling is at least"
    yield f"{LEAST_CEILING}; `same run`: after a third, with the final score of the same training."
    yield ""
    yield "| schedule | score | " + " | ".join(map(str, PARTS)) + " | ceiling | share | same run | final Dice |"
    yield "|---|---|" + "---|" * (len(PARTS) + 4)
    for (schedule, score), curves in recorded.items():
        row = [f"{across(curves, part):.2f}" for part in PARTS]
        known = ceiling(curves) >= LEAST_CEILING
        share = f"{shares(curves):.2f} ± {spread(curves):.2f}" if known else "-"
        yield (
            f"| {schedule} | {score} | {' | '.join(row)} | {ceiling(curves):.2f} | {share} | {within(curves, 4):.2f} "
            f"| {curves[:, :, -1].mean():.4f} |"
        )
    yield ""


def read_curves(name: str, schedules: Sequence[str]) -> Mapping[tuple[str, str], Curves]:
    """The curves by schedule and score, of the networks and seeds that all of them have.

    Of one schedule alone only the scores that were recorded of all its networks; none where a schedule is missing.
    """
    rows: dict[tuple[str, str], dict[tuple[tuple[str, ...], int], tuple[float, ...]]] = {}
    for row in read_rows(TABLES / f"{name}.csv"):
        if row.run.schedule in schedules:
            rows.setdefault((row.run.schedule, row.score), {})[row.run.network, row.run.seed] = row.dice
    if {schedule for schedule, _ in rows} != set(schedules):
        return {}
    if len(schedules) == 1:
        most = max(map(len, rows.values()))
        rows = {key: runs for key, runs in rows.items() if len(runs) == most}
    seeds = sorted(set.intersection(*({seed for _, seed in runs} for runs in rows.values())))
    networks = sorted(
        network
        for network in {network for runs in rows.values() for network, _ in runs}
        if all((network, seed) in runs for runs in rows.values() for seed in seeds)
    )
    return {
        key: np.array([[runs[network, seed] for seed in seeds] for network in networks]) for key, runs in rows.items()
    }


def across(curves: Curves, part: int) -> float:
    """Of the score after `part` twelfths with the final score of another seed; the mean over pairs of seeds."""
    pairs = permutations(range(curves.shape[1]), 2)
    return float(np.mean([spearman(curves[:, a, part - 1], curves[:, b, -1]) for a, b in pairs]))


def within(curves: Curves, part: int) -> float:
    """The same with the final score of the same training."""
    return float(np.mean([spearman(curves[:, a, part - 1], curves[:, a, -1]) for a in range(curves.shape[1])]))


def ceiling(curves: Curves) -> float:
    """Of the final scores of two seeds: no early score can be expected to tell more."""
    pairs = combinations(range(curves.shape[1]), 2)
    return float(np.mean([spearman(curves[:, a, -1], curves[:, b, -1]) for a, b in pairs]))


def shares(curves: Curves) -> float:
    """What a score after a third of the steps tells, as a share of the ceiling."""
    return float(np.float64(across(curves, 4)) / ceiling(curves))


def spread(curves: Curves) -> float:
    """The uncertainty of `shares` over networks, by bootstrap."""
    random = np.random.default_rng(0)
    count = len(curves)
    with np.errstate(divide="ignore", invalid="ignore"):  # of few networks some resamples have no ceiling
        resampled = [shares(curves[random.integers(count, size=count)]) for _ in range(RESAMPLES)]
    low, high = np.percentile(resampled, [16, 84])
    return float(high - low) / 2


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(spearmanr(first, second).statistic)


if __name__ == "__main__":
    main()
