"""The arithmetic of the benchmarks on tables made by hand."""

import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from unetsearch.search.candidate import Candidate
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import SearchSettings
from unetsearch.space.space import SearchSpace
from unetsearch.space.values import Choice, Option, fixed

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """The scripts' folder, to import from; it is no part of what is installed."""
    if not FOLDER.is_dir():
        pytest.skip("the benchmarks are not here: a checkout has them")
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in (
        "replay",
        "recording",
        "rivals",
        "search_efficiency",
        "machine",
        "early_scores",
        "training",
        "training_tables",
        "weight_map",
        "plain_loop",
    ):
        sys.modules.pop(name, None)


SPACE = SearchSpace(
    name="three",
    architecture={"depth": Choice((Option(1), Option(2), Option(3))), "width": fixed(4)},
    recipe=Recipe(steps=120, evaluations=12),
)

# final Dice of two seeds by depth: true .6, .8 and .7
FINALS = {1: (0.5, 0.7), 2: (0.8, 0.8), 3: (0.9, 0.5)}


@pytest.fixture
def table(benchmarks):
    from replay import Table

    curves, params = {}, {}
    for point in SPACE.enumerate():
        candidate = Candidate.at(point)
        depth = candidate.architecture.depth
        curves[candidate.graph.hash] = np.array([np.linspace(0.1, final, 12) for final in FINALS[depth]])
        params[candidate.graph.hash] = 10**depth  # sizes 0, .5 and 1 of the range
    return Table(SPACE, curves, params)


@pytest.fixture
def names(table):
    """The hashes by depth."""
    return dict(zip((1, 2, 3), sorted(table.params, key=table.params.get), strict=True))


def test_the_truth_is_the_mean_over_seeds(table, names):
    assert table.dice == pytest.approx({names[1]: 0.6, names[2]: 0.8, names[3]: 0.7})
    assert {name: table.losses[name] for name in names.values()} == {
        names[1]: (pytest.approx(0.4), 0.0),
        names[2]: (pytest.approx(0.2), 0.5),
        names[3]: (pytest.approx(0.3), 1.0),
    }
    assert table.front == {names[1], names[2]}


def test_hypervolume_and_regret(table, names):
    whole = 0.6 * 0.5 + 0.8 * 0.5
    assert table.volume([names[1], names[2]]) == 1
    assert table.volume([names[1]]) == pytest.approx(0.6 / whole)
    assert table.volume([names[2], names[3]]) == pytest.approx(0.8 * 0.5 / whole)
    assert table.volume([]) == 0
    assert [round(table.regret(names[depth]), 6) for depth in (1, 2, 3)] == [0, 0, 0.1]


def test_stretched_losses_have_the_range_of_the_space(table, names):
    from dataclasses import replace

    stretched = replace(table, stretched=True)
    assert [stretched.losses[names[depth]][0] for depth in (1, 2, 3)] == pytest.approx([1, 0, 0.5])
    assert stretched.volume([names[2]]) == pytest.approx(1), "the worst Dice adds nothing then"


def test_a_replay_pays_for_every_step_and_finds_the_front_that_it_sees(table, names, tmp_path):
    from replay import replay
    from search_efficiency import judged

    search = SearchSettings(trials=3, sampler="enumerate", pruner="none", seed=1)
    seen = {depth: float(table.seen(1)[names[depth]][-1]) for depth in (1, 2, 3)}
    replayed = replay(table, search, tmp_path)
    assert replayed.steps == 3 * 120
    assert [found.steps for found in replayed.found] == [0, 120, 240, 360]
    assert replayed.pruned == frozenset()
    believed = {names[depth] for depth in (1, 2, 3) if all(seen[depth] > seen[other] for other in range(1, depth))}
    assert replayed.found[-1].front == believed
    measured = judged(table, replayed)
    assert measured.final == pytest.approx(table.volume(believed))
    first = next(found.steps for found in replayed.found if table.volume(found.front) >= 0.9)
    assert measured.reached[0] == first
    assert measured.regret == pytest.approx(np.mean([table.regret(name) for name in believed]))


def test_a_pruned_training_is_paid_for_up_to_where_it_was_ended(benchmarks, tmp_path):
    from replay import Table, replay

    space = SearchSpace(
        name="many",
        architecture={
            "depth": Choice((Option(1), Option(2))),
            "width": Choice(tuple(Option(4 * n) for n in range(1, 9))),
        },
        recipe=SPACE.recipe,
    )
    curves, params = {}, {}
    for point in space.enumerate():
        candidate = Candidate.at(point)
        final = 0.9 - 0.02 * candidate.architecture.channels[0] / 4  # the smallest one is the best
        curves[candidate.graph.hash] = np.linspace(0.1, final, 12)[None]
        params[candidate.graph.hash] = candidate.cost.params
    table = Table(space, curves, params)
    replayed = replay(table, SearchSettings(trials=16, sampler="enumerate", seed=0), tmp_path)
    assert len(replayed.trained) == 16
    assert replayed.pruned
    ended = len(replayed.pruned)
    assert 120 * (16 - ended) + 10 * ended <= replayed.steps <= 120 * (16 - ended) + 60 * ended
    assert min(params, key=params.get) not in replayed.pruned


def test_the_arithmetic_of_training_speed(benchmarks):
    from training import paced
    from training_tables import Pace, end_row, first, row, trial_row

    slow = 3.0  # the machine, in the second turn
    turns = {
        "a": [[9.0, 0.1], [7.0], [0.05, 0.05, 0.2], [slow * 0.1]],
        "c": [[0.2, 0.2], [7.0], [0.2, 0.2, 0.2], [slow * 0.2]],
    }
    found = paced(turns)
    assert found["a"] == Pace(pytest.approx(0.2), pytest.approx(8.7)), "half of (c), whose median is .4"
    assert found["c"].step == pytest.approx(0.4)
    paces = {"a": Pace(0.2, 0.0), "b": Pace(0.6, 0.0), "c": Pace(0.15, 0.0)}
    assert row("net", paces, 6) == "| net | 30.0 | 10.0 | - | - | - | 40.0 | 3.00 | - | - | - | 0.75 |"
    slower, faster = paces | {"b2": Pace(0.4, 60.0)}, paces | {"b2": Pace(0.1, 60.0), "lib2": Pace(0.1, 0.0)}
    assert trial_row("net", slower, 6).endswith("| 30.0 | 10.0 | - | 3.00 | - | 60.0 | never | 2.00 |")
    assert trial_row("net", faster, 6) == "| net | 30.0 | 20.0 | 60.0 | 1.50 | 0.50 | 60.0 | 600 | 0.50 |"
    curve = [(1.0, 0.5), (2.0, 0.8), (3.0, 0.9)]
    assert [first(curve, dice) for dice in (0.5, 0.7, 0.95)] == [1.0, 2.0, float("inf")]
    runs = [{"a": [(1.0, 0.85)], "b": [(seconds, 0.8)], "b2": [(1.0, 0.5)]} for seconds in (5.0, 6.0, 9.0)]
    spread = " ± 0.0000"
    assert (
        end_row("net", runs) == f"| net | 0.8500{spread} | 0.8000{spread} | 0.5000{spread} | 0.7840 | 1.0 | 6.0 | - |"
    )


def test_an_operation_is_measured_beside_torchs_own(benchmarks):
    import torch
    from operations import features, row

    def slow(x):
        for _ in range(20):
            x = torch.relu(x) + 1
        return x

    name, theirs, ours, ratio = row("relu", torch.relu, slow, features(8, 32)).strip("| ").split(" | ")
    assert name == "relu"
    assert float(theirs) > float(ours)
    assert float(ratio) > 1


def row_of(finals):
    """The ceiling and the share of a table; `finals`: of two seeds. All scores of a training are its final one."""
    import early_scores

    curves = np.repeat(np.array(finals).T[:, :, None], 12, axis=2)
    *_, line, _ = early_scores.report("set", {("flat", "weights"): curves})
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    return cells[-4], cells[-3]


def test_a_share_is_told_where_seeds_tell_of_one_another(benchmarks):
    rising = np.linspace(0.1, 0.5, 12)
    assert row_of([rising, rising + 0.3]) == ("1.00", "1.00 ± 0.00")


def test_there_is_no_share_of_nothing(benchmarks):
    assert row_of([[0.1, 0.2, 0.3, 0.4], [0.6, 0.8, 0.5, 0.7]]) == ("0.00", "-")


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loop_of_a_user_trains(benchmarks, workers):
    """It is what the trainer is measured against: it has to learn too."""
    import torch
    from plain_loop import Style, loss_of, plain_loop

    import unetsearch
    from unetsearch.data.load import load_data
    from unetsearch.space.settings import DataSettings
    from unetsearch.training.sources import normalised

    torch.manual_seed(0)
    data = load_data(DataSettings(path="cells"))
    network = unetsearch.build_network(unetsearch.build_graph(unetsearch.reference("unet", width=4, depth=2)))
    recipe = Recipe(steps=60, evaluations=2, crop=32, batch_size=4, learning_rate=1e-2, augmentation=0.5)
    style = Style(tuned=workers > 0, workers=workers)
    scored = []

    def score(trained):
        with torch.no_grad():
            image = torch.from_numpy(normalised(data.images[0]))[None]
            scored.append(loss_of(trained.eval()(image), torch.from_numpy(data.masks[0])[None]).item())
        return 0.7

    score(network)
    found = list(plain_loop(network, data, recipe, torch.device("cpu"), style, score))
    assert [index for index, (_, dice) in enumerate(found) if dice == 0.7] == [29, 59]
    assert all(seconds > 0 for seconds, _ in found)
    untrained, *_, trained = scored
    assert trained < 0.9 * untrained


def test_the_trainer_can_be_measured_in_turns(benchmarks, monkeypatch):
    import torch
    import training

    from unetsearch.data.load import load_data
    from unetsearch.space.settings import DataSettings
    from unetsearch.training.device_data import on_device
    from unetsearch.training.metrics import Overlap

    monkeypatch.setitem(training.NETWORKS, "small", {"name": "unet", "width": 4, "depth": 1})
    there = on_device(load_data(DataSettings(path="cells")), torch.device("cpu"))
    recipe = Recipe(steps=100 * training.TURN, evaluations=100, crop=32, batch_size=2)
    scored = []

    def slowly(*_):
        sleep(0.5)
        scored.append(None)
        return Overlap((1.0,), (1.0,))

    monkeypatch.setattr("unetsearch.training.train.evaluate", slowly)
    steps = training.ours("small", there, recipe)
    first, second = training.turn(steps), training.turn(steps)
    assert (len(first), len(second), len(scored)) == (8, 8, 2)
    assert all(0 < seconds < 0.4 for seconds in second), "a score takes longer, and is not among them"


@pytest.mark.slow
def test_the_speed_of_training_is_written_with_all_ways(benchmarks, monkeypatch, tmp_path):
    import training
    from plain_loop import Style

    compiled = []
    monkeypatch.delenv("UNETSEARCH_DATA", raising=False)
    monkeypatch.setattr(training, "NETWORKS", {"small": {"name": "unet", "width": 4, "depth": 1}})
    monkeypatch.setattr(training, "AUGMENTED", ("small",))
    monkeypatch.setattr(training, "PAUSE", 0)
    monkeypatch.setattr(training, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(training, "styles", lambda: (Style(tuned=False), Style(tuned=True)))  # compiling takes minutes
    monkeypatch.setattr(training.torch, "compile", lambda function: compiled.append(function) or function)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    given = "training.py --networks small --turns 2 --train 12 --crop 32 --batch 2 --seeds 2"
    monkeypatch.setattr("sys.argv", given.split())
    training.main()
    text = (tmp_path / "results" / "training-cpu.md").read_text()
    speed, augmented, trial, ends = (line.strip("| ").split(" | ") for line in text.splitlines() if "| small |" in line)
    assert len(speed) == len(augmented) == 12
    ours, plain, tuned, bare = (float(speed[place]) for place in (1, 2, 3, 6))
    assert min(ours, plain, tuned, bare) > 0
    assert float(speed[7]) == pytest.approx(ours / plain, abs=0.02)
    assert float(speed[8]) == pytest.approx(ours / tuned, abs=0.02)
    assert speed[4:6] == ["-", "-"], "no library has this one"
    assert float(trial[1]) > 0
    assert all(0 < float(dice.split(" ")[0]) < 1 for dice in ends[1:4])


def test_which_pairs_come_apart(benchmarks):
    from weight_map import comes_apart

    truth = np.array([[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]], np.int32)
    parts = np.array([[3, 3, 0, 0, 4, 4], [3, 3, 3, 4, 4, 4]], np.int32)
    assert comes_apart(truth, parts, 1, 2)
    assert not comes_apart(truth, np.where(parts > 0, 1, 0), 1, 2), "one part covers both"
    assert not comes_apart(truth, np.where(parts == 3, 3, 0), 1, 2), "one is not found"
    assert not comes_apart(truth, np.array([[3, 3, 3, 4, 5, 6], [3, 3, 3, 4, 5, 6]]), 1, 2), "one is in pieces"
