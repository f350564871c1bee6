"""Lanes: work for one instrument in its order, work for different ones side by side."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Lanes"]

logger = logging.getLogger(__name__)

_MOST_THREADS: Final = 128
_IDLE_SECONDS: Final = 10.0


class _Lane:
    """The tasks of one name: those for which somebody waits, and those that can wait."""

    def __init__(self) -> None:
        self.urgent: deque[Callable[[], None]] = deque()
        self.patient: deque[Callable[[], None]] = deque()

    def next(self) -> Callable[[], None] | None:
        """Return the task whose turn it is, None if there is none."""
        if self.urgent:
            return self.urgent.popleft()
        return self.patient.popleft() if self.patient else None


class Lanes:
    """Runs tasks that may take long, on threads of their own.

    Tasks of one name run one after the other in the order in which they came; a slow one delays those behind it, and
    no others. Threads come when they are needed and end when they are not.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._threads = 0
        self._idle = 0
        self._is_closed = False
        self._changed = threading.Condition(threading.Lock())
        self._later: list[tuple[float, int, str, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._is_timing = False
        self._has_earlier = threading.Condition(threading.Lock())

    def submit(self, name: str, task: Callable[[], None], *, can_wait: bool = False) -> None:
        """Have a task be run after those of the same name; never blocks.

        Args:
            name: Of the lane.
            task: What to do.
            can_wait: Whether others of the same name that come later, and cannot wait, go before it.
        """
        with self._changed:
            if self._is_closed:
                return
            lane = self._lanes.get(name)
            is_new = lane is None
            if lane is None:
                lane = self._lanes[name] = _Lane()
            (lane.patient if can_wait else lane.urgent).append(task)
            if not is_new:
                return
            self._ready.append(name)
            if self._idle >= len(self._ready):
                self._changed.notify()
            elif self._threads < _MOST_THREADS:
                self._threads += 1
                threading.Thread(target=self._work, name=f"lane_{self._threads}", daemon=True).start()

    def submit_later(self, seconds: float, name: str, task: Callable[[], None]) -> None:
        """Submit a task after some time; never blocks.

        Args:
            seconds: When, from now on.
            name: As for `submit`.
            task: What to do.
        """
        with self._has_earlier:
            if self._is_closed:
                return
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), name, task))
            self._has_earlier.notify()
            if not self._is_timing:
                self._is_timing = True
                threading.Thread(target=self._submit_due, name="lane_later", daemon=True).start()

    def close(self) -> None:
        """Begin nothing any more; what is under way is left to end by itself."""
        with self._changed:
            self._is_closed = True
            self._ready.clear()
            self._changed.notify_all()
        with self._has_earlier:
            self._later.clear()
            self._has_earlier.notify()

    def _submit_due(self) -> None:
        while True:
            with self._has_earlier:
                while not self._later or (left := self._later[0][0] - time.monotonic()) > 0:
                    if self._is_closed or (
                        not self._has_earlier.wait(left if self._later else _IDLE_SECONDS) and not self._later
                    ):
                        self._is_timing = False
                        return
                _, _, name, task = heapq.heappop(self._later)
            self.submit(name, task)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._ready:
                    self._idle += 1
                    has_come = not self._is_closed and self._changed.wait(_IDLE_SECONDS)
                    self._idle -= 1
                    if not has_come and not self._ready:
                        self._threads -= 1
                        return
                name = self._ready.popleft()
                task = self._lanes[name].next()
                if task is None:
                    del self._lanes[name]
                    continue
            try:
                task()
            except Exception:
                logger.exception("work for %s failed", name)
            with self._changed:
                if not self._is_closed:
                    self._ready.append(name)
