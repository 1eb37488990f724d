"""Confirmations made up: finalists with known costs, and runs whose scores of every image are known."""

from dataclasses import replace

import numpy as np

from tests.report.conftest import record
from unetsearch.search.confirmed import Failure, Key, Plan, Run

STEP = 1 / 1024
"""A difference in Dice that floating point has exactly."""


def network(number, depth, dice=0.8, *, baseline=None, name="unet", **values):
    """With 1000 parameters and 1 MMACs for each level of depth; those of one depth differ in width."""
    made = record(number, dice, depth=depth, baseline=baseline, name=name, **{"width": 8 + 4 * number, **values})
    return replace(made, params=1000 * depth, macs=10**6 * depth)


def plan_of(*finalists, images=12, **values):
    groups = tuple(f"g{index}" for index in range(images))
    usual = {"nested": False, "folds": 3, "seeds": 2, "margin": 0.01, "groups": groups, "finalists": (finalists,)}
    return Plan(**{**usual, **values})


def run_of(plan, record, fold, seed, scores, **values):
    """`scores`: Dice by image. IoU is half of it, and F1 of objects what is left to 1."""
    known = {"dice": scores, "iou": [each / 2 for each in scores.values()], "object_f1": []}
    known |= {"dice": list(scores.values()), "object_f1": [1 - each for each in scores.values()]}
    return Run(
        key=Key(record.hash, plan.design, fold, seed)._replace(**values),
        images=tuple(scores),
        scores={name: tuple(each) for name, each in known.items()},
        started=0.0,
        finished=10.0,
    )


def runs_of(plan, value, **values):
    """Every run of a plan, with the Dice `value(record, fold, seed, image)`. Nested, fold i % folds tests image i."""
    found = []
    for fold in range(plan.folds):
        images = [i for i in range(len(plan.groups)) if not plan.nested or i % plan.folds == fold]
        for finalist in plan.of_fold(fold):
            for seed in range(plan.seeds):
                scores = {image: value(finalist, fold, seed, image) for image in images}
                found.append(run_of(plan, finalist, fold, seed, scores, **values))
    return found


def exact(gains):
    """Dices without noise between networks: of each depth so much, and every image is as hard for all."""
    return lambda record, fold, seed, image: 0.5 + image / 64 + gains[record.architecture.depth]


def noisy(gains, spread, seed=0):
    """The same with noise of each network on each image in each run."""
    known = {}

    def value(record, fold, run, image):
        key = (record.hash, fold, run, image)
        random = np.random.default_rng([seed, int(record.hash[:8], 16), fold, run, image])
        known.setdefault(key, gains[record.architecture.depth] + spread * random.standard_normal())
        return 0.5 + image / 64 + known[key]

    return value


def failure(run, reason="the loss was nan"):
    return Failure(run.key, reason)
