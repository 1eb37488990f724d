"""Images a second of the trainer against loops as they are written today, and the time to the same Dice.

    UNETSEARCH_DATA=folder python benchmarks/training.py [--device cuda] [--networks unet-16 ...] [--turns N]

The same modules, data, batches and number of steps, side by side in one run: (a) this trainer, moving average and
evaluations included in its time to a Dice; (b) a plain float32 loop over a DataLoader with augmentation on the
processor; (b2) the same in bfloat16, channels last, with a fused optimizer and a worker a core, compiled by torch's
default options where that works; (c) the bare step on a tensor that lies on the device, on CUDA recorded and replayed
as that of (a) is. (lib) and (lib2) are (b) and (b2) with the network of a segmentation library, where one has it
(MONAI; segmentation_models.pytorch, which is to be installed beside unetsearch).
All take turns of nine steps; images a second are by the median over the turns of each to (c) in the same turn, without
the first two turns and without evaluations. As what is compiled must first be compiled, trials of any length stand
beside them, from an empty cache, unless all was compiled before (--compile, then --cache). Writes
results/training-DEVICE.md.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from unittest.mock import patch

import torch
from library import LIBRARY
from plain_loop import TURN, UNCOUNTED, Style, plain_loop, wait
from torch import nn
from torch._inductor.utils import fresh_cache
from training_tables import Curve, Pace, end_row, page, row, trial_row

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
from unetsearch.training.recording import GRAPHS, Repeated, recorder
from unetsearch.training.train import train

RESULTS = Path(__file__).parent / "results"

NETWORKS: dict[str, dict[str, object]] = {
    "unet-16": {"name": "unet", "width": 16},
    "unet-32": {"name": "unet", "width": 32},
    "unet++-8": {"name": "unet++", "width": 8, "deep_supervision": False},  # the loops have one head
    "unet++-16": {"name": "unet++", "width": 16, "deep_supervision": False},
    "unet3+-8": {"name": "unet3+", "width": 8, "channels": 8},
    "unet3+-16": {"name": "unet3+", "width": 16, "channels": 16},
    "mobilenetv2": {"name": "unet", "width": 16, "encoder": "timm/mobilenetv2_100", "stem": "none"},
    "efficientnet-b0": {"name": "unet", "width": 16, "encoder": "timm/efficientnet_b0", "stem": "none"},
}

AUGMENTED = ("unet-16", "unet3+-16")
"""Measured with augmentation as well."""

PAUSE = 0.5
"""Seconds after the turn of a loop with workers: meanwhile they make their batches, in nobody's time."""

Given = argparse.Namespace
"""What is asked for on the command line."""

Steps = Iterator[tuple[float, float | None]]
"""Seconds of a step, or (ours: since the beginning) with a Dice."""


def network(name: str, device: torch.device, seed: int = 0) -> Network:
    """Initialised alike every time."""
    torch.manual_seed(seed)
    return unetsearch.build_network(unetsearch.build_graph(unetsearch.reference(**NETWORKS[name]))).to(device)


def ours(name: str, data: DeviceData, recipe: Recipe, seed: int = 0) -> Steps:
    """This trainer: after each part of the steps their seconds, then its score. The scored step has no seconds."""
    times: list[float] = []
    scored, began = False, perf_counter()

    def pulse(step: int, _: object) -> None:
        nonlocal scored, began
        wait(data.device, step)
        if not scored:
            times.append(perf_counter() - began)
        scored, began = False, perf_counter()

    for score in train(network(name, data.device, seed), data, recipe, seed, pulse=pulse):
        yield from ((seconds, None) for seconds in times)
        times.clear()
        yield score.seconds, score.dice
        scored = True


def by_python(name: str, data: DeviceData, recipe: Recipe) -> Steps:
    """This trainer with every kernel of a step on CUDA begun by Python."""
    steps = ours(name, data, recipe)
    with patch.dict(os.environ, {GRAPHS: "0"}):
        first = next(steps)
    yield first
    yield from steps


def bare(name: str, data: DeviceData, recipe: Recipe) -> Steps:
    """The step alone, on one batch."""
    device = data.device
    trained = network(name, device).to(memory_format=memory_format(device)).train()
    optimizer = torch.optim.AdamW(
        trained.parameters(),
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
        capturable=device.type == "cuda",
    )
    images = torch.randn(recipe.batch_size, 1, recipe.crop, recipe.crop, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    truth = Truth(1, (images[:, 0] > 0).to(torch.uint8))

    def work() -> None:
        optimizer.zero_grad()
        with autocast(device):
            outputs = trained.outputs(images)
        outputs_loss(recipe, outputs, truth).backward()
        optimizer.step()

    take: Repeated[None] = Repeated(device, recorder(device))
    for step in range(1, recipe.steps + 1):
        began = perf_counter()
        take(work)
        wait(device, step)
        yield perf_counter() - began, None


def loop(
    module: nn.Module, data: SegmentationData, there: DeviceData, recipe: Recipe, style: Style, *, scored: bool = False
) -> Steps:
    """A user's loop; it scores as we do."""

    def score(trained: nn.Module) -> float:
        assert isinstance(trained, Network)
        return sum(evaluate(trained, there.validation, 2).dice)

    return plain_loop(module, data, recipe, there.device, style, score if scored else None)


def measure(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe, given: Given) -> dict[str, Pace]:
    """Every way, in turns; whatever is compiled is compiled in the first one, or read from the cache that is given."""
    plain, tuned = styles()
    turns = UNCOUNTED + given.turns
    recipe = replace(recipe, steps=TURN * turns, evaluations=turns)
    torch.compiler.reset()
    ways = {
        "a": ours(name, there, recipe),
        "b": loop(network(name, there.device), data, there, recipe, plain),
        "b2": loop(network(name, there.device), data, there, recipe, tuned),
        "c": bare(name, there, recipe),
    }
    if there.device.type == "cuda":
        ways["python"] = by_python(name, there, recipe)
    if name in LIBRARY:
        ways["lib"] = loop(LIBRARY[name](), data, there, recipe, plain)
        if not given.cache:
            ways["lib2"] = tuned_library(name, data, there, recipe)
    seconds: dict[str, list[list[float]]] = {way: [] for way in ways}
    for number in range(turns):
        for way in list(ways)[:: -1 if number % 2 else 1]:
            with nullcontext() if number or given.cache else fresh_cache():  # what one has compiled, no other one finds
                seconds[way].append(turn(ways[way]))
            if way in ("b2", "lib2"):
                sleep(PAUSE)
    return paced(seconds)


def turn(steps: Steps) -> list[float]:
    """The seconds of the next steps, without the last one."""
    return [seconds for seconds, _ in islice(steps, TURN)][:-1]


def paced(seconds: dict[str, list[list[float]]]) -> dict[str, Pace]:
    """Each way by the median over the turns of its steps to those of (c); all are as fast or slow as the machine is."""
    steps = {way: [mean(times) for times in turns[UNCOUNTED:]] for way, turns in seconds.items()}
    found = {}
    for way, (first, *_) in seconds.items():
        share = median(own / bare for own, bare in zip(steps[way], steps["c"], strict=True))
        step = share * median(steps["c"])
        found[way] = Pace(step, sum(first) - len(first) * step)
    return found


def tuned_library(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe) -> Steps:
    """Without compilation where that fails, as it does for MONAI's networks (their padding by replication)."""
    _, tuned = styles()
    steps = loop(LIBRARY[name](), data, there, recipe, tuned)
    try:
        first = next(steps)
    except Exception as error:
        print(f"{name} lib2 is not compiled: {type(error).__name__}", flush=True)
        steps = loop(LIBRARY[name](), data, there, recipe, replace(tuned, compiled=False))
        first = next(steps)
    yield first
    yield from steps


def styles() -> tuple[Style, Style]:
    """The plain loop and the tuned one."""
    return Style(tuned=False), Style(tuned=True, workers=os.cpu_count() or 1, compiled=True)


def compiled(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe) -> None:
    """Takes one step of the tuned loop, which leaves what it compiles in the cache."""
    torch.compiler.reset()
    _, tuned = styles()
    next(loop(network(name, there.device), data, there, recipe, replace(tuned, workers=0)))


def to_dice(name: str, data: SegmentationData, there: DeviceData, recipe: Recipe, seed: int) -> dict[str, Curve]:
    """Seconds since the first step and Dice after each evaluation; evaluations count, and compilation from a cache."""
    curves: dict[str, Curve] = {}
    torch.compiler.reset()
    curves["a"] = [(seconds, dice) for seconds, dice in ours(name, there, recipe, seed) if dice is not None]
    for way, style in zip(("b", "b2"), styles(), strict=True):
        began, curves[way] = 0.0, []
        for seconds, dice in loop(network(name, there.device, seed), data, there, recipe, style, scored=True):
            began = began or perf_counter() - seconds
            if dice is not None:
                curves[way].append((perf_counter() - began, dice))
    return curves


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--turns", type=int, default=6, help="of nine steps each, after two that do not count")
    parser.add_argument("--train", type=int, default=120, help="steps of the trainings to a Dice; 0: none")
    parser.add_argument("--trained", nargs="*", default=list(NETWORKS), help="the networks that are trained to a Dice")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3, help="of the trainings to a Dice")
    parser.add_argument("--cache", help="folder of what --compile compiled: no whole trials then, and no (lib2)")
    parser.add_argument("--compile", action="store_true", help="only compile what (b2) runs, into the cache")
    given = parser.parse_args()
    root = os.environ.get("UNETSEARCH_DATA")
    data = load_data(DataSettings(path=str(Path(root) / "dsb2018_fluo") if root else "cells"))
    there = on_device(data, find_device(given.device))
    recipe = Recipe(crop=given.crop, batch_size=given.batch)
    with TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = given.cache or cache
        if given.compile:
            for name in given.networks:
                compiled(name, data, there, recipe)
        else:
            torch.compile(torch.sin)(torch.ones(8))  # what a process does once is not the first way's
            measured(data, there, recipe, given)


def measured(data: SegmentationData, there: DeviceData, recipe: Recipe, given: Given) -> None:
    """Every network, and the result as far as it is known by then."""
    rows, augmented, trials, ends = [], [], [], []
    RESULTS.mkdir(exist_ok=True)
    introduction = (__doc__ or "").splitlines()[4:]
    one, some = (replace(there, validation=there.validation[:count]) for count in (1, 16))
    for name in given.networks:
        paces = measure(name, data, one, recipe, given)
        found = [row(name, paces, recipe.batch_size)]
        if "python" in paces:
            found.append(row(f"{name}, (a) begun by Python", paces | {"a": paces["python"]}, recipe.batch_size))
        rows += found
        if not given.cache:
            trials.append(trial_row(name, paces, recipe.batch_size))
        print(*found, *trials[-1:], sep="\n", flush=True)
        if name in AUGMENTED:
            paces = measure(name, data, one, replace(recipe, augmentation=1.0), given)
            augmented.append(row(name, paces, recipe.batch_size))
            print(augmented[-1], flush=True)
        if given.train and name in given.trained:
            long = replace(recipe, steps=given.train, evaluations=12)
            compiled(name, data, there, long)
            ends.append(end_row(name, [to_dice(name, data, some, long, seed) for seed in range(given.seeds)]))
            print(ends[-1], flush=True)
        text = "\n".join(page(introduction, rows, augmented, trials, ends, recipe, data.name, given)) + "\n"
        (RESULTS / f"training-{there.device.type}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
