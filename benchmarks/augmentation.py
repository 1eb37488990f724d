"""What augmentation costs of a step of training.

    UNETSEARCH_DATA=folder python benchmarks/augmentation.py [--device cuda]

Steps at strength 1 (deformation and shades of all samples) beside steps at strength 0, which have their batches made
too: the median over turns of nine steps each of their ratio within the turn. Beside it, how long batches take that are
made by themselves. Writes results/augmentation-DEVICE.md; on a processor without a compiler, or with
UNETSEARCH_NATIVE=0, results/augmentation-cpu-plain.md.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, quantiles
from time import perf_counter

import numpy as np
import torch
from machine import description
from plain_loop import TURN, UNCOUNTED
from training import NETWORKS, RESULTS, ours, turn

from unetsearch.data.load import load_data
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.batches import TOGETHER, batches
from unetsearch.training.device import find_device
from unetsearch.training.device_data import DeviceData, on_device
from unetsearch.training.pixels import can_blur
from unetsearch.training.recording import WARM_UP, recorder

TURNS = 30
SMALLEST = "unet-8, depth 1"
COLOUR, WEIGHED = f"{SMALLEST}, colour", f"{SMALLEST}, weight map"
SHOWN = (SMALLEST, COLOUR, WEIGHED, "unet-8", "unet-16", "unet++-8", "unet3+-8", "mobilenetv2")


def making(there: DeviceData, recipe: Recipe) -> float:
    """Seconds of a batch, the median."""
    drawn, times = batches(there.train, recipe, 0, record=recorder(there.device)), []
    for _ in range(50):
        began = perf_counter()
        for _ in range(TOGETHER):
            next(drawn)
        if there.device.type == "cuda":
            torch.cuda.synchronize(there.device)
        times.append((perf_counter() - began) / TOGETHER)
    return median(times[2 * WARM_UP :])


def beside(name: str, there: DeviceData, recipe: Recipe) -> tuple[float, list[float]]:
    """Seconds of a step at strength 0, and of every turn that counts by how much one at strength 1 is longer."""
    recipe = replace(recipe, steps=TURN * (UNCOUNTED + TURNS), evaluations=UNCOUNTED + TURNS)
    ways = [ours(name, there, replace(recipe, augmentation=strength)) for strength in (0.0, 1.0)]
    turns = []
    for number in range(UNCOUNTED + TURNS):
        order = (1, 0) if number % 2 else (0, 1)
        turns.append({place: mean(turn(ways[place])) for place in order})
    counted = turns[UNCOUNTED:]
    return median(each[0] for each in counted), [each[1] / each[0] - 1 for each in counted]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    device = find_device(parser.parse_args().device)
    NETWORKS["unet-8"] = {"name": "unet", "width": 8}
    NETWORKS[SMALLEST] = NETWORKS[WEIGHED] = {"name": "unet", "width": 8, "depth": 1}
    NETWORKS[COLOUR] = {**NETWORKS[SMALLEST], "in_channels": 3}
    root = os.environ.get("UNETSEARCH_DATA")
    data = load_data(DataSettings(path=str(Path(root) / "dsb2018_fluo") if root else "cells"))
    colour = replace(data, images=tuple(np.repeat(image, 3, 0) for image in data.images))
    grey, coloured = (on_device(each, device) for each in (data, colour))
    grey, coloured = (replace(each, validation=each.validation[:1]) for each in (grey, coloured))
    recipe = Recipe()
    plain, augmented = (making(grey, replace(recipe, augmentation=strength)) for strength in (0.0, 1.0))
    rows = []
    for name in SHOWN:
        there = coloured if name == COLOUR else grey
        step, shares = beside(name, there, replace(recipe, weight_map=name == WEIGHED))
        low, middle, high = quantiles(shares)
        rows.append(f"| {name} | {1000 * step:.1f} | {middle:.1%} | {low:.1%} to {high:.1%} |")
        print(rows[-1], flush=True)
    lines = [
        "# What augmentation costs",
        "",
        description(),
        "",
        f"{recipe.batch_size} crops of {recipe.crop} px, {TURNS} turns. By itself a batch is made in "
        f"{1000 * plain:.2f} ms at strength 0, in {1000 * augmented:.2f} ms at strength 1.",
        "",
        "| network | a step, ms | strength 1 adds, median | half of the turns |",
        "|---|---|---|---|",
        *rows,
    ]
    plain_torch = device.type == "cpu" and not can_blur(torch.empty(1))
    (RESULTS / f"augmentation-{device.type}{'-plain' if plain_torch else ''}.md").write_text(
        "\n".join(lines) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
