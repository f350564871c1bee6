"""Pollers: read watched parameters that change by themselves, one thread for each instrument."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from instrumentserver.transport.chain import current_work
from instrumentserver.wire.messages import Op

from .caller import Caller
from .hosted import Hosted
from .watch import Watch

__all__ = ["Poller"]

_LONGEST_WAIT: Final = 3600.0
_IDLE_SECONDS: Final = 5.0
"""How long the thread waits for more to read before it ends."""


class Poller:
    """Reads parameters of one instrument, each with its own period, in the line of those who use it.

    A reading that takes longer than its period delays the next one, and leaves the instrument to others for as long
    as it took: none is made up for.

    Args:
        name: The instrument's name.
        new_caller: Returns who the readings are done for.
    """

    def __init__(self, name: str, new_caller: Callable[[], Caller]) -> None:
        self._name = name
        self._new_caller = new_caller
        self._due: dict[Watch, float] = {}
        self._wanted: set[Watch] = set()
        self._periods: dict[Watch, float] = {}
        self._changed = threading.Condition()
        self._is_running = False
        self.caller: Caller | None = None

    def set_period(self, watch: Watch, period: float | None) -> None:
        """Read every ``period`` seconds from now on, None for not at all."""
        with self._changed:
            if self._periods.get(watch) == period:
                return
            if period is None:
                del self._periods[watch]
                if watch not in self._wanted:
                    self._due.pop(watch, None)
                return
            self._periods[watch] = period
            self._plan(watch, time.monotonic() + period)

    def read_soon(self, watch: Watch) -> None:
        """Read once, as soon as the instrument is free."""
        with self._changed:
            self._wanted.add(watch)
            self._plan(watch, time.monotonic())

    def _plan(self, watch: Watch, due: float) -> None:
        self._due[watch] = min(due, self._due.get(watch, due))
        self._changed.notify()
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, name=f"poller of {self._name}", daemon=True).start()

    def _run(self) -> None:
        self.caller = caller = self._new_caller()
        current_work.set(caller)
        hold = _holder(caller)
        while (watch := self._next()) is not None:
            began = time.monotonic()
            watch.read(hold)
            took = time.monotonic() - began
            with self._changed:
                period = self._periods.get(watch)
                if period is not None and watch not in self._due:
                    self._due[watch] = began + max(period, 2 * took)

    def _next(self) -> Watch | None:
        """Wait for what is to be read next, and return it; None if the thread is to end."""
        with self._changed:
            while True:
                if not self._due:
                    if not self._changed.wait(_IDLE_SECONDS) and not self._due:
                        self._is_running = False
                        return None
                    continue
                watch = min(self._due, key=self._due.__getitem__)
                left = self._due[watch] - time.monotonic()
                if left <= 0:
                    del self._due[watch]
                    self._wanted.discard(watch)
                    return watch
                self._changed.wait(min(left, _LONGEST_WAIT))


def _holder(caller: Caller) -> Callable[[Hosted, str], AbstractContextManager[Any]]:
    return lambda hosted, path: caller.busy_with(hosted, Op.GET, path)
