"""Clients that reach a server over TLS, as from another computer."""

from __future__ import annotations

import socket
import time
from typing import Any

from instrumentserver import Server, connect
from instrumentserver.client.introduction import introduction
from instrumentserver.client.session import known_sessions
from instrumentserver.transport import known_servers
from instrumentserver.transport.address import endpoint_of
from instrumentserver.transport.connection import Connection
from instrumentserver.transport.handshake import greet_server
from instrumentserver.transport.keys import ROLES, ServerKeys
from instrumentserver.transport.private import private_folder
from instrumentserver.transport.tls import TlsStream, client_context, connection_over, fingerprint_of
from instrumentserver.wire.codec import Codec

__all__ = ["Afar", "forget_servers"]


class Afar:
    """Connects with a server over TLS.

    Args:
        server: The server, which listens at 0.0.0.0.
        keys: Its certificate and tokens.

    Attributes:
        port: Where it listens with TLS.
        keys: Its certificate and tokens.
    """

    def __init__(self, server: Server, keys: ServerKeys) -> None:
        self.server = server
        self.keys = keys
        self.port = endpoint_of(server.addresses[1]).port

    def address(self, role: str = "admin") -> str:
        """Return an address of the server; each role has one of its own, so that one process may have several."""
        return f"tls://127.0.0.{1 + ROLES.index(role)}:{self.port}"

    def connect(self, role: str = "admin", **options: Any) -> Server:
        """Return the server as a client of a role has it."""
        given = {"token": self.keys.token(role), "pin": self.keys.fingerprint, **options}
        return connect(self.address(role), **given)

    def socket(self) -> socket.socket:
        """Return a bare socket that is connected with the server."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def stream(self) -> TlsStream:
        """Return a stranger's stream: TLS, and nothing said."""
        return TlsStream(self.socket(), client_context(), server_side=False, give_up=time.monotonic() + 10)

    def greeted(self, role: str = "viewer") -> TlsStream:
        """Return a stream over which a token was proven."""
        stream = self.stream()
        channel = bytes.fromhex(fingerprint_of(stream.certificate).removeprefix("sha256:"))
        greet_server(stream, self.keys.token(role).encode(), channel=channel)
        return stream

    def proven(self, role: str = "viewer", told: dict[str, Any] | None = None) -> Connection:
        """Return a connection of somebody who says whatever he likes, and has introduced himself."""
        connection = connection_over(self.greeted(role), Codec())
        try:
            connection.send({**introduction(), "session": f"of {role}", **(told or {})})
            connection.receive()
        except BaseException:
            connection.close()
            raise
        return connection


def forget_servers() -> None:
    """Forget all servers on networks: their certificates, their tokens, and the connections with them."""
    known_servers._given.clear()
    for session in known_sessions():
        if session.is_remote:
            session.abandon()
            session._pause = session._try_again = 0.0
    for name in ("known_servers", "tokens"):
        (private_folder() / name).unlink(missing_ok=True)
