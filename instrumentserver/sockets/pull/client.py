"""The client of pull sockets."""

from __future__ import annotations

import json
import os
import socket
import threading
from types import TracebackType
from typing import Any, Final, Self

from instrumentserver.errors import CallTimeout, ConnectFailed, ProtocolError, UsageError

from ..constants import OLD_DATA, UNKNOWN_COMMAND

__all__ = ["DateDataPullClient"]

_LONGEST_DATAGRAM: Final = 65536


class DateDataPullClient:
    """Reads the values of a pull socket, ``client.moon_laser_power`` or ``client.get_field('moon_laser_power')``.

    Any number of threads may use it.

    Args:
        host: Where the socket is.
        expected_socket_name: Which name it must have.
        port: Its UDP port.
        exception_on_old_data: Whether an old point raises; else it is given as ``'OLD_DATA'``.
        timeout: Seconds to wait for a reply; None: for ever, even if the datagram was lost.

    Attributes:
        name: The socket's name.
        codenames: Of which values it has points.

    Raises:
        UsageError: The socket has another name. It is a ValueError.
        CallTimeout: No reply came in time.
        ConnectFailed: Nobody listens at the port, as far as the system tells.
        OSError: The host is unknown.
    """

    def __init__(
        self,
        host: str,
        expected_socket_name: str,
        port: int = 9000,
        exception_on_old_data: bool = True,
        timeout: float | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._raises_on_old_data = exception_on_old_data
        self._timeout = timeout
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process = os.getpid()
        try:
            self.name = self._ask("name")
            if self.name != expected_socket_name:
                raise UsageError(
                    f"the socket at {host}:{port} is called {self.name!r}, not {expected_socket_name!r}"
                )
            self.codenames: list[str] = self._ask_json("codenames_json")
        except BaseException:
            self.close()
            raise

    def get_field(self, codename: str) -> Any:
        """Return the last point ``[x, y]`` of a codename.

        Raises:
            UsageError: The point is old, or there is no such codename. It is a ValueError.
        """
        return self._checked(codename, self._ask_json(f"{codename}#json"))

    def get_all_fields(self) -> dict[str, Any]:
        """Return the last points ``[x, y]`` by codename; raises as `get_field`."""
        points = self._ask_json("json_wn")
        return {codename: self._checked(codename, point) for codename, point in points.items()}

    def get_status(self) -> dict[str, Any]:
        """Return what the socket says of its computer and of the sockets of its process."""
        status: dict[str, Any] = self._ask_json("status")
        return status

    def close(self) -> None:
        """Give the client's own port back; the next question opens another one."""
        with self._lock:
            if self._line is not None:
                self._line.close()
                self._line = None

    def __getattr__(self, name: str) -> Any:
        """Return the last point of the codename ``name``."""
        if name in self.__dict__.get("codenames", ()):
            return self.get_field(name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}, and the socket no such codename"
        )

    def __dir__(self) -> list[str]:
        """Return the attributes, with the codenames that are identifiers."""
        return [*super().__dir__(), *(name for name in self.codenames if name.isidentifier())]

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _checked(self, codename: str, point: Any) -> Any:
        """Return a point; raises UsageError if it is old and that matters."""
        if point == OLD_DATA and self._raises_on_old_data:
            raise UsageError(
                f"the last point of {codename!r} at {self.host}:{self.port} is too old; with "
                f"exception_on_old_data=False it is given as {OLD_DATA!r}"
            )
        return point

    def _ask_json(self, command: str) -> Any:
        """Return what a JSON reply says."""
        reply = self._ask(command)
        if reply == UNKNOWN_COMMAND:
            raise UsageError(f"the socket at {self.host}:{self.port} does not know {command!r}")
        try:
            return json.loads(reply)
        except ValueError as error:
            raise ProtocolError(
                f"the socket at {self.host}:{self.port} answered {command!r} with {reply[:80]!r}, which is no JSON"
            ) from error

    def _ask(self, command: str) -> str:
        """Return the reply to a command."""
        with self._lock:
            if self._process != os.getpid():
                # A forked child must not take the parent's replies.
                self._process = os.getpid()
                self._line = None
            line = self._line or self._open()
            # Kept only after an answer: a late one must not be taken for that to the next question.
            self._line = None
            try:
                line.send(command.encode("ascii"))
                reply = line.recv(_LONGEST_DATAGRAM).decode("ascii")
                self._line = line
            except TimeoutError as error:
                raise CallTimeout(
                    f"no reply to {command!r} from {self.host}:{self.port} within {self._timeout} s"
                ) from error
            except ConnectionError as error:
                raise ConnectFailed(f"nobody listens at UDP port {self.host}:{self.port}") from error
            finally:
                if self._line is None:
                    line.close()
            return reply

    def _open(self) -> socket.socket:
        """Return a line to the socket."""
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            line.settimeout(self._timeout)
            line.connect((self.host, self.port))
        except BaseException:
            line.close()
            raise
        return line
