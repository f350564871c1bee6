"""A client that speaks raw bytes, and a clock that stands still."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from instrumentserver.sockets import DATA


class Clock:
    """Says what it was set to, in seconds."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Line:
    """Sends datagrams to a port of this computer, and waits at most 10 s for an answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.connect(("127.0.0.1", port))
        self.address = self._socket.getsockname()

    def send(self, request: bytes) -> None:
        self._socket.send(request)

    def receive(self) -> bytes:
        return self._socket.recv(65536)

    def ask(self, request: bytes) -> bytes:
        self._socket.send(request)
        return self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def line() -> Iterator[Callable[[int], Line]]:
    """Return lines to ports."""
    lines: list[Line] = []

    def connected(port: int) -> Line:
        lines.append(Line(port))
        return lines[-1]

    yield connected
    for each in lines:
        each.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the time at which the whole program thinks it lives."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Check that no socket of a test is left."""
    yield
    assert DATA == {}
