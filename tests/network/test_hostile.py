"""Strangers on a network: they cost nobody anything, before TLS, within it, and after the token."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from afar import Afar
from drivers import Plain

from instrumentserver import ConnectFailed, Server, connect
from instrumentserver.transport.handshake import greet_server
from instrumentserver.transport.keys import ServerKeys
from instrumentserver.transport.tls import TlsStream, client_context, fingerprint_of, server_context
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.framing import frame_head
from instrumentserver.wire.messages import PROTOCOL_VERSION

OPENING = b"INSTSRV\n" + PROTOCOL_VERSION.to_bytes(2, "big") + bytes(22)


def talk(line: socket.socket | TlsStream, data: bytes) -> bytes:
    """Send everything and return what is answered until the server closes."""
    heard = b""
    with suppress(OSError):
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        while more := line.recv(65536):
            heard += more
    line.close()
    return heard


def test_hostile_bytes_before_tls_cost_nobody_anything(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    plain = afar.connect("viewer").instruments["plain"]
    chance = random.Random(5)
    stop = Codec().encode(["stop", ""])[0]
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for _ in range(30):
        for data in (
            *(b"", chance.randbytes(300), hello + chance.randbytes(500), OPENING, OPENING + b"p" * 32),
            *(frame_head(len(stop)) + stop, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100),
        ):
            assert b"INSTSRV" not in talk(afar.socket(), data)
        assert plain.x() == 0.0
    assert psutil.Process(listening.pid).num_threads() < 30


def test_hostile_bytes_within_tls_cost_nobody_anything(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    plain = afar.connect("viewer").instruments["plain"]
    chance = random.Random(6)
    stop = Codec().encode(["stop", ""])[0]
    for _ in range(8):
        for data in (
            *(b"", chance.randbytes(300), OPENING + b"p" * 32 + frame_head(len(stop)) + stop),
            *(frame_head(len(stop)) + stop, frame_head(0xFFFFFFFF, [2**63] * 100)),
        ):
            assert len(talk(afar.stream(), data)) <= 32
        assert plain.x() == 0.0


def test_hostile_bytes_after_the_token_cost_the_sender_his_connection(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    plain = afar.connect("viewer").instruments["plain"]
    chance = random.Random(7)
    for _ in range(5):
        talk(afar.greeted(), chance.randbytes(500))
        talk(afar.greeted(), frame_head(1 << 30) + b"x")
        connection = afar.proven()
        with suppress(OSError):
            connection._sendall(frame_head(0xFFFFFFFF, [2**62]) + chance.randbytes(100))
        with pytest.raises((EOFError, OSError)):
            connection.receive(5)
        connection.close()
        assert plain.x() == 0.0


def test_what_is_changed_on_the_way_ends_the_connection(listening: Server, afar: Afar) -> None:
    connection = afar.proven()
    # Past TLS, as somebody on the way would.
    connection._stream._sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # type: ignore[attr-defined]

    with pytest.raises((EOFError, OSError)):
        connection.receive(5)
    connection.close()
    assert listening.status()["name"] == listening.name


def test_older_tls_is_refused(listening: Server, afar: Afar) -> None:
    context = client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        TlsStream(afar.socket(), context, server_side=False, give_up=time.monotonic() + 5)


def test_slow_strangers_keep_nobody_out(listening: Server, afar: Afar) -> None:
    """More of them than there are places: silent ones, some in the middle of TLS, some of the proof."""
    slow: list[socket.socket | TlsStream] = [afar.socket() for _ in range(80)]
    for line in slow[40:]:
        line.sendall(b"\x16\x03\x01\x02\x00\x01")
    slow += [afar.stream() for _ in range(20)]

    begun = time.monotonic()
    assert afar.connect("viewer").status()["name"] == listening.name
    # Strangers on networks do not compete with local clients at all.
    assert connect(listening.name).status()["name"] == listening.name
    assert time.monotonic() - begun < 2

    for line in slow:
        line.close()


def test_the_accept_loop_waits_for_no_handshake(listening: Server, afar: Afar) -> None:
    with afar.socket() as silent:
        silent.sendall(b"\x16")
        begun = time.monotonic()
        for role in ("viewer", "operator", "admin"):
            afar.connect(role)
        assert time.monotonic() - begun < 2


class Between:
    """Somebody in the middle, with a certificate of his own, who hands on everything that is said within TLS."""

    def __init__(self, target: tuple[str, int], keys: ServerKeys) -> None:
        self._target = target
        folder = keys._folder
        self._context = server_context(folder / "certificate.pem", folder / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with suppress(OSError):
                    self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        give_up = time.monotonic() + 5
        theirs = TlsStream(client, self._context, server_side=True, give_up=give_up)
        sock = socket.create_connection(self._target, timeout=5)
        ours = TlsStream(sock, client_context(), server_side=False, give_up=give_up)
        for line in (ours, theirs):
            line.settimeout(5)
        pump = threading.Thread(target=self._pump, args=(ours, theirs), daemon=True)
        pump.start()
        self._pump(theirs, ours)
        pump.join(5)
        theirs.close()
        ours.close()

    def _pump(self, source: TlsStream, sink: TlsStream) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.heard.append(data)
                sink.sendall(data)
        for line in (source, sink):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5)


@pytest.fixture
def between(listening: Server, afar: Afar) -> Iterator[Between]:
    """Return somebody in the middle between us and the server."""
    keys = ServerKeys(f"{listening.name}-evil")
    keys.make()
    middle = Between(("127.0.0.1", afar.port), keys)
    yield middle
    middle.close()


def test_who_is_in_the_middle_is_refused_even_at_first_contact(
    listening: Server, afar: Afar, between: Between
) -> None:
    token = afar.keys.token("admin")

    # Client and server both speak the truth, and see different certificates: what is handed on proves nothing.
    with pytest.raises(ConnectFailed, match=r"refused our token.*in the middle"):
        connect(f"tls://127.0.0.1:{between.port}", token=token)

    assert token.encode() not in b"".join(between.heard)
    assert "role" not in listening.status()["clients"][-1]


def test_who_is_in_the_middle_gets_nothing_past_the_pin(
    listening: Server, afar: Afar, between: Between
) -> None:
    with pytest.raises(ConnectFailed, match="another certificate"):
        connect(f"tls://127.0.0.1:{between.port}", token=afar.keys.token("admin"), pin=afar.keys.fingerprint)
    assert between.heard == []


def test_a_proof_for_plain_tcp_proves_nothing_over_tls(listening: Server, afar: Afar) -> None:
    stream = afar.stream()
    with pytest.raises(ConnectFailed):
        greet_server(stream, afar.keys.token("admin").encode(), channel=b"")
    stream.close()
    assert fingerprint_of(stream.certificate) == afar.keys.fingerprint
