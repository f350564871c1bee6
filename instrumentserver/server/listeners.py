"""Where a server listens, and how each listener lets a client in."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from instrumentserver.errors import UsageError
from instrumentserver.transport.address import endpoint_of
from instrumentserver.transport.handshake import HANDSHAKE_SECONDS, greet_client
from instrumentserver.transport.keepalive import silence_from_environment, watch_line
from instrumentserver.transport.keys import ROLES, ServerKeys
from instrumentserver.transport.sockets import listen_network, listen_socket
from instrumentserver.transport.tls import TlsStream

__all__ = ["Guest", "Listener", "LocalListener", "NetworkListener", "check_secure"]

_OWN_HOST: Final = ("0.0.0.0", "::")


class Guest(NamedTuple):
    """Who has proven himself.

    Attributes:
        line: What to talk with him over.
        role: "viewer", "operator" or "admin".
        token: What he has proven to know.
        is_remote: Whether he came over a network, rather than as a process of the same user.
        host: The number of his computer; "" for this one.
        address: By which address this server is reached on his way, as far as this end can know.
    """

    line: socket.socket | TlsStream
    role: str
    token: bytes
    is_remote: bool
    host: str
    address: str


class LocalListener:
    """Lets in the processes of the same user on the same computer, who may do everything.

    Args:
        address: ``unix:NAME`` or ``tcp://127.0.0.1:PORT``.
        socket_path: The file of the Unix socket.
        token: What a client must know.

    Attributes:
        sock: The listening socket.
        address: The address, with the port.
    """

    def __init__(self, address: str, socket_path: Path, token: bytes) -> None:
        self._token = token
        self.sock, self.address = listen_socket(address, socket_path)

    def host_of(self, peer: Any) -> str:
        """Return by which host a client counts while he says his opening words: none."""
        return ""

    def let_in(self, sock: socket.socket) -> Guest:
        """Say the opening words to a client; see `greet_client` for errors."""
        if sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greet_client(sock, self._token)
        return Guest(sock, "admin", self._token, False, "", self.address)


class NetworkListener:
    """Lets in whoever knows one of the server's tokens; over TLS, unless plain TCP was asked for.

    Args:
        address: ``tls://HOST:PORT`` or ``tcp://HOST:PORT``.
        keys: The server's certificate and tokens.

    Attributes:
        sock: The listening socket.
        address: The address, with the port.
    """

    def __init__(self, address: str, keys: ServerKeys) -> None:
        keys.make()
        self._keys = keys
        self._context: ssl.SSLContext | None = None
        self._channel = b""
        if endpoint_of(address).scheme == "tls":
            self._context = keys.context()
            # What a client sees of it: digests of the same certificate.
            self._channel = bytes.fromhex(keys.fingerprint.removeprefix("sha256:"))
        self._silence = silence_from_environment()
        self.sock, self.address = listen_network(address)

    def host_of(self, peer: Any) -> str:
        """Return by which host a client counts while he says his opening words."""
        return str(peer[0])

    def let_in(self, sock: socket.socket) -> Guest:
        """Say the opening words to a client; see `greet_client` for errors. For any thread."""
        give_up = time.monotonic() + HANDSHAKE_SECONDS
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch_line(sock, self._silence)
        line: socket.socket | TlsStream = sock
        if self._context is not None:
            line = TlsStream(sock, self._context, server_side=True, give_up=give_up)
        # Read anew each time: a token that was made anew a moment ago counts, and the one before does not.
        tokens = self._keys.tokens()
        number = greet_client(line, *tokens, channel=self._channel)
        reached = endpoint_of(self.address)
        if reached.host in _OWN_HOST:
            reached = reached._replace(host=str(sock.getsockname()[0]).partition("%")[0])
        return Guest(
            line, ROLES[number], tokens[number], True, self.host_of(sock.getpeername()), str(reached)
        )


Listener = LocalListener | NetworkListener


def check_secure(address: str, *, insecure: bool) -> str:
    """Return an address for a network listener in its usual spelling, after making sure that it may be listened at.

    Raises:
        UsageError: It is plain TCP, and nobody said that this is wanted; or it is no such address.
    """
    endpoint = endpoint_of(address)
    if endpoint.scheme == "tcp" and not insecure:
        raise UsageError(
            f"{address} is plain TCP, where everybody on the way can read and change what travels; "
            f"listen at tls://{address.removeprefix('tcp://')}, or say insecure=True (--insecure) if that is meant"
        )
    return str(endpoint)
