"""Several processes, one study: on a real PostgreSQL, and on a journal."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from itertools import count
from threading import Thread

import optuna
import pytest
from optuna.trial import TrialState

from unetsearch.errors import StudyError
from unetsearch.graph.references import reference
from unetsearch.search.candidate import Candidate
from unetsearch.search.claims import ask, beat, claim, claim_baseline, elsewhere, enqueue, give_up, release
from unetsearch.search.folder import create_folder
from unetsearch.search.storage import CURVE, INSTEAD_OF, NETWORK, RECORD, Outcome, begin_studies, finish, recover
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


def test_who_claims_first_trains_and_the_next_one_is_its_twin(machine):
    one, two = machine(), machine()
    first, second = drawn(one), drawn(two)
    assert claim(two, second, "h", 10) == "mine"  # though its number is higher
    assert claim(one, first, "h", 10) == "twin"
    assert elsewhere(one).hashes == {"h"}
    give_up(one, first, "twin")
    assert elsewhere(two).trials == 0
    assert one.records == []


def test_a_point_that_was_queued_long_ago_is_behind_what_was_claimed_before(machine):
    one, two = machine(), machine()
    enqueue(one, {"width": 7})
    waiting = one.search.get_trials(deepcopy=False)[0]
    other = two.search._storage.create_new_trial(two.search._study_id)
    late = optuna.Trial(two.search, other)
    assert claim(two, late, "h", 1) == "mine"
    old = drawn(one)
    assert (old.number, old.params) == (waiting.number, {"width": 7})
    assert claim(one, old, "h", 1) == "twin"


def test_the_total_counts_what_runs_and_what_is_trained_but_not_what_was_given_up(machine, candidate):
    one, two = machine(), machine()
    trials = [drawn(one) for _ in range(4)]
    assert claim(one, trials[0], "a", 2) == "mine"
    assert finish(one, outcome(trials[0], candidate, hash_="a"))
    assert claim(one, trials[1], "b", 2) == "mine"
    late = drawn(two)
    assert claim(two, late, "c", 2) == "surplus"
    give_up(two, late, "surplus")
    assert finish(one, outcome(trials[1], candidate, hash_="b", state="pruned"))
    assert claim(one, trials[2], "b", 3) == "twin"
    assert claim(one, trials[3], "d", 3) == "surplus"  # the twin still runs: too strict, for now
    give_up(one, trials[2], "twin")
    again = drawn(two)
    give_up(one, trials[3], "surplus")
    assert claim(two, again, "d", 3) == "mine"
    assert [record.state for record in two.records] == ["complete", "pruned"]


def test_a_baseline_is_trained_by_one(machine, candidate):
    one, two = machine(), machine()
    first, second = ask(one, one.baselines), ask(two, two.baselines)
    assert claim_baseline(one, first, "unet", "h")
    assert not claim_baseline(two, second, "unet", "h")
    give_up(two, second, "another machine trains it")
    assert elsewhere(two).baselines == {"unet"}
    assert claim(two, drawn(two), "h", 9) == "twin"
    assert finish(one, outcome(first, candidate, state="failed", baseline="unet"))
    third = ask(two, two.baselines)
    assert claim_baseline(two, third, "unet")
    assert finish(two, outcome(third, candidate, baseline="unet"))
    assert not claim_baseline(one, ask(one, one.baselines), "unet")


WORKER = """
    import random, sys, time
    from pathlib import Path
    from unetsearch.graph.references import reference
    from unetsearch.search.claims import ask, beat, claim, give_up
    from unetsearch.search.folder import create_folder
    from unetsearch.search.records import TrialRecord
    from unetsearch.search.storage import Outcome, begin_studies, finish
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


def test_processes_that_race_train_nothing_twice_and_keep_the_total(machine, start):
    total = 16
    processes = [start(seed, total, grace=60) for seed in range(3)]
    for process in processes:
        go(process)
    for process in processes:
        _, complaints = process.communicate(timeout=120)
        assert (process.returncode, complaints) == (0, "")
    records = machine().records
    assert sum(record.trained for record in records) == len(records) == total
    kept = [record.hash for record in records if record.state in ("complete", "pruned")]
    assert len(kept) == len(set(kept))
    assert len({int(record.values["width"]) for record in records}) > 8


def test_what_a_killed_process_ran_is_put_back_once(machine, start):
    process = start(0, 1, grace=2)
    go(process)
    _, number, width = process.stdout.readline().split()
    one, two = machine(grace=2), machine(grace=2)
    assert recover(one) == 0  # it lives
    assert elsewhere(one).trials == 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while elsewhere(one).trials and time.monotonic() < deadline:
        beat(one)
        beat(two)
        time.sleep(0.1)
    time.sleep(2.5)
    for studies in (one, two, one):
        studies.beaten = 0
        beat(studies)
    waiting = one.search.get_trials(states=(TrialState.WAITING,))
    assert [trial.user_attrs for trial in waiting] == [{INSTEAD_OF: int(number)}]
    again = drawn(two)
    assert again.params == {"width": int(width)}
    assert claim(two, again, width, 1) == "mine"


def test_of_processes_that_clean_up_at_once_one_puts_back(machine):
    victim, *others = (machine(grace=1) for _ in range(3))
    trials = [drawn(victim) for _ in range(5)]
    for trial in trials[:4]:
        assert claim(victim, trial, str(trial.number), 10) == "mine"
    for studies in others:
        recover(studies)  # sees the one that was never claimed
    time.sleep(2.2)
    counts = []
    threads = [Thread(target=lambda studies=studies: counts.append(recover(studies))) for studies in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 5
    waiting = victim.search.get_trials(states=(TrialState.WAITING,))
    assert sorted(trial.user_attrs[INSTEAD_OF] for trial in waiting) == [trial.number for trial in trials]
    # the process was only slow: it learns that nobody waits for it
    victim.beaten = 0
    assert [trial.number for trial in beat(victim)] == [0, 1, 2, 3]
    assert victim.claimed == {}


def test_a_slow_process_can_neither_claim_nor_finish_what_was_put_back(machine, candidate):
    one, two = machine(grace=1), machine(grace=1)
    claimed, drawn_ = drawn(one), drawn(one)
    assert claim(one, claimed, "a", 9) == "mine"
    recover(two)
    time.sleep(2.2)
    assert recover(two) == 2
    assert not finish(one, outcome(claimed, candidate, hash_="a"))
    assert claim(one, drawn_, "b", 9) == "surplus"
    give_up(one, drawn_, "surplus")
    assert two.records == []
    assert len(two.search.get_trials(states=(TrialState.WAITING,))) == 2


def test_a_process_that_was_killed_between_failing_and_queueing_loses_no_point(machine):
    one, two = machine(grace=1), machine(grace=1)
    trial, unwanted = drawn(one), drawn(one)
    one.search.tell(trial, state=TrialState.FAIL)
    give_up(one, unwanted, "twin")
    recover(two)
    assert two.search.get_trials(states=(TrialState.WAITING,)) == []
    time.sleep(1.1)
    for _ in range(2):
        recover(two)
    (waiting,) = two.search.get_trials(states=(TrialState.WAITING,))
    assert waiting.user_attrs == {INSTEAD_OF: trial.number}
    assert waiting.system_attrs["fixed_params"] == trial.params


def test_a_record_that_was_written_is_told_by_another(machine, candidate, monkeypatch):
    one, two = machine(), machine()
    trial = drawn(one)
    claim(one, trial, "h", 9)
    with monkeypatch.context() as patch:
        patch.setattr("unetsearch.search.storage._tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finish(one, outcome(trial, candidate))
    assert recover(two) == 0
    assert two.search.trials[0].values == [0.5, two.records[0].params]
    assert finish(one, outcome(trial, candidate))  # known already


def test_a_process_that_ends_puts_its_trials_back_at_once(machine):
    one, two = machine(), machine()
    trial = drawn(one)
    claim(one, trial, "h", 9)
    release(one, trial)
    again = drawn(two)
    assert again.params == trial.params
    assert claim(two, again, "h", 1) == "mine"
    assert recover(two) == 0


def test_a_trial_reads_well_in_optuna(machine, name, candidate):
    one = machine()
    trial = drawn(one)
    claim(one, trial, "h", 9)
    assert finish(one, outcome(trial, candidate))
    told = optuna.load_study(study_name=name, storage=one.storage).trials[0]
    assert told.user_attrs[NETWORK] == "depth 1, plain skips, plain encoder, 4-8"
    assert told.user_attrs[CURVE] == {"4": 0.5}
    assert told.user_attrs[RECORD]["architecture"]["channels"] == [4, 8]
    assert told.constraints == {"params": -0.5}


def test_another_study_of_the_name_is_refused(machine, storage, name, tmp_path):
    machine()
    with pytest.raises(StudyError, match=rf"holds a study '{name}-baselines' of other objectives"):
        begin_studies(create_folder(tmp_path / "other"), name, ("iou", "macs"), storage=storage)


def test_records_are_parsed_once(machine, candidate, monkeypatch):
    one, two = machine(), machine()
    trial = drawn(one)
    claim(one, trial, "h", 9)
    finish(one, outcome(trial, candidate))
    before = two.records
    monkeypatch.setattr("unetsearch.search.records.TrialRecord.from_dict", None)
    assert two.records == before
    assert two.records[0] is before[0]
