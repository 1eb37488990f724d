"""Images a second of the trainer against loops as they are written today, and the time to the same Dice.

    UNETSEARCH_DATA=folder python benchmarks/training.py [--device cuda] [--networks unet-16 ...] [--steps N]

The same modules, data, batches and number of steps, side by side in one run: (a) this trainer, moving average and
evaluations included in its time to a Dice; (b) a plain float32 loop over a DataLoader with augmentation on the
processor; (b2) the same in bfloat16, channels last, with a worker a core, compiled where that works; (c) the bare step
on a tensor that lies on the device. Images a second by the median step of all rounds, without warm-up and evaluations.
Writes results/training-DEVICE.md.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from machine import description
from plain_loop import Style, plain_loop
from torch import nn

import unetsearch
from unetsearch.data.dataset import SegmentationData
from unetsearch.data.load import load_data
from unetsearch.network.network import Network
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import DataSettings
from unetsearch.training.device import autocast, find_device, memory_format
from unetsearch.training.device_data import DeviceData, on_device
from unetsearch.training.heads import outputs_loss
from unetsearch.training.inference import evaluate
from unetsearch.training.losses import Truth
from unetsearch.training.train import train

RESULTS = Path(__file__).parent / "results"

NETWORKS: dict[str, dict[str, object]] = {
    "unet-16": {"name": "unet", "width": 16},
    "unet-32": {"name": "unet", "width": 32},
    "unet++-8": {"name": "unet++", "width": 8},
    "unet++-16": {"name": "unet++", "width": 16},
    "unet3+-8": {"name": "unet3+", "width": 8, "channels": 8},
    "unet3+-16": {"name": "unet3+", "width": 16, "channels": 16},
    "mobilenetv2": {"name": "unet", "width": 16, "encoder": "timm/mobilenetv2_100"},
    "efficientnet-b0": {"name": "unet", "width": 16, "encoder": "timm/efficientnet_b0"},
}

TO_DICE = ("unet-16", "unet++-8", "unet3+-8", "mobilenetv2", "efficientnet-b0")
"""Trained to a Dice as well."""

WARM_UP = 5
"""Steps that are not timed."""


Curve = list[tuple[float, float]]
"""Seconds, and the Dice that was reached by then."""

Steps = Iterator[tuple[float, float | None]]
"""Seconds of a step, or (ours: since the beginning) with a Dice."""


def network(name: str, device: torch.device) -> Network:
    """Initialised alike every time."""
    torch.manual_seed(0)
    return unetsearch.build_network(unetsearch.build_graph(unetsearch.reference(**NETWORKS[name]))).to(device)


def ours(name: str, data: DeviceData, recipe: Recipe) -> Steps:
    """This trainer."""
    times: list[float] = []
    began = perf_counter()

    def pulse(step: int, _: object) -> None:
        nonlocal began
        wait(data.device, step % 10 == 0)
        times.append(perf_counter() - began)
        began = perf_counter()

    for score in train(network(name, data.device), data, recipe, 0, pulse=pulse):
        yield from ((seconds, None) for seconds in times)
        times.clear()
        yield score.seconds, score.dice
        began = perf_counter()


def bare(name: str, data: DeviceData, recipe: Recipe) -> Steps:
    """The step alone, on one batch."""
    device = data.device
    trained = network(name, device).to(memory_format=memory_format(device)).train()
    optimizer = torch.optim.AdamW(
        trained.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    images = torch.randn(recipe.batch_size, 1, recipe.crop, recipe.crop, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    truth = Truth(1, (images[:, 0] > 0).to(torch.uint8))
    for step in range(recipe.steps):
        began = perf_counter()
        optimizer.zero_grad()
        with autocast(device):
            outputs = trained.outputs(images)
        outputs_loss(recipe, outputs, truth).backward()
        optimizer.step()
        wait(device, step % 10 == 0)
        yield perf_counter() - began, None


def wait(device: torch.device, now: bool) -> None:
    """Steps on a GPU are only begun: every tenth one is waited for."""
    if device.type == "cuda" and now:
        torch.cuda.synchronize(device)


def loop(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe, style: Style, scored: bool) -> Steps:
    """A user's loop on the same module; it scores as we do."""

    def score(trained: nn.Module) -> float:
        assert isinstance(trained, Network)
        return sum(evaluate(trained, there.validation, 2).dice)

    return plain_loop(network(name, there.device), data, recipe, there.device, style, score if scored else None)


def measure(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe, rounds: int) -> dict[str, float]:
    """Images a second of every way, in turns."""
    ways: dict[str, Callable[[], Steps]] = {
        "a": lambda: ours(name, there, recipe),
        "b": lambda: loop(name, data, there, recipe, Style(tuned=False), False),
        "b2": lambda: loop(name, data, there, recipe, Style(True, os.cpu_count() or 1, compiled=True), False),
        "c": lambda: bare(name, there, recipe),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        for way in list(ways)[:: 1 if turn % 2 else -1]:
            try:
                steps = [seconds for seconds, dice in ways[way]() if dice is None]
            except Exception as error:  # a network that does not compile
                print(f"{name} {way}: {type(error).__name__}: {error}", flush=True)
                continue
            seconds[way] += steps[WARM_UP:]
    size = 10 if there.device.type == "cuda" else 1
    return {way: recipe.batch_size / pace(times, size) for way, times in seconds.items() if times}


def pace(times: list[float], size: int) -> float:
    """The median second of a step; on a GPU of the mean over so many steps."""
    groups = [sum(times[start : start + size]) / size for start in range(0, len(times) - size + 1, size)]
    return median(groups)


def to_dice(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe) -> dict[str, Curve]:
    """Seconds since the first step and Dice after each evaluation, evaluations included."""
    curves: dict[str, Curve] = {}
    curves["a"] = [(seconds, dice) for seconds, dice in ours(name, there, recipe) if dice is not None]
    for way, style in {"b": Style(False), "b2": Style(True, os.cpu_count() or 1)}.items():
        began, curves[way] = 0.0, []
        for seconds, dice in loop(name, data, there, recipe, style, True):
            began = began or perf_counter() - seconds
            if dice is not None:
                curves[way].append((perf_counter() - began, dice))
    return curves


def first(curve: Curve, dice: float) -> str:
    """When a curve reaches a Dice."""
    return next((f"{seconds:.1f}" for seconds, reached in curve if reached >= dice), "-")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--train", type=int, default=120, help="steps of the trainings to a Dice; 0: none")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--augmentation", type=float, default=0.0)
    given = parser.parse_args()
    root = os.environ.get("UNETSEARCH_DATA")
    data = load_data(DataSettings(path=str(Path(root) / "dsb2018_fluo") if root else "cells"))
    there = on_device(data, find_device(given.device))
    recipe = Recipe(
        steps=given.steps + WARM_UP,
        evaluations=1,
        crop=given.crop,
        batch_size=given.batch,
        augmentation=given.augmentation,
    )
    rows, ends = [], []
    for name in given.networks:
        rates = measure(name, data, replace(there, validation=there.validation[:1]), recipe, given.rounds)
        rows.append(row(name, rates))
        print(rows[-1], flush=True)
        if given.train and name in TO_DICE:
            long = replace(recipe, steps=given.train, evaluations=12)
            curves = to_dice(name, data, replace(there, validation=there.validation[:16]), long)
            target = 0.98 * curves["b"][-1][1]
            finals = " | ".join(f"{curves[way][-1][1]:.4f}" for way in ("a", "b", "b2"))
            times = " | ".join(first(curves[way], target) for way in ("a", "b", "b2"))
            ends.append(f"| {name} | {finals} | {target:.4f} | {times} |")
            print(ends[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"training-{there.device.type}.md").write_text(
        "\n".join(page(rows, ends, recipe, data.name, given.train)) + "\n", encoding="utf-8"
    )


def row(name: str, rates: dict[str, float]) -> str:
    """A line of the table."""
    shown = [f"{rates[way]:.1f}" if way in rates else "-" for way in ("a", "b", "b2", "c")]
    ratios = [f"{rates['a'] / rates[way]:.2f}" if way in rates else "-" for way in ("b", "b2", "c")]
    return f"| {name} | {' | '.join(shown)} | {' | '.join(ratios)} |"


def page(rows: list[str], ends: list[str], recipe: Recipe, data: str, steps: int) -> list[str]:
    """The whole result."""
    lines = ["# Speed of training", "", description(), "", *(__doc__ or "").splitlines()[4:10], ""]
    lines += [
        f"{data}, {recipe.batch_size} crops of {recipe.crop}x{recipe.crop} px a step, "
        f"augmentation {recipe.augmentation:g}. Images a second:",
        "",
        "| network | a | b | b2 | c | a/b | a/b2 | a/c |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    if ends:
        lines += [
            "",
            f"Final Dice of one training of {steps} steps each, and seconds to 98 % of (b)'s final Dice:",
            "",
            "| network | a | b | b2 | Dice | a | b | b2 |",
            "|---|---|---|---|---|---|---|---|",
            *ends,
        ]
    return lines


if __name__ == "__main__":
    main()
