"""Proxies that are gone: noted by Python itself as they go, and told to their servers a moment later."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.errors import InstrumentServerError
from instrumentserver.wire.messages import Op

if TYPE_CHECKING:
    from .proxy import RemoteObject  # noqa: F401  (in the text of the base class)
    from .registry import ObjectLink

__all__ = ["Held", "Releaser"]

_GATHER_SECONDS: Final = 0.002
"""How long what is gone is gathered before it is told: a loop that drops many proxies is one message."""
_MOST_AT_ONCE: Final = 10_000
_TRIES: Final = 3


class Held(weakref.ref["RemoteObject"]):
    """What this process has of an object: the proxy, as long as it is used, and the handles that came.

    Attributes:
        link: The server.
        path: The object.
        number: Of its class.
        serials: Serial numbers of its handles.
    """

    __slots__ = ("link", "number", "path", "serials")
    link: ObjectLink
    number: int
    path: str
    serials: list[int]


class Releaser:
    """Tells servers what nobody here has any more, in a thread of its own: the collector must not wait for an answer.

    Attributes:
        note: Takes a `Held` whose proxy is gone. It is a function of C, in which no Ctrl-C ends anything half-done.
    """

    def __init__(self) -> None:
        self._gone: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.note: Callable[[Any], None] = self._gone.put
        self._is_running = False

    def start(self) -> None:
        """Be ready."""
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=_release, args=(self._gone,), name="objects", daemon=True).start()


def _release(gone: queue.SimpleQueue[Held]) -> None:
    while True:
        gathered = [gone.get()]
        time.sleep(_GATHER_SECONDS)
        while len(gathered) < _MOST_AT_ONCE and not gone.empty():
            gathered.append(gone.get())
        by_link: dict[ObjectLink, list[list[Any]]] = {}
        for held in gathered:
            if type(held) is Held:
                held.link.forget(held)
            if held.serials:
                by_link.setdefault(held.link, []).append([held.path, held.serials])
        for link, handles in by_link.items():
            _tell(link, handles)
        # Until the next one goes, nothing may be kept by this thread.
        del gathered, by_link
        held = handles = None  # type: ignore[assignment]


def _tell(link: ObjectLink, handles: list[list[Any]]) -> None:
    """Tell a server; to tell it twice does no harm."""
    for _ in range(_TRIES):
        if not link.session.is_open:
            # The server has dropped everything with the last connection.
            return
        try:
            link.session.request([Op.OBJECT_RELEASE, "", handles])
            return
        except (InstrumentServerError, OSError):
            pass  # The line was cut, or the server has gone, and what it held.
