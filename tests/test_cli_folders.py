"""A study's folder that is not one, or not this study's: exit status 2, one clear message, nothing changed on disk."""

from pathlib import Path

import numpy as np
from PIL import Image


def test_an_output_folder_that_cannot_be_written(here, call):
    Path("file").write_text("")
    assert call("run", "tiny.yaml", "--data", "data", "--out", "file/study") == (
        2,
        "",
        f"unetsearch: {Path('file') / 'study'}: cannot write here (Not a directory); give another folder with --out\n",
    )


def test_a_folder_of_another_study(study, call):
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
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
