"""The command line as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest

from unetsearch import __version__
from unetsearch.errors import StudyError
from unetsearch.search.messages import Failed


def unetsearch(*arguments, **options):
    return subprocess.Popen([sys.executable, "-m", "unetsearch", *map(str, arguments)], text=True, **options)


def test_help_is_quick_and_loads_no_torch():
    command = [sys.executable, "-X", "importtime", "-m", "unetsearch", "--help"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 2, "0.5 s on a quiet machine; this one may be busy"
    assert "torch" not in done.stderr
    for name in ("run", "report", "space", "show", "schema"):
        assert f" {name} " in done.stdout


def test_run_report_and_continue(here, call):
    status, out, err = call("run", "tiny.yaml", "--data", "data")
    assert (status, err) == (0, "")
    folder = here / "studies" / "tiny-data"
    assert {path.name for path in folder.iterdir()} >= {
        "study.yaml", "study.db", "trials.csv", "front.csv", "report.html", "models"
    }  # fmt: skip
    assert "done: 2 of 2 trials are trained" in out
    assert "The front" in out
    assert f"report: {Path('studies') / 'tiny-data' / 'report.html'}" in out.replace("\n", "")
    trials = pd.read_csv(folder / "trials.csv")
    assert list(trials["state"]).count("complete") == 3
    assert "path: ../../data" in (folder / "study.yaml").read_text()

    status, out, _ = call("run", "tiny.yaml", "--data", "data", "--trials", 3)
    assert status == 0
    assert "continuing: 2 trials are trained" in out
    after = pd.read_csv(folder / "trials.csv")
    assert list(after["hash"][: len(trials)]) == list(trials["hash"])
    assert (after["state"] == "complete").sum() == 4
    (folder / "report.html").unlink()
    status, out, _ = call("report", folder)
    assert status == 0
    assert (folder / "report.html").is_file()

    status, out, _ = call("show", f"{folder}#unet")
    assert status == 0
    assert "depth 2, plain skips, plain encoder, 4-8-16" in out
    status, _, err = call("show", f"{folder}#77")
    assert status == 2
    assert err.startswith(f"unetsearch: {folder}: no trial '77'; it has unet, #0, #1, #2")
    network = folder / "models" / "unet" / "architecture.yaml"
    status, out, _ = call("show", network, "--svg", "unet.svg")
    assert status == 0
    assert Path("unet.svg").read_text().startswith("<svg")


def test_an_enumerated_space_ends_by_itself(here, call):
    status, out, _ = call("run", "tiny.yaml", "--data", "data", "--trials", 9)
    assert status == 0
    assert "done: every point of the space within the limits is trained" in out
    assert "the same network as unet" in out


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_study_goes_on_where_it_stopped(here):
    command = [
        "run",
        "tiny.yaml",
        "--data",
        "data",
        "--trials",
        "6",
        "--set",
        "training.learning_rate={low: 1e-3, high: 1e-2}",
    ]
    command += ["--set", "training.steps=40", "--set", "training.evaluations=20", "--set", "search.pruner=none"]
    process = unetsearch(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        if line.strip().startswith("#2 ") and "step" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    storage = "sqlite:///studies/tiny-data/study.db"
    before = optuna.load_study(study_name="tiny", storage=storage).trials
    assert [trial.state.name for trial in before] == ["COMPLETE", "COMPLETE", "RUNNING"]
    again = unetsearch(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = again.communicate(timeout=120)
    assert again.returncode == 0, out
    assert "continuing: 2 trials are trained; 1 interrupted ones are put back" in out
    after = optuna.load_study(study_name="tiny", storage=storage).trials
    assert [trial.state.name for trial in after] == ["COMPLETE"] * 2 + ["FAIL"] + ["COMPLETE"] * 4
    assert [trial.values for trial in after[:2]] == [trial.values for trial in before[:2]]
    assert after[3].params == before[2].params, "the interrupted point was put back"
    table = pd.read_csv("studies/tiny-data/trials.csv")
    assert table["hash"].is_unique
    assert len(table) == 1 + 6


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(here):
    command = ["run", "tiny.yaml", "--data", "data", "--set", "training.steps=100000"]
    process = unetsearch(
        *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    for line in process.stdout:
        if "unet " in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted: what is finished is kept; the same command continues\n"
    assert Path("studies/tiny-data/report.html").is_file()


def test_schema_and_space(here, call):
    status, out, _ = call("schema")
    assert status == 0
    assert json.loads(out)["title"] == "unetsearch search space"
    status, out, _ = call("space", "tiny.yaml")
    assert status == 0
    assert "tiny: 4 points" in out
    assert "different networks and trainings: 4\n" in out
    assert "unet (smaller than" in out


def test_shipped_spaces_are_found_by_name(here, call):
    for name in ("quickstart", "depth", "unet-family"):
        status, out, _ = call("space", name)
        assert status == 0
        assert f"{name}: " in out


def test_an_interruption_while_a_study_begins_loses_nothing(here, call, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unetsearch.search.opening._portable", interrupted)
        status, _, err = call("run", "tiny.yaml", "--data", "data", "--out", "study")
    assert (status, err) == (130, "interrupted: what is finished is kept; the same command continues\n")
    assert {path.name for path in Path("study").iterdir()} == {".lock", "preview.npz", "study.db"}
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study")[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process itself on Windows")
@pytest.mark.parametrize(
    ("error", "said"),
    [(AssertionError(), "AssertionError"), (StudyError("study.db: is lost"), "StudyError study.db: is lost")],
)
def test_what_a_library_makes_of_an_interruption_is_the_interruption(here, call, monkeypatch, error, said):
    def within_a_transaction(*_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            raise error

    monkeypatch.setattr("unetsearch.search.opening._portable", within_a_transaction)
    status, _, err = call("run", "tiny.yaml", "--data", "data", "--out", "study")
    assert status == 128 + signal.SIGTERM
    assert err.splitlines() == [
        f"unetsearch: while it ended: {said}",
        "interrupted: what is finished is kept; the same command continues",
    ]


def test_an_error_without_a_signal_is_no_interruption(here, call, monkeypatch):
    def broken(*_):
        raise AssertionError("a defect")

    monkeypatch.setattr("unetsearch.search.opening._portable", broken)
    with pytest.raises(AssertionError, match="a defect"):
        call("run", "tiny.yaml", "--data", "data", "--out", "study")


def test_a_study_without_its_pictures_is_reported(study, call):
    page = study / "report.html"
    assert "Predictions" in page.read_text()
    (study / "preview.npz").write_bytes(b"")
    assert call("report", study)[0] == 0
    assert "Predictions" not in page.read_text()


def test_trainings_that_all_fail_end_the_run(here, call, monkeypatch):
    class Broken:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        idle = (0,)

        def start(self, slot, job):
            pass

        def next(self, timeout):
            return 0, Failed("the disk is on fire")

        def close(self, save_within=0):
            pass

    monkeypatch.setattr("unetsearch.search.whole.Pool", Broken)
    status, out, err = call(
        "run", "tiny.yaml", "--data", "data", "--trials", 9, "--set", "architecture.depth=[1, 2, 3]"
    )
    assert status == 1
    assert "done: 5 trainings in a row failed, the last one: the disk is on fire" in out
    assert err == "unetsearch: no network was trained to the end; the reasons stand above\n"


def test_a_full_disk(call, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "study/report.html")

    monkeypatch.setattr("unetsearch.api.report", full)
    assert call("report", "study") == (1, "", "unetsearch: study/report.html: No space left on device\n")


def test_version(call):
    assert call("--version") == (0, f"unetsearch {__version__}\n", "")
