"""Functions that are called with points as they come, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from instrumentserver.errors import ClientLost, UsageError

__all__ = ["LivePoint", "LiveSubscription"]

logger = logging.getLogger(__name__)

_END_SECONDS: Final = 5.0


class LivePoint(NamedTuple):
    """One point of one stream.

    Attributes:
        host: What the host calls itself.
        codename: What it calls the stream.
        x: Of the point, None for a reset.
        y: The same.
        received: When it came, seconds since 1970, by this computer's clock.
    """

    host: str
    codename: str
    x: float | None
    y: Any
    received: float


class LiveSubscription:
    """Calls a function with the points of some streams, until it is closed.

    Points of one stream come in the order in which they arrived. Of a function that is too slow the oldest points
    are dropped, and counted; what it raises is logged, once for failures that follow one another. It delays nobody
    else. That of another process ends with the process.

    Args:
        function: Called with each `LivePoint`, in a thread of its own.
        host: The only host of interest, by what it calls itself; None for all.
        codename: The only codename of interest; None for all.
        queue: How many points wait for the function at most, a count.
        end: Called once when it is closed.

    Attributes:
        dropped: How many points were dropped, a count.
        failed: How often the function raised, a count.

    Raises:
        UsageError: The function cannot be called, or the queue has no place.
    """

    def __init__(
        self,
        function: Callable[[LivePoint], object],
        host: str | None,
        codename: str | None,
        queue: int,
        end: Callable[[LiveSubscription], None],
    ) -> None:
        if not callable(function):
            raise UsageError(f"{function!r} cannot be called; give a function that takes a LivePoint")
        if queue < 1:
            raise UsageError(f"a queue of {queue} points keeps none; choose 1 or more")
        self.dropped = self.failed = 0
        self._function = function
        self._host = host
        self._codename = codename
        self._points: deque[LivePoint] = deque(maxlen=queue)
        self._end = end
        self._is_open = True
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="live subscription", daemon=True)
        self._thread.start()

    def offer(self, points: list[LivePoint]) -> None:
        """Have the function called with those of the points that are of interest, soon. Never blocks."""
        host, codename = self._host, self._codename
        if host is not None or codename is not None:
            points = [
                point for point in points if host in (None, point.host) and codename in (None, point.codename)
            ]
            if not points:
                return
        with self._news:
            if not self._is_open:
                return
            room = (self._points.maxlen or 0) - len(self._points)
            self.dropped += max(0, len(points) - room)
            self._points.extend(points)
            self._news.notify()

    def close(self) -> None:
        """End the calls; waits for the one that is under way, at most 5 s. A second call does nothing."""
        with self._news:
            is_first, self._is_open = self._is_open, False
            self._points.clear()
            self._news.notify()
        if is_first:
            self._end(self)
        if threading.current_thread() is not self._thread:
            self._thread.join(_END_SECONDS)

    def __enter__(self) -> Self:
        """Return the subscription."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _run(self) -> None:
        is_failing = False
        while True:
            with self._news:
                while self._is_open and not self._points:
                    self._news.wait()
                if not self._is_open:
                    return
                point = self._points.popleft()
            try:
                self._function(point)
            except ClientLost as error:
                logger.info("a live subscription ends: %s", error)
                self.close()
                return
            except BaseException:
                # Not even sys.exit() may keep the next points from coming.
                if not is_failing:
                    logger.exception(
                        "the function %r failed with %s; further failures are only counted",
                        self._function,
                        point,
                    )
                is_failing = True
                self.failed += 1
            else:
                is_failing = False
