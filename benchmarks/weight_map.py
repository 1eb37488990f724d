"""What the U-Net's weight map does for touching nuclei: Dice, F1 of objects, and how many touching pairs come apart.

    UNETSEARCH_DATA=folder python benchmarks/weight_map.py

The same U-Net on dsb2018_fluo with its numbered nuclei, with and without `weight_map: true`, for two losses and three
seeds, scored on the test images. A pair that touches comes apart where different connected parts of the prediction
cover most of each. Writes results/weight_map.md.
"""

import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from machine import description

import unetsearch
from unetsearch.data.dataset import IGNORE, SegmentationData
from unetsearch.data.load import load_data
from unetsearch.data.objects import Objects, connected, object_f1, touching
from unetsearch.data.separation import objects_of
from unetsearch.space.recipe import Loss, Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.device_data import DeviceData, on_device
from unetsearch.training.inference import predict
from unetsearch.training.metrics import image_scores
from unetsearch.training.sources import normalised
from unetsearch.training.train import train

RESULT = Path(__file__).parent / "results" / "weight_map.md"

RECIPE = Recipe(steps=400, evaluations=1)
LOSSES: tuple[Loss, ...] = ("cross_entropy", "dice_ce")
SEEDS = (0, 1, 2)


def main() -> None:
    torch.set_num_threads(2)
    data = load_data(DataSettings(path=str(Path(os.environ["UNETSEARCH_DATA"]) / "dsb2018_fluo")))
    there = on_device(data, torch.device("cpu"))
    there = replace(there, validation=there.validation[:1])
    pairs = sum(len(touching(objects_of(data, index))) for index in data.split.test)
    rows = []
    for loss, mapped in product(LOSSES, (False, True)):
        scores = [scored(data, there, replace(RECIPE, loss=loss, weight_map=mapped), seed) for seed in SEEDS]
        shown = [f"{mean(values):.4f} ± {stdev(values):.4f}" for values in zip(*scores, strict=True)]
        rows.append(f"| {loss} | {'with' if mapped else 'without'} | {' | '.join(shown)} |")
        print(rows[-1], flush=True)
    lines = [
        "# The weight map of the 2015 U-Net",
        "",
        description(),
        "",
        *(__doc__ or "").splitlines()[4:7],
        "",
        f"U-Net of depth 4 and width 16, {RECIPE.steps} steps of {RECIPE.batch_size} crops of {RECIPE.crop} px; "
        f"{len(data.split.test)} test images with {pairs} touching pairs; mean and deviation of {len(SEEDS)} seeds.",
        "",
        "| loss | weight map | Dice | F1 of objects (IoU 0.5) | pairs that come apart |",
        "|---|---|---|---|---|",
        *rows,
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def scored(data: SegmentationData, there: DeviceData, recipe: Recipe, seed: int) -> tuple[float, float, float]:
    """Dice and F1 of objects, means over the test images, and the share of their touching pairs that come apart."""
    torch.manual_seed(seed)
    network = unetsearch.build_network(unetsearch.build_graph(unetsearch.reference("unet", width=16)))
    list(train(network, there, recipe, seed))
    indices = data.split.test
    predictions = predict(network, [torch.from_numpy(normalised(data.images[index])) for index in indices])
    dices, f1s, apart, pairs = [], [], 0, 0
    for index, prediction in zip(indices, predictions, strict=True):
        mask = data.masks[index]
        dices.append(image_scores(prediction, torch.from_numpy(np.array(mask)), 2)[0].item())
        truth, found = objects_of(data, index), connected((prediction.numpy() != 0) & (mask != IGNORE))
        f1s.append(object_f1(truth, found))
        here = touching(truth)
        pairs += len(here)
        apart += sum(comes_apart(truth, found, *pair) for pair in here)
    return mean(dices), mean(f1s), apart / pairs


def comes_apart(truth: Objects, found: Objects, one: int, other: int) -> bool:
    """Whether different parts of what was found cover most of each of two objects."""
    parts = []
    for number in (one, other):
        covering = np.bincount(found[truth == number])
        part = int(covering.argmax())
        parts.append(part if covering[part] * 2 > covering.sum() else 0)
    return parts[0] != parts[1] and 0 not in parts


if __name__ == "__main__":
    main()
