from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from portable import bounded

from instrumentserver.errors import ProtocolError
from instrumentserver.wire.framing import FrameReader, Limits, frame_head

MEGABYTE = 1 << 20


class Stream:
    """A stream of given bytes that hands out at most ``piece`` of them at a time."""

    def __init__(self, data: bytes, piece: int | Callable[[], int] = 1 << 30) -> None:
        self._data = memoryview(data)
        self._piece = piece
        self.taken = 0

    def recv_into(self, into: memoryview) -> int:
        piece = self._piece if isinstance(self._piece, int) else self._piece()
        size = min(piece, len(into), len(self._data) - self.taken)
        into[:size] = self._data[self.taken : self.taken + size]
        self.taken += size
        return size


def frame(message: bytes, *buffers: bytes) -> bytes:
    return frame_head(len(message), [len(buffer) for buffer in buffers]) + message + b"".join(buffers)


def read(reader: FrameReader) -> tuple[bytes, list[bytes]]:
    message, buffers = reader.read()
    return bytes(message), [bytes(buffer) for buffer in buffers]


def test_a_head_is_magic_count_and_size() -> None:
    assert frame_head(0x01020304) == b"iS" + b"\0\0" + b"\1\2\3\4"


def test_the_sizes_of_buffers_follow_the_head() -> None:
    assert frame_head(5, [2**40, 0]) == b"iS\0\2\0\0\0\5" + struct.pack("!QQ", 2**40, 0)


FRAMES = [
    (b"",),
    (b"x",),
    (b"", b""),
    (b"message", b"buffer", b"", b"another"),
    (b"m" * 70_000,),
    (b"m" * 65_536,),
    (b"m" * 65_528,),
    (b"m" * 70_000, b"b" * 200_000),
    (b"m", *[b"b"] * 1024),
]


@pytest.mark.parametrize("parts", FRAMES, ids=lambda parts: "+".join(str(len(part)) for part in parts[:4]))
@pytest.mark.parametrize("piece", [1 << 30, 4096, 7])
def test_a_frame_arrives_as_it_left(parts: tuple[bytes, ...], piece: int) -> None:
    reader = FrameReader(Stream(frame(*parts), piece).recv_into)

    assert read(reader) == (parts[0], list(parts[1:]))


@bounded
@given(
    st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=6),
    st.randoms(use_true_random=False),
)
def test_frames_arrive_in_order_however_the_stream_is_cut(frames: list[list[bytes]], random: Random) -> None:
    data = b"".join(frame(*parts) for parts in frames)
    reader = FrameReader(Stream(data, lambda: random.randint(1, 60)).recv_into)

    assert [read(reader) for _ in frames] == [(parts[0], parts[1:]) for parts in frames]


def test_frames_that_straddle_the_end_of_the_read_ahead_arrive_whole() -> None:
    sizes = [65_000, 1_000, 65_530, 3, 70_000, 20]
    data = b"".join(frame(bytes([number]) * size, b"b" * number) for number, size in enumerate(sizes))
    reader = FrameReader(Stream(data).recv_into)

    arrived = [read(reader) for _ in sizes]

    assert arrived == [(bytes([number]) * size, [b"b" * number]) for number, size in enumerate(sizes)]


def test_buffers_belong_to_the_caller() -> None:
    reader = FrameReader(Stream(frame(b"1", b"first") + frame(b"2", b"other")).recv_into)
    _, buffers = reader.read()

    reader.read()

    assert bytes(buffers[0]) == b"first"


def test_buffers_can_be_written() -> None:
    _, buffers = FrameReader(Stream(frame(b"1", b"first")).recv_into).read()

    buffers[0][:1] = b"F"

    assert bytes(buffers[0]) == b"First"


@pytest.mark.parametrize("cut", range(len(frame(b"message", b"buffer"))))
def test_a_stream_that_ends_anywhere_in_a_frame_has_ended(cut: int) -> None:
    reader = FrameReader(Stream(frame(b"message", b"buffer")[:cut]).recv_into)

    with pytest.raises(EOFError):
        reader.read()


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\n\r\n", b"SI\0\0\0\0\0\0", b"iT\0\0\0\0\0\0", b"\0" * 8]
)
def test_bytes_that_are_no_frame_are_refused(start: bytes) -> None:
    with pytest.raises(ProtocolError, match="begins with"):
        FrameReader(Stream(start).recv_into).read()


@pytest.mark.parametrize(
    "head",
    [
        frame_head(MEGABYTE + 1),
        frame_head(0xFFFFFFFF),
        frame_head(1, [0] * 4),
        frame_head(1, [MEGABYTE, 1]),
        frame_head(1, [2**64 - 1, 2**64 - 1]),
        frame_head(1, [2**63]),
    ],
    ids=["message", "largest message", "count", "sum", "sum over 64 bits", "one buffer"],
)
def test_a_frame_over_the_limit_is_refused_before_memory_is_taken(head: bytes) -> None:
    stream = Stream(head + b"\0" * MEGABYTE, len(head))
    reader = FrameReader(stream.recv_into, Limits(message=MEGABYTE, buffers=3, total=MEGABYTE))

    with pytest.raises(ProtocolError, match="over the limit"):
        reader.read()

    assert stream.taken == len(head)


@pytest.mark.parametrize(
    "head", [frame_head(1 << 20), frame_head(1, [1 << 20]), frame_head(1, [0, 0, 1 << 20])]
)
def test_a_frame_at_the_limit_is_taken(head: bytes) -> None:
    stream = Stream(head + b"\0" * (MEGABYTE + 1))

    FrameReader(stream.recv_into, Limits(message=MEGABYTE, buffers=3, total=MEGABYTE)).read()


def test_the_limit_holds_for_a_frame_that_comes_whole() -> None:
    reader = FrameReader(Stream(frame(b"12345")).recv_into, Limits(message=4))

    with pytest.raises(ProtocolError, match="over the limit of 4 bytes"):
        reader.read()


def test_a_frame_that_claims_much_and_brings_nothing_takes_no_memory() -> None:
    process = psutil.Process()
    most = 0
    head = frame_head(1, [1 << 30]) + b"m"

    def recv_into(into: memoryview) -> int:
        nonlocal most
        most = max(most, process.memory_info().rss)
        return stream.recv_into(into)

    stream = Stream(head + b"\1" * 100)
    before = process.memory_info().rss
    with pytest.raises(EOFError):
        FrameReader(recv_into).read()

    assert most - before < 50 * MEGABYTE


def test_a_frame_for_which_there_is_no_memory_is_refused() -> None:
    reader = FrameReader(Stream(frame_head(1, [2**62]) + b"m").recv_into, Limits(total=2**63))

    with pytest.raises(ProtocolError, match="no memory"):
        reader.read()


@bounded
@given(st.binary(max_size=200), st.integers(1, 50))
def test_random_bytes_raise_nothing_but_what_is_documented(data: bytes, piece: int) -> None:
    reader = FrameReader(Stream(b"iS" + data, piece).recv_into, Limits(message=300, buffers=5, total=300))

    with pytest.raises((ProtocolError, EOFError)):
        while True:
            reader.read()
