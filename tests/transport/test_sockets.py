"""Listening and connecting, on a socket file and on the loopback interface."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from instrumentserver.errors import UsageError
from instrumentserver.transport.sockets import (
    HAS_UNIX_SOCKETS,
    connect_network,
    connect_socket,
    listen_network,
    listen_socket,
)

ADDRESSES = [
    pytest.param(
        "unix:foo", marks=pytest.mark.skipif(not HAS_UNIX_SOCKETS, reason="the system has no socket files")
    ),
    "tcp://127.0.0.1:0",
    "tcp://localhost:0",
]


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a path that is short enough for a socket."""
    return tmp_path_factory.mktemp("s") / "foo.sock"


@pytest.mark.parametrize("asked", ADDRESSES)
def test_the_address_of_a_listener_leads_to_it(asked: str, path: Path) -> None:
    listener, address = listen_socket(asked, path)
    with listener, connect_socket(address, path, 5) as client, listener.accept()[0] as accepted:
        client.sendall(b"hello")

        assert accepted.recv(5) == b"hello"


@pytest.mark.skipif(not has_ipv6(), reason="the system has no IPv6")
def test_the_address_of_a_listener_on_ipv6_leads_to_it(path: Path) -> None:
    listener, address = listen_socket("tcp://[::1]:0", path)
    with listener, connect_socket(address, path, 5) as client, listener.accept()[0]:
        assert address.startswith("tcp://[::1]:")
        assert client.family == socket.AF_INET6


def test_port_0_is_any_free_port(path: Path) -> None:
    one, first = listen_socket("tcp://127.0.0.1:0", path)
    two, second = listen_socket("tcp://127.0.0.1:0", path)
    with one, two:
        assert first != second
        assert ":0" not in first[-2:]


@pytest.mark.parametrize("address", ADDRESSES[:2])
def test_a_connected_socket_has_the_time_limit(address: str, path: Path) -> None:
    listener, address = listen_socket(address, path)
    with listener, connect_socket(address, path, 3.5) as client:
        assert client.gettimeout() == 3.5


def test_small_messages_are_not_held_back_on_tcp(path: Path) -> None:
    listener, address = listen_socket("tcp://127.0.0.1:0", path)
    with listener, connect_socket(address, path, 5) as client:
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://labpc2:5900"])
def test_nobody_listens_beyond_this_computer(address: str, path: Path) -> None:
    with pytest.raises(UsageError, match="not on this computer"):
        listen_socket(address, path)


@pytest.mark.parametrize("address", ["tcp://labpc2:5900", "tcp://127.0.0.1:65536"])
def test_nobody_connects_beyond_this_computer(address: str, path: Path) -> None:
    with pytest.raises(UsageError):
        connect_socket(address, path, 5)


def test_a_port_that_is_taken_is_an_error_of_the_system(path: Path) -> None:
    listener, address = listen_socket("tcp://127.0.0.1:0", path)
    with listener, pytest.raises(OSError):
        listen_socket(address, path)


def test_a_port_where_nobody_listens_is_an_error_of_the_system(path: Path) -> None:
    listener, address = listen_socket("tcp://127.0.0.1:0", path)
    listener.close()

    with pytest.raises(OSError):
        connect_socket(address, path, 5)


@pytest.mark.skipif(not HAS_UNIX_SOCKETS, reason="the system has no socket files")
class TestSocketFiles:
    """What is true of socket files alone."""

    def test_a_file_where_nobody_listens_is_an_error_of_the_system(self, path: Path) -> None:
        with pytest.raises(OSError):
            connect_socket("unix:foo", path, 5)

    def test_the_file_of_a_dead_server_is_replaced(self, path: Path) -> None:
        dead, _ = listen_socket("unix:foo", path)
        dead.close()
        assert path.exists()

        listener, address = listen_socket("unix:foo", path)

        with listener, connect_socket(address, path, 5), listener.accept()[0]:
            pass

    def test_the_file_is_where_it_was_asked_for(self, path: Path) -> None:
        listener, address = listen_socket("unix:foo", path)
        with listener:
            assert path.is_socket()
            assert address == "unix:foo"

    def test_a_path_that_is_too_long_is_refused_with_the_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"longer than 103 bytes; set INSTRUMENTSERVER_DIR"):
            listen_socket("unix:foo", tmp_path / ("µ" * 60) / "foo.sock")

    def test_a_folder_that_is_not_there_is_an_error_of_the_system(self, path: Path) -> None:
        with pytest.raises(OSError):
            listen_socket("unix:foo", path.parent / "gone" / "foo.sock")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "[::]", "[::1]"])
def test_a_listener_on_a_network_is_reached(host: str) -> None:
    listener, address = listen_network(f"tls://{host}:0")
    with listener:
        port = listener.getsockname()[1]
        assert address == f"tls://{host}:{port}"
        near = "[::1]" if host.startswith("[") else "127.0.0.1"
        with connect_network(f"tls://{near}:{port}", 5, 5.0) as client, listener.accept()[0]:
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert client.gettimeout() == 5


def test_nobody_listens_for_another_computer() -> None:
    with pytest.raises(UsageError, match=r"no name or number of this computer; listen at 0\.0\.0\.0"):
        listen_network("tls://192.0.2.1:0")
