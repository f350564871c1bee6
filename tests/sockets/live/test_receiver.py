"""The receiving thread takes what comes, answers nothing, and gives its port back."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from instrumentserver.sockets import PortStillReserved
from instrumentserver.sockets.live.receiver import Receiver

LOCAL = "127.0.0.1"


@pytest.fixture
def taken() -> Queue[Any]:
    return Queue()


@pytest.fixture
def receiver(taken: Queue[Any]) -> Iterator[Receiver]:
    """Return a receiver that runs."""
    receiver = Receiver(LOCAL, 0, lambda *what: taken.put(what))
    receiver.start()
    yield receiver
    receiver.stop()


def is_free(port: int) -> bool:
    """Return whether a socket of this process can have a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind((LOCAL, port))
        except OSError:
            return False
    return True


def test_datagrams_come_with_their_sender_in_order(
    receiver: Receiver, taken: Queue[Any], line: Callable
) -> None:
    sender = line(receiver.port)
    for datagram in (b"first", b"", b"\xff" * 65507, b"last"):
        sender.send(datagram)
        assert taken.get(timeout=10) == (datagram, sender.address)


def test_what_taking_raises_is_logged_and_the_next_is_taken(
    line: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    taken: Queue[bytes] = Queue()

    def take(datagram: bytes, sender: tuple[str, int]) -> None:
        if datagram == b"exit":
            raise SystemExit
        taken.put(datagram)

    receiver = Receiver(LOCAL, 0, take)
    receiver.start()
    try:
        sender = line(receiver.port)
        sender.send(b"exit")
        sender.send(b"next")
        assert taken.get(timeout=10) == b"next"
    finally:
        receiver.stop()
    assert "b'exit'" in caplog.text


def test_port_is_free_after_stop(receiver: Receiver) -> None:
    assert not is_free(receiver.port)
    receiver.stop()
    assert not receiver.is_alive()
    assert is_free(receiver.port)
    receiver.stop()


def test_stop_before_start_frees_the_port() -> None:
    receiver = Receiver(LOCAL, 0, print)
    receiver.stop()
    assert is_free(receiver.port)


def test_stop_within_taking_returns_at_once(line: Callable) -> None:
    has_stopped = threading.Event()

    def take(datagram: bytes, sender: tuple[str, int]) -> None:
        receiver.stop()
        has_stopped.set()

    receiver = Receiver(LOCAL, 0, take)
    receiver.start()
    line(receiver.port).send(b"stop")
    assert has_stopped.wait(10)
    receiver.join(10)
    assert not receiver.is_alive()


def test_taken_port_is_refused(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PortStillReserved):
        Receiver(LOCAL, receiver.port, print)
    with pytest.raises(OSError):
        Receiver("192.0.2.1", 0, print)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_holds_no_port_of_its_parent(
    receiver: Receiver, taken: Queue[Any], line: Callable
) -> None:
    may_end, end = os.pipe()
    told, tells = os.pipe()
    child = os.fork()
    if not child:
        os.write(tells, b"forked")
        os.read(may_end, 1)
        os._exit(0)
    try:
        assert os.read(told, 6) == b"forked"
        line(receiver.port).send(b"for the parent")
        assert taken.get(timeout=10)[0] == b"for the parent"
        receiver.stop()
        assert is_free(receiver.port)
    finally:
        os.write(end, b"x")
        os.waitpid(child, 0)
        for each in (may_end, end, told, tells):
            os.close(each)
