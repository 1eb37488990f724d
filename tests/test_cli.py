"""The command line as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from PIL import Image

from unetsearch import __version__, cli
from unetsearch.search.slots import TrainingFailedError

TINY = """
name: tiny
architecture:
  depth: [1, 2]
  width: 4
  skip: [plain, full_scale]
training: {steps: 4, evaluations: 2, crop: 16, batch_size: 2}
baselines: [{unet: {depth: 2}}]
search: {trials: 2}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with a small space and a small data set in it."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        Path("data", folder).mkdir(parents=True)
    for index in range(8):
        mask = np.zeros((24, 20 + index), np.uint8)
        mask[4 + index : 12 + index, 5:12] = 255
        image = mask // 2 + random.integers(0, 60, mask.shape).astype(np.uint8)
        Image.fromarray(image).save(f"data/images/{index}.png")
        Image.fromarray(mask).save(f"data/masks/{index}.png")
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command in this process: its exit status, what it printed, and what it complained."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unetsearch", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


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
    command += ["--set", "training.steps=40", "--set", "training.evaluations=20"]
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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "architecture.dept=3",
            "--set architecture.dept=3  architecture.dept: unknown key; expected one of depth, width, growth, encoder, "
            "norm, activation, down, up, dropout, skip; did you mean 'depth'?",
        ),
        (
            "architecture.skip=denze",
            "--set architecture.skip=denze  architecture.skip: expected one of plain, dense, full_scale, free, got 'denze'; "
            "did you mean 'dense'?",
        ),
    ],
)
def test_a_wrong_key_and_a_wrong_value(here, call, setting, message):
    assert call("run", "tiny.yaml", "--data", "data", "--set", setting) == (2, "", f"unetsearch: {message}\n")
    assert not Path("studies").exists()


def spoil(kind):
    """Makes the data set wrong in one way."""
    if kind == "missing mask":
        Path("data/masks/3.png").unlink()
    elif kind == "another size":
        Image.fromarray(np.zeros((9, 9), np.uint8)).save("data/masks/3.png")
    elif kind == "unreadable":
        Path("data/images/3.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    elif kind == "empty folder":
        for path in Path("data").rglob("*.png"):
            path.unlink()
    elif kind == "anti-aliased":
        for path in Path("data/masks").iterdir():
            mask = Image.open(path)
            width, height = mask.size
            mask.resize((width // 2, height // 2), Image.Resampling.BILINEAR).resize(
                (width, height), Image.Resampling.BICUBIC
            ).save(path)


LAYOUT = (
    "A data folder holds images/ and masks/ with the same file names; or the same inside train/, val/ and test/; "
    "or x.png beside x_mask.png."
)
MESSAGES = {
    "missing mask": f"1 problem\nimages/3.png: has no mask\n{LAYOUT}",
    "another size": "1 problem\nmasks/3.png: 9x9, but its image is 23x24: export both at the same size",
    "unreadable": "1 problem\nimages/3.png: is damaged or cut off: copy or export it again",
    "empty folder": "2 problems\nimages/: no PNG, JPEG, TIFF or BMP files in it\n"
    f"masks/: no PNG, JPEG, TIFF or BMP files in it\n{LAYOUT}",
    "anti-aliased": "1 problem\n8 of 8 masks are smoothed (masks/1.png has 54 values, most of them along outlines): "
    "save masks as PNG without smoothing, or set `data: {threshold: 127}`",
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_data_that_cannot_be_trained_on(here, call, kind):
    spoil(kind)
    status, out, err = call("run", "tiny.yaml", "--data", "data")
    assert (status, out) == (2, "")
    assert err == f"unetsearch: data folder {here / 'data'}: {MESSAGES[kind]}\n"
    assert not Path("studies").exists()


def test_a_depth_too_deep_for_the_images(here, call):
    status, out, err = call(
        "run", "tiny.yaml", "--data", "data", "--set", "architecture.depth=4", "--set", "training.crop=32"
    )
    assert (status, out) == (2, "")
    assert err == (
        "unetsearch: depth 4 needs images of at least 32 px, but data has images of 20 px (0 is 20x24): "
        "take a depth of at most 3\n"
    )
    assert not Path("studies").exists()


@pytest.mark.parametrize("arguments", [["run", "nothing"], ["space", "nothing"]])
def test_no_such_space(here, call, arguments):
    assert call(*arguments) == (
        2,
        "",
        "unetsearch: nothing: no such file, and no space of that name; there are depth, quickstart, unet-family\n",
    )


def test_an_output_folder_that_cannot_be_written(here, call):
    Path("file").write_text("")
    assert call("run", "tiny.yaml", "--data", "data", "--out", "file/study") == (
        2,
        "",
        f"unetsearch: {Path('file') / 'study'}: cannot write here (Not a directory); give another folder with --out\n",
    )


def test_a_folder_of_another_study(here, call):
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("study").rglob("*")}
    advice = "give another folder with --out, or the same settings to continue it"
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study", "--set", "architecture.width=8") == (
        2,
        "",
        f"unetsearch: study: holds a study of another space; {advice}\n  architecture.width: 4 there, 8 here\n",
    )
    Image.fromarray(np.zeros((24, 20), np.uint8)).save("data/masks/0.png")
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study") == (
        2,
        "",
        f"unetsearch: study: holds a study of other data (images, masks or split changed); {advice}\n",
    )
    assert {path: path.stat().st_mtime_ns for path in Path("study").rglob("*")} == before


def test_an_interruption_while_a_study_begins_loses_nothing(here, call, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unetsearch.api.dump_space", interrupted)
        status, _, err = call("run", "tiny.yaml", "--data", "data", "--out", "study")
    assert (status, err) == (130, "interrupted: what is finished is kept; the same command continues\n")
    assert {path.name for path in Path("study").iterdir()} == {".lock", "preview.npz", "study.db"}
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study")[0] == 0


def test_a_study_without_its_trials(here, call):
    """As it lies in a repository: the tables, but no database."""
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study")[0] == 0
    Path("study/study.db").unlink()
    before = sorted(Path("study").iterdir())
    message = (
        "unetsearch: study: study.db, which holds the trials, is missing (it is not passed on with a study's tables); "
        "put it back, or run study.yaml into another folder with --out\n"
    )
    for arguments in (["run", "tiny.yaml", "--data", "data", "--out", "study"], ["report", "study"]):
        assert call(*arguments) == (2, "", message)
    assert sorted(Path("study").iterdir()) == before


def test_a_study_whose_name_was_changed(here, call):
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study")[0] == 0
    settings = Path("study/study.yaml")
    settings.write_text(settings.read_text().replace("name: tiny", "name: huge"))
    database = Path("study/study.db")
    before = database.read_bytes()
    assert call("report", "study") == (
        2,
        "",
        f"unetsearch: {database}: holds no study 'huge'; was `name` changed in study.yaml? Put the old one back\n",
    )
    assert database.read_bytes() == before


def test_a_study_without_its_pictures_is_reported(here, call):
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study")[0] == 0
    Path("study/preview.npz").write_bytes(b"")
    assert call("report", "study")[0] == 0
    assert "Predictions" not in Path("study/report.html").read_text()


def test_limits_that_no_network_keeps(here, call):
    status, out, err = call("run", "tiny.yaml", "--data", "data", "--set", "limits.params=10")
    assert (status, out) == (2, "")
    assert err == (
        "unetsearch: limits: none of its points keeps them: the fewest parameters are 1,677, the fewest MACs "
        "56,623,104; raise the limits, or let width and depth be smaller\n"
    )
    assert not Path("studies").exists()


def test_trainings_that_all_fail_end_the_run(here, call, monkeypatch):
    class Broken:
        def __init__(self, _):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def warm_up(self):
            pass

        def train(self, _):
            raise TrainingFailedError("the disk is on fire")

    monkeypatch.setattr("unetsearch.api.Slot", Broken)
    status, out, err = call(
        "run", "tiny.yaml", "--data", "data", "--trials", 9, "--set", "architecture.depth=[1, 2, 3]"
    )
    assert status == 1
    assert "done: 5 trainings in a row failed, the last one: the disk is on fire" in out
    assert err == "unetsearch: no network was trained to the end; the reasons stand above\n"


def test_a_full_disk(call, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device", "study/report.html")

    monkeypatch.setattr("unetsearch.api.report", full)
    assert call("report", "study") == (1, "", "unetsearch: study/report.html: No space left on device\n")


def test_version(call):
    assert call("--version") == (0, f"unetsearch {__version__}\n", "")


def test_a_drawing_that_cannot_be_written_leaves_nothing(here, call):
    Path("folder").mkdir()
    status, _, err = call("show", "unet", "--svg", "folder")
    assert (status, err) == (2, "unetsearch: folder: cannot be written (Is a directory)\n")
    assert sorted(path.name for path in here.iterdir()) == ["data", "folder", "tiny.yaml"]


def test_no_study_to_report(here, call):
    assert call("report", "nowhere") == (
        2,
        "",
        "unetsearch: nowhere: no study here (no study.yaml); `unetsearch run` makes one\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--device", "gpu"],
            "unetsearch: --device gpu: no such device; expected auto, cpu, cuda, cuda:1 or mps\n",
        ),
        (
            ["--device", "meta"],
            "unetsearch: --device meta: not supported; expected auto, cpu, cuda, cuda:1 or mps\n",
        ),
        (["--time", "soon"], "unetsearch: time: expected a time such as 90s, 30m or 2h, got 'soon'\n"),
        (["--time", "0s"], "unetsearch: time: expected a time such as 90s, 30m or 2h, got '0s'\n"),
        (["--seed", "-1"], "unetsearch: seed: expected a whole number of at least 0, got -1\n"),
    ],
)
def test_wrong_options(here, call, arguments, message):
    assert call("run", "tiny.yaml", "--data", "data", *arguments) == (2, "", message)
    assert not Path("studies").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "unetsearch: net.yaml: not an architecture, but list\n"),
        ("channels: [4, 8]", "unetsearch: net.yaml: in_channels: is missing\n"),
        (
            "{in_channels: 1, out_channels: 1, channels: [4, 8.5]}",
            "unetsearch: net.yaml: channels of level 1: expected a whole number from 1 to 65,536, got 8.5\n",
        ),
        (
            "{in_channels: 1, out_channels: 1, channels: [4, 8], encodr: plain}",
            "unetsearch: net.yaml: encodr: unknown key; expected one of in_channels, out_channels, channels, encoder, "
            "skip, deep_supervision, norm, activation, down, up, dropout, bias; did you mean 'encoder'?\n",
        ),
        (
            "{in_channels: 1, out_channels: 1, channels: [4, 8], deep_supervision: maybe}",
            "unetsearch: net.yaml: deep_supervision: expected true or false, got 'maybe'\n",
        ),
        (
            "architecture: {depth: 2}",
            "unetsearch: net.yaml: a search space, not an architecture; `unetsearch space` describes it\n",
        ),
        ("a: [", "unetsearch: net.yaml: cannot be read as YAML"),
    ],
)
def test_an_architecture_that_is_none(here, call, text, message):
    Path("net.yaml").write_text(text)
    status, _, err = call("show", "net.yaml")
    assert status == 2
    assert err.startswith(message)
    status, _, err = call("show", "unet9")
    assert (status, err) == (
        2,
        "unetsearch: 'unet9' is no reference (unet, unet++, unet3+), no STUDY#TRIAL and no file of an architecture\n",
    )
