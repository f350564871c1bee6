"""Sockets: a Unix socket file, TCP on the loopback interface, or TCP on a network."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Final

from instrumentserver.errors import UsageError

from .address import Endpoint, endpoint_of, loopback_endpoint
from .keepalive import watch_line

__all__ = ["HAS_UNIX_SOCKETS", "connect_network", "connect_socket", "listen_network", "listen_socket"]

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
    return _listen_tcp(Endpoint("tcp", *loopback_endpoint(address)))


def listen_network(address: str) -> tuple[socket.socket, str]:
    """Return a socket that listens on a network, and the address with its port.

    Args:
        address: ``tls://HOST:PORT`` or ``tcp://HOST:PORT``; port 0 takes any free one, host 0.0.0.0 or [::] stands
            for every interface of this computer.

    Raises:
        UsageError: That is no such address, or the host is not this computer.
        OSError: The port is taken.
    """
    endpoint = endpoint_of(address)
    try:
        return _listen_tcp(endpoint)
    except OSError as error:
        # Where a name is not known, the number is one of the resolver's, which are negative.
        if error.errno is None or error.errno == errno.EADDRNOTAVAIL or error.errno < 0:
            raise UsageError(
                f"{endpoint.host} is no name or number of this computer; listen at 0.0.0.0 for every interface"
            ) from error
        raise


def _listen_tcp(endpoint: Endpoint) -> tuple[socket.socket, str]:
    host = endpoint.host
    is_six = ":" in host
    listener = socket.create_server(
        (host, endpoint.port),
        family=socket.AF_INET6 if is_six else socket.AF_INET,
        backlog=_BACKLOG,
        dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
    )
    return listener, str(endpoint._replace(port=listener.getsockname()[1]))


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


def connect_network(address: str, timeout: float, line_timeout: float) -> socket.socket:
    """Return a socket that is connected to a server on a network.

    Args:
        address: ``tls://HOST:PORT`` or ``tcp://HOST:PORT``.
        timeout: Longest time to wait, seconds; also set on the socket.
        line_timeout: After how long a silence of the other computer the line counts as cut, seconds.

    Raises:
        OSError: Nobody listens there, or no way leads there.
    """
    endpoint = endpoint_of(address)
    sock = socket.create_connection((endpoint.host, endpoint.port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    watch_line(sock, line_timeout)
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
