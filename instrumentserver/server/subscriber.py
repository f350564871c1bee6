"""A subscriber: one client's wish to be told of one parameter, and what it has not been told yet."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from instrumentserver.schema import SubscribeOptions
from instrumentserver.schema.subscribing import LARGE_UPDATE

__all__ = ["Change", "Stream", "Subscriber"]

Change = list[Any]
"""``[value, timestamp, sequence]``, with a fourth item where reading failed: the error's text.

The timestamp is in seconds since 1970; the sequence counts the parameter's changes.
"""

_MOST_AT_ONCE: Final = 256
_MOST_BYTES: Final = 64 << 20
"""Bytes of arrays that are kept for a subscriber, and that may be on their way to it."""
_NUMBERS: Final = "iufc"
"""Kinds of dtypes that have a distance."""


class Stream(Protocol):
    """The way to a client."""

    def ready(self, subscriber: Subscriber) -> None:
        """Send what the subscriber has not been told, soon. Never blocks."""

    def tell_state(self, subscriber: Subscriber, state: str, reason: str) -> None:
        """Tell that a subscriber's parameter is "connected" or "disconnected", after what was queued before."""


class Subscriber:
    """Keeps the changes for a client that has not taken the earlier ones yet; bounded, and counts what it drops.

    Never blocks who changes the parameter. No more changes are sent than the client said it can take, so one
    that sleeps costs a change the price of replacing another one here.

    Args:
        number: What the client calls it.
        path: Of the parameter.
        options: What the client asked for.
        stream: The way to the client.

    Attributes:
        limit: How many changes are kept now, a count.
        due: When there will be something to send, by `time.monotonic`; see `take`.
        wake: Called when there is room for another change, after `offer` said that there is none.
    """

    def __init__(self, number: int, path: str, options: SubscribeOptions, stream: Stream) -> None:
        self.number = number
        self.path = path
        self.options = options
        self.stream = stream
        self.limit = self._usual_limit = options.queue if options.lossless else 1
        self._window = options.window
        self._deadband = options.deadband
        self._changes: deque[Change] = deque()
        self._dropped = 0
        self._bytes = 0
        self._sent = 0
        self._taken = 0
        self._is_held = False
        self._is_scheduled = False
        self._offered: Any = None
        self._has_offered = False
        self._guard = threading.Lock()
        self._next_time = 0.0
        self._together = 0
        self.due = 0.0
        self.wake: Callable[[], None] = lambda: None

    def offer(self, change: Change, is_first: bool = False) -> bool:
        """Take a change into the queue.

        Args:
            change: The change.
            is_first: Whether the subscriber must get it even if it is within the deadband.

        Returns:
            Whether another one would be of any use to the subscriber before it calls `wake`.
        """
        if self._deadband and len(change) == 3:
            if self._has_offered and not is_first and self._is_within(change[0]):
                return True
            self._offered, self._has_offered = change[0], True
        with self._guard:
            changes = self._changes
            if len(changes) >= self.limit:
                self._drop_oldest()
            changes.append(change)
            if type(change[0]) is np.ndarray:
                self._bytes += change[0].nbytes
                while self._bytes > _MOST_BYTES and len(changes) > 1:
                    self._drop_oldest()
            if self._is_scheduled:
                return True
            if self._is_held or self._sent - self._taken >= self._window:
                return len(changes) < self.limit or self._deadband > 0
            self._is_scheduled = True
        self.stream.ready(self)
        return True

    def _drop_oldest(self) -> None:
        self._dropped += 1
        self._bytes -= _size(self._changes.popleft())

    def make_up(self, changes: list[Change], count: int) -> None:
        """Take the latest of ``count`` changes that were not offered one by one."""
        with self._guard:
            queued = [*self._changes, *changes]
            kept = queued[-self.limit :]
            self._dropped += len(self._changes) + count - len(kept)
            self._changes = deque(kept)
            self._bytes = sum(map(_size, kept))

    def take(self, now: float) -> list[Any] | None:
        """Return ``[number, changes, dropped]`` to be sent, None if nothing may be sent now.

        ``due`` is then the time at which there will be something, 0 if something has to happen first.
        """
        with self._guard:
            self._is_scheduled = False
            self.due = 0.0
            changes = self._changes
            if self._is_held or not changes:
                return None
            size = _size(changes[0])
            window = self._window if size < LARGE_UPDATE else min(self._window, max(2, _MOST_BYTES // size))
            room = window - (self._sent - self._taken)
            if room <= 0:
                return None
            interval = self.options.interval
            if interval and self._together <= 0:
                if now < self._next_time:
                    self._is_scheduled = True
                    self.due = self._next_time
                    return None
                self._next_time = now + interval
                self._together = len(changes)
            count = min(room, len(changes), _MOST_AT_ONCE)
            self._together -= count
            taken = [changes.popleft() for _ in range(count)]
            if self._bytes:
                self._bytes -= sum(map(_size, taken))
            dropped, self._dropped = self._dropped, 0
            self._sent += count
            if changes and room > count:
                self._is_scheduled = True
                self.due = now
            return [self.number, taken, dropped]

    def taken(self, count: int) -> None:
        """Hear from the client how many changes it has taken altogether."""
        with self._guard:
            self._taken = max(self._taken, min(count, self._sent))
        self._go_on()

    def hold(self) -> None:
        """Keep the newest change only, and send nothing, until `resume`."""
        self.wake()
        with self._guard:
            self._is_held, self.limit = True, 1
            while len(self._changes) > 1:
                self._drop_oldest()

    def resume(self) -> None:
        """Send the newest change, if there was any, and go on."""
        # While only the newest one is kept still: those before it are not wanted.
        self.wake()
        with self._guard:
            self._is_held, self.limit = False, self._usual_limit
        self._go_on()

    def _go_on(self) -> None:
        self.wake()
        with self._guard:
            if not self._may_send():
                return
            self._is_scheduled = True
        self.stream.ready(self)

    def _may_send(self) -> bool:
        has_room = self._sent - self._taken < self._window
        return bool(self._changes) and has_room and not self._is_scheduled and not self._is_held

    def _is_within(self, value: Any) -> bool:
        """Return whether a value is within the deadband around the latest one that was offered."""
        try:
            if isinstance(value, np.ndarray) is not isinstance(self._offered, np.ndarray):
                return False
            one, other = (np.asarray(each) for each in (value, self._offered))
            are_numbers = one.dtype.kind in _NUMBERS and other.dtype.kind in _NUMBERS
            if not are_numbers or one.shape != other.shape or isinstance(value, list | tuple):
                return False
            # Unsigned integers wrap when they are subtracted.
            kind = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
            with np.errstate(all="ignore"):
                near = np.abs(one.astype(kind) - other.astype(kind)) <= self._deadband
            both_nan = (one != one) & (other != other)
            return bool(np.all(near | (one == other) | both_nan))
        except Exception:  # noqa: BLE001  (whatever class it is of, the one who sets must not suffer)
            return False


def _size(change: Change) -> int:
    """Return the size of an array, bytes; 0 for anything else."""
    return change[0].nbytes if type(change[0]) is np.ndarray else 0
