"""Live sockets: what they send, and what their pull socket shows."""

from __future__ import annotations

import inspect
import json
import socket
from collections.abc import Iterator

import pytest

from instrumentserver.sockets import DATA, LiveSocket, PortStillReserved
from instrumentserver.sockets.live.codec import encode_points, encode_reset

LOCAL = "127.0.0.1"


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """Return what stands for the live server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(10)
        receiver.bind((LOCAL, 0))
        yield receiver


@pytest.fixture
def live(receiver: socket.socket, clock) -> Iterator[LiveSocket]:
    """Return a live socket with the codenames a and b."""
    with LiveSocket(
        "live", ["a", "b"], ("localhost", receiver.getsockname()[1]), False, 0, host=LOCAL
    ) as live:
        yield live


@pytest.mark.parametrize(
    ("method", "arguments", "points"),
    [
        ("set_batch", [{"a": (1.5, 2), "b": (3, "x")}], {"a": [1.5, 2], "b": [3, "x"]}),
        ("set_batch_now", [{"a": 2, "b": None}], {"a": [1000.0, 2], "b": [1000.0, None]}),
        ("set_point", ["a", (1795166981.43, 1.5)], {"a": [1795166981.43, 1.5]}),
        ("set_point_now", ["b", [1, 2]], {"b": [1000.0, [1, 2]]}),
    ],
)
def test_points_are_one_datagram_and_shown(method, arguments, points, live, receiver, line) -> None:
    getattr(live, method)(*arguments)
    assert receiver.recv(65536) == json.dumps({"host": socket.gethostname(), "data": points}).encode()
    shown = json.loads(line(live.internal_data_pull_socket.port).ask(b"json_wn"))
    assert {codename: shown[codename] for codename in points} == points


def test_reset_is_one_datagram_and_the_default_is_shown(live, receiver, line) -> None:
    live.set_point("a", (1, 2))
    receiver.recv(65536)
    live.reset(["a"])
    assert receiver.recv(65536) == b'{"data": {"a": "RESET"}}'
    assert line(live.internal_data_pull_socket.port).ask(b"a#raw") == b"0.0,0.0"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("set_point", ["zz", (1, 2)]), ("set_batch_now", [{"a": 1, "zz": 2}]), ("reset", [["a", "zz"]])],
)
def test_unknown_codename_is_refused_and_nothing_sent(method, arguments, live, receiver, line) -> None:
    with pytest.raises(RuntimeError) as caught:
        getattr(live, method)(*arguments)
    assert str(caught.value) == "The codename: 'zz' is not registered"
    assert line(live.internal_data_pull_socket.port).ask(b"raw") == b"0.0,0.0;0.0,0.0"
    live.set_point("a", (7, 8))
    assert json.loads(receiver.recv(65536))["data"] == {"a": [7, 8]}


def test_defaults_are_those_of_the_field() -> None:
    parameters = inspect.signature(LiveSocket).parameters
    assert parameters["live_server"].default is None
    assert parameters["no_internal_data_pull_socket"].default is False
    assert parameters["internal_data_pull_socket_port"].default == 8000


def test_live_server_must_be_told() -> None:
    with pytest.raises(AttributeError, match="live_server=\\(host, port\\)"):
        LiveSocket("live", ["a"])
    assert DATA == {}


def test_failed_constructor_leaves_nothing(receiver: socket.socket) -> None:
    taken = receiver.getsockname()
    with pytest.raises(PortStillReserved):
        LiveSocket("live", ["a"], taken, False, taken[1], host=LOCAL)
    assert DATA == {}


def test_without_pull_socket_points_are_sent_all_the_same(receiver: socket.socket) -> None:
    live = LiveSocket("live", ["a"], receiver.getsockname(), no_internal_data_pull_socket=True)
    live.start()
    live.set_point("a", (1, 2))
    assert json.loads(receiver.recv(65536))["data"] == {"a": [1, 2]}
    live.stop()
    live.stop()


@pytest.mark.parametrize(
    ("points", "error"),
    [
        ({"a": (1, 2), "b": 5}, TypeError),
        ({"a": (1, 2), "b": (3, object())}, TypeError),
        ({"a": (1, 2), "b": (3, "x" * 65_500)}, ValueError),
    ],
    ids=["shape", "value", "length"],
)
def test_points_that_cannot_be_sent_change_nothing(points, error, live, receiver, line) -> None:
    with pytest.raises(error):
        live.set_batch(points)
    assert line(live.internal_data_pull_socket.port).ask(b"raw") == b"0.0,0.0;0.0,0.0"
    live.set_point("a", (7, 8))
    assert json.loads(receiver.recv(65536))["data"] == {"a": [7, 8]}


def test_longest_datagram_is_sent(live, receiver) -> None:
    live.hostname = "pc"
    text = "x" * (65507 - len(encode_points("pc", {"a": (1, "")})))
    live.set_point("a", (1, text))
    assert len(receiver.recv(65536)) == 65507


def test_stopped_socket_says_so(receiver: socket.socket) -> None:
    live = LiveSocket("live", ["a"], receiver.getsockname(), no_internal_data_pull_socket=True)
    live.stop()
    for use in (lambda: live.set_point("a", (1, 2)), lambda: live.reset(["a"])):
        with pytest.raises(ValueError, match="has been stopped; make a new one"):
            use()


def test_datagrams_are_as_in_the_field() -> None:
    assert (
        encode_points("pc", {"a": (1795166981.43, 1.5)})
        == b'{"host": "pc", "data": {"a": [1795166981.43, 1.5]}}'
    )
    assert encode_reset(["a", "b"]) == b'{"data": {"a": "RESET", "b": "RESET"}}'
