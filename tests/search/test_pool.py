"""Slots with real trainer processes: they share the work, and what befalls one costs one training."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from threading import Timer
from time import monotonic

import pytest

from unetsearch.errors import WorkFailedError
from unetsearch.search.messages import Done, Failed, Measured, Resumed, Setup, Stepped, Stopped
from unetsearch.search.pool import Pool, _duration
from unetsearch.training.score import Score

PATIENCE = 90
posix = pytest.mark.skipif(os.name != "posix", reason="this system has no such signals")


@pytest.fixture(scope="module")
def pool(data):
    with Pool([Setup(data, "cpu", 1)] * 2, stall=PATIENCE) as pool:
        wait_for_idle(pool, 2)
        yield pool


@pytest.fixture(autouse=True)
def nothing_left(request):
    """Every test leaves the shared slots without a job."""
    yield
    if "pool" in request.fixturenames:
        pool = request.getfixturevalue("pool")
        for slot in pool.busy:
            pool.stop(slot)
        wait_for_idle(pool, 2)


def longer(job, steps=10**6):
    return replace(job, recipe=replace(job.recipe, steps=steps, evaluations=steps // 10))


def wait_for_idle(pool, count):
    until = monotonic() + PATIENCE
    while len(pool.idle) < count:
        assert monotonic() < until, "slots did not become idle"
        pool.next(1)


def until(pool, slot, *kinds):
    """The answers of a slot up to the first of these kinds; others' are left out."""
    heard, deadline = [], monotonic() + PATIENCE
    while not heard or not isinstance(heard[-1], kinds):
        assert monotonic() < deadline, heard
        told = pool.next(1)
        if told is not None and told[0] == slot:
            heard.append(told[1])
    return heard


def train(pool, slot, job):
    pool.start(slot, job)
    return until(pool, slot, Done, Stopped, Failed)


def pid(pool, slot):
    return pool._slots[slot].process.pid


def test_two_slots_train_at_once(pool, job, tmp_path):
    assert (pool.idle, pool.busy) == ((0, 1), ())
    for slot in (0, 1):
        pool.start(slot, replace(longer(job, 100), folder=str(tmp_path / str(slot))))
    assert (pool.idle, pool.busy) == ((), (0, 1))
    told = []
    while sum(isinstance(answer, Done) for _, answer in told) < 2:
        told += [answered] if (answered := pool.next(PATIENCE)) else []
        assert not any(isinstance(answer, Failed) for _, answer in told), told
    order = [slot for slot, answer in told if isinstance(answer, Score)]
    assert order.count(0) == order.count(1) == 10
    assert order not in ([0] * 10 + [1] * 10, [1] * 10 + [0] * 10), "none waited for the other"
    assert (pool.idle, pool.busy) == ((0, 1), ())
    assert (tmp_path / "0" / "weights.safetensors").exists()


def test_a_slot_is_busy_until_the_caller_knows_the_end(pool, job):
    pool.start(0, job)
    deadline = monotonic() + PATIENCE
    while pool._slots[0].at_work and monotonic() < deadline:
        pool._listen(1)
    assert pool.busy == (0,), "its Done was heard, but not told yet"
    with pytest.raises(ValueError, match="slot 0 is not idle"):
        pool.start(0, job)
    assert until(pool, 0, Done)[-1] == Done()
    assert pool.busy == ()


def test_next_gives_none_when_nothing_comes(pool):
    started = monotonic()
    assert pool.next(0.2) is None
    assert 0.15 < monotonic() - started < 2
    assert pool.next(0) is None


def test_a_stop_ends_one_training_only(pool, job, tmp_path):
    pool.start(0, longer(job))
    pool.start(1, replace(longer(job), folder=str(tmp_path / "other")))
    until(pool, 0, Score)
    pool.stop(0)
    assert until(pool, 0, Done, Stopped, Failed)[-1] == Stopped()
    assert pool.busy == (1,)
    assert isinstance(until(pool, 1, Score)[-1], Score)


@posix
def test_a_process_that_dies_costs_one_job(pool, job):
    pool.start(0, longer(job))
    until(pool, 0, Score)
    killed = pid(pool, 0)
    os.kill(killed, signal.SIGKILL)
    assert until(pool, 0, Done, Failed)[-1] == Failed("the trainer process was ended by signal 9")
    assert pool.busy == ()
    wait_for_idle(pool, 2)
    assert pid(pool, 0) != killed
    assert train(pool, 0, job)[-1] == Done()


@posix
def test_a_process_that_dies_between_two_jobs_is_replaced_in_silence(pool, job):
    os.kill(pid(pool, 0), signal.SIGKILL)
    pool._slots[0].process._process.wait()
    assert 0 in pool.idle, "nobody has noticed yet"
    assert train(pool, 0, job)[-1] == Done()
    os.kill(pid(pool, 1), signal.SIGKILL)
    deadline = monotonic() + PATIENCE
    while 1 in pool.idle and monotonic() < deadline:
        assert pool.next(0.1) is None
    assert pool.idle == (0,)
    wait_for_idle(pool, 2)


@posix
def test_a_training_that_hangs_is_ended(pool, job, tmp_path, monkeypatch):
    pool.start(0, longer(job))
    pool.start(1, replace(longer(job), folder=str(tmp_path / "other")))
    until(pool, 0, Score)
    until(pool, 1, Score)
    monkeypatch.setattr(pool, "_stall", 6.0)
    os.kill(pid(pool, 0), signal.SIGSTOP)
    started = monotonic()
    assert until(pool, 0, Done, Failed)[-1] == Failed("no step within 6s: the training hangs")
    assert 4 < monotonic() - started < 20
    assert pool.busy == (1,), "the other one works on, also through the new process's start"
    assert isinstance(until(pool, 1, Score)[-1], Score)


def test_a_caller_that_was_away_ends_nothing(pool, job, monkeypatch):
    pool.start(0, longer(job))
    until(pool, 0, Score)
    monkeypatch.setattr(pool, "_stall", 6.0)
    pool._heard -= 3600  # as after a night in which the machine slept
    pool._end_hung()
    assert pool.busy == (0,)
    assert isinstance(until(pool, 0, Score)[-1], Score)


def test_measuring_holds_the_others(pool, job):
    pool.start(1, longer(job))
    until(pool, 1, Score)
    measured = pool.measure(0, job.architecture)
    assert isinstance(measured, Measured)
    assert 0 < measured.latency < 10
    assert measured.memory > 256 * 256 * 4
    ahead = [answer[1] for answer in pool._ahead if answer is not None]
    assert not any(isinstance(answer, Done | Failed | Stopped) for answer in ahead)
    assert isinstance(until(pool, 1, Score)[-1], Score)
    again = until(pool, 1, Stepped)[-1]
    assert again.step > max((answer.step for answer in ahead if isinstance(answer, Score)), default=0)
    assert pool.measure(0, job.architecture).memory == measured.memory


def test_a_training_that_ends_while_it_is_to_be_held_is_told_afterwards(pool, job):
    pool.start(1, job)
    assert isinstance(pool.measure(0, job.architecture), Measured)
    assert pool.busy == (1,)
    answers = until(pool, 1, Done, Failed)
    assert answers[-1] == Done()
    assert [answer.step for answer in answers if isinstance(answer, Score)] == [2, 4]


def test_too_little_memory_in_measuring_is_told_apart(pool, job):
    vast = replace(job.architecture, channels=(4, 2**16, 2**16))
    failed = pool.measure(0, vast)
    assert isinstance(failed, Failed)
    assert failed.cause == "memory"
    assert pool.idle == (0, 1)


@posix
def test_a_measuring_that_hangs_costs_no_training(pool, job, monkeypatch):
    """The training that waits for it so long does not hang."""
    pool.start(1, longer(job))
    until(pool, 1, Score)
    monkeypatch.setattr(pool, "_stall", 6.0)
    Timer(0.01, os.kill, (pid(pool, 0), signal.SIGSTOP)).start()
    assert pool.measure(0, job.architecture) == Failed("no step within 6s: the measuring hangs")
    assert pool.busy == (1,)
    assert isinstance(until(pool, 1, Score, Failed)[-1], Score)


def test_an_interrupted_measuring_leaves_everything_running(pool, job, monkeypatch):
    pool.start(1, longer(job))
    until(pool, 1, Score)

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pool, "_listen", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.measure(0, job.architecture)
    assert isinstance(until(pool, 1, Score)[-1], Score)
    assert isinstance(pool.measure(0, job.architecture), Measured)


def test_closing_saves_what_runs_and_another_pool_goes_on(pool, data, job, tmp_path):
    jobs = [
        replace(longer(job), folder=str(tmp_path / str(slot)), checkpoint=str(tmp_path / f"{slot}.checkpoint"))
        for slot in (0, 1)
    ]
    closed = Pool([Setup(data, "cpu", 1)] * 2, stall=60)
    try:
        wait_for_idle(closed, 2)
        for slot in (0, 1):
            closed.start(slot, jobs[slot])
        first = {}
        while len(first) < 2:
            told = closed.next(PATIENCE)
            if told is not None and isinstance(told[1], Score):
                first.setdefault(*told)
        started = monotonic()
        closed.close(save_within=30)
        assert monotonic() - started < 15, "closing waits no longer than saving takes"
    finally:
        closed.close()
    assert all(Path(item.checkpoint).exists() for item in jobs)
    assert closed.idle == closed.busy == ()
    pool.start(0, jobs[1])
    resumed, score = until(pool, 0, Score)
    assert (type(resumed), score) == (Resumed, first[1]), "its first score is told again, and no step before it"


def test_a_pool_can_be_closed_while_it_starts(data):
    started = monotonic()
    pool = Pool([Setup(data, "cpu", 1)] * 2, stall=60)
    pool.close(save_within=30)
    pool.close()
    assert monotonic() - started < 10


def test_a_process_that_cannot_start_says_what_it_printed(data):
    message = r"cannot start training: the trainer process ended with status 1: .*nonsense"
    with Pool([Setup(data, "nonsense", 1)], stall=60) as pool, pytest.raises(WorkFailedError, match=message):
        wait_for_idle(pool, 1)


def test_a_process_that_is_not_even_begun_says_why(data, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(WorkFailedError) as caught:
        Pool([Setup(data, "cpu", 1)], stall=60)
    assert str(caught.value) == "cannot start training: No such file or directory"


@pytest.mark.parametrize(
    ("seconds", "words"), [(900, "15m"), (5400, "1h30m"), (3600, "1h"), (2.5, "2.5s"), (75, "1m15s")]
)
def test_times_are_told_as_a_person_writes_them(seconds, words):
    assert _duration(seconds) == words
