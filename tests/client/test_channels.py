"""Channel tuples and lists: what concerns several channels is one message, and QCoDeS's own behaviour."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from drivers import Bank, Crate, Doubling, Onlooker, Rack, RackChannel, Slot
from qcodes.instrument import ChannelList, ChannelTuple, InstrumentChannel
from qcodes.instrument.channel import AutoLoadableChannelList
from qcodes.parameters import MultiChannelInstrumentParameter

from instrumentserver import NotPortable, Server, UnknownName, start_server
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
def rack(messages: list[Any], home: Server) -> Rack:
    rack = home.create(Rack, "rack")
    messages.clear()
    return rack


@pytest.fixture
def local() -> Iterator[Rack]:
    """Yield the same instrument in this process."""
    rack = Rack("here")
    yield rack
    rack.close()


def error_of(act: Callable[[Any], Any], rack: Rack) -> tuple[type, str, list[str]]:
    """Return how an action fails: class, text, and the notes that are not the server's traceback."""
    with pytest.raises(Exception) as raised:
        act(rack)
    notes = [note for note in getattr(raised.value, "__notes__", ()) if not note.startswith("Traceback on")]
    text = str(raised.value).replace("here", "NAME").replace("rack", "NAME")
    return type(raised.value), text, notes


# One message


ONE_MESSAGE: dict[str, tuple[Callable[[Rack], Any], Any]] = {
    "get": (lambda rack: rack.bank.v(), (0, 0, 0, 0)),
    "get of a slice": (lambda rack: rack.bank[1:3].v(), (0, 0)),
    "get of several": (lambda rack: rack.bank[0, 3].v(), (0, 0)),
    "get by name": (lambda rack: rack.bank.get_channels_by_name("a", "c").v(), (0, 0)),
    "get of two lists": (lambda rack: (rack.bank[:1] + rack.routed).v(), (0, 0, 0)),
    "set": (lambda rack: rack.bank.v(2), None),
    "set of a slice": (lambda rack: rack.bank[0:2].v(2), None),
    "function": (lambda rack: rack.bank.reset(), None),
    "function with arguments": (lambda rack: rack.bank[1:].put(3), None),
    "method": (lambda rack: rack.bank.bump(), None),
    "method of a slice": (lambda rack: rack.bank[:2].bump(0.5), None),
    "array": (lambda rack: rack.bank.sweep.get()[3].tolist(), [0, 1, 4, 9, 16]),
    "method of the tuple": (lambda rack: rack.bank.total(times=2), 0),
    "attribute of the tuple": (lambda rack: rack.bank.title, "front"),
    "property of the tuple": (lambda rack: rack.bank.mean, 0),
    "snapshot": (lambda rack: len(rack.bank.snapshot()["channels"]), 4),
}


@pytest.mark.parametrize("what", [what for what in ONE_MESSAGE if what != "array"])
def test_is_one_message(rack: Rack, messages: list[Any], what: str) -> None:
    act, result = ONE_MESSAGE[what]
    assert act(rack) == result
    assert len(messages) == 1


@pytest.mark.parametrize("what", ONE_MESSAGE)
def test_does_what_it_does_locally(rack: Rack, local: Rack, what: str) -> None:
    act, _ = ONE_MESSAGE[what]
    assert act(rack) == act(local)
    for letter in "abcd":
        here, there = getattr(local, letter), getattr(rack, letter)
        assert (there.v(), there.bumped) == (here.v(), here.bumped)


def test_a_list_of_values_is_tried_as_one_value_and_then_set(rack: Rack, messages: list[Any]) -> None:
    rack.bank.v([1, 2, 3, 4])
    assert len(messages) <= 2
    assert rack.bank.v() == (1, 2, 3, 4)
    rack.bank[1:3].v((5, 6))
    rack.bank[3].v(7)
    assert rack.bank.v() == (1, 5, 6, 7)


def test_labels_units_and_setpoints_are_one_message_each(rack: Rack, messages: list[Any]) -> None:
    several = rack.bank.v
    assert messages == []
    assert several.labels == ("Voltage",) * 4
    assert several.units == ("V",) * 4
    assert len(messages) == 2
    rack.b.v.label = "Gate"
    messages.clear()
    assert several.labels == ("Voltage", "Gate", "Voltage", "Voltage")
    assert (several.names, several.full_names) == (tuple(f"rack_{letter}_v" for letter in "abcd"),) * 2
    assert len(messages) == 1


def test_array_parameters_of_several_channels(rack: Rack, messages: list[Any], local: Rack) -> None:
    several = rack.bank[:2].sweep
    assert len(messages) <= 1
    messages.clear()
    values = several()
    assert len(messages) == 1
    np.testing.assert_array_equal(values, local.bank[:2].sweep())
    for name in (
        "shapes",
        "setpoints",
        "setpoint_names",
        "setpoint_units",
        "setpoint_labels",
        "units",
        "labels",
    ):
        assert getattr(several, name) == getattr(local.bank[:2].sweep, name), name
    assert several.names == ("rack_a_sweep", "rack_b_sweep")


def test_the_parameter_of_several_channels_is_qcodes_s(rack: Rack, local: Rack) -> None:
    several = rack.bank[1:].v
    assert isinstance(several, MultiChannelInstrumentParameter)
    assert (several.name, several.instrument, several.shapes) == ("Multi_v", rack, ((),) * 3)
    assert (several.gettable, several.settable) == (True, True)
    several(1.5)
    here = local.bank[1:].v
    here(1.5)
    snapshots = [dict(each.snapshot()) for each in (several, here)]
    for snapshot in snapshots:
        snapshot.pop("ts")
    assert str(snapshots[0]).replace("rack", "here") == str(snapshots[1])
    assert rack.bank.multi_parameter("v")() == (0, 1.5, 1.5, 1.5)


# Errors


ERRORS: dict[str, Callable[[Rack], Any]] = {
    "a value outside the limits": lambda rack: rack.bank.v(99),
    "a value of the wrong type": lambda rack: rack.bank.v("one"),
    "too few values": lambda rack: rack.bank.v([1, 2]),
    "values of the wrong type": lambda rack: rack.bank.v([1, 2, "three", 4]),
    "an argument outside the limits": lambda rack: rack.bank.put(7),
    "too many arguments": lambda rack: rack.bank.put(1, 2),
    "a method's wrong arguments": lambda rack: rack.bank.bump(1, 2, 3),
    "what is not there": lambda rack: rack.bank.nothing,
    "an index that is not there": lambda rack: rack.bank[9],
    "a name that is not there": lambda rack: rack.bank.get_channel_by_name("z"),
    "a parameter with several values": lambda rack: rack.bank.iq,
    "a method that is not there": lambda rack: rack.bank.multi_function("nothing"),
    "a parameter that is not there": lambda rack: rack.bank.multi_parameter("nothing"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_fails_as_it_does_locally(rack: Rack, local: Rack, what: str) -> None:
    assert error_of(ERRORS[what], rack) == error_of(ERRORS[what], local)
    assert rack.bank.v() == local.bank.v()


def test_a_failure_at_one_channel_stops_there(rack: Rack, local: Rack) -> None:
    for each in (rack, local):
        each.c.v.vals = each.a.v.vals.__class__(-1, 1)
        with pytest.raises(ValueError, match=r"between -1 and 1") as raised:
            each.bank.v(5)
        assert any("sequence of valid values" in note for note in raised.value.__notes__)
        assert each.bank.v() == (5, 5, 0, 0)
        with pytest.raises(ValueError, match=r"between -1 and 1"):
            each.bank.bump(2)
        assert each.bank.v() == (7, 7, 0, 0)
        assert [len(channel.bumped) for channel in each.bank] == [1, 1, 1, 0]


def test_a_value_that_cannot_travel_is_refused_before_anything_is_set(rack: Rack) -> None:
    with pytest.raises(NotPortable, match="cannot travel"):
        rack.bank.free(object())
    with pytest.raises(NotPortable, match="cannot travel"):
        rack.bank.free([1, 2, 3, object()])
    assert rack.bank.free() == (None,) * 4


# Lists that change


def names(channels: Any) -> list[str]:
    return [channel.short_name for channel in channels]


CHANGES: dict[str, tuple[Callable[[Rack], Any], list[str]]] = {
    "append": (lambda rack: rack.routed.append(rack.d), ["a", "b", "d"]),
    "insert": (lambda rack: rack.routed.insert(1, rack.c), ["a", "c", "b"]),
    "extend": (lambda rack: rack.routed.extend([rack.c, rack.d]), ["a", "b", "c", "d"]),
    "extend by a tuple": (lambda rack: rack.routed.extend(rack.bank[2:]), ["a", "b", "c", "d"]),
    "remove": (lambda rack: rack.routed.remove(rack.a), ["b"]),
    "clear": (lambda rack: rack.routed.clear(), []),
    "del": (lambda rack: rack.routed.__delitem__(0), ["b"]),
    "del of a slice": (lambda rack: rack.routed.__delitem__(slice(0, 2)), []),
    "set": (lambda rack: rack.routed.__setitem__(0, rack.d), ["d", "b"]),
    "set of a slice": (lambda rack: rack.routed.__setitem__(slice(0, 2), [rack.d, rack.c]), ["d", "c"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_a_list_is_the_server_s(home: Server, away: Server, local: Rack, what: str) -> None:
    rack = home.create(Rack, "rack")
    onlooker = away.create(Onlooker, "onlooker")
    onlooker.see("rack.a.v()", rack=rack)
    change, expected = CHANGES[what]
    routed = rack.routed
    change(rack)
    change(local)
    assert names(local.routed) == names(rack.routed) == rack.route() == expected
    assert onlooker.see("(rack.route(), [channel.short_name for channel in rack.routed])") == (expected,) * 2
    assert rack.routed is rack.submodules["routed"] is routed
    assert all(channel is getattr(rack, channel.short_name) for channel in routed)
    if expected:
        routed.v(1)
        assert rack.bank.v() == tuple(float(letter in expected) for letter in "abcd")
        assert routed.get_channel_by_name(expected[-1]) is getattr(routed, expected[-1])


def test_a_locked_list_changes_no_more(rack: Rack) -> None:
    rack.routed.lock()
    rack.routed.lock()
    for what in ("append", "insert", "extend", "remove", "clear", "del", "set"):
        with pytest.raises(AttributeError, match="locked"):
            CHANGES[what][0](rack)
    assert names(rack.routed) == rack.route() == ["a", "b"]
    rack.update()
    with pytest.raises(AttributeError, match="locked"):
        rack.callattr("routed.append", rack.d)


def test_what_is_not_in_the_list_or_of_another_kind_is_refused_as_locally(rack: Rack, local: Rack) -> None:
    for act in (
        lambda rack: rack.routed.remove(rack.d),
        lambda rack: rack.routed.insert(0, rack),
        lambda rack: rack.routed.append(rack.a.v),
    ):
        assert error_of(act, rack)[0] is error_of(act, local)[0]
    assert names(rack.routed) == rack.route() == ["a", "b"]


def test_a_channel_of_this_process_joins_this_process_s_list(rack: Rack) -> None:
    mine = RackChannel(rack, "mine")
    rack.routed.append(mine)
    assert names(rack.routed) == ["a", "b", "mine"]
    assert rack.route() == ["a", "b"]
    mine.v(3)
    rack.update()
    assert rack.routed.v() == (0, 0, 3)
    rack.routed.reset()
    assert mine.v() == 0


def test_lists_stay_the_same_objects_when_they_grow(rack: Rack, messages: list[Any]) -> None:
    routed, bank, channels = rack.routed, rack.bank, list(rack.bank)
    rack.callattr("routed.append", rack.c)
    assert rack.routed is routed is rack.submodules["routed"]
    assert rack.bank is bank
    assert [*routed] == channels[:3]
    assert routed[2] is routed.c is rack.c is bank[2]
    assert all(one is other for one, other in zip(bank, channels, strict=True))
    assert pickle.loads(pickle.dumps(routed)) is routed


def test_a_list_is_read_without_a_message(rack: Rack, messages: list[Any]) -> None:
    assert len(rack.bank) == 4
    assert rack.bank[0] is rack.a is rack.bank[-4] is rack.bank.get_channel_by_name("a")
    assert rack.a in rack.bank
    assert list(reversed(rack.bank)) == [rack.d, rack.c, rack.b, rack.a]
    assert (rack.bank.index(rack.c), rack.bank.count(rack.c)) == (2, 1)
    assert names(rack.bank[::2]) == ["a", "c"]
    assert rack.bank.full_name == "rack_bank"
    assert rack.bank.short_name == "bank"
    assert repr(rack.routed).startswith("ChannelList(<Rack: rack>, RackChannel, ")
    assert messages == []


def test_a_channel_is_found_by_its_name_without_a_message(rack: Rack, messages: list[Any]) -> None:
    assert rack.bank.c is rack.c
    assert messages == []


def test_tab_completion_offers_what_it_offers_locally(rack: Rack, local: Rack) -> None:
    for each in ("bank", "routed"):
        offered = {name for name in dir(getattr(local, each)) if not name.startswith("_")}
        assert offered - set(dir(getattr(rack, each))) == set()


# Classes of drivers


def test_a_driver_s_own_tuple_class(rack: Rack, local: Rack) -> None:
    rack.bank.v([1, 2, 3, 4])
    local.bank.v([1, 2, 3, 4])
    for bank in (rack.bank, local.bank):
        assert isinstance(bank, Bank)
        assert isinstance(bank, ChannelTuple)
        assert not isinstance(bank, ChannelList)
        assert (bank.total(), bank.total(times=2), bank.mean) == (10, 20, 2.5)
        assert (bank.title, bank.factor) == ("front", 2)
    assert rack.bank.total.__doc__ == local.bank.total.__doc__


def test_attributes_of_a_driver_s_own_tuple_are_set_on_the_server(rack: Rack) -> None:
    rack.bank.title = "back"
    assert rack.bank.title == rack.getattr("bank.title") == "back"
    rack.setattr("bank.title", "side")
    assert rack.bank.title == "side"


def test_private_attributes_of_a_driver_s_own_tuple(rack: Rack) -> None:
    assert rack.bank._hidden == 4
    rack.bank._hidden = 5
    assert rack.bank._hidden == rack.getattr("bank._hidden") == 5


def test_a_part_keeps_the_class(rack: Rack, local: Rack) -> None:
    for each in (rack, local):
        each.bank.v([1, 2, 3, 4])
        for part in (each.bank[1:3], each.bank[1, 2], each.bank.get_channels_by_name("b", "c")):
            assert isinstance(part, Bank)
            assert names(part) == ["b", "c"]
            assert part.v() == (2, 3)


def test_methods_and_attributes_of_a_part_concern_the_part(rack: Rack, local: Rack) -> None:
    for each in (rack, local):
        each.bank.v([1, 2, 3, 4])
        part = each.bank[1:3]
        assert (part.title, part.factor) == ("front", 2)
        assert part.total(times=2) == 10
        assert part.mean == 2.5


@pytest.mark.parametrize("update", [True, False, None])
def test_a_part_has_the_snapshot_of_a_local_one(rack: Rack, local: Rack, update: bool | None) -> None:
    def shown(each: Rack) -> Any:
        each.bank.v(1)
        whole, part = each.bank.snapshot(update=update), each.bank[1:3].snapshot(update=update)
        hidden = each.hidden.snapshot(update=update)
        found = [whole["__class__"], part["__class__"], *part["channels"], *whole["channels"], hidden]
        return str([*found, part["channels"][f"{each.name}_b"]["parameters"]["v"]["value"]])

    assert shown(rack).replace("rack", "here") == shown(local)


def test_a_driver_s_own_parameter_of_several_channels(rack: Rack, local: Rack) -> None:
    for each in (rack, local):
        assert isinstance(each.doubling.v, Doubling)
        each.doubling.v(1.5)
        assert each.doubling.v() == (3.0,) * 4
        assert each.doubling[1:3].v() == (3.0,) * 2
        assert each.bank.v() == (1.5,) * 4


def test_a_list_that_finds_its_channels_itself(home: Server) -> None:
    crate = home.create(Crate, "crate")
    slots = crate.slots
    assert isinstance(slots, AutoLoadableChannelList)
    assert isinstance(slots[0], Slot)
    assert slots.number() == (1, 2)
    added = slots.add()
    assert isinstance(added, Slot)
    assert added is crate.slots[2] is crate.slots.slot3
    assert crate.slots is slots
    assert (slots.number(), crate.occupied, added.exists_on_instrument) == ((1, 2, 3), [1, 2, 3], True)
    slots.add(number=7)
    assert slots.number() == (1, 2, 3, 7)
    first = slots[0]
    first.remove()
    assert (slots.number(), crate.occupied) == ((2, 3, 7), [2, 3, 7])
    with pytest.raises(UnknownName, match="it may have been removed"):
        first.write("*RST")


def test_a_tuple_without_channels(home: Server) -> None:
    class Empty(Rack):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.add_submodule("none", ChannelTuple(self, "none", InstrumentChannel, []))

    empty = home.create(Empty, "empty")
    assert (len(empty.none), list(empty.none), empty.none.snapshot()["channels"]) == (0, [], {})
    with pytest.raises(AttributeError, match="no attribute 'v'"):
        _ = empty.none.v
