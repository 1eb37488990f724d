"""A real trainer process: how a training goes on."""

from dataclasses import replace
from pathlib import Path
from time import time

import torch
from safetensors.torch import load_file

from tests.search.trainers import Trainer, longer, notes, posix, scores
from unetsearch.search.messages import (
    Done,
    Failed,
    Pause,
    Resumed,
    Setup,
    Stepped,
    Stop,
    Stopped,
)
from unetsearch.training.score import Score


def test_a_training_that_was_saved_goes_on_as_if_nothing_had_been(trainer, job, tmp_path):
    job = longer(replace(job, checkpoint=str(tmp_path / "checkpoints" / "a")), steps=80)
    whole = trainer.train(replace(job, checkpoint=""))
    weights = load_file(Path(job.folder, "weights.safetensors"))
    trainer.process.say(job)
    before = trainer.until(Score)
    trainer.process.say(Stop(save=True))
    before += trainer.until(Stopped)
    assert 1 <= len(scores(before)) < 8, "stopped on its way"
    assert Path(job.checkpoint).exists()
    after = trainer.train(job)
    assert isinstance(after[0], Resumed)
    told = [answer for answer in before if isinstance(answer, Score)]
    assert after[1 : 1 + len(told)] == told, "told again"
    assert scores(after) == scores(whole)
    assert not notes(before + after)
    again = load_file(Path(job.folder, "weights.safetensors"))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert not Path(job.checkpoint).exists(), "of no use any more"


def test_a_checkpoint_is_written_along_the_way_and_survives_a_kill(trainer, data, job, tmp_path):
    job = longer(replace(job, checkpoint=str(tmp_path / "a")), steps=80)
    victim = Trainer(Setup(data, "cpu", 1, checkpoint_every=0.0))
    try:
        victim.process.say(job)
        first = scores(victim.until(Score))
        victim.until(Score)
    finally:
        victim.process.kill()
    answers = trainer.train(job)
    assert [type(answer) for answer in answers[:2]] == [Resumed, Score], "no step before what was known"
    assert scores(answers)[:1] == first
    assert answers[-1] == Done()


def test_a_checkpoint_of_no_use_is_named_and_the_training_begins_anew(trainer, job, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"no checkpoint at all")
    answers = trainer.train(replace(job, checkpoint=str(path)))
    assert answers[0] == Stepped(0, f"{path} is damaged: the training begins anew")
    assert [score.step for score in scores(answers)] == [2, 4]
    assert answers[-1] == Done()


def test_a_pruned_training_leaves_no_checkpoint(trainer, job, tmp_path):
    path = tmp_path / "a"
    trainer.process.say(longer(replace(job, checkpoint=str(path))))
    trainer.until(Score)
    assert path.exists()
    trainer.process.say(Stop(save=False))
    trainer.until(Stopped)
    assert not path.exists()


@posix
def test_a_full_disk_keeps_the_training_and_names_what_is_not_written(trainer, job, tmp_path):
    import resource

    before = resource.prlimit(trainer.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(trainer.process.pid, resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        path = tmp_path / "a"
        answers = trainer.train(replace(job, checkpoint=str(path)))
    finally:
        resource.prlimit(trainer.process.pid, resource.RLIMIT_FSIZE, before)
    assert notes(answers) == [f"no checkpoint: {path} cannot be written (File too large)"]
    assert [score.step for score in scores(answers)] == [2, 4]
    assert answers[-1] == Failed(f"the model cannot be written: {job.folder} (File too large)", "storage")
    assert not list(tmp_path.rglob("*.part"))
    assert trainer.train(job)[-1] == Done()


def test_a_pause_writes_a_checkpoint_that_knows_when_it_was_trained(trainer, job, tmp_path):
    job = longer(replace(job, checkpoint=str(tmp_path / "a"), slot="here/0"), steps=10**6)
    started = time()
    known = []
    for slot, rested in (("here/0", False), ("here/1", True), ("here/0", False)):
        trainer.process.say(replace(job, slot=slot, rested=rested))
        heard = trainer.until(Score)
        resumed = [answer for answer in heard if isinstance(answer, Resumed)]
        if known:
            assert [(answer.step, answer.rested) for answer in resumed] == [(known[-1].step, bool(known[1:]) or rested)]
        while not known or scores(heard)[-1].step <= known[-1].step:
            heard += trainer.until(Score)
            known = known or [scores(heard)[0]]
        trainer.process.say(Pause())
        heard += trainer.until(Stopped, Done, Failed)
        assert heard[-1] == Stopped()
        known.append(scores(heard)[-1])
    stretches = resumed[0].stretches
    assert [stretch.slot for stretch in stretches] == ["here/0", "here/1"]
    times = [started, *(moment for stretch in stretches for moment in stretch[1:]), time()]
    assert times == sorted(times)


def test_a_training_that_cannot_write_a_checkpoint_does_not_pause(trainer, job, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a"
    trainer.process.say(longer(replace(job, checkpoint=str(path)), steps=60))
    heard = trainer.until(Score)
    trainer.process.say(Pause())
    heard += trainer.until(Stopped, Done, Failed)
    assert heard[-1] == Done()
    assert notes(heard) == [
        f"{path} cannot be read (Not a directory): the training begins anew",
        f"no checkpoint: {path} cannot be written (File exists)",
    ]
    assert len(scores(heard)) == 6
    trainer.process.say(longer(job))  # one without a checkpoint neither
    trainer.until(Score)
    trainer.process.say(Pause())
    assert isinstance(trainer.until(Score, Stopped)[-1], Score)
    trainer.process.say(Stop(save=False))
    trainer.until(Stopped)
