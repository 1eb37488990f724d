"""Ctrl-C, and the SIGTERM by which a cluster takes a machine back."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from unetsearch.errors import first_line


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C and SIGTERM end what runs; what is finished is kept. Gives what is to be called now and then.

    Libraries turn the exception of a signal into errors of their own, as that of a database does within a transaction:
    whatever ends the work after a signal is the interruption. Raises typer.Exit with 128 + the signal's number.
    """
    interrupted: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if interrupted:  # Python drops an exception that hits it while it collects garbage
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    except (KeyboardInterrupt, Exception) as error:
        another = not isinstance(error, KeyboardInterrupt)
        if another and not interrupted:
            raise
        if another:  # what was to be saved may not have been
            typer.echo(f"unetsearch: while it ended: {type(error).__name__} {first_line(error)}".rstrip(), err=True)
        typer.echo("interrupted: what is finished is kept; the same command continues", err=True)
        raise typer.Exit(128 + (interrupted or [signal.SIGINT])[0]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
