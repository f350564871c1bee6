"""A connection: values in, values out, over a stream socket."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

from instrumentserver.errors import CallTimeout, NotPortable
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.framing import (
    ALONE,
    DEFAULT_LIMITS,
    HEAD_NUMBER,
    HEAD_SIZE,
    SHORT_HEADS,
    FrameReader,
    Limits,
    frame_head,
    lent_size,
    offer_frame,
)

from .segments import LEAST_LENT, Borrower, Lender

__all__ = ["FLOAT_BYTES", "Connection", "frame_before_float", "frame_of"]

_MOST_PARTS: Final = 512
"""Parts of one gathered write; POSIX guarantees 16, every system in use takes 1024."""
_SHORT: Final = 4096
_AT_ONCE: Final = getattr(socket, "MSG_DONTWAIT", 0)
"""Has a single `send` not wait; 0 on systems that have no such flag."""
_VERY_SHORT: Final = len(SHORT_HEADS)
_LARGE: Final = 1 << 20
"""Messages of more bytes than this are held against the limits, and their memory is given back."""
FLOAT_BYTES: Final = struct.Struct("!d").pack
"""Makes the last bytes of a message that ends with a float."""


def frame_of(value: Any) -> bytes:
    """Return the bytes of a value without arrays and handles, for `Connection.send`."""
    message, _ = Codec().encode(value)
    return frame_head(len(message)) + message


def frame_before_float(values: list[Any]) -> bytes:
    """Return the bytes of a list of these values and a float, without those that `FLOAT_BYTES` makes of the float."""
    return frame_of([*values, 0.0])[: -len(FLOAT_BYTES(0.0))]


class Connection:
    """Sends and receives values, one thread at a time.

    Args:
        sock: A connected stream socket, blocking; the connection owns it from now on.
        codec: Encodes and decodes; for this connection alone.
        limits: What a frame may claim, in both directions.

    Attributes:
        number: What the peer calls it.
        codec: The codec.
    """

    def __init__(self, sock: socket.socket, codec: Codec, limits: Limits = DEFAULT_LIMITS) -> None:
        self._sock = sock
        self._reader = FrameReader(sock.recv_into, limits)
        # What is read at once is never over the limit.
        self._store = self._reader.store[: HEAD_SIZE + limits.message]
        self._recv_into = sock.recv_into
        self._sendall = sock.sendall
        self._limits = limits
        self._encode = codec.encode
        self._decode = codec.decode
        self._trim = codec.trim
        self._lender: Lender | None = None
        self._may_lend = False
        self.number = 0
        self.codec = codec

    def lend(self) -> None:
        """Offer the peer memory for large buffers, when there are any, and use it as far as there is some free."""
        self._may_lend = Lender.is_possible()

    def borrow(self) -> None:
        """Take large buffers from memory that the peer lends, if it offers any."""
        self._reader.take_offer = self._take_offer

    def _take_offer(self, place: bytes) -> None:
        # Elsewhere, such as in another container, everything comes through the socket.
        with contextlib.suppress(OSError, ValueError):
            self._reader.take_lent = Borrower(place).take

    def send(self, value: Any, frame: bytes | None = None) -> None:
        """Send one value, blocking until the system has taken all of it.

        Args:
            value: What to send.
            frame: Its bytes, as `frame_of` returns them, where it is sent often.

        Raises:
            NotPortable: The value has no form on the wire, or is over the limits. Nothing was sent.
            OSError: The line is cut. The peer never acts on an incomplete value.
        """
        if frame is not None:
            self._sendall(frame)
            return
        message, buffers = self._encode(value)
        size = len(message)
        if size < _VERY_SHORT and not buffers:
            self._sendall(SHORT_HEADS[size] + message)
        elif buffers or size > _LARGE:
            self._send_large(message, buffers)
        else:
            self._sendall(frame_head(size) + message)

    def send_now(self, value: Any) -> bytes | None:
        """Send one short value as far as the system takes it without waiting.

        Returns:
            What it did not take, to be given to `send_rest` before anything else is sent; None if nothing was
            sent, because the line is full or the value is not short.

        Raises:
            NotPortable: The value has no form on the wire. Nothing was sent.
            OSError: The line is cut.
        """
        message, buffers = self._encode(value)
        if buffers or len(message) > _SHORT or not _AT_ONCE:
            return None
        frame = frame_head(len(message)) + message
        try:
            return frame[self._sock.send(frame, _AT_ONCE) :]
        except BlockingIOError:
            return None

    def send_rest(self, rest: bytes) -> None:
        """Send what `send_now` returned, blocking until the system has taken it.

        Raises:
            OSError: The line is cut.
        """
        self._sendall(rest)

    def finish_sending(self) -> None:
        """Tell the peer that nothing more comes; what was sent arrives."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def receive(self, timeout: float | None = None) -> Any:
        """Return the next value, blocking until it is there.

        Args:
            timeout: Longest time to wait for each piece of it, seconds; None waits for ever.

        Raises:
            CallTimeout: The time ran out. The connection has no defined position any more: close it.
            EOFError: The peer closed the connection.
            OSError: The line is cut.
            ProtocolError: The bytes are none of ours: close it.
        """
        if timeout is not None:
            return self._receive_within(timeout)
        reader = self._reader
        if not reader.ahead:
            # Nearly every frame is short, has no buffers, and comes alone and whole. To read it here, and to compare
            # its head as one number, spares the reader's calls: 0.25 us. Less than a head cannot be equal: its
            # message would have a negative size.
            store = self._store
            size = self._recv_into(store)
            if HEAD_NUMBER(store)[0] == ALONE + size:
                return self._decode(store[HEAD_SIZE:size])
            reader.took_in(size)
        message, buffers = reader.read()
        return self._decode(message, buffers)

    def _receive_within(self, timeout: float) -> Any:
        self._sock.settimeout(timeout)
        try:
            message, buffers = self._reader.read()
        except TimeoutError as error:
            if error.errno is not None:
                raise  # The system's word: the line is cut.
            raise CallTimeout(f"no answer within {timeout:g} s") from error
        self._sock.settimeout(None)
        return self._decode(message, buffers)

    def is_cut(self) -> bool:
        """Return whether the peer is known to have gone; False is no promise."""
        try:
            timeout = self._sock.gettimeout()
            self._sock.setblocking(False)
            try:
                return self._sock.recv(1, socket.MSG_PEEK) == b""
            finally:
                self._sock.settimeout(timeout)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close the socket; a second call does nothing. Never blocks."""
        lender, self._lender = self._lender, None
        if lender is not None:
            lender.close()
        with contextlib.suppress(OSError):
            self._sock.close()

    def shutdown(self) -> None:
        """Cut the line for both sides, waking a thread that waits in `receive`."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _send_large(self, message: bytes, buffers: Sequence[memoryview]) -> None:
        if len(message) > _LARGE:
            self._trim()
        sizes = [buffer.nbytes for buffer in buffers]
        for size, limit in ((len(message), self._limits.message), (sum(sizes), self._limits.total)):
            if size > limit:
                raise NotPortable(
                    f"a value of {size} bytes is over the limit of {limit} bytes; send it in several parts, "
                    f"or as a numpy array where it is a list, or in a file where it is text or bytes"
                )
        if self._may_lend and max(sizes, default=0) >= LEAST_LENT:
            self._offer()
        lender = self._lender
        if lender is not None:
            numbers = [lender.lend(buffer) for buffer in buffers]
            if any(number is not None for number in numbers):
                self._send_lent(message, buffers, numbers)
                return
        self._send_parts([frame_head(len(message), sizes) + message, *buffers])

    def _offer(self) -> None:
        # What is to be sent now goes through the socket, for the peer has not found the memory yet. That is as well: a
        # new segment is slower than a socket, and there may be no second array.
        self._may_lend = False
        with contextlib.suppress(OSError):
            self._lender = Lender()
        if self._lender is not None:
            self._sendall(offer_frame(self._lender.place))

    def _send_lent(
        self, message: bytes, buffers: Sequence[memoryview], numbers: Sequence[int | None]
    ) -> None:
        """Send a message some of whose buffers lie in segments, by number."""
        pairs = list(zip(buffers, numbers, strict=True))
        sizes = [
            buffer.nbytes if number is None else lent_size(number, buffer.nbytes) for buffer, number in pairs
        ]
        rest = [buffer for buffer, number in pairs if number is None]
        self._send_parts([frame_head(len(message), sizes) + message, *rest])

    def _send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        if not hasattr(self._sock, "sendmsg"):
            for part in parts:
                self._sendall(part)
            return
        rest = [memoryview(part) for part in parts]
        while rest:
            sent = self._sock.sendmsg(rest[:_MOST_PARTS])
            while rest and sent >= rest[0].nbytes:
                sent -= rest.pop(0).nbytes
            if sent:
                rest[0] = rest[0][sent:]
