"""The thread that calls a push socket's callback while the socket goes on answering."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["CallBackThread"]

logger = logging.getLogger(__name__)

_END_SECONDS: Final = 5.0


class CallBackThread(threading.Thread):
    """Calls a function with each item of a queue, in order, one at a time. What it raises is logged.

    Args:
        items: Where the items come from.
        callback: Takes one.
    """

    def __init__(self, items: queue.Queue[Any], callback: Callable[[Any], Any]) -> None:
        super().__init__(name="push socket callbacks", daemon=True)
        self._items = items
        self._callback = callback
        self._ending = threading.Event()
        self._end = object()

    def run(self) -> None:
        """Call the function until `stop`."""
        dropped = 0
        # A socket may have been stopped before this thread began.
        while not self._ending.is_set():
            item = self._items.get()
            if self._ending.is_set():
                dropped = item is not self._end
                break
            try:
                self._callback(item)
            except BaseException as error:
                # Not even sys.exit() may keep the next item's callback from coming.
                logger.error("the callback failed with %r", item, exc_info=error)
        with self._items.mutex:
            dropped += sum(left is not self._end for left in self._items.queue)
            self._items.queue.clear()
        if dropped:
            logger.warning("%s accepted pushes were not given to the callback before the stop", dropped)

    def stop(self) -> None:
        """End after the call that is under way; waits for it, at most 5 s. What is left in the queue is dropped."""
        self._ending.set()
        if not self.is_alive():
            return
        try:
            self._items.put_nowait(self._end)
        except queue.Full:
            # Then it is not waiting for an item.
            pass
        if threading.current_thread() is not self:
            self.join(_END_SECONDS)
            if self.is_alive():
                logger.warning("a callback has not returned within %g s", _END_SECONDS)
