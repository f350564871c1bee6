"""Attributes of instruments, modules and parameters that the server keeps."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from drivers import Handle, Onlooker, Plain, Wired
from qcodes.validators import Numbers

from instrumentserver import NotPortable, Server, start_server
from instrumentserver.client.attribute import RemoteAttribute
from instrumentserver.client.session import Session


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("home")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def away(own_directory: str) -> Iterator[Server]:
    """Yield the server that is another client."""
    server = start_server("away")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server, away: Server) -> Iterator[None]:
    """Close what a test made; the servers of the module go on."""
    yield
    for server in (away, home):
        for instrument in server.instruments.values():
            instrument.close()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of the requests that this process sends from now on."""
    sent: list[Any] = []
    send = Session.request

    def request(session: Session, request: list[Any], frame: bytes | None = None) -> list[Any]:
        sent.append(request)
        return send(session, request, frame)

    monkeypatch.setattr(Session, "request", request)
    return sent


@pytest.fixture
def wired(messages: list[Any], home: Server) -> Wired:
    wired = home.create(Wired, "wired")
    messages.clear()
    return wired


@pytest.fixture
def onlooker(wired: Wired, away: Server) -> Onlooker:
    """Return another client, which knows the instrument as ``wired``."""
    onlooker = away.create(Onlooker, "onlooker")
    onlooker.see("wired.x()", wired=wired)
    return onlooker


# What stands for an object that cannot travel


@pytest.mark.parametrize("of", ["", "ch1", "x"], ids=["of an instrument", "of a module", "of a parameter"])
def test_an_object_that_cannot_travel_is_used_where_it_is(wired: Wired, of: str) -> None:
    owner = getattr(wired, of) if of else wired
    assert issubclass(type(owner.handle), RemoteAttribute)
    assert owner.handle.timeout == 2.0
    owner.handle.timeout = 5
    assert owner.handle.timeout == wired.getattr(f"{of}.handle.timeout".lstrip(".")) == 5
    owner.handle.below.below.timeout = 7
    assert owner.handle.below.below.timeout == 7
    assert owner.handle.below.timeout == 2.0
    assert owner.handle.ask("ping", times=2) == "pingping"
    assert owner.handle.below.below.ask("pong") == "pong"


def test_each_use_is_one_message(wired: Wired, messages: list[Any]) -> None:
    handle = wired.handle
    assert len(messages) == 1
    uses = (
        lambda: handle.timeout,
        lambda: handle.below,
        lambda: handle["a"],
        lambda: len(handle),
        lambda: setattr(handle, "timeout", 3),
    )
    for number, use in enumerate(uses):
        use()
        assert len(messages) == 2 + number


def test_it_is_indexed_and_counted(wired: Wired) -> None:
    assert (wired.handle["a"], wired.handle[3], len(wired.handle)) == (1, "three", 2)
    wired.handle["b"] = [1, 2]
    assert (wired.handle["b"], len(wired.handle)) == ([1, 2], 3)
    assert wired.handle.registers == {"a": 1, 3: "three", "b": [1, 2]}
    assert ("a" in wired.handle, "c" in wired.handle, list(wired.handle)) == (True, False, ["a", 3, "b"])
    with pytest.raises(KeyError):
        _ = wired.handle["nothing"]


def test_what_is_deleted_of_it_is_gone_on_the_server(wired: Wired) -> None:
    handle = wired.handle
    del handle.timeout, handle.below.is_open, handle["a"]
    assert not hasattr(handle, "timeout")
    assert wired.getattr("handle.below.is_open", "gone") == "gone"
    assert handle.registers == {3: "three"}


def test_one_that_can_be_called_is_called_and_used(wired: Wired) -> None:
    nested, trigger = wired.handle.trigger, wired.trigger
    assert (nested(1.5), trigger(1.5)) == (3.5, 3.5)
    assert (nested.timeout, nested.below.timeout) == (2.0, 2.0)
    assert (trigger.timeout, trigger.below.timeout) == (2.0, 2.0)
    trigger.timeout = 3
    assert (nested.timeout, nested(1.5)) == (3, 4.5)


def test_it_counts_as_true_where_the_object_does(wired: Wired) -> None:
    assert wired.handle
    wired.handle.is_open = False
    assert not wired.handle
    wired.handle.is_open = True
    assert wired.handle


def test_it_equals_itself_alone(wired: Wired) -> None:
    assert wired.handle == wired.handle
    assert hash(wired.handle) == hash(wired.handle)
    others = [wired.handle.below, wired._handle, wired.ch1.handle, wired.x.handle, Handle(), None]
    assert all(wired.handle != other for other in others)
    assert len({wired.handle, wired.handle, *others}) == 7


def test_it_reads_as_the_object_and_claims_its_class(wired: Wired) -> None:
    assert repr(wired.handle) == str(wired.handle) == "<Handle with 2.0 s>"
    assert isinstance(wired.handle, Handle)
    assert not isinstance(wired.handle, Plain)
    assert wired.handle.__class__ is Handle


def test_an_object_of_an_unknown_class_claims_none(home: Server) -> None:
    class Far(Plain):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            scope: dict[str, Any] = {"__name__": "elsewhere"}
            exec("class Stranger: level = 3", scope)
            self.stranger = scope["Stranger"]()

    far = home.create(Far, "far")
    assert issubclass(type(far.stranger), RemoteAttribute)
    assert isinstance(far.stranger, RemoteAttribute)
    assert far.stranger.level == 3


def test_it_goes_back_as_the_object_itself(wired: Wired, away: Server) -> None:
    assert wired.is_handle(wired.handle, [wired.handle, [wired.handle]])
    assert not wired.is_handle(wired._handle)
    assert wired.is_handle(pickle.loads(pickle.dumps(wired.handle)))
    other = away.create(Plain, "other")
    with pytest.raises(NotPortable, match="stays on its server"):
        other.give(wired.handle)


def test_a_missing_attribute_is_told_as_python_tells_it(wired: Wired) -> None:
    with pytest.raises(AttributeError, match="'Handle' object has no attribute 'nothing'"):
        _ = wired.handle.nothing
    assert not hasattr(wired.handle, "nothing")
    assert getattr(wired.handle, "nothing", 5) == 5


def test_errors_of_the_object_arrive(wired: Wired) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'loud'"):
        wired.handle.ask("ping", loud=True)
    assert wired.handle.ask("ping") == "ping"


# Private attributes


@pytest.mark.parametrize("of", ["", "ch1", "x"], ids=["of an instrument", "of a module", "of a parameter"])
def test_private_attributes_are_read_and_set_on_the_server(wired: Wired, of: str) -> None:
    owner = getattr(wired, of) if of else wired
    wired.setattr(f"{of}._secret".lstrip("."), [1])
    assert owner._secret == [1]
    owner._secret = (2,)
    assert wired.getattr(f"{of}._secret".lstrip(".")) == owner._secret == (2,)
    assert "_secret" not in vars(owner)


def test_private_attributes_that_cannot_travel_and_those_of_a_stand_in(wired: Wired) -> None:
    assert wired._handle.ask("ping") == "ping"
    assert wired.handle._secret == "kept"
    wired.handle._secret = "told"
    assert wired.getattr("handle._secret") == "told"
    wired._x = 3.5
    assert wired.x() == 3.5
    assert wired._get_x() == 3.5


# What Python and IPython look for


PROBES = [
    *("__array__", "__array_interface__", "__array_struct__", "__array_priority__", "__iter__", "__float__"),
    *("__wrapped__", "__deepcopy__", "__getstate__x", "__fspath__", "__length_hint__", "__await__"),
    *("_repr_html_", "_repr_png_", "_repr_mimebundle_", "_repr_json_", "_ipython_display_"),
    *("_ipython_canary_method_should_not_exist_", "_ipython_key_completions_", "_jupyter_repr_"),
]


@pytest.mark.parametrize(
    "name", ["", "ch1", "x", "outs", "outs[1]", "echo", "add", "handle", "log", "metadata"]
)
def test_what_python_and_ipython_look_for_costs_no_message(
    wired: Wired, messages: list[Any], name: str
) -> None:
    thing = eval(f"wired.{name}" if name else "wired", {"wired": wired})
    messages.clear()
    found = {probe for probe in PROBES if hasattr(thing, probe)}
    assert {probe for probe in found if not hasattr(object, probe) and probe[:2] != "__"} == set()
    assert messages == []


def test_looking_at_a_proxy_costs_no_message(wired: Wired, messages: list[Any]) -> None:
    for thing in (wired, wired.ch1, wired.x, wired.outs, wired.outs[1], wired.echo, wired.add):
        assert repr(thing) and str(thing) and dir(thing)
        assert thing is not None and callable(thing) in (True, False) and isinstance(thing, object)
    assert (wired.x.name, wired.x.full_name, wired.ch1.full_name) == ("x", "wired_x", "wired_ch1")
    assert wired.ch1.parent is wired.x.root_instrument is wired
    assert messages == []


def test_a_proxy_in_an_array_is_one_object(wired: Wired, messages: list[Any]) -> None:
    held = np.empty(3, dtype=object)
    held[:] = [wired, wired.x, wired.ch1]
    assert list(held) == [wired, wired.x, wired.ch1]
    assert messages == []


# Classes, functions


def test_a_class_that_both_sides_have_arrives_as_itself(wired: Wired) -> None:
    assert wired.limits_class is Numbers
    assert wired.limits_class(0, 1).validate(0.5) is None
    wired.setattr("x.get_parser", None)
    assert wired.x.get_parser is None


def test_a_class_that_only_the_server_has_is_used_there(wired: Wired) -> None:
    assert issubclass(type(wired.unheard), RemoteAttribute)
    assert isinstance(wired.unheard, type)
    assert wired.unheard.level == 3


def test_parsers_that_are_set_here_act_on_the_server(wired: Wired, onlooker: Onlooker) -> None:
    offset = 0.5
    wired.x.set_parser = lambda value: value - offset
    wired.x.get_parser = math.ceil
    wired.x(3)
    assert wired.written == [2.5]
    assert wired.x() == onlooker.see("wired.x()") == 3
    wired.x.get_parser = float
    assert wired.x.get_parser is float
    assert onlooker.see("wired.x.get_parser is float")
    wired.x.set_parser = wired.x.get_parser = None
    wired.x(1)
    assert (wired.written[-1], wired.x()) == (1, 1)


def test_a_function_among_the_attributes_is_called_on_the_server(wired: Wired) -> None:
    ask = wired.handle.ask
    assert ask("ping", times=3) == "pingpingping"
    assert (ask.__name__, ask.__doc__) == ("ask", "Return the command, ``times`` times.")
    assert wired.getattr("handle.below.ask")("pong") == "pong"
    assert wired.getattr("table['a'].count")(1) == 1
    assert wired.callattr("table['a'].index", 3) == 2


# Methods that somebody replaces


def test_a_function_in_a_method_s_place_is_called_from_here(
    wired: Wired, onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(wired, "add", lambda *args: "patched")
        assert wired.add(1) == "patched"
        assert wired.call_add() == onlooker.see("wired.add(1, 1)") == 2
    assert wired.add(1) == 2


def test_a_function_in_the_place_of_one_of_qcodes_s_own_methods(wired: Wired) -> None:
    with patch.object(wired, "ask", return_value="5") as ask:
        assert wired.ask("*IDN?") == "5"
    ask.assert_called_once_with("*IDN?")
    wired.write_raw = len  # type: ignore[method-assign,assignment]
    assert wired.write_raw("abc") == 3  # type: ignore[func-returns-value,comparison-overlap]
    del wired.write_raw
    for method in (wired.ask, wired.write_raw):
        with pytest.raises(NotImplementedError):
            method("*IDN?")


def test_a_function_in_a_method_s_place_stays_when_the_tree_changes(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(wired, "add", lambda *args: "patched")
        wired.grow("late")
        assert wired.late() == "late"
        assert wired.add(1) == "patched"
    assert wired.add(1) == 2


def test_a_function_in_the_place_of_a_channel_s_method_is_called_by_the_list(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    with monkeypatch.context() as patched:
        for channel in wired.outs:
            patched.setattr(channel, "twice", lambda name=channel.short_name: called.append(name))
        wired.outs.twice()
        wired.outs[1:3].twice()
    assert called == ["out0", "out1", "out2", "out3", "out1", "out2"]
    wired.outs.twice()
    assert len(called) == 6
    assert wired.outs[1].twice() == 0


# Other names for parts


def test_other_names_of_parts_lead_to_the_one_proxy(wired: Wired, messages: list[Any]) -> None:
    pairs = [
        (wired.gate, wired.x),
        (wired.drain, wired.ch1),
        (wired.leads, wired.outs),
        (wired.again, wired.functions["echo"]),
        (wired.deep, wired.outs[2].v),
        (wired.ch1.above, wired.x),
    ]
    assert [alias is part for alias, part in pairs] == [True] * 6
    assert wired.drain.v.full_name == "wired_ch1_v"
    assert messages == []
    assert {"gate", "drain", "leads", "deep"} <= set(dir(wired))
    assert "gate" not in wired.snapshot()["parameters"]


def test_other_names_hold_when_the_tree_changes(wired: Wired) -> None:
    wired.grow("late")
    wired.restart()
    assert wired.gate is wired.x
    assert wired.deep is wired.outs[2].v


@pytest.mark.parametrize("part", ["x", "ch1", "outs", "ch1.v", "outs[1]", "outs[1].v", "functions['echo']"])
def test_a_name_that_one_client_gives_to_a_part_is_there_for_others(
    wired: Wired, onlooker: Onlooker, part: str
) -> None:
    wired.nickname = eval(f"wired.{part}", {"wired": wired})
    assert wired.nickname is eval(f"wired.{part}", {"wired": wired})
    assert onlooker.see(f"wired.nickname is wired.{part}")
    assert wired.getattr("nickname") is wired.nickname
    del wired.nickname
    assert not hasattr(wired, "nickname")
    assert not onlooker.see("(wired.x(), hasattr(wired, 'nickname'))")[1]


def test_a_part_of_another_instrument_as_an_attribute_stays_here(
    wired: Wired, onlooker: Onlooker, away: Server
) -> None:
    wired.foreign = away.create(Plain, "far").x
    assert wired.foreign is away.instruments["far"].x
    assert not onlooker.see("hasattr(wired, 'foreign')")


# Attributes of other kinds


def test_what_one_client_sets_is_read_by_another(wired: Wired, onlooker: Onlooker) -> None:
    wired.gain = 7
    wired.ch1.handle.timeout = 8
    wired.label = wired.ch1.label = wired.x.label = "mine"
    assert onlooker.see("(wired.gain, wired.ch1.handle.timeout)") == (7, 8)
    assert onlooker.see("[wired.label, wired.ch1.label, wired.x.label]") == ["mine"] * 3
    onlooker.do("wired.handle.below.timeout = 9; wired.x.unit = 'kV'; wired._count += 1")
    assert (wired.handle.below.timeout, wired.x.unit, wired._count) == (9, "kV", 2)


def test_what_cannot_travel_is_not_set(wired: Wired) -> None:
    with pytest.raises(NotPortable, match="cannot travel"):
        wired.gain = object()
    with pytest.raises(NotPortable, match="cannot travel"):
        wired.handle.timeout = object()
    assert (wired.gain, wired.handle.timeout) == (2.0, 2.0)


LOOKS: list[Callable[[Wired], Any]] = [
    lambda wired: wired.x.label,
    lambda wired: wired.x.unit,
    lambda wired: wired.x.vals,
    lambda wired: wired.gain,
    lambda wired: wired.doubled,
    lambda wired: wired.metadata,
    lambda wired: wired.handle,
    lambda wired: wired.limits_class,
]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: ",".join(look.__code__.co_names))
def test_an_attribute_is_one_message(wired: Wired, messages: list[Any], look: Callable[[Wired], Any]) -> None:
    look(wired)
    assert len(messages) == 1
