"""Metadata of proxies is the server's, live."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drivers import Onlooker, Plain
from qcodes.station import Station

from instrumentserver import NotPortable, Server, start_server
from instrumentserver.client.live import LiveDict


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
def plain(home: Server) -> Plain:
    return home.create(Plain, "plain", metadata={"sample": "A1", 3: ("a", 1.5)})


@pytest.fixture
def onlooker(plain: Plain, away: Server) -> Onlooker:
    """Return another client, which knows the instrument as ``plain``."""
    onlooker = away.create(Onlooker, "onlooker")
    onlooker.see("plain.x()", plain=plain)
    return onlooker


PARTS: dict[str, Callable[[Plain], Any]] = {
    "instrument": lambda plain: plain,
    "module": lambda plain: plain.ch1,
    "channel": lambda plain: plain.outs[1],
    "list": lambda plain: plain.outs,
    "parameter": lambda plain: plain.x,
    "parameter of a channel": lambda plain: plain.outs[1].v,
    "function": lambda plain: plain.functions["echo"],
}
CHANGES: dict[str, Callable[[dict[Any, Any]], Any]] = {
    "set": lambda data: data.__setitem__("b", [2]),
    "set by a number": lambda data: data.__setitem__((1, 2), None),
    "replace": lambda data: data.__setitem__("a", 5),
    "del": lambda data: data.__delitem__("a"),
    "pop": lambda data: data.pop("a"),
    "pop with a default": lambda data: data.pop("nothing", 7),
    "popitem": lambda data: data.popitem(),
    "clear": lambda data: data.clear(),
    "setdefault": lambda data: data.setdefault("b", 3),
    "setdefault of what is there": lambda data: data.setdefault("a", 3),
    "update": lambda data: data.update({"b": 1}, c=2),
    "update by pairs": lambda data: data.update([("b", 1)]),
    "or": lambda data: data.__ior__({"b": 1}) is data,
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_reaches_the_server(plain: Plain, change: str) -> None:
    plain.metadata = {"a": 1, "z": {"deep": 2}}
    local = {"a": 1, "z": {"deep": 2}}
    assert CHANGES[change](plain.metadata) == CHANGES[change](local)
    assert plain.metadata == plain.getattr("metadata") == local


@pytest.mark.parametrize("wrong", [lambda data: data["nothing"], lambda data: data.pop("nothing")])
def test_what_is_not_there_is_a_key_error(plain: Plain, wrong: Callable[[Any], Any]) -> None:
    with pytest.raises(KeyError, match="nothing"):
        wrong(plain.metadata)
    assert plain.metadata == {"sample": "A1", 3: ("a", 1.5)}


@pytest.mark.parametrize("part", PARTS)
def test_metadata_of_every_part_is_the_server_s(plain: Plain, onlooker: Onlooker, part: str) -> None:
    thing = PARTS[part](plain)
    thing.metadata["by"] = "item"
    thing.load_metadata({"loaded": [1]})
    thing.metadata.update(more=None)
    expected = {"by": "item", "loaded": [1], "more": None}
    if thing is plain:
        expected = {"sample": "A1", 3: ("a", 1.5), **expected}
    assert thing.metadata == onlooker.see("dict(thing.metadata)", thing=thing) == expected
    assert thing.snapshot()["metadata"] == expected
    onlooker.do("thing.metadata['theirs'] = 3")
    assert thing.metadata["theirs"] == 3
    thing.metadata = {"all": "new"}
    assert onlooker.see("dict(thing.metadata)") == {"all": "new"}


def test_metadata_of_a_constructor_may_have_any_keys(plain: Plain) -> None:
    assert plain.metadata == {"sample": "A1", 3: ("a", 1.5)}
    assert plain.snapshot()["metadata"] == {"sample": "A1", 3: ("a", 1.5)}
    plain.restart()
    assert plain.metadata == {"sample": "A1", 3: ("a", 1.5)}
    assert Station(plain, default=False).snapshot()["instruments"]["plain"]["metadata"][3] == ("a", 1.5)


def test_loading_adds_as_qcodes_does(plain: Plain) -> None:
    local = Plain("here", metadata={"sample": "A1", "deep": {"a": 1}})
    plain.metadata = {"sample": "A1", "deep": {"a": 1}}
    for each in (plain, local):
        each.load_metadata({"deep": {"b": 2}, "sample": "B1"})
    assert plain.metadata == local.metadata
    local.close()


def test_a_change_keeps_what_others_changed_meanwhile(plain: Plain, onlooker: Onlooker) -> None:
    mine = plain.metadata
    onlooker.do("plain.metadata['theirs'] = 1")
    mine["mine"] = 2
    assert plain.metadata == {"sample": "A1", 3: ("a", 1.5), "theirs": 1, "mine": 2}


def test_what_was_loaded_meanwhile_is_kept(plain: Plain) -> None:
    mine = plain.metadata
    plain.load_metadata({"loaded": 1})
    mine["sample"] = "C1"
    assert plain.metadata == {"sample": "C1", 3: ("a", 1.5), "loaded": 1}


def test_what_cannot_travel_is_refused_and_changes_nothing(plain: Plain) -> None:
    for change in (
        lambda: plain.metadata.__setitem__("a", object()),
        lambda: plain.load_metadata({"a": object()}),
        lambda: setattr(plain, "metadata", {"a": object()}),
    ):
        with pytest.raises(NotPortable, match="cannot travel"):
            change()
    assert plain.metadata == {"sample": "A1", 3: ("a", 1.5)}


def test_it_is_a_dict_everywhere_else(plain: Plain) -> None:
    data = plain.metadata
    assert isinstance(data, LiveDict)
    for copied in (copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data)), dict(data)):
        assert type(copied) is dict
        assert copied == data
        copied["mine"] = 1
    assert plain.give(data) == data
    assert plain.metadata == {"sample": "A1", 3: ("a", 1.5)}


# What snapshots hold


def test_a_parameter_is_left_out_of_snapshots_for_everybody(plain: Plain, onlooker: Onlooker) -> None:
    plain.x.snapshot_exclude = plain.ch1.v.snapshot_exclude = True
    assert onlooker.see("(plain.x.snapshot_exclude, plain.ch1.v.snapshot_exclude)") == (True, True)
    for snapshot in (plain.snapshot(), onlooker.see("plain.snapshot()"), plain.snapshot(update=True)):
        assert "x" not in snapshot["parameters"]
        assert "readonly" in snapshot["parameters"]
        assert "v" not in snapshot["submodules"]["ch1"]["parameters"]
    plain.x.snapshot_exclude = False
    assert "x" in onlooker.see("plain.snapshot()")["parameters"]


def test_a_value_is_left_out_of_snapshots_as_the_driver_says(plain: Plain, onlooker: Onlooker) -> None:
    for see in (lambda code: eval(code, {"plain": plain}), onlooker.see):
        assert see("plain.x.snapshot_value, plain.trace.snapshot_value") == (True, False)
        parameters = see("plain.snapshot(update=True)")["parameters"]
        assert ("value" in parameters["x"], "value" in parameters["trace"]) == (True, False)
    with pytest.raises(AttributeError, match="snapshot_value"):
        plain.x.snapshot_value = False


def test_a_private_attribute_by_which_users_leave_a_value_out(plain: Plain, onlooker: Onlooker) -> None:
    plain.x(1)
    plain.x._snapshot_value = False
    assert "value" not in plain.x.snapshot()
    assert "value" not in onlooker.see("plain.snapshot()")["parameters"]["x"]
