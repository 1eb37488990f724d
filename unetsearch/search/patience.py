"""Storage calls that outlive a restart of the server or a hiccup of the disk, and what to say when they do not."""

import errno
import json
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from logging import getLogger
from typing import TypeVar

from sqlalchemy import exc

from unetsearch.errors import WorkFailedError

LIMIT = 600.0
"""Seconds to go on trying without the server."""

WAITS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the tries; the last one is repeated."""

T = TypeVar("T")

_MISTAKES = (exc.ProgrammingError, exc.DataError, exc.IntegrityError, exc.NotSupportedError, exc.ArgumentError)
"""Errors that another try does not mend."""

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up"}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}

_QUIET = "Heartbeat of storage is supposed|The constraint value is ignored"
"""Warnings of Optuna that do not apply: heartbeats are recorded here, and a repeated write is meant."""


@dataclass(slots=True)
class Patience:
    """Calls a storage, again and again while its server is away.

    `shown`: how messages name the storage. `secrets`: what no message may hold. `note`: is told once that the server
    is away. `interrupted`: when it last was (monotonic seconds), None before.
    """

    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    note: Callable[[str], None] = getLogger(__name__).warning
    interrupted: float | None = None

    def call(self, call: Callable[[], T]) -> T:
        """What the call gives. It may happen more than once: where a reply is lost, it is repeated.

        Raises WorkFailedError where the disk is full or refuses, and where the server stays away. No message holds a
        credential. What is no failure of the storage is raised as it is.
        """
        began = time.monotonic()
        for tries in range(10**6):
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", _QUIET)
                    return call()
            except Exception as error:
                if not is_passing(error):
                    if (message := reason(error)) is None:
                        raise
                    raise WorkFailedError(f"{self.shown}: {message}") from None
                why = scrub(cause_line(error), self.secrets)
            self.interrupted = time.monotonic()
            if self.interrupted - began > LIMIT:
                raise WorkFailedError(
                    f"{self.shown}: not reached for {LIMIT:.0f} s ({why}); what is finished is kept: "
                    "run the same command again when it is back"
                ) from None
            if tries == 0:
                self.note(f"{self.shown} is not reached ({why}); trying again for up to {LIMIT / 60:.0f} minutes")
            time.sleep(WAITS[min(tries, len(WAITS) - 1)])
        raise AssertionError("not reached")


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            return False
        if isinstance(cause, OSError):
            return cause.errno not in _FULL and cause.errno not in _REFUSED
        if isinstance(cause, exc.SQLAlchemyError) and not isinstance(cause, exc.DBAPIError):
            return not isinstance(cause, _MISTAKES)
        if isinstance(cause, exc.DBAPIError) and not isinstance(cause.orig, sqlite3.Error):
            return not isinstance(cause, _MISTAKES)
        if isinstance(cause, json.JSONDecodeError) or str(cause).endswith("did not possess lock"):
            return True  # a journal's line that has not arrived as a whole; a lock that was taken for a dead one's
    return False


def reason(error: BaseException) -> str | None:
    """Why a storage failed for good, and what to do; None where the error is not the storage's."""
    again = "free some space and run the same command again; what is finished is kept"
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return f"{_FULL[cause.errno]}; {again}"
        if isinstance(cause, OSError) and cause.errno in _REFUSED:
            return f"cannot be written ({cause.strerror}); mend that and run the same command again"
        if isinstance(cause, sqlite3.OperationalError):
            text = str(cause)
            if "full" in text:
                return f"the disk is full; {again}"
            if "locked" in text:
                return "another program keeps it locked (a dashboard?); close that and run the same command again"
            return f"cannot be written ({text}); look at the disk's space and rights, and run the same command again"
    return None


def cause_line(error: BaseException) -> str:
    """What an error says in one line: that of the driver, where there is one."""
    cause = error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL" in line]
    return next(iter([*fatal, *lines]), type(cause).__name__)


def scrub(text: str, secrets: tuple[str, ...]) -> str:
    """The text without the secrets, where they stand for themselves."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and what the driver said."""
    at: BaseException | None = error
    while at is not None:
        yield at
        if isinstance(original := getattr(at, "orig", None), BaseException):
            yield original
        at = at.__cause__
