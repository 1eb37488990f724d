"""Where trials are kept: what is said of a wrong URL and of a server that is away; never a credential."""

import importlib.util
import io
import json
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import optuna
import pytest

from tests.search.postgres import PASSWORD, USER
from unetsearch.errors import StudyError
from unetsearch.search.claims import ask, beat, claim
from unetsearch.search.engines import public_url, secrets_of
from unetsearch.search.folder import StudyFolder
from unetsearch.search.storage import begin_studies, read_studies

SECRETS = (USER, PASSWORD, "sea%2Frcher", "se%3Acr%40t", "se:cr", "cr@t")


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path)


@pytest.fixture
def refused(folder):
    """What is said where the study cannot be begun, the traceback included."""

    def refuse(storage, open_=begin_studies):
        with pytest.raises(StudyError) as caught:
            open_(folder, "tiny", ("dice", "params"), storage=storage)
        shown = "".join(traceback.format_exception(caught.value))
        assert not [secret for secret in SECRETS if secret in shown]
        return str(caught.value)

    return refuse


def test_a_url_is_shown_without_credentials():
    url = "postgresql+psycopg://sea%2Frcher:se%3Acr%40t%20%251@db:5433/nas?password=hush&sslmode=require"
    assert public_url(url) == "postgresql+psycopg://db:5433/nas"
    assert public_url("journal:/shared/study.log") == "journal:/shared/study.log"
    assert public_url("journal:study.log") == f"journal:{Path('study.log').absolute()}", "wherever it is read again"
    assert public_url("postgresql+psycopg://sea%2Frcher:se%3Acr%40t@db:port/nas") == "postgresql+psycopg:..."
    assert public_url("se:cr@t") == "--storage"
    assert set(secrets_of(url)) >= {"sea/rcher", "sea%2Frcher", "se:cr@t %1", "se%3Acr%40t%20%251", "hush"}


@pytest.mark.parametrize("url", ["postgresql+psycopg://bob:p@ssw0rd@host/db", "postgresql+psycopg://bob:pa/s@host/db"])
def test_a_password_with_a_bare_sign_is_refused_and_not_shown(refused, url):
    """It would be read as the name of the host."""
    assert public_url(url) == "postgresql+psycopg:..."
    message = refused(url)
    assert "write @ in a user or password as %40, / as %2F" in message
    assert "ssw0rd" not in message
    assert "pa/s" not in message


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense", "--storage: no URL of a database; expected postgresql+psycopg://"),
        ("postgresql+psycopg://u:se:cr@t@h:x/d", "postgresql+psycopg:...: write @ in a user or password as %40"),
        ("postgres://u:p@h/d", "postgres://h/d: no such kind of database; expected postgresql+psycopg"),
        (
            "postgresql+psycopg2://u:p@h/d",
            "postgresql+psycopg2://h/d: the driver psycopg2 is not installed; write postgresql+psycopg://",
        ),
        ("mysql+pymysql://u:p@h/d", "mysql+pymysql://h/d: the driver pymysql is not installed"),
        ("sqlite:///x.db", "sqlite:///x.db: SQLite is for one process; leave --storage out, or give postgresql+"),
    ],
)
def test_a_wrong_url(refused, storage, message):
    assert refused(storage).startswith(message)


def test_a_missing_driver(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert refused("postgresql+psycopg://u:p@127.0.0.1:9/d") == (
        'postgresql+psycopg://127.0.0.1:9/d: the driver psycopg is not installed; pip install "psycopg[binary]"'
    )


def test_a_server_that_is_not_there_is_said_at_once(refused, postgres):
    before = time.monotonic()
    message = refused(postgres.url.replace(str(postgres.port), "9"))
    assert message.startswith("postgresql+psycopg://127.0.0.1:9/postgres: cannot be reached (")
    assert time.monotonic() - before < 15


def test_a_wrong_password_or_database(refused, postgres):
    wrong = postgres.url.replace("%201", "2").replace("%20%251", "2")
    assert wrong != postgres.url
    assert 'password authentication failed for user "***"' in refused(wrong)
    message = refused(postgres.url.replace("/postgres", "/nothing"))
    assert 'database "nothing" does not exist' in message
    assert message.endswith("look at host, user, password and database")


def test_a_study_that_is_not_there(refused, postgres, tmp_path):
    empty = postgres.database("empty")
    assert refused(empty, read_studies).endswith(
        "/empty: holds no study; `unetsearch run` with the same --storage makes one"
    )
    begin_studies(StudyFolder(tmp_path), "other", ("dice",), storage=empty).close()
    assert "holds no study 'tiny'" in refused(empty, read_studies)


def test_a_journal_that_cannot_be_opened(refused, tmp_path):
    assert refused(f"journal:{tmp_path}/no/journal").endswith(
        f"there is no folder {tmp_path}/no; make it, or give another path"
    )
    assert "no such file" in refused(f"journal:{tmp_path}/journal", read_studies)
    assert not (tmp_path / "journal").exists()
    (tmp_path / "journal").mkdir()
    assert "cannot be written (Is a directory)" in refused(f"journal:{tmp_path}/journal")
    (tmp_path / "text").write_text("this is\nno journal\nat all\n")
    assert "cannot be read as an Optuna journal" in refused(f"journal:{tmp_path}/text")


def test_a_journal_outlives_a_line_that_was_left_half_written(folder, tmp_path):
    storage = f"journal:{tmp_path / 'journal'}"
    studies = begin_studies(folder, "tiny", ("dice", "params"), storage=storage)
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"killed in the mid')
    other = begin_studies(folder, "tiny", ("dice", "params"), storage=storage)
    trials = [ask(which, which.search) for which in (studies, other, studies)]
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert len(read_studies(folder, "tiny", ("dice", "params"), storage=storage).search.trials) == 3
    for line in (tmp_path / "journal").read_text().splitlines():
        json.loads(line)


def test_a_server_that_restarts_is_waited_for(folder, postgres):
    notes = []
    storage = postgres.database("restarts")
    studies = begin_studies(folder, "tiny", ("dice", "params"), storage=storage, grace=2, note=notes.append)
    first = ask(studies, studies.search)
    first.suggest_int("width", 1, 100)
    assert claim(studies, first, "a", 9) == "mine"
    postgres.stop("immediate")
    back = threading.Timer(1.5, postgres.start)
    back.start()
    try:
        second = ask(studies, studies.search)
    finally:
        back.join()
    studies.patient(lambda: second.suggest_int("width", 1, 100))
    for _ in range(10):
        studies.beaten = 0
        assert beat(studies) == []
    assert claim(studies, second, "b", 9) == "mine"
    assert studies.patience.interrupted is not None
    assert len(notes) == 1
    assert notes[0].startswith(f"postgresql+psycopg://127.0.0.1:{postgres.port}/restarts is not reached (")
    assert not [secret for secret in SECRETS if secret in notes[0]]
    studies.close()


def test_after_an_outage_the_others_get_time_to_come_back(folder, postgres, tmp_path):
    storage = postgres.database("outage")
    one, two = (
        begin_studies(StudyFolder(tmp_path), "tiny", ("dice", "params"), storage=storage, grace=1) for _ in range(2)
    )
    trial = ask(one, one.search)
    claim(one, trial, "a", 9)
    time.sleep(2.2)
    two.patience.interrupted, two.beaten = time.monotonic(), 0
    beat(two)
    assert trial.study.trials[0].state == optuna.trial.TrialState.RUNNING
    two.patience.interrupted, two.beaten = time.monotonic() - 2, 0
    beat(two)
    assert trial.study.trials[0].state == optuna.trial.TrialState.FAIL
    one.close()
    two.close()


def test_heartbeats_are_in_utc_whatever_the_server_says(folder, postgres):
    studies = begin_studies(folder, "tiny", ("dice", "params"), storage=postgres.database("utc"))
    with studies.storage.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW TIME ZONE").scalar() == "UTC"
    studies.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "journal"])
def test_the_dashboard_opens_the_study(kind, folder, request, tmp_path):
    if importlib.util.find_spec("optuna_dashboard") is None:
        pytest.skip("optuna-dashboard is not installed")
    from optuna_dashboard import wsgi

    storage = None if kind == "sqlite" else f"journal:{tmp_path / 'journal'}"
    if kind == "postgresql":
        storage = request.getfixturevalue("postgres").database("dashboard")
    studies = begin_studies(folder, "tiny", ("dice", "params"), storage=storage)
    trial = ask(studies, studies.search)
    trial.suggest_int("width", 1, 100)
    trial.set_user_attr("network", "depth 3")
    trial.set_user_attr("curve", {"2": 0.5})
    studies.search.tell(trial, [0.5, 100])
    app = wsgi(studies.storage)

    def get(path):
        answer = {}
        environment = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "here", "SERVER_PORT": "80"}
        environment |= {"wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr}
        body = b"".join(app(environment, lambda status, *_: answer.update(status=status)))
        assert answer["status"].startswith("200")
        return json.loads(body)

    summaries = {study["study_name"]: study["study_id"] for study in get("/api/studies")["study_summaries"]}
    assert summaries.keys() >= {"tiny", "tiny-baselines"}
    (shown,) = get(f"/api/studies/{summaries['tiny']}")["trials"]
    assert shown["values"] == [0.5, 100.0]
    assert {attribute["key"] for attribute in shown["user_attrs"]} == {"network", "curve"}
    studies.close()


def test_opening_a_shared_study_says_nothing(postgres, tmp_path):
    code = """
import sys
from pathlib import Path
from unetsearch.search.claims import ask, claim
from unetsearch.search.folder import StudyFolder
from unetsearch.search.settling import recover
from unetsearch.search.storage import begin_studies
studies = begin_studies(StudyFolder(Path(sys.argv[1])), "tiny", ("dice", "params"), storage=sys.argv[2])
recover(studies)
claim(studies, ask(studies, studies.search), "a", 3)
"""
    command = [sys.executable, "-W", "always", "-c", code, str(tmp_path), postgres.database("quiet")]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = [line for line in process.stderr.splitlines() if "Warning" in line and "ResourceWarning" not in line]
    assert (process.returncode, said, process.stdout) == (0, [], "")
