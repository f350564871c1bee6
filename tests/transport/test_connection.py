"""Connections: whole values or clear errors."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from instrumentserver.errors import CallTimeout, NotPortable, ProtocolError
from instrumentserver.transport.connection import FLOAT_BYTES, Connection, frame_before_float, frame_of
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.framing import Limits


@pytest.fixture
def pair() -> Iterator[tuple[Connection, Connection]]:
    one, two = socket.socketpair()
    with one, two:
        yield Connection(one, Codec()), Connection(two, Codec())


def test_values_arrive_in_order(pair: tuple[Connection, Connection]) -> None:
    one, two = pair
    for number in range(100):
        one.send([number, "x" * number])
    assert [two.receive()[0] for _ in range(100)] == list(range(100))


def test_large_values_pass_in_both_directions_at_once(pair: tuple[Connection, Connection]) -> None:
    arrays = [np.random.default_rng(seed).random(300_000) for seed in range(2)]
    threads = [
        threading.Thread(target=connection.send, args=([array, "text" * 50_000],))
        for connection, array in zip(pair, arrays, strict=True)
    ]
    for thread in threads:
        thread.start()
    for connection, array in zip(pair, arrays[::-1], strict=True):
        received, text = connection.receive()
        np.testing.assert_array_equal(received, array)
        assert len(text) == 200_000
    for thread in threads:
        thread.join()


def test_many_arrays_in_one_value(pair: tuple[Connection, Connection]) -> None:
    one, two = pair
    sent = [np.full(200, number, float) for number in range(3000)]
    thread = threading.Thread(target=one.send, args=(sent,))
    thread.start()
    received = two.receive()
    thread.join()
    assert all((array == number).all() for number, array in enumerate(received))


def test_a_value_that_cannot_travel_sends_nothing(pair: tuple[Connection, Connection]) -> None:
    one, two = pair
    with pytest.raises(NotPortable):
        one.send(["first", object()])
    one.send("second")
    assert two.receive() == "second"


def test_a_value_over_the_limit_is_refused_by_the_sender() -> None:
    one, two = socket.socketpair()
    with one, two:
        sender = Connection(one, Codec(), Limits(message=1_500_000, total=10_000))
        with pytest.raises(NotPortable, match="over the limit"):
            sender.send("x" * 2_000_000)
        with pytest.raises(NotPortable, match="over the limit"):
            sender.send(np.zeros(5000))
        sender.send("short")
        assert Connection(two, Codec()).receive() == "short"


def test_the_end_of_the_stream_is_told(pair: tuple[Connection, Connection]) -> None:
    one, two = pair
    assert not two.is_cut()
    one.close()
    with pytest.raises(EOFError):
        two.receive()
    assert two.is_cut()


def test_a_frame_cut_in_the_middle_is_the_end(pair: tuple[Connection, Connection]) -> None:
    one, two = socket.socketpair()
    with one, two:
        one.sendall(b"iS\0\0\0\0\0\x10abc")
        one.close()
        with pytest.raises(EOFError):
            Connection(two, Codec()).receive()


def test_nonsense_is_a_protocol_error() -> None:
    one, two = socket.socketpair()
    with one, two:
        one.sendall(b"nonsense" * 4)
        with pytest.raises(ProtocolError):
            Connection(two, Codec()).receive()


class PieceByPiece(socket.socket):
    """Receives at most ``most`` bytes at once."""

    most = 1 << 16

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return super().recv_into(buffer, min(len(buffer), self.most), flags)


@pytest.mark.parametrize("most", [1, 3, 7, 8, 9, 11])
def test_a_frame_that_comes_in_pieces_arrives_whole(most: int) -> None:
    one, two = socket.socketpair()
    with one, PieceByPiece(fileno=two.detach()) as line:
        connection = Connection(line, Codec())
        for size in (3, 3, 5, 3):
            one.sendall(frame_of("x" * size))
            # What an earlier frame of the same size left behind must not stand for the missing piece.
            assert connection.receive() == "x" * size
            line.most = most


def test_a_whole_frame_over_the_limit_is_refused() -> None:
    one, two = socket.socketpair()
    with one, two:
        connection = Connection(two, Codec(), Limits(message=4))
        one.sendall(frame_of([1, 2]) + frame_of("four"))
        assert connection.receive() == [1, 2]
        with pytest.raises(ProtocolError, match="over the limit of 4 bytes"):
            connection.receive()


@pytest.mark.parametrize("size", [0, 240, 255, 256, 300, 70_000])
def test_a_value_arrives_whether_its_bytes_were_known_or_not(
    pair: tuple[Connection, Connection], size: int
) -> None:
    one, two = pair
    value = ["x" * size, 1.5, None]
    thread = threading.Thread(target=lambda: (one.send(value), one.send(value, frame_of(value))))
    thread.start()
    assert [two.receive(), two.receive()] == [value, value]
    thread.join()


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -1e-310, 1.8e308, float("-inf"), float("nan")])
def test_the_bytes_of_a_list_that_ends_with_a_float_are_made_of_two_parts(value: float) -> None:
    assert frame_before_float(["set", "x"]) + FLOAT_BYTES(value) == frame_of(["set", "x", value])


def test_a_time_limit_is_kept(pair: tuple[Connection, Connection]) -> None:
    one, two = pair
    with pytest.raises(CallTimeout, match=r"0\.01 s"):
        one.receive(timeout=0.01)
    two.send(1)


def test_shutdown_wakes_a_waiting_thread(pair: tuple[Connection, Connection]) -> None:
    one, _ = pair
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises((EOFError, OSError)):
            one.receive()
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    one.shutdown()
    thread.join(5)
    assert ended.is_set()


def test_after_an_answer_in_time_there_is_no_time_limit(pair: tuple[Connection, Connection]) -> None:
    one, two = socket.socketpair()
    with one, two:
        Connection(two, Codec()).send("answer")

        assert Connection(one, Codec()).receive(timeout=5) == "answer"
        assert one.gettimeout() is None


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_asking_whether_a_line_is_cut_changes_nothing(timeout: float | None) -> None:
    one, two = socket.socketpair()
    with one, two:
        one.settimeout(timeout)
        connection = Connection(one, Codec())
        Connection(two, Codec()).send("value")

        assert not connection.is_cut()
        assert one.gettimeout() == timeout
        assert connection.receive() == "value"


def test_a_closed_connection_is_cut(pair: tuple[Connection, Connection]) -> None:
    one, _ = pair
    one.close()
    one.close()

    assert one.is_cut()


def test_a_line_that_is_cut_is_an_error_of_the_system(pair: tuple[Connection, Connection]) -> None:
    one, two = pair
    two.close()

    with pytest.raises(OSError):
        one.send(1)


class Line:
    """A line without gathered writes, as on systems that have none; it keeps what is sent."""

    def __init__(self) -> None:
        self.sent = bytearray()

    def sendall(self, data: bytes | memoryview) -> None:
        self.sent += data

    def recv_into(self, into: memoryview) -> int:
        size = min(len(into), len(self.sent))
        into[:size] = self.sent[:size]
        del self.sent[:size]
        return size


class SlowLine(Line):
    """A line that takes a few bytes of a gathered write."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes = itertools.cycle([1, 1000, 7, 5000])
        self.most_parts = 0

    def sendmsg(self, parts: Sequence[bytes | memoryview]) -> int:
        self.most_parts = max(self.most_parts, len(parts))
        taken = b"".join(bytes(part) for part in parts)[: next(self._sizes)]
        self.sent += taken
        return len(taken)


@pytest.mark.parametrize(
    "line", [Line(), SlowLine()], ids=["no gathered writes", "gathered writes taken in part"]
)
def test_arrays_arrive_over_any_line(line: Line) -> None:
    arrays = [np.arange(200) * number for number in range(20)]
    connection = Connection(line, Codec())  # type: ignore[arg-type]

    connection.send({"arrays": arrays, "text": "x"})
    received = connection.receive()

    assert received["text"] == "x"
    for array, arrived in zip(arrays, received["arrays"], strict=True):
        np.testing.assert_array_equal(arrived, array)


def test_a_gathered_write_has_no_more_parts_than_a_system_takes() -> None:
    line = SlowLine()

    Connection(line, Codec()).send([np.zeros(1024, "u1") for _ in range(900)])  # type: ignore[arg-type]

    assert line.most_parts <= 1024


def test_a_small_value_is_one_write() -> None:
    writes: list[bytes] = []

    class Counting(Line):
        def sendall(self, data: bytes | memoryview) -> None:
            writes.append(bytes(data))

    Connection(Counting(), Codec()).send(["get", "dac.v"])  # type: ignore[arg-type]

    assert len(writes) == 1
