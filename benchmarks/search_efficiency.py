"""How many training steps a search needs: real studies replayed on recorded learning curves.

    python benchmarks/search_efficiency.py

Each repeat sees one seed's curve of every network, the same for all methods; the truth is the mean over the seeds.
Hypervolume: of (1 - Dice, log10 parameters), the parameters scaled to the range of the space, reference (1, 1), as a
share of the best there is; `stretched`: 1 - Dice is scaled to its range too, so that small differences between good
networks weigh more. Regret: Dice that the members of the found front lack to the best network that is no larger, mean.
Writes results/search_efficiency.md and .csv.
"""

import argparse
import csv
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean, median

import numpy as np
from machine import description
from recording import SETS
from replay import Replay, Table, load_table, replay
from rivals import by_parameters, hyperband, plain_loop, ranked_rungs

from unetsearch.space.settings import Pruner, Sampler, SearchSettings

RESULTS = Path(__file__).parent / "results"

SHARES = (0.9, 0.95, 0.99)

SAMPLERS: Mapping[str, Sampler] = {
    "exhaustive": "enumerate",
    "random": "random",
    "TPE": "tpe",
    "NSGA-II": "nsga2",
    "auto": "auto",
}
RIVALS: Mapping[str, Callable[[Table, int, int], Replay]] = {
    "Optuna, plain loop": plain_loop,
    "Hyperband on Dice": hyperband,
    "NSGA-II ranking at rungs": ranked_rungs,
    "by parameter count": by_parameters,
}
METHODS = (*(f"{sampler}, {pruner}" for sampler in SAMPLERS for pruner in ("none", "pareto")), *RIVALS)


@dataclass(frozen=True, slots=True)
class Measured:
    """One replay. `reached`: steps until each of SHARES; infinite where it never came there."""

    reached: tuple[float, ...]
    steps: int
    final: float
    regret: float
    lost: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    lines, rows = ["# Steps that a search needs", "", description(), "", *(__doc__ or "").splitlines()[4:9]], []
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for name in arguments.sets:
            tasks = [(name, method, seed) for seed in range(arguments.repeats) for method in METHODS]
            table = load_table(name)
            found: dict[bool, dict[str, list[Measured]]] = {False: {}, True: {}}
            for (_, method, seed), both in zip(tasks, pool.imap(measure, tasks, chunksize=4), strict=True):
                for stretched, m in zip((False, True), both, strict=True):
                    found[stretched].setdefault(method, []).append(m)
                    rows.append((name, method, seed, int(stretched), *m.reached, m.steps, m.final, m.regret))
            lines += [line for stretched in found for line in report(name, table, stretched, found[stretched])]
    (RESULTS / "search_efficiency.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (RESULTS / "search_efficiency.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            (
                "set",
                "method",
                "seed",
                "stretched",
                *(f"steps_to_{share}" for share in SHARES),
                "steps",
                "final",
                "regret",
            )
        )
        writer.writerows(rows)
    print("\n".join(lines))


@cache
def table_of(name: str) -> Table:
    return load_table(name)


def measure(task: tuple[str, str, int]) -> tuple[Measured, Measured]:
    """One method on one set with one seed, by the hypervolume and by the stretched one."""
    name, method, seed = task
    table = table_of(name)
    if method in RIVALS:
        replayed = RIVALS[method](table, seed, len(table.curves))
    else:
        sampler, _, pruner = method.partition(", ")
        with tempfile.TemporaryDirectory() as folder:
            replayed = replay(table, settings(table, SAMPLERS[sampler], pruner, seed), Path(folder))
    return judged(table, replayed), judged(replace(table, stretched=True), replayed)


def settings(table: Table, sampler: Sampler, pruner: Pruner, seed: int) -> SearchSettings:
    """A search that may train every network once."""
    return SearchSettings(trials=len(table.curves), sampler=sampler, pruner=pruner, seed=seed)


def judged(table: Table, replayed: Replay) -> Measured:
    """What a replay was worth, by the truth."""
    volumes = [table.volume(found.front) for found in replayed.found]
    last = replayed.found[-1].front
    return Measured(
        reached=tuple(
            next((float(f.steps) for f, v in zip(replayed.found, volumes, strict=True) if v >= share), np.inf)
            for share in SHARES
        ),
        steps=replayed.steps,
        final=volumes[-1],
        regret=mean(table.regret(name) for name in last),
        lost=len(table.front & replayed.pruned),
    )


def report(name: str, table: Table, stretched: bool, found: Mapping[str, Sequence[Measured]]) -> list[str]:
    """A table of one image set, as Markdown."""
    repeats = len(next(iter(found.values())))
    lines = [
        "",
        f"## {name}: {len(table.curves)} networks, {len(next(iter(table.curves.values())))} seeds, {repeats} repeats"
        + ", stretched" * stretched,
        "",
        f"Steps in full trainings (of {table.space.recipe.steps} steps), medians; in brackets the share of what the",
        "same sampler needs without pruning (median of the pairs). `-`: most repeats never came there.",
        "",
        "| method | to 90 % | to 95 % | to 99 % | all | final hypervolume | against unpruned | regret | lost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method, measured in found.items():
        sampler, _, pruner = method.partition(", ")
        base = found.get(f"{sampler}, none") if pruner == "pareto" else None
        cells = [
            _steps([m.reached[i] for m in measured], base and [m.reached[i] for m in base], table)
            for i in range(len(SHARES))
        ]
        everything = _steps([float(m.steps) for m in measured], base and [float(m.steps) for m in base], table)
        final = mean(m.final for m in measured)
        against = f"{final / mean(m.final for m in base) - 1:+.2%}" if base else ""
        lines.append(
            f"| {method} | {' | '.join(cells)} | {everything} | {final:.4f} | {against} "
            f"| {mean(m.regret for m in measured):.4f} | {mean(m.lost for m in measured):.1f} of {len(table.front)} |"
        )
    return lines


def _steps(steps: Sequence[float], base: Sequence[float] | None, table: Table) -> str:
    middle = median(steps) / table.space.recipe.steps
    if not np.isfinite(middle):
        return "-"
    pairs = [s / b for s, b in zip(steps, base, strict=True) if np.isfinite(b)] if base else []
    return f"{middle:.1f}" + (f" ({median(pairs):.2f})" if pairs else "")


if __name__ == "__main__":
    main()
