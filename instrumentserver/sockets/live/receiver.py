"""The thread that receives datagrams and answers none."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import socketserver
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

from ..failures import PortStillReserved

__all__ = ["Receiver"]

logger = logging.getLogger(__name__)

_LONGEST: Final = 65536
_BUFFER: Final = 4 << 20
"""Bytes that the system is asked to keep while the thread does not come round to them; it may allow less."""
_MOST_WAITING: Final = 64 << 20
"""Bytes of datagrams that wait to be taken at most."""
_MOST_AT_ONCE: Final = 1000
_TURN_SECONDS: Final = 0.001
"""How long datagrams are taken before those are fetched that have come meanwhile: the system's buffer is small."""
_END_SECONDS: Final = 5.0
_WAKE_SECONDS: Final = 0.1


class Receiver(threading.Thread):
    """Has a UDP port from its making, and hands on what comes from `start` until `stop`.

    ``socketserver.UDPServer.allow_reuse_address`` says whether the port may be taken while another socket has it. Of a
    flood that cannot be taken as fast as it comes the oldest datagrams are dropped: the newest ones count.

    Args:
        host: Address of this computer to listen at, ``'0.0.0.0'`` for all.
        port: UDP port; 0 for any free one.
        take: Called with each datagram and its sender, in this thread; what it raises is logged.

    Attributes:
        dropped: How many datagrams were dropped here, a count; what the system dropped before is not known.

    Raises:
        PortStillReserved: Another socket has the port.
        OSError: The system refuses for another reason.
    """

    def __init__(self, host: str, port: int, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        super().__init__(name="live server", daemon=True)
        self._take = take
        self.dropped = 0
        self._ending = threading.Event()
        self._waiting: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._bytes = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if socketserver.UDPServer.allow_reuse_address:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.bind((host, port))
            self._socket.setblocking(False)
        except BaseException as error:
            self._socket.close()
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise PortStillReserved(port) from error
            raise
        _receivers.add(self)
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        """Receive until `stop`; `start` calls this."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while not self._ending.is_set():
                if not self._waiting:
                    selector.select()
                self._fetch()
                self._take_waiting()

    def stop(self) -> None:
        """End, before `start`, after it, and any number of times; the port is free when this returns.

        Waits for the datagram that is being taken, at most 5 s.
        """
        self._ending.set()
        if self.is_alive() and threading.current_thread() is not self:
            latest = time.monotonic() + _END_SECONDS
            while self.is_alive() and time.monotonic() < latest:
                self._wake()
                self.join(_WAKE_SECONDS)
        self._socket.close()

    def _wake(self) -> None:
        """Have the thread look whether it is to end."""
        # Linux calls this an error of an unconnected socket, and wakes the thread that waits; other systems wake it by
        # nothing but a datagram.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(b"", ("127.0.0.1" if self.host == "0.0.0.0" else self.host, self.port))

    def _fetch(self) -> None:
        """Fetch what has come."""
        receive, waiting = self._socket.recvfrom, self._waiting
        for _ in range(_MOST_AT_ONCE):
            try:
                received = receive(_LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                # Closed while it was told to stop, or what Windows tells of somebody else's lost datagram.
                logger.debug("port %s: %s", self.port, error)
                return
            waiting.append(received)
            self._bytes += len(received[0])
            while self._bytes > _MOST_WAITING:
                self._bytes -= len(waiting.popleft()[0])
                self.dropped += 1

    def _take_waiting(self) -> None:
        """Take what waits, for a moment."""
        latest = time.monotonic() + _TURN_SECONDS
        while self._waiting and not self._ending.is_set():
            datagram, sender = self._waiting.popleft()
            self._bytes -= len(datagram)
            try:
                self._take(datagram, sender)
            except BaseException:
                # One datagram must not end the service of all others.
                logger.exception("port %s: %.80r of %s could not be taken", self.port, datagram, sender)
            if time.monotonic() > latest:
                return


_receivers: Final[weakref.WeakSet[Receiver]] = weakref.WeakSet()


def _after_fork() -> None:
    """Give up in a forked child what the parent receives: its port would not be free when it stops."""
    for each in list(_receivers):
        each._socket.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
