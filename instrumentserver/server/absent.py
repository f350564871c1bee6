"""Clients whose line went silent: what they have is kept for a while, for they may come back."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Absent"]


class Absent:
    """Ends sessions: at once those whose client has gone, after a time those whose computer fell silent.

    A client that closes its connections, or is killed, says so over its line. A pulled cable says nothing: the client
    goes on, and comes back when the cable is there again. Any number of threads may use it.

    Args:
        seconds: How long the client of a silent line may stay away.
        end: Called with each session that has ended.
    """

    def __init__(self, seconds: float, end: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._end = end
        self._timers: dict[str, threading.Timer] = {}
        self._guard = threading.Lock()

    def came(self, session: str) -> None:
        """Note that a session has a new connection."""
        with self._guard:
            timer = self._timers.pop(session, None)
        if timer is not None:
            timer.cancel()

    def left(self, session: str, is_silent: bool) -> None:
        """End a session whose last connection has ended, in a while if that is because its line was silent."""
        if not is_silent:
            self._end(session)
            return
        timer = threading.Timer(self._seconds, self._time_is_up, (session,))
        timer.daemon = True
        with self._guard:
            before, self._timers[session] = self._timers.get(session), timer
        if before is not None:
            before.cancel()
        timer.start()

    def _time_is_up(self, session: str) -> None:
        with self._guard:
            is_away = self._timers.get(session) is threading.current_thread()
            if is_away:
                del self._timers[session]
        if is_away:
            self._end(session)
