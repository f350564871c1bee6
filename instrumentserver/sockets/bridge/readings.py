"""Readings: parameters are read again and again, one after the other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from .feed import Feed

__all__ = ["Readings"]

logger = logging.getLogger(__name__)

_HANG_SECONDS: Final = 5.0
"""How long a reading may take before it is told that it hangs."""
_END_SECONDS: Final = 5.0


class Readings:
    """Reads feeds every ``period`` seconds, the first time at once, from `start` to `stop`.

    They are of one instrument, which answers one call at a time: they are read in one thread. While a reading hangs,
    the others wait.

    Args:
        name: Whose feeds they are.
        feeds: They.
        period: Time from one beginning to the next, seconds; more if the readings take longer.
    """

    def __init__(self, name: str, feeds: Sequence[Feed], period: float) -> None:
        self._name = name
        self._feeds = feeds
        self._period = period
        self._ending = threading.Event()
        self._due = threading.Event()
        self._current: tuple[Feed, float] | None = None
        self._reader = threading.Thread(target=self._read, name="socket readings", daemon=True)
        self._pacer = threading.Thread(target=self._pace, name="socket readings pace", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._due.set()
        self._reader.start()
        self._pacer.start()

    def stop(self) -> None:
        """Read no more; waits for the reading that is under way, at most 5 s."""
        self._ending.set()
        self._due.set()
        for thread in (self._pacer, self._reader):
            if thread.is_alive():
                thread.join(_END_SECONDS)
        if self._reader.is_alive():
            logger.warning(
                "%s: a reading has not come back within %g s; its thread ends when it does",
                self._name,
                _END_SECONDS,
            )

    def _read(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            for feed in self._feeds:
                if self._ending.is_set():
                    return
                self._current = feed, time.monotonic()
                feed.read()
            self._current = None
            if self._ending.is_set():
                return

    def _pace(self) -> None:
        """Say when the next readings are due, and notice one that hangs."""
        while not self._ending.wait(self._period):
            current = self._current
            if current is None:
                self._due.set()
                continue
            feed, since = current
            seconds = time.monotonic() - since
            if seconds >= _HANG_SECONDS:
                feed.hang(seconds)
