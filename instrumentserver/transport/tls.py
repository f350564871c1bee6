"""TLS on a connection: who only watches the line learns nothing, and who changes it ends it.

The TLS of the system works between two buffers in memory, and this module moves the bytes. So one thread may read while
others write, which a TLS socket of Python's does not promise; a small message is one read of the system's instead of
two; and what has to be known of the line itself (is it cut, does it take bytes without waiting) is asked of the socket.

Certificates are not verified by authorities: a client compares the server's with the one that it expects; see
`instrumentserver.transport.known_servers`. Names in certificates mean nothing.
"""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from instrumentserver.wire.codec import Codec
from instrumentserver.wire.framing import DEFAULT_LIMITS, Limits, frame_head

from .connection import Connection

__all__ = [
    "TlsConnection",
    "TlsStream",
    "client_context",
    "connection_over",
    "fingerprint_of",
    "server_context",
]

_PIECE: Final = 1 << 17
"""Bytes that are encrypted at once."""
_READ_AHEAD: Final = 1 << 17
_SHORT: Final = 4096
_AT_ONCE: Final = getattr(socket, "MSG_DONTWAIT", 0)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return how a server speaks TLS: version 1.3, with a certificate and its key, PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Tickets to resume by would lie unread on a new connection, which then looks as if it were cut.
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    return context


def client_context() -> ssl.SSLContext:
    """Return how a client speaks TLS: version 1.3, with any certificate; comparing it is left to the caller."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint_of(certificate: bytes) -> str:
    """Return what people compare of a certificate in DER form: ``sha256:`` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(certificate).hexdigest()}"


class TlsStream:
    """A stream socket with TLS on it, used like the socket itself.

    One thread may read while another one writes.

    Args:
        sock: A connected stream socket; the stream owns it from now on.
        context: How to speak TLS.
        server_side: Whether this is the server's end.
        give_up: When the opening words must have been said, by `time.monotonic`.

    Attributes:
        certificate: The peer's certificate in DER form; b"" at a server, whose clients have none.

    Raises:
        OSError: The peer speaks no TLS that we take, or the line is cut; the socket is closed.
        TimeoutError: The time ran out; the socket is closed.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool, give_up: float
    ) -> None:
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._guard = threading.Lock()
        self._raw = memoryview(bytearray(_READ_AHEAD))
        self._may_have_more = True  # It may come together with the last of the opening words.
        self.family = sock.family
        # As a method of the stream it would be one more call of ours on the way of every message.
        self.settimeout = sock.settimeout
        self.gettimeout = sock.gettimeout
        self.setblocking = sock.setblocking
        self.fileno = sock.fileno
        self.close = sock.close
        self.shutdown = sock.shutdown
        self.getpeername = sock.getpeername
        try:
            self._shake_hands(give_up)
        except BaseException:
            sock.close()
            raise
        self.certificate = self._tls.getpeercert(binary_form=True) or b""

    def _shake_hands(self, give_up: float) -> None:
        while True:
            try:
                self._tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                is_done = False
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush(give_up)  # So that the peer learns what is wrong.
                raise
            self._flush(give_up)
            if is_done:
                return
            self._sock.settimeout(max(give_up - time.monotonic(), 1e-6))
            size = self._sock.recv_into(self._raw)
            if not size:
                raise EOFError("the peer closed the connection during the opening words of TLS")
            self._incoming.write(self._raw[:size])

    def _flush(self, give_up: float) -> None:
        if self._outgoing.pending:
            self._sock.settimeout(max(give_up - time.monotonic(), 1e-6))
            self._sock.sendall(self._outgoing.read())

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes, blocking until there are any; b"" at the end of the stream."""
        store = bytearray(size)
        return bytes(store[: self.recv_into(memoryview(store))])

    def recv_into(self, into: memoryview) -> int:
        """Fill the beginning of a buffer, blocking until there is anything; return the count of bytes, 0 at the end.

        Raises:
            OSError: The line is cut, or somebody has changed what travels on it.
            TimeoutError: The time set with ``settimeout`` ran out.
        """
        wanted = len(into)
        while True:
            if self._may_have_more:
                filled = self._decrypt(into, wanted)
                if filled:
                    return filled
                if filled is None:
                    return 0
            size = self._sock.recv_into(self._raw)
            if not size:
                return 0
            with self._guard:
                self._incoming.write(self._raw[:size])
            self._may_have_more = True

    def _decrypt(self, into: memoryview, wanted: int) -> int | None:
        """Decrypt what has come; return how many bytes that is, None if the peer has said that nothing comes."""
        filled = 0
        with self._guard:
            try:
                while filled < wanted:
                    # At most one record of 16 kB at a time.
                    filled += self._tls.read(wanted - filled, into[filled:])  # type: ignore[operator,arg-type]
                    if not self._incoming.pending:
                        self._may_have_more = filled == wanted
                        break
            except ssl.SSLWantReadError:
                self._may_have_more = False
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return filled or None
        return filled

    def sendall(self, data: bytes | memoryview) -> None:
        """Send bytes, blocking until the system has taken all of them.

        Raises:
            OSError: The line is cut.
        """
        if len(data) <= _PIECE:
            with self._guard:
                self._tls.write(data)  # type: ignore[operator,arg-type]
                encrypted = self._outgoing.read()
            self._sock.sendall(encrypted)
            return
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self.sendall(view[start : start + _PIECE])

    def send_now(self, data: bytes) -> bytes:
        """Send bytes as far as the system takes them without waiting; return the rest, encrypted, for `send_rest`.

        Raises:
            OSError: The line is cut.
        """
        with self._guard:
            self._tls.write(data)
            encrypted = self._outgoing.read()
        try:
            return encrypted[self._sock.send(encrypted, _AT_ONCE) :]
        except BlockingIOError:
            return encrypted

    def send_rest(self, rest: bytes) -> None:
        """Send what `send_now` returned, blocking until the system has taken it.

        Raises:
            OSError: The line is cut.
        """
        self._sock.sendall(rest)


class TlsConnection(Connection):
    """Sends and receives values over TLS; see `Connection`.

    Args:
        stream: The stream, which the connection owns from now on.
        codec: Encodes and decodes; for this connection alone.
        limits: What a frame may claim, in both directions.
    """

    def __init__(self, stream: TlsStream, codec: Codec, limits: Limits = DEFAULT_LIMITS) -> None:
        line: Any = stream
        super().__init__(line, codec, limits)
        self._stream = stream
        self._poll: Any = None

    def send_now(self, value: Any) -> bytes | None:
        """Send one short value as far as the system takes it without waiting; see `Connection.send_now`."""
        message, buffers = self._encode(value)
        if buffers or len(message) > _SHORT or not _AT_ONCE:
            return None
        return self._stream.send_now(frame_head(len(message)) + message)

    def send_rest(self, rest: bytes) -> None:
        """Send what `send_now` returned, blocking until the system has taken it."""
        self._stream.send_rest(rest)

    def is_cut(self) -> bool:
        """Return whether the peer is known to have gone, which may be asked only while nothing is to come."""
        # Where nothing is to come, whatever has come is an end: of the line, or of what the peer says.
        try:
            if not hasattr(select, "poll"):
                return bool(select.select([self._stream], [], [], 0)[0])
            if self._poll is None:
                self._poll = select.poll()
                self._poll.register(self._stream, select.POLLIN)
            return bool(self._poll.poll(0))
        except (OSError, ValueError):
            return True

    def _send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        for part in parts:
            self._sendall(part)


def connection_over(
    line: socket.socket | TlsStream, codec: Codec, limits: Limits = DEFAULT_LIMITS
) -> Connection:
    """Return a connection over a socket, or over one with TLS on it."""
    if isinstance(line, TlsStream):
        return TlsConnection(line, codec, limits)
    return Connection(line, codec, limits)
