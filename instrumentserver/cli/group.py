"""The group of all commands, and what several of them use."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from instrumentserver.errors import InstrumentServerError

__all__ = ["main", "print_table", "told_to_end"]


class _OneLineErrors(click.Group):
    """A group whose commands end with one line and exit code 1 where the project or the system says no."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (InstrumentServerError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_OneLineErrors)
@click.option("-v", "--verbose", count=True, help="Say more: who does what (-v), every request (-vv).")
def main(verbose: int) -> None:
    """QCoDeS instruments and other objects in server processes."""
    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=level)


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Yield an event that is set by Ctrl-C and by SIGTERM."""
    is_ended = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: is_ended.set()) for number in numbers]
    try:
        yield is_ended
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def print_table(head: list[str], rows: list[list[str]], say: Callable[[str], None] = click.echo) -> None:
    """Print rows in columns under a head, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
