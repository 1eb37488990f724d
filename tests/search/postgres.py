"""A real PostgreSQL server for the tests, with a user and a password; it can be stopped and started again."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

USER, PASSWORD = "sea/rcher", "se:cr@t %1"


@dataclass(frozen=True)
class Postgres:
    """`url`: of a database that is there. `database(name)`: makes an empty one, and gives its URL."""

    folder: Path
    programs: Path
    port: int

    @property
    def url(self) -> str:
        return self._url("postgres")

    def _url(self, name: str) -> str:
        credentials = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
        return f"postgresql+psycopg://{credentials}@127.0.0.1:{self.port}/{name}"

    def database(self, name: str) -> str:
        sql = f'CREATE DATABASE "{name}"'
        self.call("psql", "-q", "-h", str(self.folder), "-p", str(self.port), "-U", USER, "-d", "postgres", "-c", sql)
        return self._url(name)

    def start(self) -> None:
        self.call("pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        self.call("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")

    def restart(self) -> None:
        self.stop()
        self.start()

    def call(self, program: str, *arguments: str) -> None:
        command = [*_as_nobody(), str(self.programs / program), *arguments]
        with (self.folder / "errors").open("ab") as errors:  # no pipe: the server would keep it open
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors}
            subprocess.run(command, cwd=self.folder, check=True, timeout=60, **quiet)


def _as_nobody() -> list[str]:
    """The server refuses to be run by root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def _programs() -> Path:
    """The folder of the server's programs; skips where there is none that can be run."""
    if os.name != "posix":
        pytest.skip("no PostgreSQL server is started on this system")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which("initdb")
    if program is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    if os.geteuid() == 0 and not _there("postgres"):
        pytest.skip("PostgreSQL is not run by root, and there is no user postgres to run it")
    return Path(program).parent


def _there(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return shutil.which("runuser") is not None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason='psycopg is not installed (pip install ".[postgres]")')
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Postgres(folder, programs, port)
    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "errors").touch()
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres")
        server.call(
            *("initdb", "-D", str(folder / "data"), "-U", USER, "--pwfile", str(folder / "password"), "--no-sync"),
            *("--auth-host", "scram-sha-256", "--auth-local", "trust", "--encoding", "UTF8", "--locale", "C"),
        )
        settings = {"port": port, "listen_addresses": "'127.0.0.1'", "unix_socket_directories": f"'{folder}'"}
        settings |= {"fsync": "off", "timezone": "'America/New_York'"}
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        server.start()
    except (OSError, subprocess.SubprocessError) as error:
        said = (folder / "errors").read_text()
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no PostgreSQL server can be started here ({error}; {said.strip()})")
    yield server
    try:
        server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
