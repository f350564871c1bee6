"""Push sockets: every row of the contract, over UDP."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import queue
import sys
import threading

import pytest
from sockets.contract import COMMANDS, NAME, PUSH, RETURNED, Push, Returned

from instrumentserver.sockets import DATA, DataPullSocket, DataPushSocket, PortStillReserved

LOCAL = "127.0.0.1"
ACTIONS = ["store_last", "enqueue", "callback_async", "callback_direct"]


def make(action: str = "store_last", **arguments) -> DataPushSocket:
    """Return a push socket with a callback if it needs one."""
    if action.startswith("callback"):
        arguments.setdefault("callback", lambda data: None)
    return DataPushSocket(NAME, 0, action, host=LOCAL, **arguments)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("row", PUSH, ids=lambda row: row.id)
def test_request_gets_the_reply_of_the_contract(row: Push, action: str, line, clock) -> None:
    with make(action) as push:
        client = line(push.port)
        reply = row.reply
        if action == "callback_direct" and row.stored is not None:
            reply = b"RET#null"
        if reply is None:
            client.send(row.request)
            assert client.ask(b"commands") == COMMANDS
            assert push.statistics.unanswered == 1
        else:
            assert client.ask(row.request) == reply
        assert push.statistics.refused == (reply or b"").startswith(b"ERROR#")
        if row.stored is None:
            assert push.last == (None, None)
            assert push.updated == (None, {})
        else:
            assert push.last == (1000.0, row.stored)
            assert push.updated == (1000.0, row.stored)


@pytest.mark.parametrize("row", RETURNED, ids=lambda row: row.id)
def test_direct_callback_returns_in_the_format_of_the_contract(row: Returned, line) -> None:
    with make("callback_direct", callback=lambda data: row.value, return_format=row.return_format) as push:
        assert line(push.port).ask(b'json_wn#{"a": 1}') == row.reply


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"a": ' + b"9" * 4000 + b"}",
    ],
)
def test_unusual_json_is_accepted(body: bytes, line) -> None:
    with make() as push:
        assert line(push.port).ask(b"json_wn#" + body).startswith(b"ACK#{'a': ")


@pytest.mark.parametrize("body", [b"[" * 8000, b'{"a":' * 1500, b'{"a": ' + b"9" * 5000 + b"}"])
def test_hostile_json_is_refused(body: bytes, line) -> None:
    with make() as push:
        reply = line(push.port).ask(b"json_wn#" + body)
        assert reply.startswith(b"ERROR#")
        assert reply.endswith(b"could not be decoded as JSON")
        assert push.last == (None, None)


def test_deeply_nested_json_is_answered_and_not_stored_in_part(line) -> None:
    with make() as push:
        body = b'{"a": ' + b"[" * 3000 + b"]" * 3000 + b"}"
        reply = line(push.port).ask(b"json_wn#" + body)
        if sys.version_info >= (3, 13):
            # Python reads it there.
            assert reply == b"ACK#" + body.replace(b'"', b"'")
            assert push.last[1] is not None
        else:
            assert reply.startswith(b"ERROR#")
            assert push.last == (None, None)


def test_unconvertible_values_name_their_type(line) -> None:
    with make() as push:
        client = line(push.port)
        assert client.ask(b"raw_wn#a:float:x").startswith(
            b"ERROR#Unable to convert values to 'float'. Error is: "
        )
        assert client.ask(b"raw_wn#a:bool:true").startswith(
            b"ERROR#Unable to convert values to 'bool'. Error is: "
        )


def test_defaults_are_those_of_the_field() -> None:
    parameters = inspect.signature(DataPushSocket).parameters
    assert {name: one.default for name, one in parameters.items() if name != "name"} == {
        "port": 8500,
        "action": "store_last",
        "queue": None,
        "callback": None,
        "return_format": "json",
        "check_activity": False,
        "activity_timeout": 900,
        "host": "0.0.0.0",
    }


def test_updated_keeps_the_last_value_of_every_key(line, clock) -> None:
    with make() as push:
        client = line(push.port)
        client.ask(b"raw_wn#a:int:1;b:int:2")
        clock.time = 1001.0
        client.ask(b"raw_wn#b:int:3")
        assert push.last == (1001.0, {"b": 3})
        assert push.updated == (1001.0, {"a": 1, "b": 3})
        push.set_last_to_none()
        assert push.last == (None, None)
        assert push.updated == (1001.0, {"a": 1, "b": 3})
        push.clear_updated()
        assert push.updated == (None, {})


def test_status_has_no_prefix_and_pushes_do_not_poke(line, clock) -> None:
    with make(check_activity=True, activity_timeout=10) as push, make() as other:
        client = line(push.port)
        clock.time += 11
        client.ask(b"json_wn#{}")
        sockets = json.loads(client.ask(b"status"))["socket_server_status"]
        assert sockets[str(push.port)] == {
            "name": NAME, "type": "push", "status": "INACTIVE", "since_last_activity": 11.0
        }  # fmt: skip
        assert sockets[str(other.port)]["status"] == "DISABLED"


def test_queue_gets_every_push_in_order(line) -> None:
    with make("enqueue") as push:
        client = line(push.port)
        for number in range(10):
            client.ask(b"raw_wn#a:int:%d" % number)
        assert [push.queue.get(timeout=10) for _ in range(10)] == [{"a": number} for number in range(10)]
    own = queue.Queue()
    with make("enqueue", queue=own) as push:
        assert push.queue is own


@pytest.mark.parametrize(("action", "has_queue"), list(zip(ACTIONS, [False, True, True, False], strict=True)))
def test_queue_is_there_for_actions_that_have_one(action: str, has_queue: bool) -> None:
    push = make(action)
    assert isinstance(push.queue, queue.Queue) == has_queue
    push.stop()


def test_full_queue_refuses_and_the_socket_lives_on(line) -> None:
    with make("enqueue", queue=queue.Queue(1)) as push:
        client = line(push.port)
        assert client.ask(b"raw_wn#a:int:1") == b"ACK#{'a': 1}"
        assert client.ask(b"raw_wn#a:int:2").startswith(b"ERROR#The queue is full")
        assert push.last[1] == {"a": 1}
        assert push.queue.get_nowait() == {"a": 1}
        assert client.ask(b"raw_wn#a:int:3") == b"ACK#{'a': 3}"
        assert push.statistics.refused == 1


def test_what_is_taken_out_is_a_copy(line) -> None:
    with make("enqueue") as push:
        line(push.port).ask(b'json_wn#{"a": [1]}')
        push.queue.get(timeout=10)["a"].append(2)
        push.last[1]["a"].append(3)
        push.updated[1]["a"].append(4)
        assert push.last[1] == {"a": [1]}
        assert push.updated[1] == {"a": [1]}


def test_async_callback_gets_every_push_in_order_and_survives_its_failures(line, caplog) -> None:
    seen: queue.Queue = queue.Queue()

    def callback(data: dict) -> None:
        seen.put(data.pop("a"))
        if not seen.qsize() % 2:
            sys.exit("over")
        raise RuntimeError("laser off")

    with caplog.at_level(logging.ERROR), make("callback_async", callback=callback) as push:
        client = line(push.port)
        for number in range(6):
            assert client.ask(b"raw_wn#a:int:%d" % number) == b"ACK#{'a': %d}" % number
        assert [seen.get(timeout=10) for _ in range(6)] == list(range(6))
        assert push.last[1] == {"a": 5}
    assert "laser off" in caplog.text


def test_async_callback_that_is_busy_holds_up_nobody_and_stop_drops_the_rest(line, caplog) -> None:
    all_sent = threading.Event()

    def callback(data: dict) -> None:
        assert all_sent.wait(10)
        push.stop()

    push = make("callback_async", callback=callback)
    push.start()
    client = line(push.port)
    for _ in range(3):
        assert client.ask(b"json_wn#{}") == b"ACK#{}"
    all_sent.set()
    push.join(10)
    push.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "2 accepted pushes were not given to the callback before the stop"
    ]


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (ValueError("no such method"), b"EXCEP#no such method"),
        (SystemExit("over"), b"EXCEP#over"),
        (KeyboardInterrupt(), b"EXCEP#"),
    ],
)
def test_direct_callback_that_raises_is_answered_and_logged(error, reply: bytes, line, caplog) -> None:
    def callback(data: dict) -> None:
        raise error

    with make("callback_direct", callback=callback) as push:
        client = line(push.port)
        for _ in range(2):
            assert client.ask(b"json_wn#{}") == reply
        assert push.statistics.refused == 0
    assert "the callback failed" in caplog.text


def test_direct_callback_finds_the_push_stored_and_may_change_its_own(line) -> None:
    found = []

    def callback(data: dict) -> str:
        found.append(push.last[1])
        return data.pop("method")

    with make("callback_direct", callback=callback, return_format="string") as push:
        assert line(push.port).ask(b'json_wn#{"method": "state"}') == b"RET#state"
        assert found == [{"method": "state"}]
        assert push.last[1] == {"method": "state"}


def test_direct_callback_may_stop_its_socket(line) -> None:
    push = make("callback_direct", callback=lambda data: push.stop())
    push.start()
    assert line(push.port).ask(b"json_wn#{}") == b"RET#null"
    push.join(10)
    assert not push.is_alive()
    assert DATA == {}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"action": "foobar"}, f"Unknown action 'foobar'. Must be one of: {ACTIONS}"),
        ({"action": "callback_async", "callback": "x"}, "Value for callback: 'x' is not callable"),
        ({"action": "callback_async"}, "Value for callback: 'None' is not callable"),
        ({"action": "callback_direct", "callback": "x"}, "Value for callback: 'x' is not callable"),
        ({"queue": queue.Queue()}, None),
        ({"callback": print}, None),
        ({"return_format": "xml"}, None),
    ],
    ids=["action", "async", "missing", "direct", "queue", "callback", "format"],
)
def test_wrong_argument_is_refused_and_leaves_nothing(arguments: dict, text: str | None) -> None:
    with pytest.raises(ValueError) as caught:
        DataPushSocket(NAME, 0, host=LOCAL, **arguments)
    if text is not None:
        assert str(caught.value) == text
    assert DATA == {}


def test_port_of_a_pull_socket_is_still_reserved_for_a_push_socket() -> None:
    with DataPullSocket(NAME, ["a"], 0, host=LOCAL) as pull:
        with pytest.raises(PortStillReserved):
            DataPushSocket(NAME, pull.port, host=LOCAL)
        assert list(DATA) == [pull.port]


def test_port_of_a_push_socket_is_refused_to_a_pull_socket() -> None:
    with make() as push:
        with pytest.raises(ValueError, match=f"A UDP server already exists on port: {push.port}"):
            DataPullSocket(NAME, ["a"], push.port, host=LOCAL)


def test_acknowledgement_is_python(line) -> None:
    with make() as push:
        reply = line(push.port).ask(b'json_wn#{"a": [1, null, true, "\'"]}')
        assert ast.literal_eval(reply.partition(b"#")[2].decode()) == {"a": [1, None, True, "'"]}


@pytest.mark.parametrize("action", ACTIONS)
def test_stop_before_start_and_twice_gives_the_port_back(action: str) -> None:
    for is_started in (False, True):
        push = make(action)
        if is_started:
            push.start()
        push.stop()
        push.stop()
        assert not push.is_alive()
        DataPushSocket(NAME, push.port, host=LOCAL).stop()
