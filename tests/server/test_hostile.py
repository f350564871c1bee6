"""Hostile bytes cost their sender the connection, and nobody else anything."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import numpy as np
import psutil
import pytest
from drivers import Plain

from instrumentserver import Server, start_server
from instrumentserver.directory import Directory
from instrumentserver.transport.connection import Connection
from instrumentserver.transport.handshake import greet_server
from instrumentserver.transport.sockets import connect_socket
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.framing import frame_head
from instrumentserver.wire.messages import PROTOCOL_VERSION

HELLO = struct.Struct("!8sH6x16s")
MAGIC = b"INSTSRV\n"
MEGABYTE = 1 << 20
OPENING = HELLO.pack(MAGIC, PROTOCOL_VERSION, b"n" * 16)


def connect(server: Server) -> socket.socket:
    path = Directory.default().socket_path(server.name)
    return connect_socket(server.address, path, timeout=10)


def greeted(server: Server) -> socket.socket:
    """Return a socket of a client that has proven the token."""
    sock = connect(server)
    greet_server(sock, Directory.default().token())
    return sock


def proven(server: Server) -> socket.socket:
    """Return a socket of a client that has proven the token, and introduced himself."""
    sock = greeted(server)
    connection = Connection(sock, Codec())
    connection.send({"pid": 0})
    connection.receive()
    return sock


def framed(message: bytes) -> bytes:
    return frame_head(len(message)) + message


def extension(code: int, *parts: Any) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(list(parts))))


def nested(code: int, depth: int) -> bytes:
    data = msgpack.packb([])
    for _ in range(depth):
        data = msgpack.packb(msgpack.ExtType(code, data))
    return data


ENDLESS = msgpack.ExtType(5, msgpack.packb(["range", 0, 10**12, 1]))


def unproven_frames(chance: random.Random) -> list[bytes]:
    """Return what a stranger may begin with."""
    stop, _ = Codec().encode(["stop", ""])
    noise = chance.randbytes(chance.randrange(1, 400))
    return [
        b"",
        noise,
        OPENING + noise,
        OPENING[: chance.randrange(32)],
        OPENING + noise[: chance.randrange(32)],
        HELLO.pack(MAGIC, chance.randrange(2, 60_000), b"n" * 16) + b"p" * 32,
        OPENING + b"p" * 32 + framed(stop),
        framed(stop),
        frame_head(0xFFFFFFFF, [2**63] * 100),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]


def introductions(chance: random.Random) -> list[bytes]:
    """Return what a client that knows the token, but is mad, may introduce himself with."""
    return [
        framed(Codec().encode(["no", "dict"])[0]),
        framed(Codec().encode({"session": np.arange(3), "pid": {1: 2}, 5: None, "program": 1j})[0]),
        frame_head(1 << 20),
        frame_head(5, [1 << 32]),
        framed(nested(2, 500)),
        framed(chance.randbytes(50)),
    ]


def proven_frames(chance: random.Random) -> list[bytes]:
    """Return what a client that has introduced himself may send."""
    message, _ = Codec().encode(["get", "plain.x"])
    flipped = bytearray(message)
    flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    noise = chance.randbytes(chance.randrange(1, 400))
    number = chance.randrange(1 << 30)
    return [
        noise,
        framed(noise),
        framed(bytes(flipped)),
        framed(message) + noise,
        frame_head(0xFFFFFFFF) + noise,
        frame_head(len(message), [2**62]) + message,
        frame_head(len(message), [1 << 32]) + message + noise,
        frame_head(len(message), [1] * 60_000)[:100],
        frame_head(len(message))[: chance.randrange(1, 8)],
        frame_head(len(message) + 50) + message,
        framed(b"\xdd\xff\xff\xff\xff"),
        framed(b"\xdd\x00\x0f\xff\xff" * 300),
        framed(b"\xc9\xff\xff\xff\xff\x03"),
        framed(nested(2, 500)),
        framed(nested(5, 500)),
        framed(extension(5, "set", ENDLESS)),
        framed(extension(5, "scalar", "V2147483647", 1 << 33, False)),
        framed(extension(5, "fraction", "1e999999999", 1)),
        framed(extension(5, "enum", "made_up", f"E{number}", "Enum", "A", 1, [["A", 1]])),
        framed(extension(3, "O", [1], False, b"12345678")),
        framed(extension(3, "<f8", [1 << 40], False, b"")),
        framed(extension(4, "<f8", [1 << 40], False, 7)),
        framed(extension(32, "unix:nowhere/dac")),
        framed(extension(33, "Numbers", {"evil": 1})),
    ]


def talk(sock: socket.socket, data: bytes) -> None:
    """Send everything, and read until the server has closed or answered."""
    with sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except OSError:
            pass


@contextmanager
def good_client(server: Server, plain: Any) -> Iterator[list[bool]]:
    """Use an instrument as good clients do during the block; yield whether each answer was right."""
    is_over = threading.Event()
    answers: list[bool] = []

    def use() -> None:
        value = 0
        while not is_over.is_set():
            value = (value + 1) % 5
            try:
                plain.x(value)
                trace = plain.trace()
                answers.append(plain.x() == value and plain.add(value, value) == 2 * value and trace[-1] == 1)
            except Exception as error:
                answers.append(False)
                raise AssertionError("a good client got an error") from error

    thread = threading.Thread(target=use)
    thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        thread.join(10)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("listen", [None, "tcp://127.0.0.1:0"], ids=["unix", "tcp"])
def test_five_thousand_hostile_frames_leave_good_clients_alone(
    new_name: Callable[[], str], listen: str | None
) -> None:
    server = start_server(new_name(), listen=listen)
    plain = server.create(Plain, "plain")
    process = psutil.Process(server.pid)
    chance = random.Random(20)
    sent = 0
    before: tuple[int, int] | None = None

    with good_client(server, plain) as answers:
        while sent < 5000:
            for frame in unproven_frames(chance):
                talk(connect(server), frame)
                sent += 1
            for frame in introductions(chance):
                talk(greeted(server), frame)
                sent += 1
            for frame in proven_frames(chance):
                talk(proven(server), frame)
                sent += 1
            # The first frames make the server import and keep what it needs for any client.
            if before is None and sent > 1000:
                before = process.memory_info().rss, process.num_fds()

    assert len(answers) > 100
    assert all(answers)
    assert server.status()["instruments"] == {"plain": "Plain"}
    assert before is not None
    assert process.memory_info().rss < before[0] + 20 * MEGABYTE
    assert process.num_fds() < before[1] + 10


def test_a_mad_request_is_answered_with_an_error(server: Server) -> None:
    sock = proven(server)
    with sock:
        connection = Connection(sock, Codec())
        for request in (
            None,
            [],
            ["get"],
            ["nonsense", ""],
            [["get"], "x"],
            {"a": 1},
            ["get", "nobody.x"],
            ["get", 5],
            ["chained"],
            ["chained", 5, "get", "nobody.x"],
            7,
        ):
            connection.send(request)
            assert len(connection.receive()) == 4
        connection.send(["instruments", ""])
        assert connection.receive() == [0, []]


def test_the_newcomer_waits_for_nobody_who_is_silent(server: Server) -> None:
    silent = [connect(server) for _ in range(100)]
    assert server.create(Plain, "plain").x() == 0.0
    for sock in silent:
        sock.close()


def test_a_client_of_another_version_is_told_ours(server: Server) -> None:
    with connect(server) as sock:
        sock.sendall(HELLO.pack(MAGIC, PROTOCOL_VERSION + 1, b"n" * 16))

        assert HELLO.unpack(sock.recv(32, socket.MSG_WAITALL))[1] == PROTOCOL_VERSION
        assert sock.recv(1) == b""


def test_a_stranger_hears_nothing_but_the_opening_words(server: Server) -> None:
    stop, _ = Codec().encode(["stop", ""])
    with connect(server) as sock:
        sock.sendall(OPENING + b"p" * 32 + framed(stop))
        heard = b""
        try:
            while more := sock.recv(1000):
                heard += more
        except ConnectionResetError:
            pass

    assert len(heard) <= 32
    assert server.status()["name"] == server.name


def test_a_frame_that_claims_much_takes_no_memory(server: Server) -> None:
    process = psutil.Process(server.pid)
    message, _ = Codec().encode(["get", "plain.x"])
    before = process.memory_info().rss
    socks = [proven(server) for _ in range(5)]
    for sock in socks:
        sock.sendall(frame_head(len(message), [1 << 30]) + message + b"x" * 1000)
    most = 0
    for _ in range(50):
        server.status()
        most = max(most, process.memory_info().rss)
    for sock in socks:
        sock.close()

    assert most - before < 30 * MEGABYTE
