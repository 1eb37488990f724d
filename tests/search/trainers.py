"""A real trainer process by itself, for tests."""

import os
from dataclasses import replace
from queue import SimpleQueue

import pytest

from unetsearch.search.messages import (
    Done,
    Failed,
    Ready,
    Setup,
    Stepped,
    Stopped,
)
from unetsearch.search.slots import TrainerProcess
from unetsearch.training.score import Score

PATIENCE = 60


posix = pytest.mark.skipif(os.name != "posix", reason="this system has no such signals or limits")


class Trainer:
    """A trainer process, and what it answers until it is done."""

    def __init__(self, setup):
        self.answers = SimpleQueue()
        self.process = TrainerProcess(setup, self.answers)
        assert self.hear() == Ready()

    def hear(self):
        return self.answers.get(timeout=PATIENCE)[1]

    def until(self, *kinds):
        """The answers up to the first of these kinds."""
        heard = [self.hear()]
        while not isinstance(heard[-1], kinds):
            assert heard[-1] is not None, self.process.death()
            heard.append(self.hear())
        return heard

    def train(self, job):
        self.process.say(job)
        return self.until(Done, Stopped, Failed)


def longer(job, steps=10**6):
    return replace(job, recipe=replace(job.recipe, steps=steps, evaluations=steps // 10))


def scores(answers):
    return [replace(answer, seconds=0) for answer in answers if isinstance(answer, Score)]


def notes(answers):
    return [answer.note for answer in answers if isinstance(answer, Stepped) and answer.note]


@pytest.fixture(scope="module")
def trainer(data):
    trainer = Trainer(Setup(data, "cpu", 1, checkpoint_every=0.0))
    yield trainer
    trainer.process.kill()
