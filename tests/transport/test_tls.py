from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from instrumentserver.transport.connection import Connection
from instrumentserver.transport.keys import ServerKeys
from instrumentserver.transport.tls import (
    TlsConnection,
    TlsStream,
    client_context,
    connection_over,
    fingerprint_of,
    server_context,
)
from instrumentserver.wire.codec import Codec

Pair = tuple[TlsStream, TlsStream]


@pytest.fixture(scope="module")
def keys() -> ServerKeys:
    made = ServerKeys("tls_test")
    made.make()
    return made


def ends() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


def soon() -> float:
    return time.monotonic() + 5


@pytest.fixture
def pair(keys: ServerKeys) -> Iterator[Pair]:
    """Return client and server with TLS between them."""
    ours, theirs = ends()
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(TlsStream, theirs, keys.context(), server_side=True, give_up=soon())
        client = TlsStream(ours, client_context(), server_side=False, give_up=soon())
        server = served.result(5)
    for stream in (client, server):
        stream.settimeout(5)
    yield client, server
    client.close()
    server.close()


def test_bytes_arrive_in_both_directions(pair: Pair) -> None:
    client, server = pair
    client.sendall(b"to the server")
    server.sendall(b"to the client")

    assert (server.recv(100), client.recv(100)) == (b"to the server", b"to the client")


def test_the_client_sees_the_servers_certificate(pair: Pair, keys: ServerKeys) -> None:
    client, server = pair

    assert fingerprint_of(client.certificate) == keys.fingerprint
    assert server.certificate == b""


def test_what_comes_with_the_last_opening_words_is_not_forgotten(keys: ServerKeys) -> None:
    ours, theirs = ends()
    with ThreadPoolExecutor(1) as pool:

        def speak() -> TlsStream:
            stream = TlsStream(ours, client_context(), server_side=False, give_up=soon())
            stream.sendall(b"at once")
            return stream

        spoken = pool.submit(speak)
        time.sleep(0.05)  # So that it all lies there when the server begins to read.
        server = TlsStream(theirs, keys.context(), server_side=True, give_up=soon())
        server.settimeout(5)
        assert server.recv(100) == b"at once"
        spoken.result(5).close()
        server.close()


@pytest.mark.parametrize("size", [1, 16384, 16385, 1 << 17, (1 << 17) + 1, 1 << 20])
def test_any_size_arrives_whole(pair: Pair, size: int) -> None:
    client, server = pair
    data = np.random.default_rng(size).bytes(size)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.sendall, data)
        store = memoryview(bytearray(size))
        filled = 0
        while filled < size:
            filled += server.recv_into(store[filled:])
        sent.result(5)

    assert bytes(store) == data


def test_a_small_buffer_takes_a_large_record_in_pieces(pair: Pair) -> None:
    client, server = pair
    client.sendall(b"abcdefghij" * 100)

    assert b"".join(server.recv(7) for _ in range(100)) == (b"abcdefghij" * 100)[:700]
    assert server.recv(1000) == (b"abcdefghij" * 100)[700:]


def test_one_thread_reads_while_others_write(pair: Pair) -> None:
    """As on a connection for events; a TLS socket of Python's promises no such thing."""
    count, size = 300, 2000
    sending = threading.Lock()

    def write(stream: TlsStream, letter: bytes) -> None:
        for _ in range(count):
            with sending:
                stream.sendall(letter * size)

    def read(stream: TlsStream) -> bytes:
        heard = b""
        while len(heard) < 2 * count * size:
            heard += stream.recv(1 << 16)
        return heard

    with ThreadPoolExecutor(6) as pool:
        heard = [pool.submit(read, stream) for stream in pair]
        written = [pool.submit(write, stream, letter) for stream in pair for letter in (b"a", b"b")]
        for each in written:
            each.result(20)
        for each in heard:
            text = each.result(20)
            assert text.count(b"a") == text.count(b"b") == count * size


def test_what_the_line_does_not_take_at_once_is_given_back_encrypted(pair: Pair) -> None:
    client, server = pair
    client.settimeout(None)
    sent, rest = 0, b""
    while not rest:
        rest = client.send_now(b"x" * 4000)
        sent += 4000
    with ThreadPoolExecutor(1) as pool:
        finished = pool.submit(client.send_rest, rest)
        heard = 0
        while heard < sent:
            heard += len(server.recv(1 << 16))
        finished.result(5)
    client.sendall(b"after that")

    assert (heard, server.recv(100)) == (sent, b"after that")


def test_the_end_of_the_stream_is_an_end(pair: Pair) -> None:
    client, server = pair
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)

    assert (server.recv(100), server.recv(100)) == (b"last words", b"")


def test_what_somebody_puts_onto_the_line_is_an_error(pair: Pair) -> None:
    client, server = pair
    client._sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))

    with pytest.raises(ssl.SSLError):
        server.recv(100)


def test_a_time_limit_holds(pair: Pair) -> None:
    client, _ = pair
    client.settimeout(0.01)
    with pytest.raises(TimeoutError):
        client.recv(1)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(1000)])
def test_a_stranger_without_tls_is_refused(keys: ServerKeys, data: bytes) -> None:
    ours, theirs = ends()
    with ours:
        ours.sendall(data)
        with pytest.raises(ssl.SSLError):
            TlsStream(theirs, keys.context(), server_side=True, give_up=soon())
    assert theirs.fileno() == -1


def test_a_silent_stranger_is_dropped_in_time(keys: ServerKeys) -> None:
    ours, theirs = ends()
    with ours:
        ours.sendall(b"\x16\x03\x01")
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            TlsStream(theirs, keys.context(), server_side=True, give_up=begun + 0.05)
        assert time.monotonic() - begun < 1
    assert theirs.fileno() == -1


def test_a_stranger_who_goes_away_is_gone(keys: ServerKeys) -> None:
    ours, theirs = ends()
    ours.close()
    with pytest.raises((EOFError, OSError)):
        TlsStream(theirs, keys.context(), server_side=True, give_up=soon())


@pytest.mark.parametrize("side", ["client", "server"])
def test_older_versions_are_refused(keys: ServerKeys, side: str) -> None:
    ours, theirs = ends()
    contexts = {"client": client_context(), "server": keys.context()}
    contexts[side].minimum_version = contexts[side].maximum_version = ssl.TLSVersion.TLSv1_2
    with ThreadPoolExecutor(1) as pool:
        served: Future[TlsStream] = pool.submit(
            TlsStream, theirs, contexts["server"], server_side=True, give_up=soon()
        )
        with pytest.raises(ssl.SSLError):
            TlsStream(ours, contexts["client"], server_side=False, give_up=soon())
        assert isinstance(served.exception(5), OSError)


# Connections


@pytest.fixture
def connections(pair: Pair) -> tuple[Connection, Connection]:
    client, server = pair
    return connection_over(client, Codec()), connection_over(server, Codec())


def test_values_and_arrays_arrive(connections: tuple[Connection, Connection]) -> None:
    client, server = connections
    arrays = [np.arange(size, dtype=float) for size in (0, 3, 5000, 200_000)]
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.send, ["values", 1.5, arrays])
        name, number, received = server.receive()
        sent.result(5)

    assert (name, number) == ("values", 1.5)
    assert all(np.array_equal(one, other) for one, other in zip(arrays, received, strict=True))


def test_a_connection_is_made_for_its_line(connections: tuple[Connection, Connection]) -> None:
    assert type(connections[0]) is TlsConnection
    one, two = socket.socketpair()
    with one, two:
        assert type(connection_over(one, Codec())) is Connection


def test_a_cut_is_known_without_reading(connections: tuple[Connection, Connection]) -> None:
    client, server = connections
    for _ in range(3):
        client.send("question")
        assert server.receive() == "question"
        server.send("answer")
        assert client.receive() == "answer"
        # Nothing of TLS itself lies there: the server sends no tickets.
        assert not client.is_cut()

    server.shutdown()

    assert client.is_cut()
    client.close()
    assert client.is_cut()


def test_short_values_are_sent_without_waiting(connections: tuple[Connection, Connection]) -> None:
    client, server = connections
    assert client.send_now(["change", 1.5]) == b""
    assert server.receive(5) == ["change", 1.5]
    assert client.send_now("x" * 5000) is None
    assert client.send_now(np.ones(1000)) is None


def test_others_cannot_read_the_key(keys: ServerKeys) -> None:
    folder = keys._folder
    for name in ("certificate.pem", "key.pem"):
        assert (folder / name).stat().st_mode & 0o077 == 0
    server_context(folder / "certificate.pem", folder / "key.pem")


def test_fingerprints_are_shown_in_one_form(keys: ServerKeys, tmp_path: Path) -> None:
    kind, _, digits = keys.fingerprint.partition(":")
    assert (kind, len(digits)) == ("sha256", 64)


def test_a_stream_does_not_wait_for_who_writes(pair: Pair) -> None:
    """A reader gets what came although a writer waits for a full line."""
    client, server = pair
    client.settimeout(None)
    is_stopped = threading.Event()

    def write() -> None:
        try:
            while not is_stopped.is_set():
                client.sendall(b"x" * 100_000)
        except OSError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    server.sendall(b"hello")
    client_heard: Callable[[int], bytes] = client.recv
    assert client_heard(100) == b"hello"
    is_stopped.set()
    server.shutdown(socket.SHUT_RDWR)
    writer.join(5)
    assert not writer.is_alive()
