"""A study whose processes are killed at random moments, again and again: it loses nothing and repeats nothing."""

import os
import sqlite3
import time
from collections import Counter
from pathlib import Path
from random import Random

import optuna
import pandas as pd
import pytest

from tests.processes import kill, trainers, unetsearch

KILLS = int(os.environ.get("UNETSEARCH_KILLS", "3"))
"""How often; the whole torture is UNETSEARCH_KILLS=50."""

TRIALS = 3 * KILLS

COMMAND = (
    "run",
    "tiny.yaml",
    "--data",
    "data",
    "--slots",
    2,
    "--trials",
    TRIALS,
    "--set",
    "training.learning_rate={low: 1e-3, high: 1e-2}",
    "--set",
    "training.steps=200",
    "--set",
    "training.evaluations=5",
    "--set",
    "search.pruner=pareto",
)


@pytest.mark.slow
@pytest.mark.timeout(120 + 40 * KILLS)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the processes of a study are found by /proc")
def test_a_study_survives_being_killed_at_any_moment(here):
    random = Random(KILLS)
    seen: dict[int, tuple[str, list[float] | None]] = {}
    kills = Counter()
    while kills.total() < KILLS:
        process = unetsearch(*COMMAND, stdout=None)
        while kills.total() < KILLS and process.poll() is None:
            time.sleep(random.uniform(0.5, 14))
            victim = random.choice(["trainer", "parent", "both"])
            found = trainers(process)
            if process.poll() is not None or (victim == "trainer" and not found):
                continue
            kill(*(found[:1] if victim == "trainer" else [process.pid, *(found if victim == "both" else [])]))
            kills[victim] += 1
            if victim != "trainer":
                process.wait()
        kill(process.pid)
        process.wait()
        seen = looked_at(seen)
    print(dict(kills), f"{len(seen)} trials finished meanwhile")
    last = unetsearch(*COMMAND)
    out, _ = last.communicate(timeout=60 + 20 * TRIALS)
    assert last.returncode == 0, out
    looked_at(seen)
    table = pd.read_csv("studies/tiny-data/trials.csv", dtype={"trial": str})
    settled = table[table["state"].isin(["complete", "pruned", "failed"])]
    trials, baselines = settled[settled["trial"] != "unet"], settled[settled["trial"] == "unet"]
    failed = settled[settled["state"] == "failed"]
    assert len(trials) == TRIALS, "the total is exact"
    assert trials[trials["state"] != "failed"]["hash"].is_unique, "nothing is trained twice"
    assert (baselines["state"] == "complete").sum() == 1
    assert failed["reason"].astype(str).str.contains("signal 9").all()
    assert len(failed) <= kills["trainer"]


def looked_at(before):
    """The finished trials; those that were finished before are as they were."""
    if not Path("studies/tiny-data/study.db").exists():
        assert not before
        return before
    with sqlite3.connect("studies/tiny-data/study.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    try:
        trials = optuna.load_study(study_name="tiny", storage="sqlite:///studies/tiny-data/study.db").trials
    except KeyError:  # killed before the study was made
        assert not before
        return before
    now = {
        trial.number: (trial.state.name, trial.values)
        for trial in trials
        if trial.state.is_finished() and "record" in trial.user_attrs
    }
    assert before.items() <= now.items(), "what is finished stays as it is"
    return now
