"""A confirmation with real trainers that is killed in the middle of a training."""

from contextlib import closing
from dataclasses import replace

import pytest

from tests.search.confirming import finalist
from unetsearch.data.splits import folds
from unetsearch.search.confirm import Repetition, planned
from unetsearch.search.confirmed import Plan, open_confirmed
from unetsearch.search.folder import create_folder
from unetsearch.search.messages import Resumed, Setup
from unetsearch.search.pool import Pool
from unetsearch.space.settings import SplitSettings


class Killed(Pool):
    """Dies as soon as a checkpoint is there. `answers`: what it heard."""

    checkpoints = None

    def __init__(self, *arguments, **options):
        self.answers = []
        super().__init__(*arguments, **options)

    def next(self, timeout):
        if self.checkpoints is not None and list(self.checkpoints.glob("*.pt")):
            raise KeyboardInterrupt
        told = super().next(0.02)
        if told is not None:
            self.answers.append(told[1])
        return told


def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_scores(runner, space, data, tmp_path):
    record = finalist(0, 2)
    record = replace(record, recipe=replace(record.recipe, steps=40))
    plan = Plan(nested=False, folds=2, seeds=1, margin=0.01, groups=data.groups, finalists=((record,),))
    wanted = planned(plan, folds(data, SplitSettings(folds=2)))[:1]

    def run(confirmed, folder, *, killed=False):
        with Killed([Setup(data, "cpu", 1, checkpoint_every=0.0 if killed else 60.0)], stall=60) as pool:
            pool.checkpoints = folder.path / "checkpoints" if killed else None
            list(Repetition(wanted, confirmed, pool, folder, seed=0).run())
        return pool.answers

    with closing(runner.open(space)) as studies:
        confirmed = open_confirmed(studies)
        with pytest.raises(KeyboardInterrupt):
            run(confirmed, runner.folder, killed=True)
        assert confirmed.runs == []
        answers = run(confirmed, runner.folder)
        assert isinstance(answers[0], Resumed)
        (found,) = confirmed.runs
    assert not list((runner.folder.path / "checkpoints").iterdir()), "of no use any more"

    other = replace(runner, folder=create_folder(tmp_path / "undisturbed"))
    with closing(other.open(space)) as studies:
        confirmed = open_confirmed(studies)
        assert not any(isinstance(answer, Resumed) for answer in run(confirmed, other.folder))
        (whole,) = confirmed.runs
    assert found.scores == whole.scores
    assert found.images == data.split.test
    assert 0 < found.scores["dice"][0] < 1
