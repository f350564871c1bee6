"""The UDP core: one datagram in, one datagram out, in one thread, until it is shut down."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import socketserver
import sys
import threading
from dataclasses import dataclass
from typing import Any, Final, Protocol

from .constants import MAX_REQUEST, PUSH_ERROR, UNKNOWN_COMMAND
from .failures import PortStillReserved, Refused

__all__ = ["Handler", "Statistics", "UdpServer"]

logger = logging.getLogger(__name__)

_OWN_REFUSALS: Final = frozenset({UNKNOWN_COMMAND.encode(), f"{PUSH_ERROR}#{UNKNOWN_COMMAND}".encode()})

# One byte more than is looked at tells what was cut. Windows raises an error instead of cutting: take the longest.
_LONGEST_DATAGRAM: Final = 65536 if sys.platform == "win32" else MAX_REQUEST + 1


class Handler(Protocol):
    """Answers requests, one at a time."""

    def reply(self, request: bytes) -> bytes:
        """Return the reply; `Refused` brings another one, any other error means that there is none."""


@dataclass(frozen=True)
class Statistics:
    """What a socket has done since it was made.

    Attributes:
        received: Datagrams.
        refused: Those that were answered with an error; a callback's own failure is none.
        unanswered: Those without a reply, because it or the request is not ASCII, the reply is too
            long, or a socket's own refusal came back.
        truncated: Those of which only the first 8192 bytes were looked at.
        last_client: Host and port of the last one's sender, None before the first.
    """

    received: int = 0
    refused: int = 0
    unanswered: int = 0
    truncated: int = 0
    last_client: tuple[str, int] | None = None


class UdpServer(socketserver.UDPServer):
    """Holds a UDP port from its making until `server_close`.

    ``socketserver.UDPServer.allow_reuse_address`` says whether the port may be taken while another socket has it.

    Args:
        host: Address of this computer to listen at, ``'0.0.0.0'`` for all.
        port: 0 for any free one.
        handler: What answers.

    Raises:
        PortStillReserved: Another socket has the port.
        OSError: The system refuses for another reason.
    """

    max_packet_size = MAX_REQUEST

    def __init__(self, host: str, port: int, handler: Handler) -> None:
        self._handler = handler
        self._ending = threading.Event()
        self._received = self._refused = self._unanswered = self._truncated = 0
        self._last_client: tuple[str, int] | None = None
        self._echoed: tuple[str, int] | None = None
        try:
            super().__init__((host, port), socketserver.BaseRequestHandler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortStillReserved(port) from error
            raise
        self.host = host
        self.port: int = self.socket.getsockname()[1]

    @property
    def statistics(self) -> Statistics:
        """What it has done so far."""
        return Statistics(self._received, self._refused, self._unanswered, self._truncated, self._last_client)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Answer datagrams in this thread until `shutdown`; nothing that a client sends or a handler does ends it.

        Args:
            poll_interval: Not used; nothing is polled.
        """
        # A selector and a handler object per datagram, socketserver's own way, would double the round trip.
        receive, send, reply = self.socket.recvfrom, self.socket.sendto, self._handler.reply
        is_ending = self._ending.is_set
        while not is_ending():
            try:
                request, client = receive(_LONGEST_DATAGRAM)
            except OSError as error:
                # Windows tells here that an earlier reply has found nobody.
                if self.socket.fileno() < 0:
                    return
                logger.debug("port %s: %s", self.port, error)
                continue
            if is_ending():
                return
            self._received += 1
            self._last_client = client
            if len(request) > MAX_REQUEST:
                self._truncated += 1
                request = request[:MAX_REQUEST]
            try:
                send(reply(request), client)
            except BaseException as error:  # noqa: BLE001 - one request must not end the service of all others
                self._decline(request, client, error)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer the one datagram that `handle_request` has taken, for programs with a loop of their own."""
        self._received += 1
        self._last_client = client_address
        try:
            self.socket.sendto(self._handler.reply(request[0]), client_address)
        except BaseException as error:  # noqa: BLE001 - as in `serve_forever`
            self._decline(request[0], client_address, error)

    def request_end(self) -> None:
        """Have `serve_forever` return after the datagram that it answers now, if it does not wait for the next."""
        self._ending.set()

    def shutdown(self) -> None:
        """Have `serve_forever` return; does not wait for it.

        To be called again until it has returned: its datagram is lost if the port's buffer is full.
        """
        self._ending.set()
        if self.socket.fileno() < 0:
            # The port may be somebody else's by now.
            return
        # Linux calls this an error of an unconnected socket, and wakes the thread that waits in recvfrom; other
        # systems wake it by nothing but a datagram.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)
        host = self.server_address[0]
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(b"", ("127.0.0.1" if host == "0.0.0.0" else host, self.port))

    def _decline(self, request: bytes, client: tuple[str, int], error: BaseException) -> None:
        """Answer a request that was refused; count and log one that has no reply."""
        if isinstance(error, Refused):
            if self._is_echo(request, client):
                self._unanswered += 1
                logger.debug("port %s: no reply to %s, who repeats a socket's own reply", self.port, client)
                return
            # Counted first: whoever has the reply finds it counted.
            self._refused += 1
            try:
                self.socket.sendto(error.reply.encode("ascii"), client)
                return
            except (OSError, UnicodeEncodeError) as failure:
                self._refused -= 1
                error = failure
        self._unanswered += 1
        if isinstance(error, UnicodeDecodeError):
            logger.debug("port %s: no reply to %s: %s", self.port, client, error)
            return
        kind = type(error).__name__
        logger.warning(
            "port %s: no reply to %s, who asked %.80r: %s: %s", self.port, client, request, kind, error
        )

    def _is_echo(self, request: bytes, client: tuple[str, int]) -> bool:
        """Return whether a client sends a socket's own refusal for the second time in a row.

        One datagram in a socket's name would have it and another one answer each other's refusals for ever.
        """
        echoed, self._echoed = self._echoed, client if request in _OWN_REFUSALS else None
        return self._echoed is not None and self._echoed == echoed
