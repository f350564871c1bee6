"""Sockets of the two kinds: a Unix socket file, or TCP on the loopback interface."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from instrumentserver.errors import UsageError

from .address import loopback_endpoint

__all__ = ["HAS_UNIX_SOCKETS", "connect_socket", "listen_socket"]

HAS_UNIX_SOCKETS: Final = hasattr(socket, "AF_UNIX")
_BACKLOG: Final = 128
_LONGEST_PATH: Final = 103
"""Bytes of a socket file's path; macOS takes 103, Linux 107."""


def listen_socket(address: str, socket_path: Path) -> tuple[socket.socket, str]:
    """Return a listening socket and the address under which it is reached.

    Args:
        address: ``unix:NAME`` or ``tcp://127.0.0.1:PORT``; port 0 takes any free one.
        socket_path: The file of the Unix socket. One that is there is replaced.

    Raises:
        UsageError: The address is none of this computer, or the path is too long for a socket.
        OSError: The port is taken.
    """
    if address.startswith("unix:"):
        return _listen_unix(socket_path), address
    host, port = loopback_endpoint(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    shown = f"[{host}]" if ":" in host else host
    return listener, f"tcp://{shown}:{listener.getsockname()[1]}"


def connect_socket(address: str, socket_path: Path, timeout: float) -> socket.socket:
    """Return a socket that is connected to a server.

    Args:
        address: The server's address.
        socket_path: The file of its Unix socket.
        timeout: Longest time to wait, seconds; also set on the socket.

    Raises:
        OSError: Nobody listens there.
    """
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(socket_path))
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.create_connection(loopback_endpoint(address), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _listen_unix(path: Path) -> socket.socket:
    if len(str(path).encode()) > _LONGEST_PATH:
        raise UsageError(
            f"the path of the socket {path} is longer than {_LONGEST_PATH} bytes; "
            f"set INSTRUMENTSERVER_DIR to a folder with a shorter path"
        )
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
