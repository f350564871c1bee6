"""What pull and push sockets are: a thread that serves one UDP port, from its making to `stop`."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Final, Self

from instrumentserver.errors import UsageError

from . import registry
from .activity import Activity
from .udp import Handler, Statistics, UdpServer

__all__ = ["ServingSocket"]

logger = logging.getLogger(__name__)

_END_SECONDS: Final = 5.0
_WAKE_SECONDS: Final = 0.1


class ServingSocket(threading.Thread):
    """Has its port from its making, answers from `start`, and gives the port back with `stop`.

    As a context manager it starts, if it has not been started, and stops at the end. A constructor that fails leaves
    neither a port nor an entry in `DATA`.

    Args:
        kind: ``'date'``, ``'data'`` or ``'push'``.
        name: What it is called on the network.
        host: Address of this computer to listen at.
        port: UDP port; 0 for any free one, which `port` tells.
        handler: What answers.
        activity: How it is known whether its values are kept up to date.
        entry: What else is to be found in ``DATA[port]``; it becomes that dict itself.
        is_guarded: Whether a port that is in `DATA` is refused before the system is asked.
    """

    def __init__(
        self,
        kind: str,
        name: str | None,
        host: str,
        port: int,
        handler: Handler,
        activity: Activity,
        entry: dict[str, Any],
        *,
        is_guarded: bool,
    ) -> None:
        super().__init__(name=f"{kind} socket", daemon=True)
        self._activity = activity
        self._is_told_to_stop = False
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._answering: threading.Thread | None = None
        entry.update(name=name, type=kind, activity=activity)
        self.server = registry.enter(
            entry, port, lambda: UdpServer(host, port, handler), is_guarded=is_guarded
        )
        self.port = self.server.port
        self.host = host
        # A socket that nobody has any more must not block its port for all who come.
        self._leave = weakref.finalize(self, registry.remove, self.port, entry)
        self._leave.atexit = False
        _sockets.add(self)

    @property
    def statistics(self) -> Statistics:
        """How many datagrams came, how many were refused, and who sent the last one."""
        return self.server.statistics

    def poke(self) -> None:
        """Say that this socket's values are kept up to date; ``status`` tells since when that was not said."""
        self._activity.poke()

    def start(self) -> None:
        """Begin to answer.

        Raises:
            UsageError: It has been stopped; make a new one.
            RuntimeError: It has been started before.
        """
        if self._is_told_to_stop:
            raise UsageError(f"the socket of port {self.port} has been stopped; make a new one")
        super().start()
        logger.info("%s of port %s answers", self.name, self.port)

    def run(self) -> None:
        """Answer until `stop`; `start` calls this, or a program does in a thread of its own."""
        self._answering = threading.current_thread()
        self._is_idle.clear()
        try:
            self.server.serve_forever()
        finally:
            self._close()
            self._answering = None
            self._is_idle.set()

    def stop(self) -> None:
        """End the service, before `start`, after it, and any number of times; the port is free when this returns.

        Waits for the request that is being answered, at most 5 s. Called by a callback in the thread that
        answers it returns at once, and the port is free after the reply.
        """
        if threading.current_thread() in (self, self._answering):
            self._is_told_to_stop = True
            self.server.request_end()
            return
        is_first = not self._is_told_to_stop
        self._is_told_to_stop = True
        self._end_service()
        self._close()
        if is_first:
            logger.info("%s of port %s has stopped", self.name, self.port)

    def __enter__(self) -> Self:
        """Return the socket, started."""
        if self.ident is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _end_service(self) -> None:
        """Wait until nobody answers any more, or 5 s."""
        latest = time.monotonic() + _END_SECONDS
        while self._is_serving() and time.monotonic() < latest:
            self.server.shutdown()
            if self.is_alive():
                self.join(_WAKE_SECONDS)
            else:
                self._is_idle.wait(_WAKE_SECONDS)
        if self._is_serving():
            logger.warning(
                "%s of port %s: a callback has not returned within %g s", self.name, self.port, _END_SECONDS
            )

    def _is_serving(self) -> bool:
        """Return whether a thread answers, or is going to."""
        return self.is_alive() or not self._is_idle.is_set()

    def _close(self) -> None:
        """Give the port back, and leave `DATA`."""
        self.server.server_close()
        self._leave()

    def _after_fork(self) -> None:
        """Give up in a forked child what the parent serves: its port would not be free when it stops."""
        if self.ident is not None or not self._is_idle.is_set():
            self._is_idle = threading.Event()
            self._is_idle.set()
            self._close()


_sockets: Final[weakref.WeakSet[ServingSocket]] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_sockets):
        each._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
