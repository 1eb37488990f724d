"""Errors a user can act on. The command line prints them as one message and ends with status 2."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class UnetsearchError(Exception):
    """The input is wrong; the message says what, where, and what to do. Nothing was changed on disk."""


class WorkFailedError(Exception):
    """The input is right, but the work could not be done; the message says why. What was finished before is kept."""


def did_you_mean(name: str, names: Iterable[str], most: int = 1) -> str:
    """`; did you mean 'dense'?`, with up to `most` close names, or nothing where no name is close."""
    matches = get_close_matches(name, list(names), n=most)
    return f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""


class SpaceError(UnetsearchError):
    """A search space (YAML) is not valid. `problems` holds every problem found, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ArchitectureError(UnetsearchError):
    """A value of an architecture is not valid, or an operation does not apply to it."""


class DataError(UnetsearchError):
    """Images or masks cannot be trained on. `problems` holds every problem found, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StudyError(UnetsearchError):
    """A study's folder cannot be created, continued or read."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; empty where it has none."""
    return next(iter(str(error).splitlines()), "")
