"""Several processes with one study, for tests: on a real PostgreSQL, and on a journal."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import count

import pytest

from unetsearch.graph.references import reference
from unetsearch.search.candidate import Candidate
from unetsearch.search.claims import ask
from unetsearch.search.folder import create_folder
from unetsearch.search.settling import Outcome
from unetsearch.search.storage import begin_studies
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score

numbers = count()


@pytest.fixture(params=["postgresql", "journal"])
def storage(request, tmp_path):
    if request.param == "journal":
        return f"journal:{tmp_path / 'journal.log'}"
    return request.getfixturevalue("postgres").url


@pytest.fixture
def name():
    return f"tiny{next(numbers)}"


@pytest.fixture
def machine(storage, name, tmp_path):
    """Opens the study as one more machine would, with a folder of its own."""
    opened = []

    def open_(grace=60):
        folder = create_folder(tmp_path / f"machine{len(opened)}")
        studies = begin_studies(folder, name, ("dice", "params"), storage=storage, grace=grace)
        studies.search.sampler._rng.rng.seed(len(opened))
        opened.append(studies)
        return studies

    yield open_
    for studies in opened:
        studies.close()


@pytest.fixture(scope="module")
def candidate():
    return Candidate.of(reference("unet", width=4, depth=1), Recipe(steps=4, evaluations=2, crop=16))


def drawn(studies):
    trial = ask(studies, studies.search)
    trial.suggest_int("width", 1, 1000)
    return trial


def outcome(trial, candidate, *, hash_="h", state="complete", dice=0.5, baseline=None):
    score = Score(step=4, loss=0.5, dice=dice, iou=0.2, dice_by_class=(dice,), iou_by_class=(0.2,), seconds=1.0)
    record = candidate.record(trial.number, values=dict(trial.params), baseline=baseline, finished=1.0)
    return Outcome(trial, replace(record, hash=hash_, state=state, curve=(score,), seconds=1.0), {"params": -0.5})


WORKER = """
    import random, sys, time
    from pathlib import Path
    from unetsearch.graph.references import reference
    from unetsearch.search.claims import ask, beat, claim, give_up
    from unetsearch.search.folder import create_folder
    from unetsearch.search.records import TrialRecord
    from unetsearch.search.settling import Outcome, finish
    from unetsearch.search.storage import begin_studies
    from unetsearch.space.recipe import Recipe
    from unetsearch.training.score import Score

    storage, name, folder, (seed, total, grace) = *sys.argv[1:3], Path(sys.argv[3]), map(int, sys.argv[4:])
    network = reference("unet", width=4, depth=1)
    score = Score(step=4, loss=0.5, dice=0.5, iou=0.2, dice_by_class=(0.5,), iou_by_class=(0.2,), seconds=1.0)
    studies = begin_studies(create_folder(folder), name, ("dice", "params"), storage=storage, grace=grace)
    studies.search.sampler._rng.rng.seed(seed)
    chance = random.Random(seed)
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        beat(studies)
        if sum(record.trained for record in studies.records) >= total:
            break
        trial = ask(studies, studies.search)
        hash_ = str(trial.suggest_int("width", 1, 60))  # many twins
        found = claim(studies, trial, hash_, total)
        if found != "mine":
            give_up(studies, trial, found)
            time.sleep(0.01)
            continue
        print("mine", trial.number, hash_, flush=True)
        if total == 1:
            time.sleep(600)
        time.sleep(chance.random() * 0.02)
        state = chance.choice(["complete", "complete", "pruned", "failed"])
        record = TrialRecord(
            number=trial.number, baseline=None, state=state, values=dict(trial.params), architecture=network,
            recipe=Recipe(steps=4), hash=hash_, params=1, macs=1, activation_bytes=1, curve=(score,), seconds=1.0,
            finished=time.time(), reason="so",
        )
        assert finish(studies, Outcome(trial, record, {}))
    studies.close()
"""


@pytest.fixture
def start(storage, name, tmp_path):
    """Starts a process that works until the total is reached; with a total of 1 it hangs in its trial."""
    processes = []

    def start_(seed, total, grace):
        arguments = map(str, (storage, name, tmp_path / f"worker{seed}", seed, total, grace))
        command = [sys.executable, "-c", textwrap.dedent(WORKER), *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, text=True, **pipes)
        processes.append(process)
        return process

    yield start_
    for process in processes:
        process.kill()
        process.communicate()


def go(process):
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
