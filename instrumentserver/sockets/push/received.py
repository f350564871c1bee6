"""What a push socket has received."""

from __future__ import annotations

import threading
from time import time as now
from typing import Any

from .codec import copied

__all__ = ["Received"]


class Received:
    """Keeps the last push and the last value of every key; any number of threads may use it.

    Attributes:
        lock: Held while something is stored; whoever reads waits for it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._last: dict[str, Any] | None = None
        self._last_time: float | None = None
        self._updated: dict[str, Any] = {}
        self._updated_time: float | None = None

    def store(self, data: dict[str, Any]) -> None:
        """Take over a push; the caller gives the dict away."""
        with self.lock:
            self._last = data
            self._updated.update(data)
            self._last_time = self._updated_time = now()

    def last(self) -> tuple[float | None, dict[str, Any] | None]:
        """Return when the last push came, seconds since 1970, and a copy of it; None and None if there is none."""
        with self.lock:
            return self._last_time, None if self._last is None else copied(self._last)

    def updated(self) -> tuple[float | None, dict[str, Any]]:
        """Return when the last push came, and a copy of the last value of every key; None and ``{}`` at first."""
        with self.lock:
            return self._updated_time, copied(self._updated)

    def forget_last(self) -> None:
        """Forget the last push."""
        with self.lock:
            self._last = self._last_time = None

    def forget_updated(self) -> None:
        """Forget the values of all keys."""
        with self.lock:
            self._updated = {}
            self._updated_time = None
