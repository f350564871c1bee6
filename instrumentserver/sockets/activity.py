"""Whether somebody keeps a socket's values up to date."""

from __future__ import annotations

import time

__all__ = ["Activity"]


class Activity:
    """Remembers when a socket was last poked.

    Args:
        is_checked: Whether anybody wants to know.
        timeout: Seconds without a poke after which it is inactive.
    """

    def __init__(self, is_checked: bool, timeout: float) -> None:
        self._is_checked = is_checked
        self._timeout = timeout
        self._last = time.time()

    def poke(self) -> None:
        """Say that it is active now."""
        self._last = time.time()

    def read(self) -> tuple[str, float | None]:
        """Return ``'OK'``, ``'INACTIVE'`` or ``'DISABLED'``, and the seconds since the last poke, None if disabled."""
        if not self._is_checked:
            return "DISABLED", None
        since = time.time() - self._last
        return ("INACTIVE" if since > self._timeout else "OK"), since
