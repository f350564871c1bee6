"""What a push socket has received."""

from __future__ import annotations

import threading
import time
from typing import Any

from .codec import copied

__all__ = ["Received"]


class Received:
    """Keeps the last push and the last value of every key; any number of threads may use it.

    Args:
        shown: Where it is kept, under ``last``, ``last_time``, ``updated`` and ``updated_time``: others may look there.

    Attributes:
        lock: Held while something is stored; whoever reads waits for it.
    """

    def __init__(self, shown: dict[str, Any]) -> None:
        self.lock = threading.RLock()
        self._shown = shown
        self.forget_last()
        self.forget_updated()

    def store(self, data: dict[str, Any]) -> None:
        """Take over a push; the caller gives the dict away."""
        with self.lock:
            shown = self._shown
            shown["last"] = data
            shown["updated"].update(data)
            shown["last_time"] = shown["updated_time"] = time.time()

    def last(self) -> tuple[float | None, dict[str, Any] | None]:
        """Return when the last push came, seconds since 1970, and a copy of it; None and None if there is none."""
        with self.lock:
            last = self._shown["last"]
            return self._shown["last_time"], None if last is None else copied(last)

    def updated(self) -> tuple[float | None, dict[str, Any]]:
        """Return when the last push came, and a copy of the last value of every key; None and ``{}`` at first."""
        with self.lock:
            return self._shown["updated_time"], copied(self._shown["updated"])

    def forget_last(self) -> None:
        """Forget the last push."""
        with self.lock:
            self._shown["last"] = self._shown["last_time"] = None

    def forget_updated(self) -> None:
        """Forget the values of all keys."""
        with self.lock:
            self._shown["updated"] = {}
            self._shown["updated_time"] = None
