import sqlite3
from dataclasses import replace

import optuna
import pytest
from optuna.samplers import NSGAIISampler, TPESampler

from unetsearch.errors import StudyError
from unetsearch.graph.references import reference
from unetsearch.search.candidate import Candidate
from unetsearch.search.claims import ask
from unetsearch.search.folder import create_folder
from unetsearch.search.patience import Patience
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.search.settling import Outcome, finish, recover
from unetsearch.search.storage import Studies, begin_studies
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import LimitSettings
from unetsearch.training.score import Score


def test_records_come_back_as_they_were_written(runner, space):
    _, records = runner.run(space)
    assert runner.open(space).records == records


def test_a_record_survives_plain_data():
    import json

    record = Candidate.of(reference("unet3+", width=4), Recipe()).record(3, values={"depth": 4, "up": None})
    score = Score(step=1, loss=0.5, dice=0.1, iou=0.2, dice_by_class=(0.1,), iou_by_class=(0.2,), seconds=3.0)
    record = replace(record, curve=(score,), state="failed", reason="so")
    assert TrialRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_the_storage_is_plain_optuna(runner, space):
    runner.run(space)
    storage = f"sqlite:///{runner.folder.database.as_posix()}"
    study = optuna.load_study(study_name="tiny", storage=storage)
    assert study.metric_names == ["dice", "params"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert all(trial.user_attrs["record"]["architecture"]["channels"] for trial in study.trials)
    assert study.best_trials


def test_a_broken_database_is_said_so(runner):
    runner.folder.database.write_bytes(b"this is no database" * 100)
    with pytest.raises(StudyError, match=r"study\.db: cannot be read as an Optuna storage"):
        begin_studies(runner.folder, "tiny", ("dice", "params"))
    assert runner.folder.database.read_bytes().startswith(b"this is no database")


def test_the_database_is_sound_after_a_search(runner, space):
    runner.run(space)
    with sqlite3.connect(runner.folder.database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_hash_is_of_network_and_training(space):
    point = space.sample(0)
    one = Candidate.of(point.architecture, point.recipe)
    assert one.hash == Candidate.of(point.architecture, point.recipe).hash
    assert one.hash != Candidate.of(point.architecture, replace(point.recipe, learning_rate=1e-3)).hash
    assert one.hash != Candidate.of(replace(point.architecture, norm="group"), point.recipe).hash
    assert one.hash != Candidate.of(point.architecture, replace(point.recipe, augmentation=0.5)).hash
    weighted = {"heads": "sum", "head_weights": "1 0.5"}
    assert one.hash == Candidate.of(point.architecture, replace(point.recipe, **weighted)).hash, "of one head"
    assert one.hash == Candidate.of(point.architecture, replace(point.recipe, class_weights="2 2")).hash
    for loss in ("dice", "iou", "tversky", "lovasz"):
        alike = [replace(point.recipe, loss=loss, class_weights=each) for each in ("equal", "1 9", "median_frequency")]
        assert len({Candidate.of(point.architecture, recipe).hash for recipe in alike}) == 1, "of one class"
    three = replace(point.architecture, out_channels=3)
    told = ("equal", "1 2 2", "1 2 4", "9 1 2", "median_frequency")
    alike = [Candidate.of(three, replace(point.recipe, loss="dice", class_weights=each)).hash for each in told]
    assert alike[0] == alike[1] != alike[2] == alike[3] != alike[4]
    different = [Candidate.of(three, replace(point.recipe, class_weights=each)).hash for each in told]
    assert len(set(different)) == 5, "with cross-entropy the background counts"
    several = reference("unet++", width=4, depth=2, deep_supervision=True)
    told = ("1", "1.0", "2 2 2", "1 0.5", "2 1 1", "1 0.5 0.1")
    hashes = [Candidate.of(several, replace(point.recipe, head_weights=weights)).hash for weights in told]
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3] == hashes[4] == hashes[5], "of two heads"
    before = Candidate.of(reference("unet", width=4, depth=1), Recipe())
    assert before.hash == "66427739a0b47dab", "values that came later change no hash where they change nothing"


def test_excess_is_a_share_of_the_limit(space):
    point = space.sample(0)
    candidate = Candidate.of(point.architecture, point.recipe)
    params = candidate.cost.params
    assert candidate.excess(LimitSettings()) == {}
    assert candidate.excess(LimitSettings(params=params)) == {"params": 0}
    assert candidate.excess(LimitSettings(params=params // 2, macs=10**15))["params"] == pytest.approx(1, rel=0.01)


def test_the_front_is_of_the_objectives_asked_for(runner, space):
    _, records = runner.run(space, trials=100)
    by_dice = front_of(records, ("dice",))
    assert {record.architecture.depth for record in by_dice} == {3}
    front = front_of(records, ("dice", "params"))
    assert [record.params for record in front] == sorted(record.params for record in front)
    assert [record.architecture.depth for record in front] == [1, 2, 3]
    assert front_of([], ("dice", "params")) == []


@pytest.mark.parametrize("sampler", [TPESampler(seed=0), NSGAIISampler(population_size=8, seed=0)])
@pytest.mark.parametrize("directions", [("maximize", "minimize"), ("maximize",)])
def test_samplers_go_on_after_pruned_and_failed_trials(space, sampler, directions):
    storage = optuna.storages.InMemoryStorage()
    baselines = optuna.create_study(storage=storage, study_name="baselines")
    search = optuna.create_study(storage=storage, study_name="search", directions=directions, sampler=sampler)
    studies = Studies(
        search=search,
        baselines=baselines,
        objectives=("dice", "params")[: len(directions)],
        storage=storage,
        patience=Patience("memory"),
    )
    network = Candidate.at(space.sample(0))
    for number in range(60):
        state = ("complete", "pruned", "failed")[number % 3]
        trial = ask(studies, search)
        dice = 1 - trial.suggest_int("width", 1, 1000) / 1000
        score = Score(step=4, loss=0.5, dice=dice, iou=0.2, dice_by_class=(dice,), iou_by_class=(0.2,), seconds=3.0)
        record = network.record(trial.number, values=dict(trial.params))
        record = replace(record, curve=(score,), state=state)
        assert finish(studies, Outcome(trial, record, {"params": 0.1 - number % 2}))
    assert [trial.state.name for trial in search.trials] == ["COMPLETE", "PRUNED", "FAIL"] * 20
    assert [trial.values is None for trial in search.trials] == [False, True, True] * 20
    assert [record.state for record in studies.records] == ["complete", "pruned", "failed"] * 20


def test_a_trial_reads_well_in_optuna(runner, space):
    _, records = runner.run(space)
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{runner.folder.database.as_posix()}")
    shown = {trial.number: trial.user_attrs for trial in study.trials}
    for record in records:
        if record.baseline is None and record.distinct:
            channels = "-".join(map(str, record.architecture.channels))
            assert shown[record.number]["network"].startswith(f"depth {record.architecture.depth}, ")
            assert shown[record.number]["network"].endswith(f", plain encoder, {channels}")
            assert shown[record.number]["curve"] == {
                "2": round(record.curve[0].dice, 4),
                "4": round(record.final.dice, 4),
            }


def test_a_kill_between_failing_and_queueing_loses_no_point(tmp_path):
    studies = begin_studies(create_folder(tmp_path / "study"), "tiny", ("dice", "params"))
    points = []
    for _ in range(2):
        trial = ask(studies, studies.search)
        points.append({"width": trial.suggest_int("width", 1, 100)})
    studies.search.tell(0, state=optuna.trial.TrialState.FAIL)
    for interrupted in (1, 0):
        assert recover(studies) == interrupted
        waiting = studies.search.get_trials(states=(optuna.trial.TrialState.WAITING,))
        assert [trial.system_attrs["fixed_params"] for trial in waiting] == points
    trial = ask(studies, studies.search)  # killed before the point was drawn
    assert recover(studies) == 1
    waiting = studies.search.get_trials(states=(optuna.trial.TrialState.WAITING,))
    assert [trial.system_attrs["fixed_params"] for trial in waiting] == [points[1], points[0]]
    studies.close()
