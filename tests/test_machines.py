"""Several machines work on one study: processes with folders of their own, and one storage."""

import os
import signal
import time

import optuna
import pandas as pd
import pytest

from tests.processes import kill, trainers, unetsearch

TRIALS = 40

SPACE = ("--set", "training.learning_rate={low: 1e-3, high: 1e-2}", "--set", "architecture.skip=plain")


def command(folder, *more, trials=TRIALS):
    return ("run", "tiny.yaml", "--data", "data", "--out", folder, "--trials", trials, *SPACE, *more)


def ended(*processes):
    for process in processes:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
        yield out


def table(folder):
    whole = pd.read_csv(f"{folder}/trials.csv", dtype={"trial": str})
    return whole[(whole["trial"] != "unet") & whole["state"].isin(["complete", "pruned", "failed"])]


def check(folder, trials=TRIALS):
    """Exactly so many trials, no network twice."""
    found = table(folder)
    assert len(found) == trials
    assert found["hash"].is_unique
    assert (pd.read_csv(f"{folder}/trials.csv", dtype={"trial": str})["trial"] == "unet").sum() == 1
    return found


def read(storage):
    """The trials, by Optuna's own means."""
    if storage.startswith("journal:"):
        backend = optuna.storages.journal.JournalFileBackend(storage.removeprefix("journal:"))
        return optuna.load_study(study_name="tiny-data", storage=optuna.storages.JournalStorage(backend)).trials
    opened = optuna.storages.RDBStorage(storage)
    try:
        return optuna.load_study(study_name="tiny-data", storage=opened).trials
    finally:
        opened.remove_session()
        opened.engine.dispose()


@pytest.fixture(params=["postgresql", "journal"])
def storage(request, here):
    if request.param == "journal":
        return f"journal:{here / 'journal.log'}"
    return request.getfixturevalue("postgres").database(f"machines{os.getpid()}{time.time_ns()}")


@pytest.mark.slow
def test_two_machines_share_a_study(here, storage):
    """Whose trainings pause, and are pruned."""
    env = {"UNETSEARCH_STORAGE": storage}
    pruning = ("--set", "search.pruner=pareto", "--set", "training.steps=12", "--set", "training.evaluations=6")
    outs = list(ended(*[unetsearch(*command(folder, *pruning), env=env) for folder in ("one", "two")]))
    found = [check(folder) for folder in ("one", "two")]
    assert {slot.split("/")[0] for slot in found[0]["slot"]} == {"one", "two"}, "both have trained"
    assert set(found[0]["state"]) == {"complete", "pruned"}
    assert all("pauses" in out for out in outs)
    assert "40 of 40 trials" in outs[0]
    for text in (*outs, *(path.read_text(errors="replace") for path in here.glob("*/*.*") if path.suffix != ".npz")):
        assert "se:cr@t" not in text
        assert "se%3Acr%40t" not in text


@pytest.mark.slow
def test_a_trial_of_a_killed_machine_is_finished_by_another(here, storage):
    env = {"UNETSEARCH_STORAGE": storage}
    long = ("--set", "training.steps=300", "--set", "training.evaluations=15", "--set", "baselines=[]")
    victim = unetsearch(*command("one", *long, trials=4), env=env, grace=4)
    for line in victim.stdout:
        if "#1" in line and "step" in line:
            break
    kill(victim.pid, *trainers(victim))
    victim.communicate()
    list(ended(unetsearch(*command("two", *long, trials=4), env=env, grace=4)))
    found = table("two")
    assert len(found) == 4
    assert found["hash"].is_unique
    assert set(found["state"]) <= {"complete", "pruned"}
    trials = read(storage)
    lost = next(trial for trial in trials if trial.number == 1)
    assert lost.state.name == "FAIL"
    again = next(trial for trial in trials if trial.user_attrs.get("instead_of") == 1)
    assert again.params == lost.params
    assert again.state.name in ("COMPLETE", "PRUNED")


@pytest.mark.slow
def test_a_study_goes_on_after_its_server_was_restarted(here, postgres):
    url = postgres.database(f"restart{os.getpid()}{time.time_ns()}")
    env = {"UNETSEARCH_STORAGE": url}
    processes = [unetsearch(*command(folder, trials=16), env=env, grace=20) for folder in ("one", "two")]
    for line in processes[0].stdout:
        if "#" in line and "step" in line:
            break
    postgres.stop("immediate")
    time.sleep(2)
    postgres.start()
    list(ended(*processes))
    for folder in ("one", "two"):
        check(folder, 16)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGTERM")
def test_a_preempted_machine_saves_and_ends_in_seconds_and_another_goes_on(here, storage):
    env = {"UNETSEARCH_STORAGE": storage}
    long = ("--set", "training.steps=1200", "--set", "training.evaluations=40", "--set", "baselines=[]")
    first = unetsearch(*command("one", *long, trials=1), env=env)
    for line in first.stdout:
        if "#0" in line and "step 300" in line:
            break
    started = time.monotonic()
    os.killpg(first.pid, signal.SIGTERM)  # as a cluster does: the whole group
    out, _ = first.communicate(timeout=30)
    assert time.monotonic() - started < 15
    assert first.returncode == 128 + signal.SIGTERM, out
    assert "the same command continues" in out
    assert list((here / "one" / "checkpoints").iterdir())
    again = unetsearch(*command("one", *long, trials=1), env=env)
    (out,) = ended(again)
    assert "step 300" in out, "the scores so far are told again"
    found = table("one")
    assert len(found) == 1
    assert not list((here / "one" / "checkpoints").iterdir())
