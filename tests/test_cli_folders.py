"""A study's folder that is not one, or not this study's: exit status 2, one clear message, nothing changed on disk."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_an_output_folder_that_cannot_be_written(here, call):
    Path("file").write_text("")
    assert call("run", "tiny.yaml", "--data", "data", "--out", "file/study") == (
        2,
        "",
        f"unetsearch: {Path('file') / 'study'}: cannot write here (Not a directory); give another folder with --out\n",
    )


def test_other_numbers_of_objects_are_other_data_where_they_count(here, call, monkeypatch):
    """For maps of weights and for F1 of objects; a study of Dice goes on."""
    shutil.copytree("data/masks", "data/instances")
    ways = (
        ("map", "training.weight_map=true"),
        ("maps", "training.weight_map=[true, false]"),
        ("f1", "objectives=[object_f1, params]"),
        ("dice", "search.seed=0"),
    )

    def run(name, given):
        return call("run", "tiny.yaml", "--data", "data", "--out", name, "--set", given, "--trials", "1")

    assert [run(*way)[0] for way in ways] == [0, 0, 0, 0]
    monkeypatch.setattr("unetsearch.data.store.VERSION", -1)
    assert [run(*way)[0] for way in ways] == [0, 0, 0, 0], "the same go on, whatever the cache"
    Image.fromarray(np.zeros((24, 20), np.uint8)).save("data/instances/0.png")
    again = [run(*way) for way in ways]
    assert [status for status, *_ in again] == [2, 2, 2, 0]
    assert "holds a study of other data (images, masks, split, or numbers of objects changed)" in again[0][2]


def test_a_folder_of_another_study(study, call):
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    advice = "give another folder with --out, or the same settings to continue it"
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study", "--set", "architecture.width=8") == (
        2,
        "",
        f"unetsearch: study: holds a study of another space; {advice}\n  architecture.width: 4 there, 8 here\n",
    )
    Image.fromarray(np.zeros((24, 20), np.uint8)).save("data/masks/0.png")
    changed = "images, masks, split, or numbers of objects changed"
    assert call("run", "tiny.yaml", "--data", "data", "--out", "study") == (
        2,
        "",
        f"unetsearch: study: holds a study of other data ({changed}); {advice}\n",
    )
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before


def test_a_study_without_its_trials(study, call):
    """As it lies in a repository: the tables, but no database."""
    (study / "study.db").unlink()
    before = sorted(study.iterdir())
    message = (
        "unetsearch: study: study.db, which holds the trials, is missing (it is not passed on with a study's tables); "
        "put it back, or run study.yaml into another folder with --out\n"
    )
    for arguments in (["run", "tiny.yaml", "--data", "data", "--out", "study"], ["report", "study"]):
        assert call(*arguments) == (2, "", message)
    assert sorted(study.iterdir()) == before


def test_a_study_whose_name_was_changed(study, call):
    settings = study / "study.yaml"
    settings.write_text(settings.read_text().replace("name: tiny", "name: huge"))
    database = study / "study.db"
    before = database.read_bytes()
    assert call("report", "study") == (
        2,
        "",
        f"unetsearch: {database}: holds no study 'huge'; was `name` changed in study.yaml? Put the old one back\n",
    )
    assert database.read_bytes() == before


def test_no_study_to_report(here, call):
    assert call("report", "nowhere") == (
        2,
        "",
        "unetsearch: nowhere: no study here (no study.yaml); `unetsearch run` makes one\n",
    )


def test_a_storage_that_cannot_be_opened_leaves_no_folder(here, call):
    before = sorted(here.rglob("*"))
    missing = Path("missing").absolute()
    why = f"there is no folder {missing}; make it, or give another path"
    told = (2, "", f"unetsearch: journal:missing/x.journal: {why}\n")
    wrong = ("run", "tiny.yaml", "--data", "data", "--storage", "journal:missing/x.journal")
    assert call(*wrong) == told
    assert sorted(here.rglob("*")) == before
    Path("empty").mkdir()
    assert call(*wrong, "--out", "empty") == told
    assert list(Path("empty").iterdir()) == []


@pytest.mark.slow
def test_a_shared_study(here, call, monkeypatch):
    """Another space does not take part in it, and it is found from any folder and by any way to its journal."""
    shared = ("run", "tiny.yaml", "--data", "data", "--storage", "journal:x.journal")
    assert call(*shared, "--out", "one")[0] == 0
    before, journal = sorted(here.rglob("*")), Path("x.journal").read_bytes()
    status, _, told = call(*shared, "--out", "deep/two", "--set", "architecture.width=8")
    assert status == 2
    assert f"journal:{here / 'x.journal'}, study tiny-data: holds a study of another space;" in told
    assert sorted(here.rglob("*")) == before
    assert Path("x.journal").read_bytes() == journal
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert call("report", here / "one")[0] == 0
    again = ("run", here / "tiny.yaml", "--data", here / "data", "--out", here / "one", "--storage")
    for way in (here / "x.journal", "../x.journal"):
        assert call(*again, f"journal:{way}")[0] == 0
    advice = "give another folder with --out, or the same settings to continue it"
    assert call(*again, "journal:x.journal") == (
        2,
        "",
        f"unetsearch: {here / 'one'}: the trials of this study are in journal:{here / 'x.journal'}; {advice}\n",
    )
