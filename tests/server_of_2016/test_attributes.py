"""Attributes of instruments and parameters on a server, as the server of 2016 had them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from drivers import Plain

from instrumentserver import Server

from .bench import Gates


def test_an_attribute_of_a_parameter_is_the_server_s(gates: Gates) -> None:
    assert gates.chan1.unit == "V"
    assert gates.getattr("chan1.unit") == "V"
    gates.chan1.unit = "mV"
    assert gates.chan1.unit == gates.getattr("chan1.unit") == "mV"
    gates.setattr("chan1.unit", "kV")
    assert gates.chan1.unit == "kV"
    assert "unit" not in vars(gates.chan1)
    assert "unit" in dir(gates.chan1)


def test_a_unit_cannot_be_deleted_as_in_qcodes_of_today(gates: Gates) -> None:
    with pytest.raises(AttributeError, match="unit"):
        del gates.chan1.unit
    assert gates.chan1.unit == "V"


def test_an_attribute_that_is_deleted_is_gone_on_the_server_and_set_again_is_there_again(
    gates: Gates,
) -> None:
    chan0 = gates.chan0
    assert chan0.wire == "red"
    assert "wire" in dir(chan0)
    del chan0.wire
    assert gates.getattr("chan0.wire", "none") == "none"
    assert "wire" not in dir(chan0)
    with pytest.raises(AttributeError, match="wire"):
        _ = chan0.wire
    with pytest.raises(AttributeError, match="wire"):
        del chan0.wire
    chan0.wire = "blue"
    assert chan0.wire == gates.getattr("chan0.wire") == "blue"
    assert "wire" not in vars(chan0)
    gates.update()
    assert "wire" in dir(chan0)


@pytest.mark.slow
def test_what_another_client_changes_is_seen_at_the_next_look(gates: Gates) -> None:
    program = (
        "from instrumentserver import find_instrument\n"
        "gates = find_instrument('gates')\n"
        "gates.chan0.unit = 'mV'\n"
        "gates.chan0.wire = 'green'\n"
        "gates.add_parameter('extra', set_cmd=None, get_cmd=None, initial_value=7)\n"
    )
    assert (gates.chan0.unit, gates.chan0.wire) == ("V", "red")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert (gates.chan0.unit, gates.chan0.wire) == ("mV", "green")
    assert gates.extra() == 7


@pytest.mark.parametrize("part", ["gates", "gates.chan0"])
def test_an_attribute_that_the_server_lacks_stays_here(gates: Gates, part: str) -> None:
    thing: Any = gates if part == "gates" else gates.chan0
    with pytest.raises(AttributeError, match="remark"):
        _ = thing.remark
    thing.remark = "mine"
    assert thing.remark == "mine"
    assert "remark" in dir(thing)
    with pytest.raises(AttributeError, match="remark"):
        thing.getattr("remark")
    del thing.remark
    assert "remark" not in dir(thing)
    with pytest.raises(AttributeError, match="remark"):
        _ = thing.remark


def test_a_parameter_s_own_attributes_can_be_set_on_the_server(gates: Gates) -> None:
    gates.chan0(1)
    gates.setattr("chan0.cache._timestamp", None)
    assert gates.chan0.get_latest.get_timestamp() is None


def test_a_parameter_s_methods_are_called_by_name(gates: Gates) -> None:
    gates.callattr("chan0.set", 2)
    assert gates.chan0.callattr("get") == gates.callattr("chan0.get") == 2


def test_update_shows_what_came_and_went_and_keeps_the_proxies(gates: Gates) -> None:
    chan0, echo = gates.chan0, gates.functions["echo"]
    gates.setattr("colour", "grey")
    gates.setattr("chan0.weight", 3)
    gates.callattr("remove_parameter", "chan1")
    gates.update()
    assert (gates.colour, gates.chan0.weight) == ("grey", 3)
    assert "colour" in dir(gates)
    assert "chan1" not in gates.parameters
    assert gates.chan0 is chan0
    assert gates.functions["echo"] is echo
    gates.delattr("colour")
    gates.update()
    assert "colour" not in dir(gates)
    with pytest.raises(AttributeError, match="colour"):
        _ = gates.colour


def test_nested_names_are_read(gates: Gates) -> None:
    for name, value in (
        ("d1", {"a": {1: 2, 3: [4, 5]}}),
        ("d1['a']", {1: 2, 3: [4, 5]}),
        ('d1["a"][1]', 2),
        ("d1['a'][3][-1]", 5),
        ("chan0.unit", "V"),
        ("parameters['chan0'].unit", "V"),
    ):
        assert gates.getattr(name) == value


def test_modules_and_parameters_have_nested_names_too(shared_server: Server) -> None:
    plain = shared_server.create(Plain, "plain")
    assert plain.ch1.getattr("v.unit") == plain.ch1.v.getattr("unit") == plain.getattr("ch1.v.unit") == "V"
    plain.ch1.setattr("v.unit", "mV")
    plain.ch1.callattr("v.set", 2)
    assert (plain.ch1.v.unit, plain.ch1.v()) == ("mV", 2)
    plain.ch1.v.setattr("wire", "red")
    plain.ch1.delattr("v.wire")
    assert plain.ch1.v.getattr("wire", "none") == "none"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("d2", AttributeError),
        ("chan0.nothing", AttributeError),
        ("d1['b']", KeyError),
        ("d1['a'][3][2]", IndexError),
        ("d1.a", AttributeError),
    ],
)
def test_nested_names_that_lead_nowhere_raise_or_give_the_default(
    gates: Gates, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        gates.getattr(name)
    assert gates.getattr(name, "nothing there") == "nothing there"
    assert gates.getattr(name, None) is None


@pytest.mark.parametrize(
    "name", ["", ".", "d1.", "d1[", "d1['a'", "d1]", "d1['a']b", "d1[a]", "1d", "d1()", "a b"]
)
def test_malformed_names_are_value_errors(gates: Gates, name: str) -> None:
    with pytest.raises(ValueError, match="is not a nested attribute"):
        gates.getattr(name)
    with pytest.raises(ValueError, match="is not a nested attribute"):
        gates.getattr(name, "default")
    with pytest.raises(ValueError, match="is not a nested attribute"):
        gates.setattr(name, 1)


def test_nested_names_are_set_called_and_deleted(gates: Gates) -> None:
    gates.setattr("d1['a'][1]", 20)
    gates.setattr("d1['b']", [])
    gates.setattr("d1['a'][3][0]", 40)
    gates.callattr("d1['b'].extend", [1, 2])
    gates.delattr("d1['b'][0]")
    gates.setattr("d2", {})
    assert gates.callattr("d1['a'].pop", 1) == 20
    assert gates.getattr("d1") == {"a": {3: [40, 5]}, "b": [2]}
    gates.delattr("d1['a']")
    assert gates.d1 == {"b": [2]}
    gates.delattr("d2")
    with pytest.raises(AttributeError, match="d2"):
        gates.getattr("d2")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("d1['a'][1][2]", TypeError),
        ("d1['c']['d']", KeyError),
        ("d1['a'][3][7]", IndexError),
        ("d3.x", AttributeError),
    ],
)
def test_setting_where_there_is_no_container_raises(gates: Gates, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        gates.setattr(name, 1)
    assert gates.d1 == {"a": {1: 2, 3: [4, 5]}}
