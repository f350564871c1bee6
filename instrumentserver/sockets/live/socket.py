"""The live socket: sends each point to a live server at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from instrumentserver.errors import UsageError

from ..constants import MAX_DATAGRAM
from ..failures import NoLiveServer, UnknownCodename
from ..pull import DataPullSocket
from .codec import encode_points, encode_reset

__all__ = ["LiveSocket"]


class LiveSocket:
    """Sends points to a live server, one datagram a call, and shows the last ones in a pull socket of its own.

    Nothing tells whether a datagram arrived. As a context manager it starts, and stops at the end.

    Args:
        name: The pull socket's name.
        codenames: What the values are called, as for a pull socket.
        live_server: Host and UDP port of the live server; the host's address is asked for once, here.
        no_internal_data_pull_socket: Whether there is no pull socket.
        internal_data_pull_socket_port: Its UDP port; 0 for any free one.
        host: Address of this computer at which the pull socket listens.

    Raises:
        NoLiveServer: ``live_server`` is None. It is an AttributeError.
        UsageError, PortStillReserved: As for a pull socket.
        OSError: The host of the live server is unknown.
    """

    def __init__(
        self,
        name: str,
        codenames: Sequence[str],
        live_server: tuple[str, int] | None = None,
        no_internal_data_pull_socket: bool = False,
        internal_data_pull_socket_port: int = 8000,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        if live_server is None:
            raise NoLiveServer("it is not known where the live server is; give live_server=(host, port)")
        self.live_server = (socket.gethostbyname(live_server[0]), live_server[1])
        self.hostname = socket.gethostname()
        self.codenames = list(codenames)
        self._lock = threading.Lock()
        self.internal_data_pull_socket: DataPullSocket | None = None
        if not no_internal_data_pull_socket:
            self.internal_data_pull_socket = DataPullSocket(
                name, codenames, internal_data_pull_socket_port, check_activity=False, host=host
            )
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def start(self) -> None:
        """Begin to answer at the pull socket; points are sent without it, too."""
        if self.internal_data_pull_socket is not None:
            self.internal_data_pull_socket.start()

    def stop(self) -> None:
        """Stop the pull socket, and send no more; before `start` and twice, too."""
        if self.internal_data_pull_socket is not None:
            self.internal_data_pull_socket.stop()
        with self._lock:
            self._line.close()

    def set_batch(self, data: Mapping[str, Sequence[Any]]) -> None:
        """Send one point ``(x, y)`` for each codename given, together.

        Raises:
            UnknownCodename: A codename is not among `codenames`; nothing was sent. It is a RuntimeError.
            UsageError: The socket has been stopped, or the points are too long for one datagram; nothing was sent.
            TypeError: JSON has no form for a value; nothing was sent.
            OSError: The network cannot be used.
        """
        self._check(data)
        points = {codename: tuple(point) for codename, point in data.items()}
        datagram = encode_points(self.hostname, points)
        if len(datagram) > MAX_DATAGRAM:
            raise UsageError(
                f"the points of {', '.join(points)} make {len(datagram)} bytes, and a datagram has at most "
                f"{MAX_DATAGRAM}; send fewer together"
            )
        with self._lock:
            self._check_open()
            if self.internal_data_pull_socket is not None:
                for codename, point in points.items():
                    self.internal_data_pull_socket.set_point(codename, point)
            self._line.sendto(datagram, self.live_server)

    def set_batch_now(self, data: Mapping[str, Any]) -> None:
        """Send one value for each codename given, measured just now; raises as `set_batch`."""
        moment = time.time()
        self.set_batch({codename: (moment, value) for codename, value in data.items()})

    def set_point(self, codename: str, point: Sequence[Any]) -> None:
        """Send one point ``(x, y)``; raises as `set_batch`."""
        self.set_batch({codename: point})

    def set_point_now(self, codename: str, value: Any) -> None:
        """Send a value that was measured just now; raises as `set_batch`."""
        self.set_batch_now({codename: value})

    def reset(self, codenames: Iterable[str]) -> None:
        """Have the live server forget the points of these codenames; the pull socket shows its default again."""
        codenames = list(codenames)
        self._check(codenames)
        with self._lock:
            self._check_open()
            if self.internal_data_pull_socket is not None:
                for codename in codenames:
                    self.internal_data_pull_socket.reset_point(codename)
            self._line.sendto(encode_reset(codenames), self.live_server)

    def __enter__(self) -> Self:
        """Return the socket, started."""
        if self.internal_data_pull_socket is not None and self.internal_data_pull_socket.ident is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _check_open(self) -> None:
        """Raise UsageError if the socket has been stopped."""
        if self._line.fileno() < 0:
            raise UsageError("the live socket has been stopped; make a new one")

    def _check(self, codenames: Iterable[str]) -> None:
        """Raise UnknownCodename for the first that is unknown."""
        for codename in codenames:
            if codename not in self.codenames:
                raise UnknownCodename(f"The codename: '{codename}' is not registered")
