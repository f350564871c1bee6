"""Instruments controlled through push sockets: every request as a datagram."""

from __future__ import annotations

import functools
import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from lamps import Lamp, LaserControl
from qcodes.instrument import Instrument

from instrumentserver import Server, UsageError, start_server
from instrumentserver.sockets import Control, DataPushSocket, control

NAME = "Laser control, callback socket, for giant laser on the moon"
FORMATS = ["json", "string", "raw"]
METHODS = ["update_settings", "state", "history", "summary", "nothing"]


def push_socket(**arguments: Any) -> DataPushSocket:
    """Return a push socket at any port of this computer."""
    return DataPushSocket(NAME, 0, host="127.0.0.1", **arguments)


def pushed(data: Any) -> bytes:
    """Return a push as a client sends it."""
    return b"json_wn#" + json.dumps(data).encode()


class Client:
    """Sends dicts to a socket and returns the text of the answers."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def __call__(self, /, **data: Any) -> str:
        return str(self._line.ask(pushed(data)).decode("ascii"))


@pytest.fixture
def client(line) -> Callable[[Control], Client]:
    return lambda controlled: Client(line(controlled.port))


@pytest.fixture
def lamp(server: Server) -> Lamp:
    return server.create(Lamp, "lamp")


@pytest.fixture
def local_lamp() -> Lamp:
    return Lamp("lamp")


# The manual's laser


@pytest.mark.parametrize("return_format", FORMATS)
@pytest.mark.parametrize("kind", ["object", "served"])
def test_laser_of_the_manual_answers_as_with_a_callback_of_its_own(
    return_format: str, kind: str, server: Server, line
) -> None:
    def callback(data: dict[str, Any]) -> Any:
        return getattr(by_hand, data.pop("method"))(**data)

    by_hand = LaserControl()
    laser = LaserControl() if kind == "object" else server.serve(LaserControl(), "laser")
    commands = [
        {"method": "update_settings", "power": 300, "focus": 10},
        {"method": "state", "state": "active"},
        {"method": "update_settings", "colour": 1},
        {"method": "history"},
        {"method": "summary"},
        {"method": "nothing"},
    ]
    own = push_socket(action="callback_direct", callback=callback, return_format=return_format)
    controlled = control(laser, push_socket(return_format=return_format), methods=METHODS)
    with own, controlled:
        for command in commands:
            assert line(controlled.port).ask(pushed(command)) == line(own.port).ask(pushed(command)), command
        told = line(controlled.port).ask(pushed(commands[0]))
    if return_format == "string":
        assert told == b"RET#Updated settings with: {'power': 300, 'focus': 10}"
    if return_format == "json":
        assert told == b"RET#\"Updated settings with: {'power': 300, 'focus': 10}\""


@pytest.mark.parametrize(
    ("return_format", "answer"),
    [
        ("json", 'RET#{"power": 300, "focus": 10}'),
        ("string", "RET#{'power': 300, 'focus': 10}"),
        ("raw", "RET#power:int:300;focus:int:10"),
    ],
)
def test_parameters_are_set_in_order_and_answered(return_format: str, answer: str, lamp: Lamp, line) -> None:
    with control(lamp, push_socket(return_format=return_format), ["power", "focus"]) as controlled:
        client = line(controlled.port)
        assert client.ask(b"raw_wn#power:int:300;focus:int:10").decode() == answer
        assert lamp.sent() == ["power", "focus"]
        assert client.ask(pushed({"focus": 10, "power": 300})).startswith(b"RET#")
        assert lamp.sent() == ["power", "focus", "focus", "power"]


def test_last_and_updated_go_on_telling_what_came(lamp: Lamp, client) -> None:
    with control(lamp, push_socket(), ["power", "focus"]) as controlled:
        send = client(controlled)
        send(power=1)
        send(focus=2)
        assert controlled.socket.last[1] == {"focus": 2}
        assert controlled.socket.updated[1] == {"power": 1, "focus": 2}


def test_values_come_in_plain_forms(lamp: Lamp, client) -> None:
    with control(lamp, push_socket(), methods=["measured"]) as controlled:
        answer = client(controlled)(method="measured")
    assert json.loads(answer.removeprefix("RET#")) == {
        "trace": [0.0, 1.0, 2.0],
        "shade": "COLD",
        "count": 3,
        "pair": [1, 2],
    }


def test_a_list_sets_a_parameter_with_an_array(lamp: Lamp, client) -> None:
    with control(lamp, push_socket(), ["wave"]) as controlled:
        send = client(controlled)
        assert send(wave=[1.0, 2.0, 3.0]) == 'RET#{"wave": [1.0, 2.0, 3.0]}'
        assert lamp.wave().tolist() == [1.0, 2.0, 3.0]
        assert "nothing was set" in send(wave=[1.0])


@pytest.mark.parametrize("where", ["server", "here"])
def test_parts_and_functions_are_reached_by_their_paths(where: str, server: Server, client) -> None:
    lamp: Any = server.create(Lamp, "lamp") if where == "server" else Lamp("lamp")
    parameters = {"a": "ch1.v", "b": lamp.ch2.v, "c": "bulbs.1.v"}
    methods = {"flash": "ch1.flash", "reset": "reset", "scale": lamp.scale, "other": "bulbs.ch2.flash"}
    with control(lamp, push_socket(), parameters, methods) as controlled:
        send = client(controlled)
        assert send(a=1, b=2) == 'RET#{"a": 1, "b": 2}'
        assert (lamp.ch1.v(), lamp.ch2.v()) == (1, 2)
        assert send(c=3) == 'RET#{"c": 3}'
        assert lamp.ch2.v() == 3
        assert send(method="flash", times=4) == "RET#4"
        assert send(method="other") == "RET#1"
        assert send(method="reset") == "RET#null"
        assert send(method="scale", args=[2, 3]) == "RET#6"
        assert send(method="scale", args=[2, 30]).startswith("EXCEP#30 is invalid")
        assert send(method="scale", args=[2]).startswith("EXCEP#")
        assert send(method="scale") == "EXCEP#scale: missing a required argument: 'args'; it is scale(args)"
        assert send(method="reset", args=[1]).startswith("EXCEP#reset: got an unexpected keyword argument")


def test_parts_of_an_instrument_are_controlled_by_themselves(lamp: Lamp, client) -> None:
    with control(lamp.ch1, push_socket(), ["v"], ["flash"]) as controlled:
        send = client(controlled)
        assert send(v=2) == 'RET#{"v": 2}'
        assert send(method="flash") == "RET#1"


# Checks


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"power": 1, "focus": 101}, "focus: 101 is invalid: must be between 0 and 100 inclusive"),
        ({"power": 1, "focus": "x"}, "focus: "),
        ({"power": 1, "colour": 1}, "'colour' cannot be set here, but: power, focus, fuse"),
        ({"power": 1, "temperature": 1}, "'temperature' cannot be set here"),
    ],
)
def test_nothing_is_set_if_one_value_is_wrong(data: dict[str, Any], words: str, lamp: Lamp, client) -> None:
    with control(lamp, push_socket(), ["power", "focus", "fuse"]) as controlled:
        answer = client(controlled)(**data)
        assert answer.startswith("EXCEP#")
        assert words in answer
        assert answer.endswith("; nothing was set")
        assert lamp.sent() == []
        assert controlled.socket.statistics.refused == 1


def test_set_that_fails_tells_what_was_set_before(lamp: Lamp, client) -> None:
    with control(lamp, push_socket(), ["power", "fuse", "focus"]) as controlled:
        answer = client(controlled)(power=2.5, fuse=7, focus=3)
        assert answer == "EXCEP#fuse: the fuse has blown; set before it: power = 2.5"
        assert lamp.sent() == ["power"]
        assert client(controlled)(fuse=7) == "EXCEP#fuse: the fuse has blown; set before it: nothing"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "missing a required argument: 'power'; it is update_settings(power, focus=10)"),
        ({"power": 1, "colour": 2}, "got an unexpected keyword argument 'colour'; it is update_settings("),
        ({"self": 1, "power": 2}, "unexpected keyword argument 'self'"),
    ],
)
def test_wrong_arguments_are_refused_before_the_call(
    arguments: dict[str, Any], words: str, lamp: Lamp, client
) -> None:
    with control(lamp, push_socket(), methods=["update_settings"]) as controlled:
        answer = client(controlled)(method="update_settings", **arguments)
        assert answer.startswith("EXCEP#update_settings: ")
        assert words in answer
        assert controlled.socket.statistics.refused == 1


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("fail", {"text": "no answer"}, "EXCEP#[Errno 5] no answer"),
        ("shout", {}, "EXCEP#300 \\xb0C"),
        ("leave", {}, "EXCEP#"),
        ("long", {}, "EXCEP#It was done; the answer cannot be sent: 70006 bytes, at most 65507 fit"),
    ],
)
@pytest.mark.parametrize("where", ["server", "here"])
def test_failures_come_as_one_line_and_the_socket_lives_on(
    where: str, method: str, arguments: dict[str, Any], answer: str, server: Server, client
) -> None:
    lamp: Any = server.create(Lamp, "lamp") if where == "server" else Lamp("lamp")
    with control(lamp, push_socket(), methods=[method, "sent"]) as controlled:
        send = client(controlled)
        assert send(method=method, **arguments).startswith(answer)
        assert send(method="sent") == "RET#[]"
        assert controlled.socket.statistics.unanswered == 0


# What cannot be reached


@pytest.mark.parametrize(
    "data",
    [
        {"method": "__getattribute__", "name": "power"},
        {"method": "__class__"},
        {"method": "_secret"},
        {"method": "close"},
        {"method": "sent.__self__.close"},
        {"method": "ch1.flash"},
        {"method": "power"},
        {"method": "power.set", "value": 5},
        {"method": ""},
        {"method": None},
        {"method": ["sent"]},
        {"method": {"sent": 1}},
        {"power.__class__": 1},
        {"__class__": 1},
        {"focus": 1},
        {"": 1},
    ],
    ids=json.dumps,
)
def test_what_is_not_listed_cannot_be_reached(data: dict[str, Any], local_lamp: Lamp, client) -> None:
    with control(local_lamp, push_socket(), ["power"], ["sent"]) as controlled:
        send = client(controlled)
        assert send(**data).startswith("EXCEP#")
        assert send(method="sent") == "RET#[]"
        assert Instrument._all_instruments["lamp"] is local_lamp


def own_set(lamp: Any) -> Any:
    return lamp.power.set


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"methods": ["__getattribute__"]}, "private or special"),
        ({"methods": ["_secret"]}, "private or special"),
        ({"methods": ["ch1.__class__"]}, "private or special"),
        ({"methods": ["__class__.update_settings"]}, "private or special"),
        ({"methods": {"fine": "_secret"}}, "private or special"),
        ({"methods": {"_fine": "sent"}}, "private or special"),
        ({"methods": {"fine": Lamp._secret}}, "private or special"),
        ({"methods": ["power"]}, "'power' is a parameter"),
        ({"methods": ["power.set"]}, "has no method 'power.set'; there is: reset, scale, anything"),
        ({"methods": {"fine": own_set}}, "belongs to a parameter"),
        ({"methods": ["order"]}, "has no method 'order'"),
        ({"methods": ["ch1"]}, "has no method 'ch1'"),
        ({"methods": ["ch1.nothing"]}, "has no method 'ch1.nothing'"),
        ({"methods": ["ch9.flash"]}, "has no method 'ch9.flash'"),
        ({"methods": [""]}, "is no name"),
        ({"methods": "sent"}, "methods='sent' is one text"),
        ({"methods": {"fine": 3}}, "stands for 3, which is no method"),
        ({"methods": [print]}, "is no text"),
        ({"methods": ["sent", "sent"]}, "more than once"),
        ({"parameters": ["temperature"]}, "lamp_temperature cannot be set; what can be set: power"),
        ({"parameters": ["pwr"]}, "lamp has no parameter 'pwr'; there is: "),
        ({"parameters": ["_power"]}, "lamp has no parameter"),
        ({"parameters": ["power.cache"]}, "lamp has no parameter"),
        ({"parameters": {"a": 5}}, "5 is no parameter"),
        ({"parameters": {"a#b": "power"}}, "The character '#' is not allowed"),
        ({"parameters": {"\xb5": "power"}}, "is not ASCII"),
        ({"parameters": {"method": "power"}}, "give another codename"),
        ({"parameters": "power"}, "parameters='power' is one text"),
        ({}, "list parameters= or methods="),
        ({"methods": ["sent"], "reads": ["update_settings"]}, "reads= names 'update_settings'"),
        ({"methods": ["sent"], "reads": "sent"}, "reads='sent' is one text"),
        ({"methods": ["sent"], "roles": {"lab": "viewer"}}, "'lab' is no network"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, str) else "",
)
@pytest.mark.parametrize("where", ["server", "here"])
def test_what_cannot_be_listed_is_refused_and_nothing_is_left(
    where: str, arguments: dict[str, Any], words: str, server: Server, line
) -> None:
    lamp: Any = server.create(Lamp, "lamp") if where == "server" else Lamp("lamp")
    if (arguments.get("methods") or {}) == {"fine": own_set}:
        arguments = {"methods": {"fine": own_set(lamp)}}
    with push_socket() as socket:
        with pytest.raises(UsageError) as error:
            control(lamp, socket, **arguments)
        assert words in str(error.value)
        assert line(socket.port).ask(pushed({"a": 1})) == b"ACK#{'a': 1}"


def test_parameters_of_other_instruments_are_refused(lamp: Lamp) -> None:
    local_lamp = Lamp("here")
    with push_socket() as socket:
        for one, other in [(lamp, local_lamp.power), (local_lamp, lamp.power), (lamp.ch1, lamp.ch2.v)]:
            with pytest.raises(UsageError, match="is no parameter of"):
                control(one, socket, {"a": other})


def test_objects_have_methods_only() -> None:
    with push_socket() as socket:
        with pytest.raises(UsageError, match="has methods, but no parameters"):
            control(LaserControl(), socket, ["power"])
        with pytest.raises(UsageError, match="there is: history, later, nothing, state, summary"):
            control(LaserControl(), socket, methods=["settings"])
        with pytest.raises(UsageError, match="is a coroutine function"):
            control(LaserControl(), socket, methods=["later"])
        with pytest.raises(UsageError, match="is a class"):
            control(LaserControl(), socket, methods={"made": LaserControl})


def test_functions_of_the_program_can_be_listed(local_lamp: Lamp, client) -> None:
    methods = {"double": lambda value: 2 * value, "doubled": functools.partial(max, 2)}
    with control(local_lamp, push_socket(), methods=methods) as controlled:
        assert client(controlled)(method="double", value=4) == "RET#8"


# Roles


@pytest.mark.parametrize(
    ("roles", "reading", "calling", "setting"),
    [
        (None, "RET#", "RET#", "RET#"),
        ({"127.0.0.0/8": "operator"}, "RET#", "RET#", "RET#"),
        (
            {"0.0.0.0/0": "operator", "127.0.0.0/8": "viewer"},
            "RET#",
            "EXCEP#127.0.0.1 is a viewer here, who may call: sent",
            "EXCEP#127.0.0.1 is a viewer here, who may call: sent",
        ),
        ({"127.0.0.0/8": "viewer", "127.0.0.1": "operator"}, "RET#", "RET#", "RET#"),
        ({"10.0.0.0/8": "operator"}, *["EXCEP#127.0.0.1 may do nothing here"] * 3),
        ({}, *["EXCEP#127.0.0.1 may do nothing here"] * 3),
    ],
    ids=["none", "operator", "viewer", "smaller network", "other network", "no network"],
)
def test_role_of_the_sender_says_what_he_may_do(
    roles: Any, reading: str, calling: str, setting: str, local_lamp: Lamp, client
) -> None:
    arguments = {"methods": ["sent", "update_settings"], "reads": ["sent"], "roles": roles}
    with control(local_lamp, push_socket(), ["power"], **arguments) as controlled:
        send = client(controlled)
        assert send(method="sent").startswith(reading)
        assert send(method="update_settings", power=1).startswith(calling)
        assert send(power=1).startswith(setting)
        assert bool(local_lamp.order) == setting.startswith("RET#")


# Its life


def test_stop_of_a_socket_that_ran_before_only_detaches(lamp: Lamp, line) -> None:
    with push_socket() as socket:
        client = line(socket.port)
        controlled = control(lamp, socket, ["power"])
        assert client.ask(pushed({"power": 1})) == b'RET#{"power": 1}'
        controlled.stop()
        controlled.stop()
        assert client.ask(pushed({"power": 2})) == b"ACK#{'power': 2}"
        assert lamp.power() == 1
        with control(lamp, socket, methods=["sent"]):
            assert client.ask(pushed({"method": "sent"})) == b'RET#["power"]'
        assert client.ask(pushed({"power": 3})) == b"ACK#{'power': 3}"


def test_socket_that_control_starts_is_stopped_with_it(local_lamp: Lamp) -> None:
    socket = push_socket()
    with control(local_lamp, socket, ["power"]) as controlled:
        assert socket.is_alive()
    assert not socket.is_alive()
    with DataPushSocket(NAME, controlled.port, host="127.0.0.1"):
        pass
    with pytest.raises(UsageError, match="has been stopped"):
        control(local_lamp, socket, ["power"])


def test_socket_is_controlled_once_and_only_with_store_last(local_lamp: Lamp) -> None:
    with push_socket() as socket, control(local_lamp, socket, ["power"]):
        with pytest.raises(UsageError, match="answers the pushes to this socket already"):
            control(local_lamp, socket, ["focus"])
    with push_socket(action="enqueue") as socket:
        with pytest.raises(UsageError, match="make it with action='store_last'"):
            control(local_lamp, socket, ["power"])
    with pytest.raises(UsageError, match="is no DataPushSocket"):
        control(local_lamp, None, ["power"])  # type: ignore[arg-type]


def test_method_may_stop_the_control_that_calls_it(local_lamp: Lamp, client) -> None:
    controls: list[Control] = []
    controls.append(control(local_lamp, push_socket(), methods={"end": lambda: controls[0].stop()}))
    assert client(controls[0])(method="end") == "RET#null"
    controls[0].socket.join(10)
    controls[0].stop()
    assert not controls[0].socket.is_alive()


@pytest.mark.slow
def test_server_that_is_gone_is_told_and_comes_back(new_name: Callable[[], str], client) -> None:
    name = new_name()
    lamp = start_server(name).create(Lamp, "lamp")
    with control(lamp, push_socket(), ["power"], ["sent"]) as controlled:
        send = client(controlled)
        assert send(power=1) == 'RET#{"power": 1}'
        start_server(name).stop()
        assert send(power=2) == f"EXCEP#power: server '{name}' is not running (exit code 0); nothing was set"
        assert send(method="sent") == f"EXCEP#server '{name}' is not running (exit code 0)"
        start_server(name).create(Lamp, "lamp")
        assert send(power=3) == 'RET#{"power": 3}'
        assert send(method="sent") == 'RET#["power"]'


@pytest.mark.slow
def test_served_object_is_controlled_again_after_its_server(new_name: Callable[[], str], client) -> None:
    name = new_name()
    laser = start_server(name).serve(LaserControl(), "laser")
    with control(laser, push_socket(), methods=["state"]) as controlled:
        send = client(controlled)
        assert send(method="state", state="on") == 'RET#"State set to: on"'
        start_server(name).stop()
        assert send(method="state", state="on").startswith(f"EXCEP#server '{name}' is not running")
        kept = start_server(name).serve(LaserControl(), "laser")
        assert send(method="state", state="off") == 'RET#"State set to: off"'
        del kept


@pytest.mark.slow
def test_hostile_datagrams_change_nothing(local_lamp: Lamp, line) -> None:
    source = random.Random(6)
    hostile = [
        b"",
        b"json_wn#",
        b"json_wn#" + b"[" * 8000,
        b'json_wn#{"method": ' * 400,
        b"raw_wn#method:str:__class__",
        b"raw_wn#method:int:1",
        b'json_wn#{"method": "sent", "method": "close"}',
        b'json_wn#{"method": "anything", "__class__": 1}',
        b'json_wn#{"power": ' + b"9" * 4000 + b"}",
        b'json_wn#{"power": NaN}',
        b'json_wn#{"\\ud800": 1}',
        b"x" * 60_000,
        *(os.urandom(source.randint(1, 300)) for _ in range(200)),
    ]
    with control(local_lamp, push_socket(), ["power"], ["sent", "anything"]) as controlled:
        client = line(controlled.port)
        for number, datagram in enumerate(hostile):
            stranger = line(controlled.port)
            stranger.send(datagram)
            assert client.ask(pushed({"method": "anything", "n": number})) == b'RET#{"n": %d}' % number
            stranger.close()
        assert client.ask(pushed({"power": 5})) == b'RET#{"power": 5}'
        assert Instrument._all_instruments["lamp"] is local_lamp
