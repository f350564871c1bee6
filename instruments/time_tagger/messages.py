"""Messages of the library: what happens to the devices, told to whoever asked for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

LOGGER_INFO: Final = 10
"""Level of news, dimensionless."""

LOGGER_WARNING: Final = 30
"""Level of what may be a mistake, dimensionless."""

LOGGER_ERROR: Final = 40
"""Level of what went wrong, dimensionless."""

Callback = Callable[[int, str], object]

logger = logging.getLogger(__name__)


class Messages:
    """Where messages go: to a callback, or else to Python's logging."""

    def __init__(self) -> None:
        self._callback: Callback | None = None

    def send_to(self, callback: Callback | None) -> None:
        """Send all messages from now on to `callback`; None for Python's logging."""
        self._callback = callback

    def tell(self, level: int, text: str) -> None:
        """Send a message. The caller holds no lock: the callback may use the library."""
        if (callback := self._callback) is None:
            logger.log(level, "%s", text)
            return
        try:
            callback(level, text)
        except Exception:  # the callback is not ours, and the device is in order
            logger.exception("the callback of setLogger failed at the message %r", text)


messages: Final = Messages()


def setLogger(callback: Callback | None) -> None:
    """Have messages about the devices sent to a function instead of Python's logging.

    It is called in the thread that caused the message, and may use the library.

    Args:
        callback: Called with level and text of each message; None to end it.

    Raises:
        TypeError: It cannot be called.
    """
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}, which cannot be called; give a function or None")
    messages.send_to(callback)
