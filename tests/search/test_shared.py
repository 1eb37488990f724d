"""Several processes, one study: what becomes of what they leave. On a real PostgreSQL, and on a journal."""

import os
import signal
import time
from threading import Thread

import optuna
import pytest
from optuna.trial import TrialState

from tests.search.machines import drawn, go, outcome
from unetsearch.errors import StudyError
from unetsearch.search.claims import beat, claim, elsewhere, give_up, release
from unetsearch.search.folder import create_folder
from unetsearch.search.records import Stretch
from unetsearch.search.settling import CURVE, INSTEAD_OF, NETWORK, finish, recover
from unetsearch.search.storage import RECORD, begin_studies


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
        patch.setattr("unetsearch.search.settling._tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finish(one, outcome(trial, candidate))
    assert recover(two) == 0
    assert two.search.trials[0].values == [0.5, two.records[0].params]
    assert finish(one, outcome(trial, candidate))  # known already


def test_a_process_that_ends_puts_its_trials_back_at_once(machine):
    one, two = machine(), machine()
    trial = drawn(one)
    claim(one, trial, "h", 9)
    assert release(one, trial, [Stretch("one/0", 1.0, 3.0)])
    assert two.read()[1] == [("one/0", 1.0, 3.0)]
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
