"""Feeds: keep what a socket shows under one codename at the value of a parameter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from qcodes.parameters import ParameterBase

from instrumentserver.client import Subscription, Update
from instrumentserver.server.taps import tap_cache, true_source, untap_cache

from .forms import plain
from .troubles import Troubles

__all__ = ["Feed"]

_READ: Final = "read"
_SHOWN: Final = "shown"
_FOLLOWED: Final = "followed"


class Feed:
    """Shows each value of a parameter that an event or a reading brings, from `start` to `stop`.

    A remote parameter is subscribed to. Of a local one everything that goes into its cache is an event.

    Args:
        codename: Under which name.
        parameter: The parameter.
        show: Called with the codename and ``(time, value)``.
        troubles: Told what does not work.
        is_polled: Whether somebody calls `read` again and again: then the readings tell that a server is gone.
    """

    def __init__(
        self,
        codename: str,
        parameter: ParameterBase,
        show: Callable[[str, tuple[float, Any]], None],
        troubles: Troubles,
        *,
        is_polled: bool,
    ) -> None:
        self.codename = codename
        self.parameter = parameter
        self._show = show
        self._troubles = troubles
        self._is_polled = is_polled
        self._source, self._delegates = true_source(parameter)
        self._subscription: Subscription | None = None
        self._is_tapped = False
        self._is_stopped = False
        self._is_readable = True
        self._events = 0
        self._guard = threading.RLock()

    @property
    def is_connected(self) -> bool:
        """Whether the remote parameter is there; of a local one, whether its latest reading, if any, succeeded."""
        if self._subscription is not None:
            return self._subscription.is_connected
        return self._is_readable

    def start(self) -> None:
        """Show the present value, and each one that comes from now on."""
        if hasattr(type(self._source), "subscribe"):
            self._subscription = self._source.subscribe()  # type: ignore[attr-defined]
            self._subscription.add_callback(self._take)
            self._subscription.add_state_callback(self._hear_state)
            return
        tap_cache(self._source, self._hear, threading.RLock(), _do_nothing)
        self._is_tapped = True
        cached = self.parameter.cache.timestamp
        if cached is not None and self.parameter.cache.valid:
            value = self.parameter.cache.get(get_if_invalid=False)
            with self._guard:
                if not self._events:
                    self._put(cached.timestamp(), value)
        elif not self._is_polled:
            self.read()

    def stop(self) -> None:
        """Show nothing more."""
        with self._guard:
            self._is_stopped = True
        if self._subscription is not None:
            self._subscription.close()
        if self._is_tapped:
            untap_cache(self._source, self._hear)

    def read(self) -> None:
        """Read the parameter and show what it says; nothing that goes wrong is raised."""
        before = self._events
        try:
            value = self.parameter.get()
        except BaseException as error:  # noqa: BLE001 - a driver may fail in any way, and others are to be read
            self._is_readable = False
            if not self._is_stopped:
                self._troubles.begin(self.codename, _READ, error)
            return
        moment = time.time()
        self._is_readable = True
        with self._guard:
            # An event that came meanwhile is newer than what was read.
            if self._events == before:
                self._put(moment, value)
        if not self._is_stopped:
            self._troubles.end(self.codename, _READ)

    def hang(self, seconds: float) -> None:
        """Hear that a reading has been under way for so long."""
        self._is_readable = False
        self._troubles.begin(self.codename, _READ, f"its reading has not come back for {seconds:.0f} s")

    # Events

    def _take(self, update: Update) -> None:
        """Take an update of the source."""
        if update.failure is not None:
            if not self._is_polled:
                self._troubles.begin(self.codename, _READ, update.failure)
            return
        self._take_event(update.timestamp, update.value)
        if not self._is_polled:
            self._troubles.end(self.codename, _READ)

    def _hear(self, value: Any, is_set: bool) -> None:
        """Take what went into the cache of the source, in the thread that put it there."""
        self._take_event(time.time(), value)

    def _take_event(self, moment: float, value: Any) -> None:
        with self._guard:
            self._events += 1
            try:
                for delegate in self._delegates:
                    value = delegate._from_raw_value_to_value(value)
            except Exception as error:  # noqa: BLE001 - a parser of a driver's, which who sets must not suffer from
                self._troubles.begin(self.codename, _SHOWN, error)
                return
            self._put(moment, value)

    def _hear_state(self, subscription: Subscription, state: str, reason: str) -> None:
        """Hear that the source comes or goes."""
        if self._is_polled or self._is_stopped:
            return
        if state == "connected":
            self._troubles.end(self.codename, _FOLLOWED)
        else:
            self._troubles.begin(self.codename, _FOLLOWED, reason)

    def _put(self, moment: float, value: Any) -> None:
        """Show a value; the guard is held."""
        if self._is_stopped:
            return
        try:
            self._show(self.codename, (moment, plain(value)))
        except Exception as error:  # noqa: BLE001 - whoever sets the parameter must not suffer from the socket
            self._troubles.begin(self.codename, _SHOWN, error)
        else:
            self._troubles.end(self.codename, _SHOWN)


def _do_nothing() -> None:
    """Do nothing: this listener is never quiet."""
