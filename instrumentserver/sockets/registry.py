"""The sockets of this process, by port."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import UsageError

from .udp import UdpServer

__all__ = ["DATA", "check_free", "enter", "entries", "remove"]

#: Port to what the socket there shows: ``name``, ``type``, ``activity``, and the containers of its values.
DATA: Final[dict[int, dict[str, Any]]] = {}

# The garbage collector may remove an entry while this thread holds it.
_lock = threading.RLock()


def check_free(port: int) -> None:
    """Raise UsageError (a ValueError) if a socket of this process has the port."""
    if port in DATA:
        raise UsageError(f"A UDP server already exists on port: {port}")


def enter(entry: dict[str, Any], port: int, bind: Callable[[], UdpServer], *, is_guarded: bool) -> UdpServer:
    """Return a bound server, whose port has the entry from now on.

    Args:
        entry: What is shown of it.
        port: Which port it is going to have, 0 if that is not known.
        bind: Makes the server.
        is_guarded: Whether an entry that is there already is refused before the system is asked.
    """
    with _lock:
        if is_guarded:
            check_free(port)
        server = bind()
        DATA[server.port] = entry
    return server


def remove(port: int, entry: dict[str, Any]) -> None:
    """Take the entry away, if it is still that port's; a socket that shares the port may have written its own."""
    with _lock:
        if DATA.get(port) is entry:
            del DATA[port]


def entries() -> dict[int, dict[str, Any]]:
    """Return a copy of `DATA` as it is at one moment."""
    with _lock:
        return dict(DATA)


if hasattr(os, "register_at_fork"):
    # What a forked child finds must be whole, and nobody is there who would release the lock.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
