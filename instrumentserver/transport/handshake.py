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

Over TLS the proofs also cover the server's certificate, as each side has seen it. Somebody in the middle, who shows
the client a certificate of his own, cannot make one side's proof pass for the other side's.
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

from .tls import TlsStream

__all__ = ["HANDSHAKE_SECONDS", "greet_client", "greet_server"]

HANDSHAKE_SECONDS: Final = 5.0
"""A peer that has not said its opening words by then is dropped."""

_MAGIC: Final = b"INSTSRV\n"
_HELLO: Final = struct.Struct("!8sH6x16s")
_PROOF_SIZE: Final = 32
_LOCAL: Final = "client and server must use the same directory (INSTRUMENTSERVER_DIR)"

Line = socket.socket | TlsStream


def greet_server(
    line: Line,
    token: bytes,
    patience: float = HANDSHAKE_SECONDS,
    *,
    channel: bytes = b"",
    remedy: str = _LOCAL,
) -> None:
    """Say the client's opening words and check the server's, within ``patience`` seconds.

    The socket has a time limit of ``patience`` afterwards.

    Args:
        line: The socket, or what is on it.
        token: What both sides know.
        patience: How long it may take, seconds.
        channel: What both sides have seen of TLS: the digest of the server's certificate, b"" without TLS.
        remedy: What to do where the server refuses the token, for people.

    Raises:
        VersionMismatch: The server speaks another version of the protocol.
        ConnectFailed: The server does not know our token, or does not prove that it knows it.
        ProtocolError: Something else than one of our servers answers.
        TimeoutError: The time ran out.
    """
    give_up = time.monotonic() + patience
    nonce = secrets.token_bytes(16)
    line.sendall(_HELLO.pack(_MAGIC, PROTOCOL_VERSION, nonce))
    server_nonce = _check_hello(_receive(line, _HELLO.size, give_up))
    said = nonce + server_nonce + channel
    line.sendall(_proof(token, b"client", said))
    try:
        answer = _receive(line, _PROOF_SIZE, give_up)
    except (EOFError, ConnectionError) as error:
        raise ConnectFailed(f"the server refused our token; {remedy}") from error
    if not hmac.compare_digest(answer, _proof(token, b"server", said)):
        raise ConnectFailed("what answers there does not know the token: it is not one of your servers")
    line.settimeout(patience)


def greet_client(line: Line, *tokens: bytes, channel: bytes = b"") -> int:
    """Say the server's opening words and check the client's, within `HANDSHAKE_SECONDS`.

    The socket has a time limit of `HANDSHAKE_SECONDS` afterwards.

    Args:
        line: The socket, or what is on it.
        tokens: The tokens, one of which the client must know.
        channel: What both sides have seen of TLS; see `greet_server`.

    Returns:
        Which of the tokens the client has proven to know, an index.

    Raises:
        ProtocolError: The peer is no client of ours, or speaks another version.
        ConnectFailed: The peer does not know a token.
        EOFError: The peer went away.
        TimeoutError: The time ran out.
    """
    give_up = time.monotonic() + HANDSHAKE_SECONDS
    nonce = secrets.token_bytes(16)
    hello = _receive(line, _HELLO.size, give_up)
    # A client of another version gets our version too, so that it can say so to its user.
    if hello.startswith(_MAGIC):
        line.sendall(_HELLO.pack(_MAGIC, PROTOCOL_VERSION, nonce))
    said = _check_hello(hello) + nonce + channel
    proof = _receive(line, _PROOF_SIZE, give_up)
    proven = [
        number
        for number, token in enumerate(tokens)
        if hmac.compare_digest(proof, _proof(token, b"client", said))
    ]
    if not proven:
        raise ConnectFailed("a client did not prove the token")
    line.sendall(_proof(tokens[proven[0]], b"server", said))
    return proven[0]


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


def _proof(token: bytes, side: bytes, said: bytes) -> bytes:
    return hmac.digest(token, side + said, hashlib.sha256)


def _receive(line: Line, size: int, give_up: float) -> bytes:
    received = b""
    while len(received) < size:
        # A limit for each piece alone would let a peer that sends byte by byte stay for minutes.
        line.settimeout(max(give_up - time.monotonic(), 1e-6))
        more = line.recv(size - len(received))
        if not more:
            raise EOFError("the peer closed the connection during the opening words")
        received += more
    line.settimeout(HANDSHAKE_SECONDS)
    return received
