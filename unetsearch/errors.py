"""Errors a user can act on. The command line prints them as one message and ends with status 2."""

from collections.abc import Sequence


class UnetsearchError(Exception):
    """The input is wrong; the message says what, where, and what to do. Nothing was changed on disk."""


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
