"""Proxies that this process, a server, hands on: kept until whoever gets them has had the time to hold the object."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from .proxy import RemoteObject

__all__ = ["keep_for_a_while"]

_SECONDS: Final = 2.0
_kept: Final[deque[tuple[float, RemoteObject]]] = deque()
_guard: Final = threading.Lock()


def keep_for_a_while(thing: object) -> None:
    """Keep a proxy for 2 s; anything else is not kept.

    A reply that names an object of another server is held by nobody on its way, and the object would be dropped
    if this process let go of it before the receiver asks for it.
    """
    if not issubclass(type(thing), RemoteObject):
        return
    assert isinstance(thing, RemoteObject)
    with _guard:
        is_first = not _kept
        _kept.append((time.monotonic() + _SECONDS, thing))
    if is_first:
        threading.Thread(target=_let_go, name="lending", daemon=True).start()


def _let_go() -> None:
    while True:
        with _guard:
            while _kept and _kept[0][0] <= time.monotonic():
                _kept.popleft()
            if not _kept:
                return
            due = _kept[0][0]
        time.sleep(max(0.0, due - time.monotonic()))
