"""What was confirmed, written into a study's storage and read again."""

from contextlib import closing
from dataclasses import replace

import pytest

from unetsearch.search.candidate import Candidate
from unetsearch.search.confirmed import Failure, Key, Plan, Run, open_confirmed, read_confirmed
from unetsearch.search.storage import read_studies

RUN = Run(
    key=Key("a", "crossed 5", fold=1, seed=2, budget=4.0, rate=0.5, tuning=True),
    images=(3, 7),
    scores={"dice": (0.25, 0.75), "iou": (0.1, 0.6)},
    started=10.0,
    finished=12.5,
)


@pytest.fixture
def plan(space):
    points = (space.sample(seed) for seed in range(3))
    records = tuple(Candidate.at(point).record(number) for number, point in enumerate(points))
    return Plan(
        nested=True,
        folds=2,
        seeds=3,
        budgets=(1.0, 4.0),
        margin=0.02,
        score="iou",
        groups=("a", "a", "b"),
        points=("unet",),
        finalists=(records[:1], records[1:]),
    )


@pytest.fixture
def studies(runner, space):
    with closing(runner.open(space)) as studies:
        yield studies


def reader(runner, space):
    return closing(read_studies(runner.folder, space.name, space.objectives))


def test_runs_and_plan_survive(runner, space, studies, plan):
    confirmed = open_confirmed(studies)
    confirmed.plan = plan
    confirmed.add(RUN)
    assert confirmed.runs == [RUN]
    with reader(runner, space) as others:
        found = read_confirmed(others)
        assert found is not None
        assert (found.runs, found.plan) == ([RUN], plan)
        assert found.plan.of_fold(1) == plan.finalists[1]
        second = replace(RUN, key=RUN.key._replace(seed=0))
        confirmed.add(second)
        assert sorted(found.runs, key=lambda run: run.key.seed) == [second, RUN], "what came later is seen as well"
    again = open_confirmed(studies)
    assert (again.plan, len(again.runs)) == (plan, 2)


def test_a_failure_is_no_run(studies, plan):
    confirmed = open_confirmed(studies)
    failure = Failure(RUN.key, "the loss was nan")
    confirmed.fail(failure)
    assert (confirmed.failures, confirmed.runs) == ([failure], [])
    assert confirmed.failures[0].key.fold == 1


def test_a_training_that_was_written_twice_counts_once(studies):
    confirmed = open_confirmed(studies)
    other = replace(RUN, scores={"dice": (0.5, 0.5)})
    for run in (RUN, other):
        confirmed.add(run)
    assert confirmed.runs == [RUN], "the first one"


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "b"}, {"design": "nested 5"}, {"fold": 0}, {"seed": 0}, {"budget": 1.0}, {"rate": 1.0},
        {"tuning": False},
    ],
)  # fmt: skip
def test_trainings_are_told_apart(change, studies):
    confirmed = open_confirmed(studies)
    other = replace(RUN, key=RUN.key._replace(**change))
    for run in (RUN, other):
        confirmed.add(run)
    assert sorted(confirmed.runs, key=lambda run: run == other) == [RUN, other]


def test_reading_what_was_never_confirmed_writes_nothing(runner, space, studies, plan):
    assert read_confirmed(studies) is None
    before = runner.folder.database.read_bytes()
    with reader(runner, space) as others:
        assert read_confirmed(others) is None
    assert runner.folder.database.read_bytes() == before
    open_confirmed(studies)  # killed before it had a plan
    assert read_confirmed(studies) is None


def test_the_search_sees_nothing_of_it(runner, space, studies, plan):
    confirmed = open_confirmed(studies)
    confirmed.plan = plan
    confirmed.add(RUN)
    assert studies.records == []
    assert studies.search.get_trials() == []
