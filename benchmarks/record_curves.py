"""Records learning curves of the networks of tables/space.yaml on real images, into tables/SET.csv.

    UNETSEARCH_DATA=folder python benchmarks/record_curves.py isbi2012_em
    UNETSEARCH_DATA=folder python benchmarks/record_curves.py isbi2012_em --schedule one-cycle --every 4 --seeds 2

What the table holds already is not trained again. Two processes with one thread each, on the processor.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from recording import (
    FIXED,
    QUARTER,
    SCHEDULES,
    SETS,
    SHARES,
    TABLES,
    Row,
    Run,
    append_rows,
    load_set,
    name_of,
    read_rows,
    recipe_of,
    recorded_space,
)
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unetsearch.network.network import build_network
from unetsearch.search.candidate import Candidate
from unetsearch.training.device_data import DeviceData, Pair, on_device
from unetsearch.training.inference import predict
from unetsearch.training.metrics import image_scores
from unetsearch.training.train import train

data: DeviceData


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--schedule", choices=SCHEDULES, default="flat")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="only every n-th network")
    parser.add_argument("--widest", action="store_true", help="only the networks of the greatest width")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()

    path = TABLES / f"{arguments.set}.csv"
    there = {row.run for row in read_rows(path)}
    names = networks(widest=arguments.widest)[:: arguments.every]
    runs = [Run(name, arguments.schedule, seed) for seed in range(arguments.seeds) for name in names]
    missing = [run for run in runs if run not in there]
    print(f"{arguments.set}: {len(missing)} of {len(runs)} runs are to be trained", flush=True)
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.processes, prepare, (arguments.set,)) as pool:
        for done, rows in enumerate(pool.imap(record, missing), start=1):
            append_rows(path, rows)
            if done % 10 == 0:
                seconds = (time.perf_counter() - started) / done
                print(f"{done} of {len(missing)}, {seconds:.1f} s each", flush=True)


def networks(*, widest: bool = False) -> list[tuple[str, ...]]:
    """The different networks of the space, the first of equal ones, in the order of their parameters."""
    candidates = {}
    for point in recorded_space().enumerate():
        if not widest or point.values["width"] == 8:
            candidate = Candidate.at(point)
            candidates.setdefault(candidate.hash, (candidate.cost.params, name_of(point)))
    return [name for _, name in sorted(candidates.values())]


def prepare(name: str) -> None:
    """The data of a process, with the windows that are scored."""
    global data
    torch.set_num_threads(1)
    windows = SETS[name]
    whole = on_device(load_set(name), torch.device("cpu"))
    validation = [middle(pair, windows.side) for pair in whole.validation[: windows.images]]
    data = replace(whole, validation=tuple(validation))


def middle(pair: Pair, side: int) -> Pair:
    top, left = ((size - side) // 2 for size in pair.mask.shape)
    rows, columns = slice(top, top + side), slice(left, left + side)
    return Pair(pair.image[:, rows, columns].contiguous(), pair.mask[rows, columns].contiguous())


def record(run: Run) -> list[Row]:
    """Trains a network once and scores all averages of its weights along the way."""
    point = next(point for point in recorded_space().enumerate() if name_of(point) == run.network)
    candidate = Candidate.at(point)
    torch.manual_seed(run.seed)
    network = build_network(candidate.graph)
    averages = {name: get_ema_multi_avg_fn(decay) for name, decay in FIXED.items()}
    averages |= {name: share_average(share) for name, share in SHARES.items()}
    averaged = {name: AveragedModel(network, multi_avg_fn=f, use_buffers=True) for name, f in averages.items()}

    def update(*_: object) -> None:
        for model in averaged.values():
            model.update_parameters(network)

    curves: dict[str, list[float]] = {name: [] for name in (*averages, QUARTER)}
    hook = register_optimizer_step_post_hook(update)
    try:
        # the scores of train() itself, of one image, are not used
        for _ in train(network, replace(data, validation=data.validation[:1]), recipe_of(run.schedule), run.seed):
            for name, model in averaged.items():
                scores = dice(model.module)
                curves[name].append(sum(scores) / len(scores))
                if name == "share-0.1":
                    curves[QUARTER].append(sum(scores[::4]) / len(scores[::4]))
    finally:
        hook.remove()
    cost = candidate.cost
    return [Row(run, name, cost.params, cost.macs, tuple(curve)) for name, curve in curves.items()]


def share_average(share: float) -> Callable[[list[torch.Tensor], list[torch.Tensor], torch.Tensor], None]:
    """An average of weights, for AveragedModel, that reaches back over a share of the steps so far."""

    @torch.no_grad()
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor) -> None:
        weight = 1 / (1 + share * int(steps))
        for old, new in zip(averaged, current, strict=True):
            old.lerp_(new, weight) if old.is_floating_point() else old.copy_(new)

    return update


def dice(network: torch.nn.Module) -> list[float]:
    """The Dice of each scored window."""
    predictions = predict(network, [pair.image for pair in data.validation])
    pairs = zip(predictions, data.validation, strict=True)
    return [float(image_scores(prediction, pair.mask, data.classes)[0].mean()) for prediction, pair in pairs]


if __name__ == "__main__":
    main()
