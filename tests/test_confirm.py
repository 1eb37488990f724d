"""`unetsearch confirm` as a user meets it: a small study, confirmed from Python and from the command line."""

import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import unetsearch
from tests.conftest import lay_out
from tests.processes import unetsearch as started
from unetsearch.confirmation import confirm
from unetsearch.report.confirmation import Confirmation
from unetsearch.search.confirmed import Confirmed
from unetsearch.search.events import Confirming, Finished, Noted, Repeated, SearchedAgain

CROSSED = ("--no-nested", "--folds", "2")

VERDICT = "data: undecided between depths 1 and 2: 2 groups of test images: an interval needs 6."


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All four points of the small space are trained; one of them is the baseline."""
    folder = tmp_path_factory.mktemp("confirm")
    lay_out(folder)
    apart = ["data.split.by=random"]  # else the images are one stack, of which nothing is claimed beyond it
    unetsearch.run(folder / "tiny.yaml", data=folder / "data", out=folder / "study", trials=4, overrides=apart)
    return folder


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A copy of the study, which may be changed, in the working folder."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return Path("study")


def trainings(out):
    """The lines of single trainings, without what they scored."""
    return [line.split(":")[0].strip() for line in out.splitlines() if re.search(r"seed \d+.*:", line)]


def answers(page):
    """The first box of a page."""
    box = re.search(r'<div class="answer">(.*?)</div>', page.read_text())
    return re.findall("<p>(.*?)</p>", box[1])


def contents(folder):
    """Every file with what is in it, but for SQLite's own notes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_report_leads_with_the_verdict_and_what_is_done_is_kept(study, call):
    status, out, err = call("confirm", study, *CROSSED, "--seeds", 1)
    assert (status, err) == (0, "")
    first = trainings(out)
    networks = {line.split()[0] for line in first}
    assert "unet" in networks
    assert len(networks) == 4
    assert Counter(first) == {f"{name}  without fold {fold}, seed 1": 1 for name in networks for fold in (1, 2)}
    assert out.splitlines()[-2].startswith("Tested: 2 images that no search has seen; 2 folds x 1 seed, 8 of 8 ")
    assert out.splitlines()[-1] == f"report: {study / 'report.html'}"
    lines = out.splitlines()[-len(answers(study / "report.html")) - 1 : -1]
    assert lines[0] == VERDICT
    assert answers(study / "report.html") == lines
    assert re.search(r"MACs, [0-9.]+ ms an image of 256x256\): Dice ", lines[1])
    assert (study / "verdict.txt").read_text().splitlines() == lines
    latency = pd.read_csv(study / "confirmed.csv")["latency"]
    assert (latency > 0).all()

    status, out, _ = call("confirm", study, *CROSSED, "--seeds", 1)
    assert (status, trainings(out)) == (0, [])
    assert list(pd.read_csv(study / "confirmed.csv")["latency"]) == list(latency), "not measured again"
    assert "trainings: 8 of 8 are done" in out
    assert answers(study / "report.html") == lines

    status, out, _ = call("confirm", study, *CROSSED, "--seeds", 2)
    assert status == 0
    assert sorted(trainings(out)) == sorted(line.replace("seed 1", "seed 2") for line in first)
    lines = answers(study / "report.html")
    (study / "report.html").unlink()
    assert call("report", study)[0] == 0
    assert answers(study / "report.html") == lines
    assert lines[0] == VERDICT

    again = ("--out", study, "--trials", 4, "--set", "data.split.by=random")
    status, out, _ = call("run", "tiny.yaml", "--data", "data", *again)
    assert status == 0
    assert answers(study / "report.html") == lines, "the search goes on beside it"


def kinds(events):
    return Counter(type(event) for event in events)


def test_nested_every_image_is_tested_by_what_never_saw_it(study):
    events = []
    found = confirm(study, folds=2, seeds=1, happened=events.append)
    assert isinstance(found.confirmed, Confirmation)
    plan = found.confirmed.plan
    assert plan.nested, "so few images"
    assert not any(record.baseline for fold in (0, 1) for record in plan.points_of(fold)), "its score saw all images"
    assert (found.confirmed.images, found.confirmed.groups, plan.folds, len(plan.finalists)) == (8, 8, 2, 2)
    tested = {run.key.fold: set(run.images) for run in (event.run for event in events if isinstance(event, Repeated))}
    assert tested[0] | tested[1] == set(range(8))
    assert not tested[0] & tested[1]
    assert kinds(events)[SearchedAgain] == 2
    for number in (1, 2):
        inner = unetsearch.front(study / "confirm" / f"{number}-of-2")
        assert set(inner["hash"]) <= {record.hash for record in plan.of_fold(number - 1)}
    assert found.lines[0].startswith("data: ")
    assert found.lines[-1].startswith("Tested: each of 8 images once, by what a search chose that never saw its part; ")
    assert answers(found.report)[0] == found.lines[0]

    again = []
    second = confirm(study, folds=2, seeds=1, happened=again.append)
    assert not kinds(again).keys() & {Repeated, Finished}
    assert second == found


def test_longer_trainings_are_tuned_first(study):
    events = []
    found = confirm(study, nested=False, folds=2, seeds=1, budgets=(1, 2), happened=events.append)
    assert found.confirmed is not None
    assert found.confirmed.plan.points == ("unet",), "a point of the space as well"
    done = [event.run for event in events if isinstance(event, Repeated)]
    tunings = [run for run in done if run.key.tuning]
    assert {run.key.rate for run in tunings} == {0.5, 1.0, 2.0}
    assert Counter(run.key.hash for run in tunings) == dict.fromkeys({run.key.hash for run in tunings}, 3)
    after = [run for run in done if run.key.budget == 2 and not run.key.tuning]
    assert Counter(run.key.hash for run in after) == dict.fromkeys({run.key.hash for run in tunings}, 2)
    assert done.index(tunings[-1]) < done.index(after[0])
    assert not {image for run in tunings for image in run.images} & {image for run in after for image in run.images}
    (line,) = [line for line in found.lines if line.startswith("With 2 times the steps it is the same: ")]
    assert line.endswith("undecided between depths 1 and 2: 2 groups of test images: an interval needs 6.")
    assert [event.of for event in events if isinstance(event, Confirming)] == [8, 8, 12, 12, 8, 8]


def test_time_that_is_spent_leaves_the_rest_for_later(study, call):
    found = confirm(study, nested=False, folds=2, seeds=1, time=0.001)
    assert found.confirmed is None
    assert found.lines == ("Nothing is confirmed yet: no part of the images was tested for every finalist.",)
    assert "What the search saw" not in found.report.read_text()
    status, out, err = call("confirm", study, *CROSSED, "--seeds", 1, "--time", "0.001s")
    assert (status, out.splitlines()[-2]) == (1, found.lines[0])
    assert "nothing is confirmed; the reasons stand above" in err
    status, out, _ = call("confirm", study, *CROSSED, "--seeds", 1)
    assert (status, len(trainings(out))) == (0, 7)
    status, out, _ = call("confirm", study, "--no-nested", "--folds", 3, "--seeds", 1, "--time", "1s")
    assert "confirmed with --no-nested --folds 2 before: what was found so is kept, and comes back " in out
    assert trainings(out), "the time of the other folds is not counted"


def test_time_that_is_spent_begins_no_stage(study):
    events = []
    confirm(study, nested=False, folds=2, seeds=1, budgets=(1, 2), time=0.001, happened=events.append)
    assert events[-1] == Noted(
        "the time is spent, 7 trainings are left, and those with other steps: a longer --time goes on with them"
    )
    assert [event.of for event in events if isinstance(event, Confirming)] == [8, 8]


def test_what_else_is_left_is_said_only_where_something_is(study, monkeypatch):
    """The others follow only from the rates, where none is found yet."""

    def told(*budgets):
        events = []
        confirm(study, nested=False, folds=2, seeds=1, budgets=budgets, time=0.001, happened=events.append)
        return events[-1].text if isinstance(events[-1], Noted) else ""

    confirm(study, nested=False, folds=2, seeds=1)
    steps = ", and those with other steps: a longer --time goes on with them"
    assert told(1, 2) == f"the time is spent, 12 trainings are left{steps}"
    confirm(study, nested=False, folds=2, seeds=1, budgets=(1, 2))
    assert told(1, 2) == ""
    known = Confirmed.runs.fget
    monkeypatch.setattr(
        Confirmed, "runs", property(lambda own: [run for run in known(own) if run.key.budget != 1 or run.key.fold])
    )
    assert told(1, 2) == "the time is spent, 4 trainings are left: a longer --time goes on with them"
    assert told(1, 2, 3) == f"the time is spent, 4 trainings are left{steps}"


def test_fewer_images_than_folds_are_said(study):
    events = []
    found = confirm(study, nested=False, folds=20, seeds=1, time=0.001, happened=events.append)
    assert found.confirmed is None
    assert events[0] == Noted("20 folds were asked for, but there are 6 images: 6 folds")
    assert events[1] == Noted("4 networks are trained again without each of 6 parts of the images, from 1 seed")
    assert events[2] == Noted("nothing will be decided: 2 groups of test images: an interval needs 6")
    assert events[3].of == 4 * 6
    assert events[-1] == Noted("the time is spent, 23 trainings are left: a longer --time goes on with them")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--margin", "0"), "margin: expected a loss in score above 0 such as 0.01, got 0"),
        (("--margin", "-0.1"), "margin: expected a loss in score above 0 such as 0.01, got -0.1"),
        (("--budgets", "1,x"), "budgets: expected numbers such as 1,4, got '1,x'"),
        (("--budgets", "0"), "budgets: expected numbers above 0 and up to 1000, got 0"),
        (("--budgets", "1,0.1"), "study: budgets: 0.1 times 4 steps are none"),
        (("--time", "soon"), "time: expected a time such as 90s, 30m or 2h, got 'soon'"),
        (
            ("--folds", "1"),
            "study: --folds 1 would test all images at once and train on none; take 2 or more, or --no-nested",
        ),
        (
            ("--data", "elsewhere"),
            "study: was searched on other data (images, masks, split, or numbers of objects changed)",
        ),
        (("--device", "abacus"), None),
    ],
)
def test_what_is_wrong_is_said_and_nothing_changes(study, call, arguments, message):
    shutil.copytree("data", "elsewhere")
    Path("elsewhere/masks/0.png").write_bytes(Path("elsewhere/masks/1.png").read_bytes())
    Path("elsewhere/images/0.png").write_bytes(Path("elsewhere/images/1.png").read_bytes())
    before = contents(study)
    status, out, err = call("confirm", study, *arguments)
    assert status == 2
    assert out == ""
    if message:
        assert err == f"unetsearch: {message}\n"
    assert "Traceback" not in err
    assert contents(study) == before


def test_no_study(here, call):
    message = "unetsearch: nowhere: no study here (no study.yaml); `unetsearch run` makes one\n"
    assert call("confirm", "nowhere") == (2, "", message)
    assert not Path("nowhere").exists()


def test_nothing_is_trained_yet(here, call):
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unetsearch.run("tiny.yaml", data="data", out="study", happened=interrupted)
    before = contents(Path("study"))
    message = "unetsearch: study: no candidate is trained yet; `unetsearch run` trains some\n"
    assert call("confirm", "study") == (2, "", message)
    assert contents(Path("study")) == before


def test_too_few_images(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, images=4)
    overrides = ("data.split.test=0", "baselines=[]", "architecture.depth=1", "architecture.skip=plain")
    unetsearch.run("tiny.yaml", data="data", out="study", trials=1, overrides=overrides)
    before = contents(Path("study"))
    message = "unetsearch: study: no image was held out (`data: {split: {test: 0}}`); --nested does without\n"
    assert call("confirm", "study", "--no-nested") == (2, "", message)
    message = (
        "unetsearch: study: with 2 folds fewer than 2 images would be left to train on; "
        "add images, or take --no-nested\n"
    )
    assert call("confirm", "study", "--folds", 2) == (2, "", message)
    assert contents(Path("study")) == before


@pytest.mark.parametrize(
    "values", [{"folds": 0}, {"folds": 21}, {"seeds": 0}, {"margin": float("nan")}, {"budgets": (-1,)}]
)
def test_python_refuses_the_same(study, values):
    (name,) = values
    with pytest.raises(unetsearch.UnetsearchError, match=f"^{name}: expected "):
        confirm(study, **values)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_keeps_what_is_finished(study, call):
    process = started("confirm", study, *CROSSED, "--seeds", "1000")
    told = ""
    for line in process.stdout:
        told += line
        if len(trainings(told)) == 6:  # fold 1 is tested for all four, fold 2 for some
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    told += rest
    assert process.returncode == 130, told
    assert told.endswith("interrupted: what is finished is kept; the same command continues\n")
    lines = answers(study / "report.html")
    assert lines[0].startswith("data: so far, with 799")
    assert " 2 folds x 1000 seeds (" in lines[-1]
    status, out, _ = call("confirm", study, *CROSSED, "--seeds", 2)
    assert status == 0
    assert Counter([*trainings(told), *trainings(out)]).most_common(1)[0][1] == 1, "none is trained twice"
    assert len([line for line in [*trainings(told), *trainings(out)] if re.search("seed [12]$", line)]) == 16
