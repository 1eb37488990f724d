"""What augmentation costs of a step of training.

    UNETSEARCH_DATA=folder python benchmarks/augmentation.py [--device cuda]

The time of making a batch at strength 1 (deformation and shades of all its samples), beside that of the step of some
networks at strength 0, which has its batches made too. Medians. Writes results/augmentation-DEVICE.md.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import torch
from machine import description
from plain_loop import TURN
from training import NETWORKS, RESULTS, ours, turn

from unetsearch.data.load import load_data
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.batches import batches
from unetsearch.training.device import find_device
from unetsearch.training.device_data import DeviceData, on_device

STEPS = 60
SHOWN = ("unet-8, depth 1", "unet-8", "unet-16", "unet++-8", "unet3+-8", "mobilenetv2")


def making(there: DeviceData, recipe: Recipe) -> float:
    """The median second of a batch."""
    drawn, times = batches(there.train, recipe, 0), []
    for _ in range(STEPS):
        began = perf_counter()
        next(drawn)
        if there.device.type == "cuda":
            torch.cuda.synchronize(there.device)
        times.append(perf_counter() - began)
    return median(times[TURN:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    device = find_device(parser.parse_args().device)
    NETWORKS["unet-8"] = {"name": "unet", "width": 8}
    NETWORKS["unet-8, depth 1"] = {"name": "unet", "width": 8, "depth": 1}
    root = os.environ.get("UNETSEARCH_DATA")
    data = load_data(DataSettings(path=str(Path(root) / "dsb2018_fluo") if root else "cells"))
    there = on_device(data, device)
    there = replace(there, validation=there.validation[:1])
    recipe = Recipe(steps=STEPS, evaluations=STEPS // TURN)
    plain, augmented = (median(making(there, replace(recipe, augmentation=s)) for _ in range(5)) for s in (0.0, 1.0))
    middle = mean if device.type == "cuda" else median
    rows = []
    for name in SHOWN:
        steps = ours(name, there, recipe)
        _, *turns = [turn(steps) for _ in range(recipe.evaluations)]  # without what is slow at the beginning
        step = median(map(middle, turns))
        rows.append(f"| {name} | {1000 * step:.1f} | {(augmented - plain) / step:.1%} |")
        print(rows[-1], flush=True)
    lines = [
        "# What augmentation costs",
        "",
        description(),
        "",
        f"{recipe.batch_size} crops of {recipe.crop} px: a batch is made in {1000 * plain:.2f} ms at strength 0, "
        f"in {1000 * augmented:.2f} ms at strength 1.",
        "",
        "| network | a step, ms | strength 1 adds |",
        "|---|---|---|",
        *rows,
    ]
    (RESULTS / f"augmentation-{device.type}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
