"""What the depths within one U-Net++ tell of depths that are trained each by itself, on real images.

    UNETSEARCH_DATA=folder python benchmarks/one_shot_depth.py [--sets isbi2012_em ...] [--seeds 3]

For each image set and each seed, one deeply supervised U-Net++ of depth 5 gives a Dice for each depth
(`unetsearch depth`). Beside it U-Nets, and U-Net++ with one head, of each depth are trained, from as many seeds; the
mean over their seeds is taken for the truth. Kendall's tau between estimate and truth, for the ranking by the count of
parameters too (the bar to beat: it needs no training at all); the regret, what the depth of the best estimate lacks to
the best depth; and the steps times MACs that one training costs of those of all depths. Writes
results/one_shot_depth.md, and the single Dices into results/one_shot_depth.csv; what that holds is not trained again.
"""

import argparse
import csv
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import torch
from machine import description
from scipy.stats import kendalltau

import unetsearch
from unetsearch.api import load_space
from unetsearch.data.dataset import SegmentationData
from unetsearch.data.load import load_data
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import baseline_architecture
from unetsearch.network.cost import cost
from unetsearch.one_shot import nested_depths
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import Baseline, DataSettings
from unetsearch.space.space import SearchSpace
from unetsearch.training.device_data import on_device
from unetsearch.training.train import train

RESULTS = Path(__file__).parent / "results"
DEPTHS = (1, 2, 3, 4, 5)
SETS = ("isbi2012_em", "dsb2018_fluo", "chase_db1", "wbc1")
KINDS = {"nested": "one U-Net++", "unet": "U-Net", "unet++": "U-Net++"}

Row = tuple[str, str, int, int, float]
"""Set, kind, depth, seed, Dice."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--width", type=int, default=8)
    given = parser.parse_args()
    space = load_space("depth", [f"architecture.width={given.width}", "architecture.depth=[1, 2, 3, 4, 5]"])
    recipe = Recipe(steps=given.steps, evaluations=1, crop=96, batch_size=8)
    rows = read()
    for name in given.sets:
        data = load_data(DataSettings(path=str(Path(os.environ["UNETSEARCH_DATA"]) / name)))
        for seed in range(given.seeds):
            for row in trained(name, data, space.for_data(data.in_channels, data.out_channels), recipe, seed, rows):
                rows.append(row)
                write(rows)
                print(*row, flush=True)
    (RESULTS / "one_shot_depth.md").write_text("\n".join(page(rows, given.sets, space, recipe)) + "\n")


def trained(
    name: str, data: SegmentationData, space: SearchSpace, recipe: Recipe, seed: int, known: Sequence[Row]
) -> Sequence[Row]:
    """The rows of a seed that are not known yet."""
    device, found = torch.device("cpu"), []
    there = {row[:4] for row in known}
    if (name, "nested", 1, seed) not in there:
        for nested in nested_depths(space, data, recipe, device, seed):
            found.append((name, "nested", nested.depth, seed, nested.dice))
    for kind in ("unet", "unet++"):
        for depth in DEPTHS:
            if (name, kind, depth, seed) not in there:
                found.append((name, kind, depth, seed, alone(space, data, recipe, kind, depth, seed)))
    return found


def alone(space: SearchSpace, data: SegmentationData, recipe: Recipe, kind: str, depth: int, seed: int) -> float:
    """The Dice of a network of one depth, trained by itself."""
    torch.manual_seed(seed)
    network = unetsearch.build_network(build_graph(architecture(space, kind, depth)))
    *_, last = train(network, on_device(data, torch.device("cpu")), recipe, seed)
    return last.dice


def architecture(space: SearchSpace, kind: str, depth: int, supervised: bool = False):
    values = {"depth": depth} | ({"deep_supervision": supervised} if kind == "unet++" else {})
    return baseline_architecture(space, Baseline(name=kind, values=values))


def page(rows: Sequence[Row], sets: Sequence[str], space: SearchSpace, recipe: Recipe) -> list[str]:
    """The whole result."""
    lines = ["# Every depth by one training", "", description(), "", *(__doc__ or "").splitlines()[4:12], ""]
    lines += [f"Width {space.min_width}, {recipe.steps} steps of {recipe.batch_size} crops of {recipe.crop} px. Dice:"]
    lines += ["", f"| set | seeds | network | {' | '.join(f'depth {depth}' for depth in DEPTHS)} |"]
    lines += ["|---" * 8 + "|"]
    for name in sets:
        lines += [
            f"| {name} | {count} | {words} | {' | '.join(f'{value:.4f}' for value in means(rows, name, kind))} |"
            for kind, words in KINDS.items()
            if (count := len({row[3] for row in rows if row[:2] == (name, kind)}))
        ]
    lines += ["", "| set | truth | tau of one training | tau of parameters | regret | regret of the deepest | cost |"]
    lines += ["|---" * 7 + "|"]
    found = {(name, kind): compared(rows, name, kind, space) for name in sets for kind in ("unet", "unet++")}
    for (name, kind), values in found.items():
        lines.append(f"| {name} | {KINDS[kind]} | {' | '.join(values)} |")
    taus = [f"{mean(float(values[place]) for values in found.values()):.2f}" for place in (0, 1)]
    return [*lines, f"| mean of these | | {' | '.join(taus)} | | | |"]


def compared(rows: Sequence[Row], name: str, kind: str, space: SearchSpace) -> list[str]:
    """Tau, mean over the seeds of the one training; regrets; and what it costs of the trainings of all depths."""
    truth = means(rows, name, kind)
    seeds = sorted({row[3] for row in rows if row[:2] == (name, "nested")})
    estimates = [of_seed(rows, name, seed) for seed in seeds]
    taus = [kendalltau(estimate, truth).statistic for estimate in estimates]
    regrets = [max(truth) - truth[estimate.index(max(estimate))] for estimate in estimates]
    return [
        f"{mean(taus):.2f}",
        f"{kendalltau(DEPTHS, truth).statistic:.2f}",
        f"{mean(regrets):.4f}",
        f"{max(truth) - truth[-1]:.4f}",
        f"{macs(space, 'unet++', DEPTHS[-1], True) / sum(macs(space, kind, depth) for depth in DEPTHS):.2f}",
    ]


def macs(space: SearchSpace, kind: str, depth: int, supervised: bool = False) -> int:
    return cost(build_graph(architecture(space, kind, depth, supervised)), (96, 96)).macs


def means(rows: Sequence[Row], name: str, kind: str) -> list[float]:
    """The mean Dice of each depth over the seeds."""
    return [mean(row[4] for row in rows if row[:3] == (name, kind, depth)) for depth in DEPTHS]


def of_seed(rows: Sequence[Row], name: str, seed: int) -> list[float]:
    return [next(row[4] for row in rows if row[:4] == (name, "nested", depth, seed)) for depth in DEPTHS]


def read() -> list[Row]:
    file = RESULTS / "one_shot_depth.csv"
    if not file.is_file():
        return []
    with file.open(newline="") as lines:
        return [
            (row["set"], row["network"], int(row["depth"]), int(row["seed"]), float(row["dice"]))
            for row in csv.DictReader(lines)
        ]


def write(rows: Sequence[Row]) -> None:
    with (RESULTS / "one_shot_depth.csv").open("w", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["set", "network", "depth", "seed", "dice"])
        writer.writerows((*row[:4], f"{row[4]:.6f}") for row in rows)


if __name__ == "__main__":
    main()
