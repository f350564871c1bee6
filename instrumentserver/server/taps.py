"""Taps: who wants to hear what goes into the cache of a parameter.

QCoDeS puts every value into the parameter's cache, whoever gets or sets it and from whichever thread: a client,
a method of the driver, a ramp's single steps. A parameter without taps is as QCoDeS made it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from time import time
from types import FrameType
from typing import Any, Final
from weakref import WeakKeyDictionary

from qcodes.parameters import DelegateParameter, ParameterBase

from .kept import IMMUTABLE

__all__ = ["Listener", "Tap", "tap_cache", "true_source", "untap_cache"]

Lock = AbstractContextManager[Any]
Listener = Callable[..., None]
"""Called with a value that went into the cache, and whether setting the parameter brought it.

Of a stream also with its time, seconds since 1970: everything that goes into the cache of a parameter whose
``is_stream`` is true is an event of the time that the cache has for it.
"""

_MOST_FRAMES: Final = 8
_guard: Final = threading.Lock()


class Tap:
    """Those who listen to one cache.

    A single listener who can do nothing with another value at present may be quiet: sets are counted then, and
    the latest ones kept, at a third of the price.

    Args:
        parameter: Whose cache it is.
        order: Held while the cache is filled and the listeners are called.

    Attributes:
        listeners: They.
        is_quiet: Whether sets are counted only.
        skipped: How many there were, a count.
        recent: Values and times of the latest ones, seconds since 1970.
        wake: Called, under ``order``, for the listener not to be quiet any more.
    """

    def __init__(self, parameter: ParameterBase, order: Lock, wake: Callable[[], None]) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self.is_quiet = False
        self.skipped = 0
        self.recent: deque[tuple[Any, float]] = deque(maxlen=1)
        self.wake = wake
        self.order = order
        self.fill = parameter.cache._update_with

    def may_be_quiet(self, order: Lock) -> bool:
        """Return whether a listener who holds ``order`` is the only one and is called under it."""
        return len(self.listeners) == 1 and self.order is order


def _tapped(parameter: ParameterBase, tap: Tap) -> Callable[..., None]:
    """Return what stands in the place of a cache's ``_update_with``; a closure, as it is on the way of every set."""
    fill, order, caller = tap.fill, tap.order, sys._getframe
    # QCoDeS calls with the same arguments after a get and after a set: the code that calls is the difference.
    set_code, get_code = _code_of(parameter, "set"), _code_of(parameter, "get")
    set_raw_code = _code_of(parameter, "set_raw")
    is_manual = getattr(set_raw_code, "co_name", "") == "_set_manual_parameter"

    def is_within_set(above: FrameType | None) -> bool:
        """Return whether the parameter is just being set in this thread, as far up as QCoDeS and drivers usually go."""
        for _ in range(_MOST_FRAMES):
            if above is None:
                return False
            # All parameters are set by the same code.
            if above.f_code is set_code and above.f_locals.get("self") is parameter:
                return True
            above = above.f_back
        return False

    def update_with(*, value: Any, raw_value: Any, timestamp: datetime | None = None) -> None:
        frame = caller(1)
        code = frame.f_code
        if code is set_code and tap.is_quiet and type(value) in IMMUTABLE:
            with order:
                fill(value=value, raw_value=raw_value, timestamp=timestamp)
                if tap.is_quiet:  # Still: another thread may have changed it meanwhile.
                    tap.skipped += 1
                    tap.recent.append((value, time()))
                else:  # mypy does not know of other threads.
                    for listener in tap.listeners:  # type: ignore[unreachable]
                        listener(value, True)
            return
        if code is not set_code and code is not get_code:
            above = frame.f_back
            if is_manual and above is not None and above.f_code is set_raw_code:
                caller_of_it = above.f_back
                if caller_of_it is not None and caller_of_it.f_code is set_code:
                    # Its hardware is the cache, which is filled at the end of the set anyhow: once is enough.
                    return
            if is_within_set(above):
                # The code that sets fills the cache once more at its end, which counts.
                fill(value=value, raw_value=raw_value, timestamp=timestamp)
                return
        # Threads are told in the order in which they filled the cache.
        with order:
            fill(value=value, raw_value=raw_value, timestamp=timestamp)
            for listener in tap.listeners:
                listener(value, code is set_code)

    return update_with


def _tapped_stream(tap: Tap) -> Callable[..., None]:
    """Return what stands in the place of the ``_update_with`` of a stream's cache."""
    fill, order = tap.fill, tap.order

    def update_with(*, value: Any, raw_value: Any, timestamp: datetime | None = None) -> None:
        when = time() if timestamp is None else timestamp.timestamp()
        with order:
            fill(value=value, raw_value=raw_value, timestamp=timestamp)
            for listener in tap.listeners:
                listener(value, True, when)

    return update_with


def _code_of(parameter: ParameterBase, name: str) -> Any:
    return getattr(getattr(parameter, name, None), "__code__", None)


_taps: Final[WeakKeyDictionary[Any, Tap]] = WeakKeyDictionary()
"""By cache."""


def tap_cache(parameter: ParameterBase, listener: Listener, order: Lock, wake: Callable[[], None]) -> Tap:
    """Have ``listener`` called with everything that goes into a parameter's cache from now on.

    Args:
        parameter: Whose cache.
        listener: Who listens.
        order: Held while the cache is filled and the listener is called, if it is the first one.
        wake: Called, under ``order``, for the listener not to be quiet any more.
    """
    with _guard:
        tap = _taps.get(parameter.cache)
        if tap is None:
            tap = _taps[parameter.cache] = Tap(parameter, order, wake)
            is_stream = getattr(parameter, "is_stream", False) is True
            tapped = _tapped_stream(tap) if is_stream else _tapped(parameter, tap)
            parameter.cache._update_with = tapped  # type: ignore[method-assign]
        with tap.order:
            tap.wake()
            tap.listeners = (*tap.listeners, listener)
        return tap


def untap_cache(parameter: ParameterBase, listener: Listener) -> None:
    """Have ``listener`` not be called any more; the last one leaves the cache as QCoDeS made it."""
    with _guard:
        tap = _taps.get(parameter.cache)
        if tap is None:
            return
        tap.listeners = tuple(each for each in tap.listeners if each != listener)
        if not tap.listeners:
            del _taps[parameter.cache]
            del parameter.cache._update_with


def true_source(parameter: ParameterBase) -> tuple[ParameterBase, list[DelegateParameter[Any, Any]]]:
    """Return the parameter whose cache a parameter uses, and the delegates on the way to it, nearest to it first."""
    delegates: list[DelegateParameter[Any, Any]] = []
    while isinstance(parameter, DelegateParameter) and parameter.source is not None:
        if hasattr(type(parameter), "subscribe"):
            break  # A proxy: its own server follows the delegate.
        delegates.insert(0, parameter)
        parameter = parameter.source
    return parameter, delegates
