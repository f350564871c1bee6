"""Large arrays between two processes of one computer: through memory that both have, instead of through a socket.

A server copies an array into a segment, memory that the client has mapped, too, and sends the segment's number; the
client's array lies in the segment itself. When that array is gone, the segment can be used again, and its pages are
there already: 4 MB take one copy, 0.3 ms, where a socket takes two copies and new pages, 0.7 to 1.4 ms.

There are few segments for each connection. A client that keeps its arrays gets the next ones through the
socket; so does everyone else for whom this does not work: on another computer, in another container, not on Linux.

The first page, the register, says who has which segment::

    16 bytes            a random number, by which the client knows that it has found the right page
    1 byte              whether the client has found it
    from 32, 32 bytes for each segment:
    1 byte              free, lent or lost; the client says free or lost, the server the rest
    4 bytes at 4        descriptor of the segment in the server's process
    8 bytes at 8        size, bytes
    8 bytes at 16       how often this place has got another segment

Neither side believes more of it than it has to: the server keeps its own record of sizes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import struct
import sys
import weakref
from typing import Any, Final

import numpy as np

from instrumentserver.errors import ProtocolError

__all__ = ["LEAST_LENT", "Borrower", "Lender"]

LEAST_LENT: Final = 1 << 18
"""Arrays of fewer bytes go through the socket."""
_MOST_LENT: Final = 1 << 25
"""Arrays of more bytes, too: a connection shall not keep much memory for the next one."""
_MOST_SEGMENTS: Final = 3
"""One that is being copied into, one that is being looked at, and one that was forgotten in a notebook's output."""
_PAGE: Final = mmap.PAGESIZE
_NONCE: Final = 16
_FOUND: Final = 16
_FIRST: Final = 32
_EACH: Final = 32
_ENTRY: Final = struct.Struct("=B3xIQQ")
_FREE, _LENT, _LOST = range(3)


class _Segment:
    """Memory that the server fills.

    Attributes:
        size: How much, bytes.
        handle: Its descriptor.
        memory: The memory as an array of bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.handle = os.memfd_create("instrumentserver", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.handle, size)
            self.memory = np.frombuffer(mmap.mmap(self.handle, size), np.uint8)
        except BaseException:
            os.close(self.handle)
            raise

    def close(self) -> None:
        """Let go of it; who has mapped it keeps it."""
        os.close(self.handle)
        del self.memory


class Lender:
    """The server's end: the segments of one connection. One thread at a time.

    Raises:
        OSError: The system has no memory or no descriptor for it.
    """

    def __init__(self) -> None:
        self._nonce = secrets.token_bytes(_NONCE)
        self._handle = os.memfd_create("instrumentserver", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self._handle, _PAGE)
            self._register = mmap.mmap(self._handle, _PAGE)
        except BaseException:
            os.close(self._handle)
            raise
        self._register[:_NONCE] = self._nonce
        self._segments: list[_Segment | None] = [None] * _MOST_SEGMENTS
        self._made = 0

    @staticmethod
    def is_possible() -> bool:
        """Return whether this system can share memory in this way."""
        return sys.platform == "linux" and hasattr(os, "memfd_create")

    @property
    def place(self) -> bytes:
        """Where a client finds the register: a path, its inode, and the number at its beginning."""
        path = f"/proc/{os.getpid()}/fd/{self._handle}"
        return f"{path} {os.fstat(self._handle).st_ino} {self._nonce.hex()}".encode()

    def lend(self, buffer: memoryview) -> int | None:
        """Return the number of a segment with a copy of a buffer; None if it has to go through the socket."""
        size = buffer.nbytes
        if not LEAST_LENT <= size <= _MOST_LENT or not self._register[_FOUND]:
            return None
        self._close_register()
        number = self._free(size)
        if number is None:
            return None
        segment = self._segments[number]
        assert segment is not None
        self._register[_FIRST + _EACH * number] = _LENT
        # numpy lets other threads run while it copies.
        segment.memory[:size] = np.frombuffer(buffer, np.uint8)
        return number

    def _free(self, size: int) -> int | None:
        """Return the number of a segment that nobody uses, of at least ``size`` bytes, None if there is none."""
        replaceable = None
        for number, segment in enumerate(self._segments):
            state = _FREE if segment is None else self._register[_FIRST + _EACH * number]
            if segment is not None and state == _FREE and segment.size >= size:
                return number
            if state != _LENT and replaceable is None:
                replaceable = number
        return None if replaceable is None else self._replace(replaceable, size)

    def _replace(self, number: int, size: int) -> int | None:
        old, self._segments[number] = self._segments[number], None
        if old is not None:
            old.close()
        try:
            # Arrays that grow a little shall not need a new segment each.
            segment = _Segment(max(LEAST_LENT, 1 << (size - 1).bit_length()))
        except OSError:
            return None
        self._segments[number] = segment
        self._made += 1
        _ENTRY.pack_into(
            self._register, _FIRST + _EACH * number, _FREE, segment.handle, segment.size, self._made
        )
        return number

    def _close_register(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def close(self) -> None:
        """Let go of the segments; arrays in them stay as they are."""
        self._close_register()
        for number, segment in enumerate(self._segments):
            if segment is not None:
                segment.close()
                self._segments[number] = None


class _Mapped:
    """A segment as the client has it.

    Attributes:
        entry: Descriptor at the server, size and number of the segment, as the register says.
        handle: Its descriptor here.
        memory: The memory.
        lent: What lies in it now, None if nothing does.
    """

    def __init__(self, server: str, entry: list[int]) -> None:
        self.entry = entry
        self.lent: weakref.ref[Any] | None = None
        self.handle = os.open(f"{server}/{entry[0]}", os.O_RDWR | os.O_CLOEXEC)
        try:
            self.memory = mmap.mmap(self.handle, entry[1])
        except BaseException:
            os.close(self.handle)
            raise
        weakref.finalize(self, os.close, self.handle)


class Borrower:
    """The client's end: what lies in the segments of one connection. One thread at a time.

    Args:
        place: Where the register is, as `Lender.place` says.

    Raises:
        OSError: It cannot be found from here.
        ValueError: That is no place.
    """

    def __init__(self, place: bytes) -> None:
        path, inode, number = place.decode().split()
        nonce = bytes.fromhex(number)
        # In another container the path may lead to a device, which to open may do something.
        if os.stat(path).st_ino != int(inode):
            raise OSError(f"{path} is something else here")
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._register = mmap.mmap(handle, _PAGE)
        finally:
            os.close(handle)
        if self._register[:_NONCE] != nonce:
            raise OSError(f"{path} is something else here")
        self._server = os.path.dirname(path)
        self._pid = os.getpid()
        self._mapped: dict[int, _Mapped] = {}
        self._register[_FOUND] = 1
        _borrowers.add(self)

    def take(self, number: int, size: int) -> memoryview:
        """Return the first ``size`` bytes of a segment; it is given back when nobody has them any more.

        Raises:
            ProtocolError: There is no such segment.
        """
        entry: list[int] = [0, 0, 0]
        if number < _MOST_SEGMENTS:
            _, *entry = _ENTRY.unpack_from(self._register, _FIRST + _EACH * number)
        if not entry[2]:
            raise ProtocolError(f"there is no segment {number}")
        mapped = self._mapped.get(number)
        if mapped is None or mapped.entry != entry:
            try:
                mapped = self._mapped[number] = _Mapped(self._server, entry)
            except (OSError, ValueError) as error:
                raise ProtocolError(f"segment {number} cannot be mapped: {error}") from error
        if size > len(mapped.memory):
            raise ProtocolError(f"segment {number} has less than {size} bytes")
        owner = np.frombuffer(mapped.memory, np.uint8, size)
        register, at, pid = self._register, _FIRST + _EACH * number, self._pid

        def give_back(_: object) -> None:
            # A forked child has no say in what its parent has.
            if mapped.lent is not None and os.getpid() == pid:
                mapped.lent = None
                register[at] = _FREE

        mapped.lent = weakref.ref(owner, give_back)
        return owner.data

    def keep(self) -> None:
        """Have what lies in the segments be this process's own from now on, and a forked child's another one."""
        for number, mapped in list(self._mapped.items()):
            owner = None if mapped.lent is None else mapped.lent()
            if owner is None:
                continue
            # The child has the same pages: what either writes the other would see, and whoever is done with them
            # first would have the server overwrite them. A private mapping in the same place has the same content.
            mapped.lent = None
            self._register[_FIRST + _EACH * number] = _LOST
            _map_privately(owner.ctypes.data, mapped)
            del self._mapped[number]


def _map_privately(address: int, mapped: _Mapped) -> None:
    map_at = ctypes.CDLL(None, use_errno=True).mmap
    map_at.restype = ctypes.c_void_p
    map_at.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    map_at(address, len(mapped.memory), mmap.PROT_READ | mmap.PROT_WRITE, flags, mapped.handle, 0)


_MAP_FIXED: Final = 0x10
_borrowers: Final[weakref.WeakSet[Borrower]] = weakref.WeakSet()


def _before_fork() -> None:
    for borrower in list(_borrowers):
        borrower.keep()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
