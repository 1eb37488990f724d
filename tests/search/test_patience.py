"""A storage that fails for a while is waited for; a disk that refuses is said at once."""

import errno
import logging
import sqlite3

import optuna
import pytest
import sqlalchemy

from unetsearch.errors import WorkFailedError
from unetsearch.search import patience
from unetsearch.search.claims import ask
from unetsearch.search.folder import StudyFolder
from unetsearch.search.patience import Patience, scrub
from unetsearch.search.storage import begin_studies


def test_secrets_are_taken_out_of_a_text():
    text = 'password authentication failed for user "joe"; postgresql+psycopg://joe:p%40ss@db/joes'
    assert scrub(text, ("joe", "p@ss", "p%40ss")) == (
        'password authentication failed for user "***"; postgresql+psycopg://***:***@db/joes'
    )


def failing(*errors):
    errors = list(errors)

    def call():
        if errors:
            raise errors.pop(0)
        return "done"

    return call


def internal(original):
    error = optuna.exceptions.StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = sqlalchemy.exc.OperationalError("SELECT 1", {}, original)
    return error


def test_patience_has_an_end(monkeypatch):
    monkeypatch.setattr(patience, "LIMIT", 0.3)
    notes = []
    gone = [internal(Exception("FATAL: no joe")) for _ in range(50)]
    with pytest.raises(
        WorkFailedError, match=r"^db: not reached for 0 s \(FATAL: no \*\*\*\); what is finished is kept"
    ):
        Patience("db", ("joe",), notes.append).call(failing(*gone))
    assert notes == ["db is not reached (FATAL: no ***); trying again for up to 0 minutes"]


def test_what_is_no_failure_of_the_storage_is_raised_as_it_is():
    with pytest.raises(ZeroDivisionError):
        Patience("db").call(lambda: 1 / 0)
    error = optuna.exceptions.StorageInternalError("so")
    error.__cause__ = sqlalchemy.exc.DataError("SELECT 1", {}, Exception("too long"))
    with pytest.raises(optuna.exceptions.StorageInternalError):
        Patience("db").call(failing(error))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (internal(sqlite3.OperationalError("database or disk is full")), "study.db: the disk is full; free some space"),
        (
            internal(sqlite3.OperationalError("attempt to write a readonly database")),
            "study.db: cannot be written (att",
        ),
        (internal(sqlite3.OperationalError("disk I/O error")), "study.db: cannot be written (disk I/O error); look at"),
        (internal(sqlite3.OperationalError("database is locked")), "study.db: another program keeps it locked"),
        (OSError(errno.ENOSPC, "No space left on device"), "study.db: the disk is full; free some space"),
        (OSError(errno.EROFS, "Read-only file system"), "study.db: cannot be written (Read-only file system)"),
    ],
)
def test_a_disk_that_refuses_is_said_at_once(error, message):
    with pytest.raises(WorkFailedError) as caught:
        Patience("study.db").call(failing(error))
    assert str(caught.value).startswith(message)
    assert "run the same command again" in str(caught.value)


def test_a_full_disk_under_sqlite(tmp_path):
    studies = begin_studies(StudyFolder(tmp_path), "tiny", ("dice", "params"))
    trial = ask(studies, studies.search)
    studies.storage.engine.dispose()

    @sqlalchemy.event.listens_for(studies.storage.engine, "connect")
    def fill(connection, _):
        connection.execute("PRAGMA max_page_count = 1")  # which SQLite takes as: no more than now

    with pytest.raises(
        WorkFailedError, match=r"study\.db: the disk is full; free some space and run the same command again"
    ):
        studies.patient(lambda: trial.set_user_attr("large", "x" * 10**6))
    sqlalchemy.event.remove(studies.storage.engine, "connect", fill)
    studies.storage.engine.dispose()
    studies.patient(lambda: trial.set_user_attr("large", "x" * 10**6))
    studies.close()


def test_a_hiccup_of_a_shared_disk_is_tried_again():
    assert Patience("journal", note=lambda _: None).call(failing(OSError(errno.ESTALE, "Stale file handle"))) == "done"


def test_a_note_goes_to_the_log_where_nobody_takes_it(caplog):
    with caplog.at_level(logging.WARNING):
        Patience("db").call(failing(internal(Exception("server closed the connection"))))
    assert "db is not reached (server closed the connection)" in caplog.text
