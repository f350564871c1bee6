"""The UDP core by itself: what is counted, and what ends it."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from instrumentserver.sockets.failures import PortStillReserved, Refused
from instrumentserver.sockets.udp import Statistics, UdpServer

LOCAL = "127.0.0.1"


class Echo:
    """Answers with the request; some words bring failures."""

    def reply(self, request: bytes) -> bytes:
        if request == b"refuse":
            raise Refused("no")
        if request == b"refuse not ascii":
            raise Refused("nö")
        if request == b"refuse at length":
            raise Refused("n" * 70_000)
        if request == b"not ascii":
            return bytes("ä".encode().decode("ascii"), "ascii")
        if request == b"at length":
            return bytes(70_000)
        if request == b"exit":
            raise SystemExit
        if request == b"interrupt":
            raise KeyboardInterrupt
        return request


@pytest.fixture
def server() -> Iterator[UdpServer]:
    """A server that answers."""
    server = UdpServer(LOCAL, 0, Echo())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    assert not thread.is_alive()
    server.server_close()


@pytest.mark.parametrize(
    ("request_", "counted"),
    [
        (b"hello", (0, 0, 0)),
        (b"", (0, 0, 0)),
        (b"x" * 8192, (0, 0, 0)),
        (b"x" * 8193, (0, 0, 1)),
        (bytes(65507), (0, 0, 1)),
        (b"refuse", (1, 0, 0)),
        (b"refuse not ascii", (0, 1, 0)),
        (b"refuse at length", (0, 1, 0)),
        (b"not ascii", (0, 1, 0)),
        (b"at length", (0, 1, 0)),
        (b"exit", (0, 1, 0)),
        (b"interrupt", (0, 1, 0)),
    ],
    ids=lambda value: value.decode()[:20].strip("\0") or "nothing" if isinstance(value, bytes) else "",
)
def test_datagram_is_counted_as_what_became_of_it(request_: bytes, counted: tuple, server, line) -> None:
    client = line(server.port)
    client.send(request_)
    refused, unanswered, truncated = counted
    if not unanswered:
        assert client.receive() == (b"no" if refused else request_[:8192])
    assert client.ask(b"after") == b"after"
    assert server.statistics == Statistics(2, refused, unanswered, truncated, client.address)


def test_nothing_is_counted_at_first() -> None:
    with UdpServer(LOCAL, 0, Echo()) as server:
        assert server.statistics == Statistics(0, 0, 0, 0, None)


def test_request_that_is_not_ascii_is_no_warning(server, line, caplog: pytest.LogCaptureFixture) -> None:
    client = line(server.port)
    client.send(b"not ascii")
    client.ask(b"after")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    client.send(b"at length")
    client.ask(b"after")
    assert "no reply to" in caplog.text


def test_port_is_held_until_it_is_closed() -> None:
    with UdpServer(LOCAL, 0, Echo()) as server:
        with pytest.raises(PortStillReserved) as caught:
            UdpServer(LOCAL, server.port, Echo())
        assert caught.value.port == server.port
        assert isinstance(caught.value.__cause__, OSError)
    UdpServer(LOCAL, server.port, Echo()).server_close()


def test_server_that_was_shut_down_first_serves_nobody() -> None:
    with UdpServer(LOCAL, 0, Echo()) as server:
        server.shutdown()
        server.serve_forever()


def test_closed_server_disturbs_nobody_at_its_port() -> None:
    server = UdpServer(LOCAL, 0, Echo())
    server.server_close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heir:
        heir.bind((LOCAL, server.port))
        heir.setblocking(False)
        server.shutdown()
        server.serve_forever()
        with pytest.raises(BlockingIOError):
            heir.recv(1)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_waiting_server_ends_by_a_datagram_where_the_system_knows_nothing_else(
    host: str, monkeypatch
) -> None:
    monkeypatch.setattr(socket.socket, "shutdown", lambda line, how: None)
    with UdpServer(host, 0, Echo()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server.shutdown()
        thread.join(10)
        assert not thread.is_alive()
        assert server.statistics.received == 0
