"""Inboxes: bounded queues between the thread that receives updates and those who take them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from .callbacks import run_soon

__all__ = ["Consumer", "Inbox", "Loop"]

_MOST_AT_ONCE: Final = 256


class Inbox:
    """Keeps items until they are taken, a bounded number: the oldest are dropped first, and counted.

    Args:
        limit: How many items are kept, a count.
        on_taken: Called with the position of each item that was taken.

    Attributes:
        lost: Items that were dropped altogether, a count.
    """

    def __init__(self, limit: int, on_taken: Callable[[int], None]) -> None:
        self._limit = limit
        self._on_taken = on_taken
        self._items: deque[tuple[int, Any, int]] = deque()
        self._lost_before = 0
        self.lost = 0
        self.is_closed = False
        self._guard = threading.Lock()

    def put(self, position: int, items: Sequence[Any], lost: int = 0) -> None:
        """Add items. Never blocks.

        Args:
            position: Of the last one, as `on_taken` is to be told.
            items: One or more.
            lost: How many items were lost directly before the first.
        """
        position -= len(items)
        with self._guard:
            if self.is_closed:
                return
            queue, limit = self._items, self._limit
            for item in items:
                position += 1
                queue.append((position, item, lost))
                lost = 0
                if len(queue) > limit:
                    self._lost_before += 1 + queue.popleft()[2]
                    self.lost += 1
        self._wake()

    def close(self, patience: float = 0.0) -> None:
        """Forget the items and take no more.

        Args:
            patience: How long to wait for an item to be dealt with that another thread has taken, seconds.
        """
        with self._guard:
            self.is_closed = True
            self._items.clear()
        self._wake()

    def _take(self) -> tuple[int, Any, int] | None:
        """Return position, item and number of items lost before it, None if there is none; the guard is held."""
        if not self._items or self.is_closed:
            return None
        position, item, lost = self._items.popleft()
        lost, self._lost_before = lost + self._lost_before, 0
        return position, item, lost

    def _wake(self) -> None:
        """Tell whoever takes the items that there are some, or never will be any more."""


class Consumer(Inbox):
    """Hands items to a function on the threads for callbacks, one at a time and in order.

    Args:
        receive: Called with each item and the number of items that were lost directly before it.
        limit: How many items are kept, a count.
        on_taken: Called with the position of each item that was received.
    """

    def __init__(
        self, receive: Callable[[Any, int], None], limit: int, on_taken: Callable[[int], None]
    ) -> None:
        super().__init__(limit, on_taken)
        self._receive = receive
        self._is_scheduled = False
        self._running: int | None = None
        self._has_ended = threading.Condition(self._guard)

    def hold(self) -> None:
        """Hand out nothing until `release`."""
        self._is_scheduled = True

    def release(self) -> None:
        """Go on after `hold`."""
        run_soon(self)

    def close(self, patience: float = 0.0) -> None:
        """Hand out nothing any more.

        Args:
            patience: How long to wait for a call that is under way in another thread, seconds.
        """
        super().close()
        with self._has_ended:
            if self._running is not None and self._running != threading.get_ident():
                self._has_ended.wait_for(lambda: self._running is None, patience)

    def run(self) -> None:
        """Hand out what there is; then leave the thread to others."""
        me = threading.get_ident()
        for _ in range(_MOST_AT_ONCE):
            with self._guard:
                taken = self._take()
                if taken is None:
                    self._is_scheduled = False
                    return
                self._running = me
            position, item, lost = taken
            try:
                self._receive(item, lost)
            except BaseException:
                # Whatever it was, the next ones are to come.
                run_soon(self)
                raise
            finally:
                with self._guard:
                    self._running = None
                    if self.is_closed:
                        self._has_ended.notify_all()
            self._on_taken(position)
        run_soon(self)

    def _wake(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            run_soon(self)


class Loop(Inbox):
    """Has one who takes the items himself, waiting for each.

    Args:
        limit: How many items are kept, a count.
        on_taken: Called with the position of each item that was taken.
        wake: Called, on another thread, when there is something to take.
    """

    def __init__(
        self, limit: int, on_taken: Callable[[int], None], wake: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(limit, on_taken)
        self._wake_other = wake
        self._has_come = threading.Condition(self._guard)

    def next(self, timeout: float | None = None) -> tuple[Any, int] | None:
        """Return the next item and the number of items lost before it.

        Args:
            timeout: How long to wait, seconds; None for ever, 0 not at all.

        Returns:
            None if there is none in time, or none any more since it was closed.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        with self._has_come:
            while (taken := self._take()) is None:
                left = None if give_up is None else min(give_up - time.monotonic(), threading.TIMEOUT_MAX)
                if self.is_closed or (left is not None and left <= 0):
                    return None
                self._has_come.wait(left)
        self._on_taken(taken[0])
        return taken[1], taken[2]

    def _wake(self) -> None:
        with self._has_come:
            self._has_come.notify_all()
        self._wake_other()
