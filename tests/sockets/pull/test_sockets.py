"""Pull sockets: every row of the contract, over UDP."""

from __future__ import annotations

import gc
import inspect
import json
import socket
import socketserver
import threading

import numpy as np
import pytest
from sockets.contract import NAME, PULL, SYSTEM_STATUS, Pull

from instrumentserver.sockets import (
    DATA,
    CommonDataPullSocket,
    DataPullSocket,
    DataSocket,
    DateDataPullSocket,
    DateDataSocket,
    PortStillReserved,
    PullUDPHandler,
)

KINDS = [DateDataPullSocket, DataPullSocket]
LOCAL = "127.0.0.1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", PULL, ids=lambda row: row.id)
def test_request_gets_the_reply_of_the_contract(row: Pull, kind, line, clock) -> None:
    with kind(NAME, ["a", "b"], 0, timeouts=row.timeouts, host=LOCAL) as pull:
        for codename, point in row.points.items():
            pull.set_point(codename, point)
        client = line(pull.port)
        if row.reply is None:
            # Requests are answered in order: what comes is the answer to the second.
            client.send(row.request)
            assert client.ask(b"codenames_raw") == b"a,b"
            assert pull.statistics.unanswered == 1
        else:
            assert client.ask(row.request) == row.reply
        assert pull.statistics.refused == (row.reply == b"UNKNOWN_COMMMAND")
        assert pull.statistics.truncated == (len(row.request) > 8192)
        assert pull.statistics.last_client == client.address


@pytest.mark.parametrize(
    ("kind", "port", "x", "y"),
    [
        (DateDataPullSocket, 9000, 0.0, 0.0),
        (DataPullSocket, 9010, 0.0, 0.0),
        (DateDataSocket, 9000, 0, 47),
        (DataSocket, 9010, 47, 47),
    ],
)
def test_defaults_are_those_of_the_field(kind, port, x, y) -> None:
    parameters = inspect.signature(kind).parameters
    assert parameters["port"].default == port
    assert (parameters["default_x"].default, parameters["default_y"].default) == (x, y)
    assert parameters["timeouts"].default is None
    assert parameters["host"].default == "0.0.0.0"


@pytest.mark.parametrize(("kind", "reply"), [(DateDataSocket, b"0,47;0,47"), (DataSocket, b"47,47;47,47")])
def test_older_sockets_have_no_name(kind, reply, line) -> None:
    with kind(["a", "b"], 0, host=LOCAL) as pull:
        assert line(pull.port).ask(b"raw") == reply
        assert line(pull.port).ask(b"name") == b"UNKNOWN_COMMMAND"


def test_date_point_ages_from_its_own_time(line, clock) -> None:
    with DateDataPullSocket(NAME, ["a", "b"], 0, timeouts=[1.0, 2.0], host=LOCAL) as pull:
        client = line(pull.port)
        pull.set_point("a", (999.5, 1))
        pull.set_point_now("b", 2)
        assert client.ask(b"raw") == b"999.5,1;1000.0,2"
        clock.time = 1001.0
        assert client.ask(b"raw") == b"OLD_DATA;1000.0,2"
        clock.time = 1002.0
        assert client.ask(b"b#raw") == b"1000.0,2"
        clock.time = 1002.5
        assert client.ask(b"b#raw") == b"OLD_DATA"


def test_data_point_ages_from_when_it_was_set(line, clock) -> None:
    with DataPullSocket(NAME, ["a", "b"], 0, timeouts=1.0, host=LOCAL) as pull:
        client = line(pull.port)
        assert client.ask(b"raw") == b"OLD_DATA;OLD_DATA"
        pull.set_point("a", (1, 2))
        pull.set_point("b", (3, 4), timestamp=998.0)
        assert client.ask(b"raw") == b"1,2;OLD_DATA"
        clock.time = 1001.5
        assert client.ask(b"json_wn") == b'{"a": "OLD_DATA", "b": "OLD_DATA"}'


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_float_travels_and_numpy_integer_does_not(kind, line) -> None:
    with kind(NAME, ["a"], 0, host=LOCAL) as pull:
        client = line(pull.port)
        pull.set_point("a", (np.float64(1), np.float64(2)))
        assert client.ask(b"a#json") == b"[1.0, 2.0]"
        pull.set_point("a", (1, np.int64(2)))
        client.send(b"a#json")
        assert client.ask(b"a#raw") == b"1,2"


def test_status_tells_of_the_computer_and_every_socket(line, clock) -> None:
    pull = DateDataPullSocket(NAME, ["a"], 0, activity_timeout=10, host=LOCAL)
    other = DataPullSocket("other", ["a"], 0, check_activity=False, host=LOCAL)
    with pull, other:
        client = line(pull.port)

        def read() -> dict:
            return json.loads(client.ask(b"status"))

        assert set(read()) == {"system_status", "socket_server_status"}
        assert set(read()["system_status"]) == SYSTEM_STATUS
        clock.time += 4
        assert read()["socket_server_status"] == {
            str(pull.port): {"name": NAME, "type": "date", "status": "OK", "since_last_activity": 4.0},
            str(other.port): {
                "name": "other",
                "type": "data",
                "status": "DISABLED",
                "since_last_activity": None,
            },
        }
        clock.time += 7
        assert read()["socket_server_status"][str(pull.port)]["status"] == "INACTIVE"
        pull.set_point_now("a", 1)
        assert read()["socket_server_status"][str(pull.port)]["since_last_activity"] == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_setting_a_point_pokes_only_if_asked_to(kind, line, clock) -> None:
    with kind(NAME, ["a"], 0, activity_timeout=10, poke_on_set=False, host=LOCAL) as pull:
        clock.time += 11
        pull.set_point("a", (1, 2))
        sockets = json.loads(line(pull.port).ask(b"status"))["socket_server_status"]
        assert sockets[str(pull.port)]["status"] == "INACTIVE"
        pull.poke()
        sockets = json.loads(line(pull.port).ask(b"status"))["socket_server_status"]
        assert sockets[str(pull.port)]["status"] == "OK"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("codenames", "timeouts", "text"),
    [
        (
            ["a", "b"],
            [1.0],
            "If a list of timeouts is supplied, it must have as many items as there are in codenames",
        ),
        (["a", "b", "a"], None, "Codenames must be unique; 'a' is present more than once"),
        *[
            (["x", f"a{bad}b"], None, f"The character '{bad}' is not allowed in the codenames")
            for bad in "#,;:&"
        ],
    ],
)
def test_wrong_argument_is_refused_and_leaves_nothing(kind, codenames, timeouts, text) -> None:
    with pytest.raises(ValueError) as caught:
        kind(NAME, codenames, 0, timeouts=timeouts, host=LOCAL)
    assert str(caught.value) == text
    assert DATA == {}


@pytest.mark.parametrize("kind", KINDS)
def test_codenames_may_be_any_sequence(kind, line) -> None:
    for codenames in (("a", "b"), "ab", ["a", "b"]):
        with kind(NAME, codenames, 0, timeouts=np.array([1.0, 2.0]), host=LOCAL) as pull:
            assert line(pull.port).ask(b"codenames_json") == b'["a", "b"]'
    with pytest.raises(AttributeError):
        kind(NAME, {"a": 1}, 0, host=LOCAL)


def test_space_in_a_codename_is_allowed(line) -> None:
    with DataPullSocket(NAME, ["a b"], 0, host=LOCAL) as pull:
        assert line(pull.port).ask(b"a b#raw") == b"0.0,0.0"


@pytest.mark.parametrize("kind", KINDS)
def test_port_of_a_socket_of_this_process_is_refused(kind) -> None:
    pull = DateDataPullSocket(NAME, ["a"], 0, host=LOCAL)
    with pytest.raises(ValueError) as caught:
        kind(NAME, ["a"], pull.port, host=LOCAL)
    assert str(caught.value) == f"A UDP server already exists on port: {pull.port}"
    assert list(DATA) == [pull.port]
    pull.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_port_of_another_program_is_refused_and_leaves_nothing(kind) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCAL, 0))
        port = other.getsockname()[1]
        for _ in range(2):
            with pytest.raises(
                PortStillReserved, match=r"SocketServer\.UDPServer\.allow_reuse_address = True"
            ):
                kind(NAME, ["a"], port, host=LOCAL)
        assert DATA == {}
    kind(NAME, ["a"], port, host=LOCAL).stop()


def test_other_failures_of_bind_are_raised_as_they_are() -> None:
    with pytest.raises(OSError) as caught:
        DataPullSocket(NAME, ["a"], 0, host="192.0.2.1")
    assert not isinstance(caught.value, PortStillReserved)


def test_port_may_be_shared_where_reuse_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketserver.UDPServer, "allow_reuse_address", True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOCAL, 0))
        DataPullSocket(NAME, ["a"], other.getsockname()[1], host=LOCAL).stop()


def test_default_host_answers_at_every_address(line) -> None:
    with DataPullSocket(NAME, ["a"], 0) as pull:
        assert pull.server.server_address[0] == "0.0.0.0"
        assert line(pull.port).ask(b"name") == NAME.encode()


@pytest.mark.parametrize("kind", KINDS)
def test_stop_gives_the_port_back(kind, line) -> None:
    port = 0
    for _ in range(20):
        pull = kind(NAME, ["a"], port, host=LOCAL)
        port = pull.port
        pull.start()
        assert line(port).ask(b"name") == NAME.encode()
        assert pull.is_alive()
        pull.stop()
        assert not pull.is_alive()
        pull.join()
        pull.stop()
        assert DATA == {}


def test_stop_before_start_gives_the_port_back_and_start_says_so() -> None:
    pull = DataPullSocket(NAME, ["a"], 0, host=LOCAL)
    pull.stop()
    pull.stop()
    with pytest.raises(ValueError, match="has been stopped; make a new one"):
        pull.start()
    DataPullSocket(NAME, ["a"], pull.port, host=LOCAL).stop()
    assert not pull.is_alive()


def test_stop_works_from_many_threads_at_once() -> None:
    pull = DataPullSocket(NAME, ["a"], 0, host=LOCAL)
    pull.start()
    threads = [threading.Thread(target=pull.stop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not pull.is_alive()
    assert DATA == {}


def test_socket_is_a_daemon_thread() -> None:
    pull = DataPullSocket(NAME, ["a"], 0, host=LOCAL)
    assert isinstance(pull, threading.Thread)
    assert pull.daemon
    pull.stop()
    del pull
    gc.collect()


def test_list_that_was_set_is_copied(line) -> None:
    with DataPullSocket(NAME, ["a"], 0, host=LOCAL) as pull:
        point = [1, 2]
        pull.set_point("a", point)
        point[1] = 3
        assert line(pull.port).ask(b"a#raw") == b"1,2"


def test_own_kind_of_pull_socket_has_more_commands(line) -> None:
    class Handler(PullUDPHandler):
        def reply(self, request: bytes) -> bytes:
            return b"42" if request == b"answer" else super().reply(request)

    class Own(CommonDataPullSocket):
        def __init__(self) -> None:
            super().__init__(NAME, ["a"], 0, 1, 2, 0, True, 900, False, Handler, host=LOCAL)

        def set_point(self, codename: str, point: object) -> None:
            self._points.set(codename, point)

    with pytest.raises(TypeError, match="abstract"):
        CommonDataPullSocket(NAME, ["a"], 0, 1, 2, None, True, 900)
    with Own() as pull:
        assert line(pull.port).ask(b"answer") == b"42"
        assert line(pull.port).ask(b"raw") == b"1,2"
