"""What programs of the field do with sockets: written from the protocol's description alone, as an outsider would."""

from __future__ import annotations

import json
import os
import queue
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sockets.scripts import ask, states

from instrumentserver.sockets import (
    DATA,
    OLD_DATA,
    PUSH_ACK,
    PUSH_ERROR,
    PUSH_EXCEP,
    PUSH_RET,
    UNKNOWN_COMMAND,
    CommonDataPullSocket,
    DataPullSocket,
    DataPushSocket,
    DataSocket,
    DateDataPullSocket,
    DateDataSocket,
    LiveSocket,
    PortStillReserved,
)

CODENAMES = ["moon_laser_power", "moon_laser_duration"]
KINDS = [DateDataPullSocket, DataPullSocket]


def own_port() -> int:
    """Return a free port that no system gives to those who ask for any."""
    for port in range(20000 + os.getpid() % 10000, 30000):
        try:
            DataPushSocket("own", port).stop()
        except PortStillReserved:
            continue
        return port
    raise AssertionError("all ports below 30000 are taken")


@pytest.fixture(params=KINDS)
def pull(request: pytest.FixtureRequest) -> Iterator[CommonDataPullSocket]:
    """A pull socket that is started and stopped by hand."""
    pull = request.param("laser", CODENAMES, 0)
    pull.start()
    yield pull
    pull.stop()


@pytest.fixture
def push() -> Iterator[Callable[..., DataPushSocket]]:
    """Push sockets that are started and stopped by hand."""
    made: list[DataPushSocket] = []

    def start(action: str = "store_last", **arguments) -> DataPushSocket:
        made.append(DataPushSocket("laser", 0, action=action, **arguments))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.stop()


def test_arguments_may_be_given_by_position() -> None:
    sockets = [
        DateDataPullSocket("n", ["a"], 0, 1.0, 2.0, [1.0], True, 10, False),
        DataPullSocket("n", ("a",), 0, 1.0, 2.0, None, False, 10, True),
        DateDataSocket(["a"], 0, 1, 2, [3.0]),
        DataSocket(["a"], 0, 1, 2, 3.0),
        DataPushSocket("n", 0, "enqueue", queue.Queue(), None, "raw", True, 10),
        LiveSocket("n", ["a"], ("127.0.0.1", 9), False, 0),
    ]
    for each in sockets:
        each.start()
        each.stop()


def test_classes_are_related_as_in_the_manual() -> None:
    for kind in (*KINDS, DateDataSocket, DataSocket):
        assert issubclass(kind, CommonDataPullSocket)
    assert not issubclass(DataPushSocket, CommonDataPullSocket)
    assert not issubclass(DataPullSocket, DateDataPullSocket)
    for kind in (CommonDataPullSocket, DataPushSocket):
        assert issubclass(kind, threading.Thread)


def test_words_are_those_of_the_field() -> None:
    assert (UNKNOWN_COMMAND, OLD_DATA) == ("UNKNOWN_COMMMAND", "OLD_DATA")
    assert (PUSH_ERROR, PUSH_ACK, PUSH_EXCEP, PUSH_RET) == ("ERROR", "ACK", "EXCEP", "RET")
    assert issubclass(PortStillReserved, Exception)


def test_socket_lives_like_a_thread(pull: CommonDataPullSocket) -> None:
    assert pull.is_alive() and pull.daemon
    assert pull in threading.enumerate()
    pull.join(0.001)
    assert pull.is_alive()
    with pytest.raises(RuntimeError):
        pull.start()
    pull.stop()
    pull.join()
    assert not pull.is_alive()
    assert pull not in threading.enumerate()


def test_data_shows_the_points_while_the_socket_lives(pull: CommonDataPullSocket) -> None:
    shown = DATA[pull.port]
    assert shown["codenames"] == CODENAMES
    assert shown["data"] == dict.fromkeys(CODENAMES, (0.0, 0.0))
    assert shown["timeouts"] == dict.fromkeys(CODENAMES, None)
    pull.set_point("moon_laser_power", (1, 2))
    assert shown["data"]["moon_laser_power"] == (1, 2)
    pull.stop()
    assert pull.port not in DATA


def test_points_written_to_data_are_served(pull: CommonDataPullSocket) -> None:
    for point in ((1, 2), (3, 4)):
        DATA[pull.port]["data"]["moon_laser_power"] = point
        expected = "{},{}".format(*point)
        assert ask(pull.port, "moon_laser_power#raw") == expected
        assert ask(pull.port, "raw") == f"{expected};0.0,0.0"
        assert json.loads(ask(pull.port, "json_wn"))["moon_laser_power"] == list(point)


def test_timeouts_written_to_data_hold(pull: CommonDataPullSocket) -> None:
    DATA[pull.port]["timeouts"]["moon_laser_power"] = 0
    assert ask(pull.port, "moon_laser_power#raw") == OLD_DATA


def test_data_shows_the_pushes_while_the_socket_lives(push) -> None:
    dps = push()
    shown = DATA[dps.port]
    assert (shown["last"], shown["last_time"], shown["updated"], shown["updated_time"]) == (
        None,
        None,
        {},
        None,
    )
    before = time.time()
    ask(dps.port, "raw_wn#a:int:1")
    ask(dps.port, "raw_wn#b:int:2")
    assert shown["last"] == {"b": 2}
    assert shown["updated"] == {"a": 1, "b": 2}
    assert before <= shown["last_time"] <= time.time()
    assert shown["updated_time"] == shown["last_time"] == dps.last[0] == dps.updated[0]
    dps.clear_updated()
    dps.set_last_to_none()
    assert dps.last == (None, None)
    assert dps.updated == (None, {})
    assert shown["last"] is None and shown["updated"] == {}


def test_server_is_one_of_socketserver(pull: CommonDataPullSocket) -> None:
    assert isinstance(pull.server, socketserver.UDPServer)
    assert pull.server.server_address == ("0.0.0.0", pull.port)
    assert pull.server.socket.getsockname()[1] == pull.port


def test_server_that_is_shut_down_ends_the_thread(pull: CommonDataPullSocket) -> None:
    pull.server.shutdown()
    pull.join(10)
    assert not pull.is_alive()
    pull.stop()


def test_timestamp_is_the_clock_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    pull = DateDataPullSocket("laser", CODENAMES, 0, timeouts=[1.0, 2.0])
    pull.start()
    monkeypatch.setattr(time, "time", lambda: 5000.0)
    pull.set_point_now("moon_laser_power", 1)
    pull.set_point_now("moon_laser_duration", 2)
    assert ask(pull.port, "raw") == "5000.0,1;5000.0,2"
    monkeypatch.setattr(time, "time", lambda: 5001.5)
    assert ask(pull.port, "raw") == "OLD_DATA;5000.0,2"
    assert states(pull.port)[str(pull.port)]["since_last_activity"] == 1.5
    pull.stop()


def test_two_of_each_kind_live_side_by_side() -> None:
    sockets = [kind(f"{number}", ["a"], 0) for kind in KINDS for number in range(2)]
    sockets += [DataPushSocket(f"{number}", 0) for number in range(2)]
    for each in sockets:
        each.start()
    for number, each in enumerate(sockets[:4]):
        each.set_point("a", (number, number))
    assert [ask(each.port, "a#json") for each in sockets[:4]] == ["[0, 0]", "[1, 1]", "[2, 2]", "[3, 3]"]
    assert ask(sockets[5].port, "raw_wn#a:int:5") == "ACK#{'a': 5}"
    assert sockets[4].last == (None, None)
    for asked in sockets:
        state = states(asked.port)
        assert {port: one["type"] for port, one in state.items()} == {
            str(each.port): kind
            for each, kind in zip(sockets, ["date"] * 2 + ["data"] * 2 + ["push"] * 2, strict=True)
        }
    for each in sockets:
        each.stop()
    assert DATA == {}


def test_activity_is_told_by_poke() -> None:
    pull = DateDataPullSocket("laser", ["a"], 0, check_activity=True, activity_timeout=-1)
    pull.start()
    port = str(pull.port)
    state = states(pull.port)[port]
    assert state["status"] == "INACTIVE" and state["since_last_activity"] >= 0
    pull.stop()
    pull = DateDataPullSocket("laser", ["a"], 0)
    pull.start()
    pull.poke()
    state = states(pull.port)[str(pull.port)]
    assert state["status"] == "OK" and 0 <= state["since_last_activity"] < 100
    pull.stop()


def test_answers_wait_for_the_start(pull: CommonDataPullSocket) -> None:
    late = DataPullSocket("late", ["a"], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"name", ("127.0.0.1", late.port))
        late.start()
        assert client.recv(100) == b"late"
    late.stop()


def test_socket_made_for_a_port_that_was_given_back_is_another_one() -> None:
    first = DataPullSocket("first", ["a"], 0)
    first.start()
    first.set_point("a", (1, 2))
    first.stop()
    second = DataPullSocket("second", ["b"], first.port)
    second.start()
    first.set_point("a", (3, 4))
    assert ask(second.port, "json_wn") == '{"b": [0.0, 0.0]}'
    first.stop()
    assert ask(second.port, "name") == "second"
    assert DATA[second.port]["name"] == "second"
    second.stop()


def test_giant_laser_on_the_moon_is_controlled() -> None:
    class LaserControl:
        def __init__(self) -> None:
            self.settings = {"power": 100, "focus": 100, "target": None}
            self._state = "idle"
            self.dps = DataPushSocket("laser", 0, action="callback_direct", callback=self.callback)
            self.dps.start()

        def callback(self, data: dict) -> object:
            return getattr(self, data.pop("method"))(**data)

        def update_settings(self, **settings: object) -> str:
            for key in settings:
                if key not in self.settings:
                    raise ValueError(f"Not settings for key: {key}")
            self.settings.update(settings)
            return f"Updated settings with: {settings}"

        def state(self, state: str) -> str:
            self._state = state
            return f"State set to: {state}"

    laser = LaserControl()
    port = laser.dps.port
    assert ask(port, 'json_wn#{"method": "update_settings", "power": 300, "focus": 10}') == (
        "RET#\"Updated settings with: {'power': 300, 'focus': 10}\""
    )
    assert laser.settings == {"power": 300, "focus": 10, "target": None}
    assert ask(port, "raw_wn#method:str:state;state:str:active") == 'RET#"State set to: active"'
    assert (
        ask(port, 'json_wn#{"method": "update_settings", "speed": 1}') == "EXCEP#Not settings for key: speed"
    )
    assert ask(port, "json_wn#{}") == "EXCEP#'method'"
    assert laser.dps.last[1] == {}
    assert laser.dps.updated[1]["power"] == 300
    laser.dps.stop()


def test_everything_enqueued_is_taken_out_in_order(push) -> None:
    dps = push("enqueue")
    taken = dps.queue
    for number in range(5):
        assert ask(dps.port, f'json_wn#{{"a": {number}}}') == f"ACK#{{'a': {number}}}"
    assert taken.get() == {"a": 0}
    assert [taken.get() for _ in range(taken.qsize())] == [{"a": number} for number in range(1, 5)]
    assert dps.last[1] == {"a": 4}


def test_own_queue_may_be_of_another_kind(push) -> None:
    mine: queue.Queue = queue.LifoQueue(maxsize=10)
    dps = push("enqueue", queue=mine)
    ask(dps.port, "raw_wn#a:int:1")
    ask(dps.port, "raw_wn#a:int:2")
    assert [mine.get(timeout=10), mine.get(timeout=10)] == [{"a": 2}, {"a": 1}]


def test_async_callback_is_called_in_one_other_thread(push) -> None:
    seen: queue.Queue = queue.Queue()
    dps = push("callback_async", callback=lambda data: seen.put((threading.current_thread(), data)))
    for number in range(3):
        assert ask(dps.port, f"raw_wn#a:int:{number}") == f"ACK#{{'a': {number}}}"
    threads, data = zip(*[seen.get(timeout=10) for _ in range(3)], strict=True)
    assert list(data) == [{"a": 0}, {"a": 1}, {"a": 2}]
    assert len(set(threads)) == 1
    assert threads[0] not in (dps, threading.main_thread())


def test_direct_callback_is_called_in_the_sockets_thread(push) -> None:
    seen: list[threading.Thread] = []
    dps = push("callback_direct", callback=lambda data: seen.append(threading.current_thread()))
    assert ask(dps.port, "json_wn#{}") == "RET#null"
    assert seen == [dps]


def test_exception_without_words_is_answered(push, caplog: pytest.LogCaptureFixture) -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def callback(data: dict) -> None:
        raise Wordless

    dps = push("callback_direct", callback=callback)
    assert ask(dps.port, "json_wn#{}") == "EXCEP#Wordless"
    assert ask(dps.port, "name") == "RET#laser"


def test_fixture_takes_the_same_port_again_and_again() -> None:
    port = own_port()
    for number in range(200):
        pull = KINDS[number % 2](str(number), ["a"], port)
        pull.start()
        assert ask(port, "name") == str(number)
        pull.stop()


def test_second_socket_on_a_port_is_refused_until_the_first_stops(pull: CommonDataPullSocket) -> None:
    for kind in KINDS:
        with pytest.raises(ValueError) as caught:
            kind("laser", CODENAMES, pull.port)
        assert str(caught.value) == f"A UDP server already exists on port: {pull.port}"
    with pytest.raises(PortStillReserved) as reserved:
        DataPushSocket("laser", pull.port)
    assert "SocketServer.UDPServer.allow_reuse_address = True" in str(reserved.value)
    pull.stop()
    DataPushSocket("laser", pull.port).stop()


def test_push_socket_shares_a_port_where_reuse_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socketserver.UDPServer, "allow_reuse_address", True)
    first = DataPushSocket("first", 0)
    second = DataPushSocket("second", first.port)
    assert DATA[first.port]["name"] == "second"
    first.stop()
    assert DATA[first.port]["name"] == "second"
    second.stop()
    assert DATA == {}
