"""Frames: where a message and its buffers begin and end. No sockets here.

A frame is a head of 8 bytes, the lengths of its buffers, one message, and the buffers::

    2 bytes   magic "iS"
    2 bytes   number of buffers, n
    4 bytes   size of the message, bytes
    8 n bytes sizes of the buffers, bytes
    ...       message (msgpack)
    ...       buffers, one after the other, as they lie in memory

Where the highest bit of a buffer's size is set, the buffer does not follow: it lies in memory that both sides have, in
the segment whose number is in the 15 bits below; the lower 48 bits are its size.

A frame with the magic "iM" instead, no buffers and a short text, says where that memory is; nothing else is in it.

All integers are unsigned and big-endian. Whatever a head claims is held against `Limits` before
any memory is taken for it, and memory is taken page by page as the bytes come in: a head that claims
much and brings nothing costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from instrumentserver.errors import ProtocolError

__all__ = [
    "ALONE",
    "DEFAULT_LIMITS",
    "HEAD_NUMBER",
    "HEAD_SIZE",
    "SHORT_HEADS",
    "FrameReader",
    "Limits",
    "frame_head",
    "lent_size",
    "offer_frame",
]

_MAGIC: Final = b"iS"
_OFFER: Final = b"iM"
_LONGEST_OFFER: Final = 256
_HEAD: Final = struct.Struct("!2sHI")
HEAD_SIZE: Final = _HEAD.size
SHORT_HEADS: Final = tuple(_HEAD.pack(_MAGIC, 0, size) for size in range(256))
"""What goes before a message of so many bytes without buffers; made once, for 0.06 us of each message."""
HEAD_NUMBER: Final = struct.Struct("!Q").unpack_from
"""Reads the head at the beginning of a store as one number."""
ALONE: Final = int.from_bytes(SHORT_HEADS[0], "big") - HEAD_SIZE
"""That number for a frame without buffers, less the size of the whole frame, bytes."""
_UNPACK_HEAD: Final = _HEAD.unpack_from
_READ_AHEAD: Final = 1 << 16
_IS_LENT: Final = 1 << 63
_LENT_BITS: Final = 48


@dataclass(frozen=True)
class Limits:
    """What one frame may claim.

    Attributes:
        message: Largest message, bytes.
        buffers: Most buffers, a count.
        total: Largest sum of all buffers, bytes.
    """

    message: int = 1 << 26
    buffers: int = 1024
    total: int = 1 << 33


DEFAULT_LIMITS: Final = Limits()


def frame_head(message_size: int, buffer_sizes: Sequence[int] = ()) -> bytes:
    """Return what goes before a message of ``message_size`` bytes and its buffers."""
    head = _HEAD.pack(_MAGIC, len(buffer_sizes), message_size)
    return head + struct.pack(f"!{len(buffer_sizes)}Q", *buffer_sizes) if buffer_sizes else head


def offer_frame(place: bytes) -> bytes:
    """Return the frame that says where memory is that both sides can have."""
    return _HEAD.pack(_OFFER, 0, len(place)) + place


def lent_size(number: int, size: int) -> int:
    """Return what stands for the size of a buffer of ``size`` bytes that lies in segment ``number``."""
    return _IS_LENT | number << _LENT_BITS | size


class FrameReader:
    """Takes frames out of a stream of bytes.

    Args:
        recv_into: Fills the beginning of a buffer and returns how many bytes it wrote, 0 at the end
            of the stream; may block. `socket.socket.recv_into` is one.
        limits: What a frame may claim.

    One thread at a time. After a `ProtocolError` the stream has no defined position: close it.

    Attributes:
        store: Where bytes come in. While there are none ahead, its owner may fill it himself; see `took_in`.
        ahead: How many bytes have come in beyond the latest frame.
        take_lent: Returns what lies in a segment, given its number and a size in bytes, where there are segments.
        take_offer: Called with where segments are, where such offers are welcome.
    """

    def __init__(self, recv_into: Callable[[memoryview], int], limits: Limits = DEFAULT_LIMITS) -> None:
        self._recv_into = recv_into
        self._limits = limits
        self.store = memoryview(bytearray(_READ_AHEAD))
        self.ahead = 0
        self.take_lent: Callable[[int, int], memoryview] | None = None
        self.take_offer: Callable[[bytes], None] | None = None
        self._start = 0
        self._end = 0

    def took_in(self, size: int) -> None:
        """Have the first ``size`` bytes of the store, and nothing else, be what has come in."""
        self._start, self._end = 0, size

    def read(self) -> tuple[memoryview, Sequence[memoryview]]:
        """Return the next message and its buffers, blocking until they are complete.

        The message is a view that the next call overwrites; the buffers belong to the caller.

        Raises:
            EOFError: The stream ended, between two frames or inside one.
            ProtocolError: The head is not one of ours, or claims more than the limits.
        """
        self._need(HEAD_SIZE)
        magic, count, size = _UNPACK_HEAD(self.store, self._start)
        limits = self._limits
        if magic == _OFFER and self.take_offer is not None and size <= _LONGEST_OFFER and not count:
            self._start += HEAD_SIZE
            self.take_offer(bytes(self._read_message(size)))
            return self.read()
        if magic != _MAGIC:
            raise ProtocolError(f"a frame begins with {magic!r} instead of {_MAGIC!r}")
        if size > limits.message:
            raise ProtocolError(f"a message of {size} bytes is over the limit of {limits.message} bytes")
        if count > limits.buffers:
            raise ProtocolError(f"a frame with {count} buffers is over the limit of {limits.buffers}")
        self._start += HEAD_SIZE
        sizes = self._read_sizes(count) if count else ()
        message = self._read_message(size)
        buffers = [self._read_buffer(length) for length in sizes]
        self.ahead = self._end - self._start
        return message, buffers

    def _read_sizes(self, count: int) -> tuple[int, ...]:
        self._need(8 * count)
        sizes = struct.unpack_from(f"!{count}Q", self.store, self._start)
        self._start += 8 * count
        total = sum(size for size in sizes if size < _IS_LENT or self.take_lent is None)
        if total > self._limits.total:
            raise ProtocolError(f"buffers of {total} bytes are over the limit of {self._limits.total} bytes")
        return sizes

    def _read_message(self, size: int) -> memoryview:
        if size <= len(self.store):
            self._need(size)
            message = self.store[self._start : self._start + size]
            self._start += size
            return message
        return self._read_buffer(size)

    def _read_buffer(self, size: int) -> memoryview:
        if size >= _IS_LENT:
            assert self.take_lent is not None
            return self.take_lent((size & ~_IS_LENT) >> _LENT_BITS, size & ((1 << _LENT_BITS) - 1))
        try:
            # numpy leaves new memory untouched; a bytearray would fill it with zeros, and so take it.
            view = np.empty(size, np.uint8).data
        except MemoryError as error:
            raise ProtocolError(f"there is no memory for {size} bytes that a frame claims") from error
        filled = min(size, self._end - self._start)
        view[:filled] = self.store[self._start : self._start + filled]
        self._start += filled
        while filled < size:
            filled += self._receive(view[filled:])
        return view

    def _need(self, size: int) -> None:
        """Have ``size`` bytes, at most the read-ahead, in the store from its start on."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + size > len(self.store):
            rest = bytes(self.store[self._start : self._end])
            self._start, self._end = 0, len(rest)
            self.store[: self._end] = rest
        while self._end - self._start < size:
            self._end += self._receive(self.store[self._end :])

    def _receive(self, into: memoryview) -> int:
        received = self._recv_into(into)
        if not received:
            raise EOFError("the stream ended")
        return received
