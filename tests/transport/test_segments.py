"""Large arrays through memory that both processes have."""

from __future__ import annotations

import gc
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from qcodes.instrument import Instrument

from instrumentserver import Server
from instrumentserver.errors import ProtocolError
from instrumentserver.transport.connection import Connection
from instrumentserver.transport.segments import LEAST_LENT, Borrower, Lender
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.framing import offer_frame

pytestmark = pytest.mark.skipif(not Lender.is_possible(), reason="this system shares memory in no such way")

COUNT = LEAST_LENT // 8
Pair = tuple[Lender, Borrower]


class Camera(Instrument):
    """An instrument with large pictures."""

    def take(self, value: float, count: int = COUNT) -> np.ndarray:
        """Return a picture that is the same everywhere."""
        return np.full(count, value)


@pytest.fixture
def pair() -> Iterator[Pair]:
    lender = Lender()
    borrower = Borrower(lender.place)
    yield lender, borrower
    lender.close()


@pytest.fixture
def camera(server: Server) -> Camera:
    camera: Camera = server.create(Camera, "camera")  # type: ignore[assignment]
    camera.take(0.0)
    return camera


def filled(value: int, size: int = LEAST_LENT) -> memoryview:
    return np.full(size, value, np.uint8).data


def lent(pair: Pair, buffer: memoryview) -> memoryview:
    number = pair[0].lend(buffer)
    assert number is not None
    return pair[1].take(number, buffer.nbytes)


def test_what_is_lent_arrives_and_can_be_changed(pair: Pair) -> None:
    taken = lent(pair, filled(7))
    assert bytes(taken) == bytes(filled(7))
    taken[0] = 1
    assert taken[0] == 1


def test_a_segment_is_used_again_when_nobody_has_what_lies_in_it(pair: Pair) -> None:
    lender, borrower = pair
    number = lender.lend(filled(1))
    assert number is not None
    array = np.frombuffer(borrower.take(number, LEAST_LENT), np.uint8)[5:].reshape(-1, 1)
    other = lender.lend(filled(2))
    assert other not in (number, None)
    assert (array == 1).all()
    del array
    assert lender.lend(filled(3)) == number


def test_who_keeps_everything_gets_the_rest_through_the_socket(pair: Pair) -> None:
    kept = [lent(pair, filled(value)) for value in range(3)]
    assert pair[0].lend(filled(9)) is None
    assert [view[0] for view in kept] == [0, 1, 2]
    kept.clear()
    assert pair[0].lend(filled(9)) is not None


def test_a_larger_array_gets_a_larger_segment_in_the_place_of_a_free_one(pair: Pair) -> None:
    for size in (LEAST_LENT, 3 * LEAST_LENT, 30 * LEAST_LENT, LEAST_LENT):
        for value in range(4):
            assert bytes(lent(pair, filled(value, size))) == bytes(filled(value, size))


@pytest.mark.parametrize("size", [LEAST_LENT - 1, (1 << 25) + 1])
def test_small_and_very_large_arrays_go_through_the_socket(pair: Pair, size: int) -> None:
    assert pair[0].lend(memoryview(bytes(size))) is None


def test_nothing_is_lent_to_a_client_that_did_not_find_the_register() -> None:
    lender = Lender()
    try:
        assert [lender.lend(filled(1)) for _ in range(3)] == [None] * 3
    finally:
        lender.close()


def test_a_register_of_somebody_else_is_not_opened() -> None:
    lender = Lender()
    try:
        path, inode, nonce = lender.place.decode().split()
        for place in (
            f"{path} {int(inode) + 1} {nonce}",
            f"{path} {inode} {bytes(16).hex()}",
            f"/proc/1/fd/100000 {inode} {nonce}",
        ):
            with pytest.raises(OSError, match=r"something else|No such file|denied"):
                Borrower(place.encode())
    finally:
        lender.close()


@pytest.mark.parametrize(("number", "size"), [(3, 8), (99, 8), (1, 8), (0, LEAST_LENT + 1)])
def test_a_segment_that_is_not_there_ends_the_connection(pair: Pair, number: int, size: int) -> None:
    kept = lent(pair, filled(1))
    with pytest.raises(ProtocolError, match="segment"):
        pair[1].take(number, size)
    assert kept[0] == 1


def test_a_frame_that_names_a_segment_is_refused_where_there_are_none() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"iS" + struct.pack("!HIQ", 1, 1, 1 << 63 | 8) + b"\xc0")
        with pytest.raises(ProtocolError, match="over the limit"):
            Connection(ours, Codec()).receive()


@pytest.mark.parametrize(
    "offer",
    [
        offer_frame(b"nonsense"),
        offer_frame(b"/dev/null 1 00"),
        offer_frame(b"\xff\xfe"),
        offer_frame(b"/proc/1/fd/0 x yz"),
    ],
    ids=["too few words", "another file", "no text", "no numbers"],
)
def test_an_offer_that_leads_nowhere_is_passed_over(offer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiver = Connection(ours, Codec())
        receiver.borrow()
        theirs.sendall(offer)
        Connection(theirs, Codec()).send([1, "two"])
        assert receiver.receive() == [1, "two"]


@pytest.mark.parametrize("head", [struct.pack("!HI", 0, 257), struct.pack("!HI", 1, 8)])
def test_an_offer_with_more_than_a_place_ends_the_connection(head: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiver = Connection(ours, Codec())
        receiver.borrow()
        theirs.sendall(b"iM" + head + bytes(300))
        with pytest.raises(ProtocolError, match="begins with"):
            receiver.receive()


def test_an_offer_that_nobody_asked_for_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(offer_frame(b"/dev/null 1 00"))
        with pytest.raises(ProtocolError, match="begins with"):
            Connection(ours, Codec()).receive()


def test_one_message_brings_lent_and_other_buffers_in_order() -> None:
    ours, theirs = socket.socketpair()
    sender, receiver = Connection(ours, Codec()), Connection(theirs, Codec())
    sender.lend()
    receiver.borrow()
    first, small = np.arange(COUNT + 0.0), np.arange(500.0)
    second = np.asfortranarray(np.arange(2.0 * COUNT).reshape(2, COUNT))
    with ExitStack() as stack:
        for connection in (sender, receiver):
            stack.callback(connection.close)
        sending = threading.Thread(
            target=lambda: [sender.send([first, small, "text", second]) for _ in range(5)]
        )
        sending.start()
        kept = [receiver.receive() for _ in range(5)]
        sending.join()
        assert [received[2] for received in kept] == ["text"] * 5
        for received in kept:
            for found, expected in zip((*received[:2], received[3]), (first, small, second), strict=True):
                assert (found == expected).all()
                assert found.flags.writeable
                assert found.flags.f_contiguous == expected.flags.f_contiguous


def test_arrays_of_an_instrument_stay_what_they_are_while_others_arrive(camera: Camera) -> None:
    kept = []
    for value in range(20):
        kept.append(camera.take(value))
        camera.take(-1.0)
    assert [set(array) for array in kept] == [{float(value)} for value in range(20)]


def test_arrays_outlive_their_server(camera: Camera, server: Server) -> None:
    arrays = [camera.take(value) for value in range(3)]
    server.kill()
    assert [array.sum() for array in arrays] == [0, COUNT, 2 * COUNT]
    del arrays[:]


def test_a_forked_child_and_its_parent_do_not_see_each_others_changes(camera: Camera) -> None:
    array = camera.take(5.0)
    to_parent, to_child = os.pipe(), os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover
        array[0] = 1.0
        os.write(to_parent[1], b"x")
        os.read(to_child[0], 1)
        is_right = array[0] == 1.0 and (array[1:] == 5.0).all()
        del array
        gc.collect()
        os._exit(0 if is_right else 1)
    os.read(to_parent[0], 1)
    assert (array == 5.0).all()
    array[1:] = 2.0
    later = [camera.take(9.0) for _ in range(4)]
    os.write(to_child[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    later += [camera.take(8.0) for _ in range(4)]
    assert array[0] == 5.0
    assert (array[1:] == 2.0).all()
    assert [each[0] for each in later] == [9.0] * 4 + [8.0] * 4
    for handle in (*to_parent, *to_child):
        os.close(handle)


def test_connections_without_large_arrays_have_one_descriptor_each(server: Server) -> None:
    def connect_more() -> int:
        for _ in range(10):
            server._session.greet()
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    before = connect_more()
    assert connect_more() == before + 10


COUNTING = """
import gc, os, sys
import numpy as np
from qcodes.instrument import Instrument
from instrumentserver import start_server

class Camera(Instrument):
    def take(self, value):
        return np.full(100_000, value)

server = start_server(sys.argv[1], linger=5)
camera = server.create(Camera, "camera")
for _ in range(4):
    for value in range(6):
        camera.take(float(value))
    server._session.close()
    gc.collect()
    print(len(os.listdir("/proc/self/fd")))
server.stop()
"""


@pytest.mark.slow
def test_connections_leave_no_descriptors_behind(new_name: Callable[[], str]) -> None:
    # In a process of its own: what other tests have left in this one may close at any time.
    ended = subprocess.run(
        [sys.executable, "-c", COUNTING, new_name()], capture_output=True, text=True, timeout=50, check=True
    )
    counts = ended.stdout.split()
    assert len(counts) == 4
    assert len(set(counts)) == 1
