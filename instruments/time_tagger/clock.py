"""Clocks of the simulation: the real one, and one that is stepped by hand."""

from __future__ import annotations

import threading
import time
from typing import Final, Protocol

PS: Final = 1_000_000_000_000
"""Picoseconds in a second, dimensionless."""

WAIT: Final = 0.1
"""Longest time between two looks at the stream while somebody waits, seconds."""


class Clock(Protocol):
    """What the simulation takes its time from."""

    def now(self) -> int:
        """Tell the time, ps."""
        ...

    def wait(self, changed: threading.Condition, due: int | None, limit: float | None) -> None:
        """Wait for `due`, for a notification, or for the limit: whichever is first.

        Args:
            changed: Held by the caller, let go during the wait.
            due: When to return, ps on this clock; None for no such time.
            limit: When to return at the latest, seconds from now; None for never.
        """
        ...


class RealClock:
    """The computer's monotonic clock."""

    def now(self) -> int:
        """Tell the time since an arbitrary moment, ps, in steps of 1000."""
        return time.monotonic_ns() * 1000

    def wait(self, changed: threading.Condition, due: int | None, limit: float | None) -> None:
        """Wait for `due`, but no longer than `WAIT`: the tags must be fetched now and then."""
        seconds = WAIT if limit is None else min(WAIT, limit)
        if due is not None:
            seconds = min(seconds, (due - self.now()) / PS)
        changed.wait(max(seconds, 0.0))


class SteppedClock:
    """A clock that stands still until it is stepped, or until somebody waits for a time."""

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        """Tell the time since the clock was made, ps."""
        return self._now

    def step(self, duration: int) -> None:
        """Go forward.

        Args:
            duration: Time to go, ps, not negative.
        """
        self._now += duration

    def wait(self, changed: threading.Condition, due: int | None, limit: float | None) -> None:
        """Go to `due` at once; without it, wait for a notification in real time."""
        if due is None:
            changed.wait(limit)
        else:
            self._now = max(self._now, due)
