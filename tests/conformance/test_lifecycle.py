"""Instruments come and go as QCoDeS says, here and on a server."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.looking import Make
from drivers import Failing, Plain
from qcodes.instrument import Instrument, find_or_create_instrument
from qcodes.instrument_drivers.mock_instruments import (
    DummyFailingInstrument,
    DummyInstrument,
    MockCustomChannel,
    MockDAC,
    MockMetaParabola,
    MockParabola,
)
from qcodes.station import Station


def test_an_instrument_is_found_by_name_and_class(make: Make) -> None:
    dummy = make(DummyInstrument, "dummy", gates=["g1"])
    other = make(Plain, "plain")
    assert Instrument.find_instrument("dummy") is dummy
    assert DummyInstrument.find_instrument("dummy", DummyInstrument) is dummy
    assert find_or_create_instrument(DummyInstrument, "dummy") is dummy
    assert (DummyInstrument.instances(), Plain.instances()) == ([dummy], [other])
    assert (Instrument.exist("dummy", DummyInstrument), Instrument.exist("nobody")) == (True, False)
    with pytest.raises(TypeError, match="dummy"):
        Instrument.find_instrument("dummy", Plain)
    with pytest.raises(KeyError, match="nobody"):
        Instrument.find_instrument("nobody")


def test_a_closed_instrument_is_gone_and_its_name_free(make: Make) -> None:
    dummy = make(DummyInstrument, "dummy", gates=["g1"])
    dummy.g1(3)
    gate = dummy.g1
    dummy.close()
    dummy.close()
    assert not Instrument.is_valid(dummy)
    assert not Instrument.exist("dummy")
    assert DummyInstrument.instances() == []
    with pytest.raises(AttributeError):
        _ = dummy.g1
    again = make(DummyInstrument, "dummy", gates=["g1", "g2"])
    assert again is not dummy
    assert again.g1 is not gate
    assert (again.g1(), again.g2()) == (0, 0)


def test_a_name_is_taken_once(make: Make) -> None:
    first = make(DummyInstrument, "dummy", gates=["g1"])
    with pytest.raises(KeyError, match="Another instrument has the name: dummy"):
        make(DummyInstrument, "dummy")
    with pytest.raises(KeyError, match="Another instrument has the name: dummy"):
        make(Plain, "dummy")
    assert Instrument.find_instrument("dummy") is first
    assert list(first.parameters) == ["IDN", "g1", "fixed_parameter"]


def test_a_constructor_that_fails_leaves_nothing(make: Make, tmp_path: Any) -> None:
    with pytest.raises(RuntimeError, match="Failed to create instrument"):
        make(DummyFailingInstrument, "failing", fail=True)
    with pytest.raises(RuntimeError, match="the hardware does not answer"):
        make(Failing, "other", str(tmp_path / "hardware"))
    assert not Instrument.exist("failing")
    assert DummyFailingInstrument.instances() == []
    assert make(DummyFailingInstrument, "failing", fail=False).name == "failing"


@pytest.mark.parametrize(("name", "error"), [("1st", ValueError), ("a b", ValueError), ("", ValueError)])
def test_a_name_that_cannot_be_is_refused(make: Make, name: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="valid"):
        make(DummyInstrument, name)
    assert DummyInstrument.instances() == []


def test_a_hyphen_becomes_an_underscore_with_a_warning(make: Make) -> None:
    with pytest.warns(UserWarning, match="a-b -> a_b|Changed .* to a_b"):
        dummy = make(DummyInstrument, "a-b")
    assert dummy.name == "a_b"
    assert Instrument.find_instrument("a_b") is dummy


def test_wrong_arguments_are_refused_in_the_driver_s_words(make: Make) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        make(DummyInstrument, "dummy", colour="red")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        make(Failing, "failing")


def test_metadata_and_label_of_the_constructor(make: Make) -> None:
    dummy = make(DummyInstrument, "dummy", metadata={"sample": "A1"}, label="The dummy")
    assert (dummy.label, dummy.metadata) == ("The dummy", {"sample": "A1"})
    dummy.label = "My dummy"
    dummy.load_metadata({"sample": {"nested": 1}})
    taken = dummy.snapshot()
    assert (taken["label"], taken["metadata"]) == ("My dummy", {"sample": {"nested": 1}})


def test_a_station_keeps_and_closes_it(make: Make) -> None:
    dummy = make(DummyInstrument, "dummy", gates=["g1"])
    station = Station(dummy, default=False)
    assert station.dummy is dummy
    assert station.get_component("dummy_g1") is dummy.g1
    assert list(station.snapshot()["instruments"]["dummy"]["parameters"]) == ["IDN", "g1", "fixed_parameter"]
    station.close_and_remove_instrument("dummy")
    assert not Instrument.exist("dummy")


def test_parameters_functions_and_submodules_can_be_added_and_removed(make: Make) -> None:
    plain = make(Plain, "plain")
    added = plain.add_parameter("extra", set_cmd=None, get_cmd=None, initial_value=3, unit="A")
    assert added is plain.extra is plain.parameters["extra"]
    assert plain.snapshot()["parameters"]["extra"]["value"] == 3
    with pytest.raises(KeyError, match="Duplicate parameter name extra"):
        plain.add_parameter("extra", set_cmd=None)
    plain.remove_parameter("extra")
    assert not hasattr(plain, "extra")
    with pytest.raises(KeyError, match="extra"):
        plain.remove_parameter("extra")
    plain.add_function("twice", call_cmd="*RST;*RST")
    with pytest.raises(KeyError, match="Duplicate function name twice"):
        plain.add_function("twice", call_cmd="x")
    with pytest.raises(TypeError, match="metadatable"):
        plain.add_submodule("wrong", 3)
    with pytest.raises(KeyError, match="Duplicate submodule name ch1"):
        plain.add_submodule("ch1", plain.ch1)


def test_close_all_closes_it(make: Make) -> None:
    both = [make(DummyInstrument, "one"), make(DummyInstrument, "two")]
    Instrument.close_all()
    assert [Instrument.is_valid(dummy) for dummy in both] == [False, False]
    assert DummyInstrument.instances() == []
    assert make(DummyInstrument, "one").name == "one"


def test_what_a_base_class_does_not_implement_says_so(make: Make) -> None:
    plain = make(Plain, "plain")
    for action in (lambda: plain.ask("x"), lambda: plain.write("x"), lambda: plain.ask_raw("x")):
        with pytest.raises(NotImplementedError, match=r"Instrument .*Plain.* has not defined"):
            action()
    with pytest.raises(TypeError):
        plain.ask()
    assert plain.IDN()["vendor"] == plain.get_idn()["vendor"] == "tests"


def test_a_meta_instrument_shares_the_parameters_of_its_base(make: Make) -> None:
    parabola = make(MockParabola, "parabola")
    meta = make(MockMetaParabola, "meta", parabola)
    assert isinstance(meta, MockMetaParabola)
    assert meta.x is parabola.x
    meta.x(2)
    meta.gain(3)
    assert (parabola.x(), parabola.parabola(), meta.parabola()) == (2, 4, 12)
    taken = meta.snapshot(update=True)
    assert [taken["parameters"][name]["value"] for name in ("x", "parabola", "gain")] == [2, 12, 3]
    assert [*taken["parameters"]] == ["x", "y", "z", "gain", "parabola", "skewed_parabola"]


def test_a_channel_of_one_s_own_can_be_added(make: Make) -> None:
    mdac = make(MockDAC, "mdac", num_channels=2)
    gate = MockCustomChannel(mdac, "gate", channel="mdac.ch01", current_valid_range=[0.0, 1.0])
    assert mdac.add_submodule("gate", gate) is mdac.gate is mdac.submodules["gate"] is gate
    gate.voltage(1.5)
    assert mdac.gate.voltage() == 1.5
    assert (gate.full_name, gate.voltage.full_name) == ("mdac_gate", "mdac_gate_voltage")
    assert gate.root_instrument is mdac
    taken = mdac.snapshot()["submodules"]
    assert list(taken) == ["ch01", "ch02", "channels", "gate"]
    assert taken["gate"]["parameters"]["voltage"]["value"] == 1.5
