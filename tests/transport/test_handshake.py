from __future__ import annotations

import functools
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from instrumentserver.errors import ConnectFailed, ProtocolError, VersionMismatch
from instrumentserver.transport import handshake
from instrumentserver.transport.handshake import greet_client, greet_server
from instrumentserver.wire.messages import PROTOCOL_VERSION

TOKEN = b"t" * 32
NONCE = b"n" * 16


def hello(magic: bytes = b"INSTSRV\n", version: int = PROTOCOL_VERSION) -> bytes:
    return struct.pack("!8sH6x16s", magic, version, NONCE)


def proof(token: bytes, role: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return hmac.digest(token, role + client_nonce + server_nonce, hashlib.sha256)


def receive(sock: socket.socket, size: int) -> bytes:
    return sock.recv(size, socket.MSG_WAITALL)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the two ends of a line: ours, and that of the code that is tested."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def run() -> Iterator[Callable[..., Future[None]]]:
    """Return a function that runs another one in a thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


Ends = tuple[socket.socket, socket.socket]
Run = Callable[..., "Future[None]"]


def test_two_that_know_the_token_meet(ends: Ends, run: Run) -> None:
    client, server = ends

    greeted = run(greet_client, server, TOKEN)
    greet_server(client, TOKEN)

    assert greeted.result(5) == 0


def test_nothing_is_left_on_the_line_afterwards(ends: Ends, run: Run) -> None:
    client, server = ends
    greeted = run(greet_client, server, TOKEN)
    greet_server(client, TOKEN)
    greeted.result(5)

    client.sendall(b"to the server")
    server.sendall(b"to the client")

    assert (client.recv(100), server.recv(100)) == (b"to the client", b"to the server")


def test_the_token_never_travels(ends: Ends, run: Run) -> None:
    ours, server = ends
    greeted = run(greet_client, server, TOKEN)

    ours.sendall(hello())
    said = receive(ours, 32)
    ours.sendall(proof(TOKEN, b"client", NONCE, said[16:]))
    said += receive(ours, 32)
    greeted.result(5)

    assert TOKEN not in said


def test_the_version_is_in_the_first_words_of_both(ends: Ends, run: Run) -> None:
    ours, client = ends
    greeted = run(greet_server, client, TOKEN)

    magic, version, _ = struct.unpack("!8sH6x16s", receive(ours, 32))
    ours.shutdown(socket.SHUT_RDWR)

    assert (magic, version) == (b"INSTSRV\n", PROTOCOL_VERSION)
    with pytest.raises(EOFError):
        greeted.result(5)


def test_words_are_not_the_same_twice(run: Run) -> None:
    words = set()
    for _ in range(5):
        ours, server = socket.socketpair()
        with ours, server:
            greeted = run(greet_client, server, TOKEN)
            ours.sendall(hello())
            words.add(receive(ours, 32)[16:])
            ours.shutdown(socket.SHUT_RDWR)
            assert isinstance(greeted.exception(5), EOFError)

    assert len(words) == 5


# A server and its strange clients


def test_a_client_without_the_token_is_refused(ends: Ends, run: Run) -> None:
    client, server = ends
    greeted = run(greet_client, server, TOKEN)

    ours = run_away(greet_server, client, b"another token")

    with pytest.raises(ConnectFailed, match="did not prove the token"):
        greeted.result(5)
    server.close()
    with pytest.raises(ConnectFailed, match=r"refused our token.*INSTRUMENTSERVER_DIR"):
        ours.result(5)


def run_away(function: Callable[..., None], *args: object) -> Future[None]:
    """Run a function in a thread that nobody waits for."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            done.set_result(function(*args))
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def test_a_client_that_says_a_proof_again_is_refused(ends: Ends, run: Run) -> None:
    ours, server = ends
    first = run(greet_client, server, TOKEN)
    ours.sendall(hello())
    overheard = proof(TOKEN, b"client", NONCE, receive(ours, 32)[16:])
    ours.sendall(overheard)
    first.result(5)
    receive(ours, 32)

    second = run(greet_client, server, TOKEN)
    ours.sendall(hello() + overheard)

    with pytest.raises(ConnectFailed):
        second.result(5)


def test_a_client_that_says_the_servers_proof_is_refused(ends: Ends, run: Run) -> None:
    ours, server = ends
    greeted = run(greet_client, server, TOKEN)
    ours.sendall(hello())
    nonce = receive(ours, 32)[16:]

    ours.sendall(proof(TOKEN, b"server", NONCE, nonce))

    with pytest.raises(ConnectFailed):
        greeted.result(5)


def test_a_client_of_another_version_is_told_ours(ends: Ends, run: Run) -> None:
    ours, server = ends
    greeted = run(greet_client, server, TOKEN)

    ours.sendall(hello(version=PROTOCOL_VERSION + 1))

    assert receive(ours, 10)[8:] == struct.pack("!H", PROTOCOL_VERSION)
    with pytest.raises(
        VersionMismatch, match=f"speaks version {PROTOCOL_VERSION + 1} .*, we speak {PROTOCOL_VERSION}"
    ):
        greeted.result(5)


@pytest.mark.parametrize(
    "words", [b"GET / HTTP/1.1\r\nHost: localhost\r\n", hello(magic=b"OTHERSRV"), b"\0" * 32]
)
def test_a_client_of_something_else_is_refused_without_a_word(ends: Ends, run: Run, words: bytes) -> None:
    ours, server = ends
    greeted = run(greet_client, server, TOKEN)

    ours.sendall(words[:32])

    with pytest.raises(ProtocolError, match="does not speak our protocol"):
        greeted.result(5)
    server.close()
    assert ours.recv(100) == b""


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 63])
def test_a_client_that_goes_away_is_gone(ends: Ends, run: Run, size: int) -> None:
    ours, server = ends
    greeted = run(greet_client, server, TOKEN)

    ours.sendall((hello() + b"x" * 32)[:size])
    ours.shutdown(socket.SHUT_WR)

    with pytest.raises(EOFError):
        greeted.result(5)


@pytest.mark.parametrize(
    "greet", [greet_client, functools.partial(greet_server, patience=0.01)], ids=["client", "server"]
)
def test_a_peer_that_says_nothing_is_dropped_after_a_while(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, greet: Callable[..., None]
) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 0.01)

    with pytest.raises(TimeoutError):
        greet(ends[1], TOKEN)


class Trickle:
    """A line on which one byte comes at a time, each one after as long as the reader waits at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._patience = 0.0

    def settimeout(self, seconds: float) -> None:
        self._patience = seconds

    def recv(self, size: int) -> bytes:
        if self._patience < 1:
            raise TimeoutError
        self._clock.now += 1
        return b"I"


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_client_that_speaks_slowly_is_dropped_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(handshake, "time", clock)

    with pytest.raises(TimeoutError):
        greet_client(Trickle(clock), TOKEN)  # type: ignore[arg-type]

    assert clock.now <= handshake.HANDSHAKE_SECONDS


# A client and its strange servers


def test_a_server_that_does_not_know_the_token_is_refused(ends: Ends, run: Run) -> None:
    ours, client = ends
    greeted = run(greet_server, client, TOKEN)
    nonce = receive(ours, 32)[16:]

    ours.sendall(hello())
    said = receive(ours, 32)
    ours.sendall(said)

    assert said == proof(TOKEN, b"client", nonce, NONCE)
    with pytest.raises(ConnectFailed, match="not one of your servers"):
        greeted.result(5)


def test_a_server_of_another_version_is_a_version_mismatch(ends: Ends, run: Run) -> None:
    ours, client = ends
    greeted = run(greet_server, client, TOKEN)

    ours.sendall(hello(version=PROTOCOL_VERSION - 1))

    with pytest.raises(VersionMismatch, match="install the same release"):
        greeted.result(5)


def test_something_else_that_answers_is_a_protocol_error(ends: Ends, run: Run) -> None:
    ours, client = ends
    greeted = run(greet_server, client, TOKEN)

    ours.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with pytest.raises(ProtocolError, match=r"HTTP/1\.1"):
        greeted.result(5)


def test_a_client_proves_nothing_to_a_server_of_another_version(ends: Ends, run: Run) -> None:
    ours, client = ends
    greeted = run(greet_server, client, TOKEN)
    receive(ours, 32)

    ours.sendall(hello(version=99))
    assert isinstance(greeted.exception(5), VersionMismatch)
    client.close()

    assert ours.recv(100) == b""


# Several tokens, and TLS


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_server_learns_which_token_was_proven(ends: Ends, run: Run, number: int) -> None:
    client, server = ends
    tokens = [b"v" * 32, b"o" * 32, b"a" * 32]

    greeted = run(greet_client, server, *tokens)
    greet_server(client, tokens[number])

    assert greeted.result(5) == number


def test_who_knows_none_of_several_is_refused(ends: Ends, run: Run) -> None:
    client, server = ends
    greeted = run(greet_client, server, b"v" * 32, b"o" * 32)
    run_away(greet_server, client, b"x" * 32)

    with pytest.raises(ConnectFailed):
        greeted.result(5)


@pytest.mark.parametrize("seen", [b"", b"d" * 32], ids=["nothing", "another"])
def test_sides_that_see_different_certificates_do_not_meet(ends: Ends, run: Run, seen: bytes) -> None:
    client, server = ends
    greeted = run(functools.partial(greet_client, channel=b"c" * 32), server, TOKEN)

    ours = run_away(functools.partial(greet_server, channel=seen, remedy="do this"), client, TOKEN)

    with pytest.raises(ConnectFailed):
        greeted.result(5)
    server.close()
    with pytest.raises(ConnectFailed, match="refused our token; do this"):
        ours.result(5)


def test_sides_that_see_the_same_certificate_meet(ends: Ends, run: Run) -> None:
    client, server = ends
    greeted = run(functools.partial(greet_client, channel=b"c" * 32), server, TOKEN)
    greet_server(client, TOKEN, channel=b"c" * 32)
    assert greeted.result(5) == 0
