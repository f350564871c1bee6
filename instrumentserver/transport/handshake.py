"""The opening words of a connection: version, then proof of the token, then who is calling.

::

    client                                   server
    hello: magic, version, nonce  ------->
                                  <-------   hello: magic, version, nonce
    proof: HMAC(token, nonces)    ------->
                                  <-------   proof: HMAC(token, nonces)
    introduction (first frame)    ------->
                                  <-------   welcome (first frame)

Hellos and proofs have fixed sizes, 32 bytes each, so nothing has to be decoded before the token
is proven. The token itself never travels. The server proves it too: a process that took a
server's port cannot pass for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
import time
from typing import Final

from instrumentserver.errors import ConnectFailed, ProtocolError, VersionMismatch
from instrumentserver.wire.messages import PROTOCOL_VERSION

__all__ = ["HANDSHAKE_SECONDS", "greet_client", "greet_server"]

HANDSHAKE_SECONDS: Final = 5.0
"""A peer that has not said its opening words by then is dropped."""

_MAGIC: Final = b"INSTSRV\n"
_HELLO: Final = struct.Struct("!8sH6x16s")
_PROOF_SIZE: Final = 32


def greet_server(sock: socket.socket, token: bytes, patience: float = HANDSHAKE_SECONDS) -> None:
    """Say the client's opening words and check the server's, within ``patience`` seconds.

    The socket has a time limit of ``patience`` afterwards.

    Raises:
        VersionMismatch: The server speaks another version of the protocol.
        ConnectFailed: The server does not know our token, or does not prove that it knows it.
        ProtocolError: Something else than one of our servers answers.
        TimeoutError: The time ran out.
    """
    give_up = time.monotonic() + patience
    nonce = secrets.token_bytes(16)
    sock.sendall(_HELLO.pack(_MAGIC, PROTOCOL_VERSION, nonce))
    server_nonce = _check_hello(_receive(sock, _HELLO.size, give_up))
    sock.sendall(_proof(token, b"client", nonce, server_nonce))
    try:
        answer = _receive(sock, _PROOF_SIZE, give_up)
    except (EOFError, ConnectionError) as error:
        raise ConnectFailed(
            "the server refused our token; client and server must use the same directory (INSTRUMENTSERVER_DIR)"
        ) from error
    if not hmac.compare_digest(answer, _proof(token, b"server", nonce, server_nonce)):
        raise ConnectFailed("what answers there does not know the token: it is not one of your servers")
    sock.settimeout(patience)


def greet_client(sock: socket.socket, token: bytes) -> None:
    """Say the server's opening words and check the client's, within `HANDSHAKE_SECONDS`.

    The socket has a time limit of `HANDSHAKE_SECONDS` afterwards.

    Raises:
        ProtocolError: The peer is no client of ours, or speaks another version.
        ConnectFailed: The peer does not know the token.
        EOFError: The peer went away.
        TimeoutError: The time ran out.
    """
    give_up = time.monotonic() + HANDSHAKE_SECONDS
    nonce = secrets.token_bytes(16)
    hello = _receive(sock, _HELLO.size, give_up)
    # A client of another version gets our version too, so that it can say so to its user.
    if hello.startswith(_MAGIC):
        sock.sendall(_HELLO.pack(_MAGIC, PROTOCOL_VERSION, nonce))
    client_nonce = _check_hello(hello)
    proof = _receive(sock, _PROOF_SIZE, give_up)
    if not hmac.compare_digest(proof, _proof(token, b"client", client_nonce, nonce)):
        raise ConnectFailed("a client did not prove the token")
    sock.sendall(_proof(token, b"server", client_nonce, nonce))


def _check_hello(hello: bytes) -> bytes:
    magic, version, nonce = _HELLO.unpack(hello)
    if magic != _MAGIC:
        raise ProtocolError(f"the peer begins with {magic!r}; it does not speak our protocol")
    if version != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"the peer speaks version {version} of the protocol, we speak {PROTOCOL_VERSION}; "
            f"install the same release of instrumentserver on both sides and start the server anew"
        )
    assert isinstance(nonce, bytes)
    return nonce


def _proof(token: bytes, role: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return hmac.digest(token, role + client_nonce + server_nonce, hashlib.sha256)


def _receive(sock: socket.socket, size: int, give_up: float) -> bytes:
    received = b""
    while len(received) < size:
        # A limit for each piece alone would let a peer that sends byte by byte stay for minutes.
        sock.settimeout(max(give_up - time.monotonic(), 1e-6))
        more = sock.recv(size - len(received))
        if not more:
            raise EOFError("the peer closed the connection during the opening words")
        received += more
    sock.settimeout(HANDSHAKE_SECONDS)
    return received
