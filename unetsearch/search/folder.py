"""A study's folder: where everything lies, who owns it, and how files are written so that none is ever half there."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import yaml

from unetsearch.errors import StudyError

LOCK = ".lock"
"""The file by which a process keeps others out of a study."""

OWN = (LOCK, ".write-test", "study.db", "preview.npz", "storage.yaml")
"""How the names of the files begin that a study has before its settings are written."""


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The paths of a study."""

    path: Path

    @property
    def settings(self) -> Path:
        """The whole study as YAML, every default filled in."""
        return self.path / "study.yaml"

    @property
    def database(self) -> Path:
        """The Optuna storage (SQLite)."""
        return self.path / "study.db"

    @property
    def shared(self) -> Path:
        """Of a study that several machines share: where its trials are, and under which name."""
        return self.path / "storage.yaml"

    def read_shared(self) -> dict[str, str] | None:
        """`url` (without credentials) and `study`; None where the trials are in the folder's own database."""
        return yaml.safe_load(self.shared.read_text(encoding="utf-8")) if self.shared.is_file() else None

    @property
    def preview(self) -> Path:
        """A few validation images with their masks, to show predictions beside."""
        return self.path / "preview.npz"

    def model(self, name: str) -> Path:
        """The folder of a trial's weights, architecture and predictions; `name` as in TrialRecord.name."""
        return self.path / "models" / name.removeprefix("#")

    def checkpoint(self, hash_: str) -> Path:
        """How far the training of this hash came, while it is not finished."""
        return self.path / "checkpoints" / f"{hash_}.pt"

    def keep_models(self, names: Collection[str]) -> None:
        """Removes every trial's folder but those of these names."""
        kept = {self.model(name) for name in names}
        models = self.path / "models"
        for folder in models.iterdir() if models.is_dir() else ():
            if folder not in kept:
                rmtree(folder, ignore_errors=True)

    def drop_checkpoints(self, hashes: Collection[str]) -> None:
        """Removes those of these hashes, as far as they can be removed."""
        checkpoints = self.path / "checkpoints"
        for file in checkpoints.iterdir() if checkpoints.is_dir() else ():
            if file.stem in hashes:
                with suppress(OSError):
                    file.unlink(missing_ok=True)

    def drop_parts(self) -> None:
        """Removes checkpoints that a killed process left half written; to be called while none is written."""
        for file in (self.path / "checkpoints").glob("*.part"):
            with suppress(OSError):
                file.unlink(missing_ok=True)

    @property
    def exists(self) -> bool:
        """Whether a study was begun here: its settings are written last. Raises StudyError where none can look."""
        try:
            return self.settings.is_file()
        except OSError as error:
            raise StudyError(f"{self.path}: cannot be read ({error.strerror or error})") from None

    def holds_others(self) -> bool:
        """Whether there is anything that no study leaves behind, not even one that was killed while it began."""
        return any(path.suffix != ".part" and not path.name.startswith(OWN) for path in self.path.iterdir())


def open_folder(path: Path) -> StudyFolder:
    """The folder of an existing study with its trials. Raises StudyError where there is none."""
    folder = StudyFolder(path)
    if not folder.exists:
        raise StudyError(f"{path}: no study here (no study.yaml); `unetsearch run` makes one")
    if not folder.database.is_file() and not folder.shared.is_file():
        raise StudyError(
            f"{path}: study.db, which holds the trials, is missing (it is not passed on with a study's tables); "
            "put it back, or run study.yaml into another folder with --out"
        )
    return folder


def create_folder(path: Path, advice: str = "give another folder with --out") -> StudyFolder:
    """The folder of a study, made where it is not there yet. `advice`: what to do where it cannot be.

    Raises StudyError where it cannot be written, or holds other things than a study.
    """
    folder = StudyFolder(path)
    try:
        if path.is_dir() and not folder.exists and folder.holds_others():
            raise StudyError(f"{path}: the folder is not empty and holds no study; {advice}")
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise StudyError(f"{path}: cannot write here ({reason}); {advice}") from None
    return folder


@contextmanager
def own_folder(path: Path) -> Iterator[StudyFolder]:
    """The folder of a study, made where it is not there yet, and kept from other processes while it runs.

    Where it is left by an error with nothing in it, what was made of it is gone again. Raises StudyError as
    create_folder and owned do.
    """
    made = [place for place in (path, *path.parents) if not place.exists()]
    held = False
    try:
        folder = create_folder(path)
        with owned(folder):
            held = True
            yield folder
    except BaseException:
        with suppress(OSError):
            if held and [file.name for file in path.iterdir()] == [LOCK]:
                (path / LOCK).unlink()
            for place in made:  # a folder that holds anything is not removed
                place.rmdir()
        raise


@contextmanager
def owned(folder: StudyFolder) -> Iterator[None]:
    """Keeps other processes out of the study while it runs; the system lifts this even after a kill.

    Raises StudyError where another process has it.
    """
    connection = sqlite3.connect(folder.path / LOCK, timeout=0, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise StudyError(f"{folder.path}: another process is running this study; wait until it is done") from None
        yield
    finally:
        connection.close()
