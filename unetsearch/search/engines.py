"""Where trials are kept: SQLite in the folder; for several machines a database, or a journal on a shared disk."""

import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import URL, make_url

from unetsearch.errors import StudyError
from unetsearch.search.patience import cause_line, is_passing, reason, scrub

JOURNAL = "journal:"

SQLITE_WAIT = 60
"""Seconds to wait for another reader of the database (a dashboard)."""

EXPECTED = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or journal:PATH on a shared disk"

_SECRET = ("user", "username", "password", "passwd", "passfile", "sslpassword")
"""Parameters of a URL that are credentials."""

_CONNECT = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A server that went away without a word is noticed (PostgreSQL)."""


def is_journal(storage: str) -> bool:
    """Whether it is `journal:PATH`."""
    return storage.startswith(JOURNAL)


def journal_path(storage: str) -> Path:
    """The file of `journal:PATH`: one absolute path, however it is written."""
    return Path(storage.removeprefix(JOURNAL)).expanduser().resolve()


def public_url(storage: str) -> str:
    """A storage as files and messages may show it: without user, password and parameters, from any folder the same."""
    if is_journal(storage):
        return f"{JOURNAL}{journal_path(storage)}"
    try:
        url = make_url(storage)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        url = None
    if url is None or _ambiguous(storage):
        return f"{storage.partition(':')[0]}:..." if "://" in storage else "--storage"
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def _ambiguous(storage: str) -> bool:
    """Whether a bare @, / or the like in a password may be taken for the end of it."""
    rest = storage.partition("://")[2]
    authority, _, path = rest.partition("/")
    return authority.count("@") > 1 or "@" in path.partition("?")[0]


def secrets_of(storage: str | None) -> tuple[str, ...]:
    """User and password of a URL, as they are and as a URL writes them."""
    if storage is None or is_journal(storage):
        return ()
    try:
        url = make_url(storage)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return (storage,)
    plain = [url.username, url.password, *(value for name, value in url.query.items() if name.lower() in _SECRET)]
    words = [word for word in plain if isinstance(word, str) and word]
    return tuple({form for word in words for form in (word, quote(word, safe=""), quote_plus(word))})


def open_storage(database: Path, storage: str | None, *, create: bool, grace: int) -> BaseStorage:
    """The storage of a URL, of `journal:PATH`, or (None) in a folder's own file. Raises StudyError as those below."""
    if storage is None:
        return open_sqlite(database, create=create)
    if is_journal(storage):
        return open_journal(storage, create=create)
    return open_database(storage, create=create, grace=grace)


def close_storage(storage: BaseStorage | None) -> None:
    """Closes the connections of a database."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def open_sqlite(path: Path, *, create: bool) -> RDBStorage:
    """The storage of one machine. Raises whatever SQLite, SQLAlchemy and Optuna raise."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return RDBStorage(
        f"sqlite:///{path.absolute().as_posix()}",
        engine_kwargs={"connect_args": {"timeout": SQLITE_WAIT}},
        skip_table_creation=not create,
    )


def open_database(storage: str, *, create: bool, grace: int) -> RDBStorage:
    """A database with heartbeats: a trial without one for `grace` seconds is stale.

    Raises StudyError where the URL is wrong, its driver is missing, or the server cannot be reached or refuses.
    """
    shown = public_url(storage)
    if _ambiguous(storage):
        raise StudyError(f"{shown}: write @ in a user or password as %40, / as %2F; expected {EXPECTED}")
    try:
        url = make_url(storage)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StudyError(f"{shown}: no URL of a database; expected {EXPECTED}") from None
    if url.get_backend_name() == "sqlite":
        raise StudyError(f"{shown}: SQLite is for one process; leave --storage out, or give {EXPECTED}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would print every interruption, and the driver's words
    for attempt in range(5):
        try:
            return _database(storage, url, create=create, grace=grace)
        except sqlalchemy.exc.NoSuchModuleError:
            raise StudyError(f"{shown}: no such kind of database; expected {EXPECTED}") from None
        except ImportError as error:
            raise StudyError(f"{shown}: {_missing(url, error)}") from None
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError, optuna.exceptions.StorageInternalError):
            if attempt == 4:
                raise  # two machines made the tables at once, the first time
        except sqlalchemy.exc.OperationalError as error:
            why = scrub(cause_line(error), secrets_of(storage))
            raise StudyError(f"{shown}: cannot be reached ({why}); look at host, user, password and database") from None
    raise AssertionError("not reached")


def _database(storage: str, url: URL, *, create: bool, grace: int) -> RDBStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    postgresql = url.get_backend_name() == "postgresql"
    if postgresql:
        options["connect_args"] = {name: value for name, value in _CONNECT.items() if name not in url.query}
    _probe(url, options, create=create)
    with warnings.catch_warnings():  # heartbeats are marked experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made = RDBStorage(
            storage,
            engine_kwargs=options,
            heartbeat_interval=max(grace // 2, 1),
            grace_period=grace,
            skip_table_creation=not create,
        )
    if postgresql:  # heartbeats are compared as local times of the server, which jump by an hour twice a year

        def in_utc(connection: Any, _: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET TIME ZONE 'UTC'")
            connection.commit()

        sqlalchemy.event.listen(made.engine, "connect", in_utc)
        made.engine.dispose()
    return made


def _probe(url: URL, options: dict[str, Any], *, create: bool) -> None:
    """Looks before Optuna does, and closes the connection again. Raises StudyError where there is nothing to read."""
    engine = sqlalchemy.create_engine(url, **options)
    try:
        if not sqlalchemy.inspect(engine).has_table("studies") and not create:
            shown = public_url(url.render_as_string())
            raise StudyError(f"{shown}: holds no study; `unetsearch run` with the same --storage makes one")
    finally:
        engine.dispose()


def _missing(url: URL, error: ImportError) -> str:
    module = getattr(error.__cause__ or error, "name", None) or url.get_driver_name()
    if url.get_backend_name() == "postgresql":
        if url.get_driver_name() != "psycopg":
            return f"the driver {module} is not installed; write postgresql+psycopg://"
        return 'the driver psycopg is not installed; pip install "psycopg[binary]"'
    return f"the driver {module} is not installed; pip install it, or give {EXPECTED}"


def open_journal(storage: str, *, create: bool) -> JournalStorage:
    """A journal that several machines append to, under a lock that a disk shared by NFS has as well.

    Raises StudyError where the file cannot be written, or is no journal.
    """
    path = journal_path(storage)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if not path.parent.is_dir():
        raise StudyError(f"{storage}: there is no folder {path.parent}; make it, or give another path")
    if not create and not path.is_file():
        raise StudyError(f"{storage}: no such file; `unetsearch run` with the same --storage makes it")
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=_Lock(str(path))))
    except OSError as error:
        why = reason(error) or f"cannot be read ({error.strerror or error})"
        raise StudyError(f"{storage}: {why}") from None
    except (ValueError, KeyError, TypeError) as error:
        why = f"cannot be read as an Optuna journal ({cause_line(error)})"
        raise StudyError(f"{storage}: {why}; put a copy of it back, or give another path") from None


class _Lock(JournalFileOpenLock):
    """A file made exclusively: works on NFS from version 3 on, on the file systems of clusters, and on Windows.

    (Optuna's default is a symbolic link: older NFS has it too, Windows asks for rights, and with a relative path its
    takeover from a dead process waits forever.) Who holds it first cuts off the line that a process left half written
    when it was killed or its disk was full: the next line would be glued to it, and the journal be lost.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)

    def acquire(self) -> bool:
        """Waits until it is ours. Gives True."""
        super().acquire()
        try:
            self._mend()
        except BaseException:
            self.release()
            raise
        return True

    def _mend(self) -> None:
        with self._path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            if end == 0:
                return
            file.seek(end - 1)
            if file.read(1) == b"\n":
                return
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def understood(error: Exception, shown: str, storage: str | None) -> StudyError:
    """What a storage raised while it was opened, as one message."""
    if isinstance(error, StudyError):
        return error
    line = scrub(cause_line(error), secrets_of(storage))
    if (why := reason(error)) and ("full" in why or "locked" in why):
        return StudyError(f"{shown}: {why}")
    if storage is None:
        advice = "put a copy of it back, or take another folder"
    elif is_passing(error):
        advice = "look at the server, and run the same command again"
    else:
        advice = "look at the server's rights and Optuna's version there, or give another --storage"
    return StudyError(f"{shown}: cannot be read as an Optuna storage ({line}); {advice}")
