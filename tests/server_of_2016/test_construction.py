"""Making, finding, closing and making again, as the server of 2016 had it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from qcodes.instrument import Instrument as QcodesInstrument
from qcodes.instrument import IPInstrument, VisaInstrument

from instrumentserver import Server, list_servers
from instrumentserver.process.finding import default_server_name

from .bench import Bench, Delays, Gates, Meter, Source


def test_a_call_without_server_name_makes_a_local_instrument() -> None:
    bench = Bench("bench")
    assert type(bench) is Bench
    assert list_servers() == [] or bench not in list_servers()[0].instruments.values()


def test_an_empty_server_name_puts_instruments_on_one_default_server() -> None:
    bench = Bench("bench", server_name="")
    gates = Gates("gates", model=bench, server_name="")
    assert bench._link.session.address == gates._link.session.address == "unix:Instruments"
    assert gates.chan0() == 0


def test_a_class_says_its_default_server_itself(new_name: Callable[[], str]) -> None:
    name = new_name()

    class Serial(Bench):
        @classmethod
        def default_server_name(cls, **kwargs: object) -> str:
            return f"{name}-{kwargs['label']}"

    assert Serial("bench", label="ASRL", server_name="")._link.session.address == f"unix:{name}-ASRL"


@pytest.mark.parametrize(
    ("cls", "address", "name"),
    [
        (VisaInstrument, "GPIB0::12::INSTR", "GPIBServer"),
        (VisaInstrument, "ASRL4::INSTR", "SerialServer"),
        (VisaInstrument, "TCPIP::10.0.0.7::INSTR", "VisaServer"),
        (IPInstrument, "10.0.0.7", "IPInstruments"),
        (QcodesInstrument, "here", "Instruments"),
        (Bench, "here", "Instruments"),
    ],
)
def test_default_servers_are_named_after_the_bus(cls: type, address: str, name: str) -> None:
    assert default_server_name(cls, {"address": address}) == name


def test_methods_that_the_constructor_makes_take_the_place_of_the_class_s(gates: Gates) -> None:
    assert gates.add5(1, 2) == 8
    assert gates.add5.__doc__ == "Return the sum, and 5 more; made by the constructor."


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize(
    ("max_delay", "error"), [("forever", TypeError), (0.001, ValueError)], ids=["type", "value"]
)
def test_errors_of_the_constructor_arrive_as_they_are_and_leave_no_record(
    shared_server: Server, where: str, max_delay: object, error: type[Exception]
) -> None:
    server_name = None if where == "here" else shared_server.name
    with pytest.raises(error, match="max_delay must be"):
        Delays("delays", max_delay=max_delay, server_name=server_name)
    with pytest.raises(KeyError):
        QcodesInstrument.find_instrument("delays")
    assert Delays.instances() == []
    assert "delays" not in shared_server.instruments
    assert Delays("delays", server_name=server_name).name == "delays"


def test_an_instrument_without_its_model_is_an_attribute_error(shared_server: Server) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'name'"):
        Gates("gates", model=None, server_name=shared_server.name)
    assert "gates" not in shared_server.instruments


def test_a_second_instrument_of_the_same_name_is_refused(gates: Gates, shared_server: Server) -> None:
    with pytest.raises(KeyError, match="gates"):
        Bench("gates", server_name=shared_server.name)
    with pytest.raises(KeyError, match="gates"):
        Bench("gates")
    assert gates.chan0() == 0


def test_instances_are_those_of_the_class(gates: Gates, source: Source) -> None:
    assert gates.instances() == Gates.instances() == [gates]
    assert source.instances() == [source]
    assert Gates.instances()[-1] is gates
    assert QcodesInstrument.instances() == []


def test_any_instrument_finds_any_other_by_name(gates: Gates, source: Source) -> None:
    assert gates.find_instrument("source") is source
    assert source.find_instrument("gates") is gates
    assert QcodesInstrument.find_instrument("gates") is gates
    assert gates.find_instrument("gates", Gates) is gates
    with pytest.raises(TypeError, match="source"):
        gates.find_instrument("source", Gates)


def test_a_component_is_found_by_the_name_of_its_instrument(
    gates: Gates, source: Source, new_name: Callable[[], str]
) -> None:
    assert gates.find_component("source.ampl.unit") == "V"
    assert gates.find_component('gates.d1["a"][1]') == 2
    assert gates.find_component("source.ampl") is source.ampl
    assert Gates.find_component("source") is source
    assert Gates.find_component("source.ampl.unit", Source) == "V"
    with pytest.raises(TypeError, match=r"source is .*Source.* but .*Meter.* was requested"):
        Gates.find_component("source.ampl.unit", Meter)
    with pytest.raises(AttributeError):
        gates.find_component("source.nothing")
    far = Bench("far", server_name=new_name())
    assert gates.find_component("far.levels['ampl']") == "0.1"
    far.close()
    with pytest.raises(LookupError, match="far"):
        gates.find_component("far.levels")


def test_close_frees_the_name_and_a_second_close_does_nothing(
    bench: Bench, gates: Gates, shared_server: Server
) -> None:
    gates.close()
    gates.close()
    assert Gates.instances() == []
    with pytest.raises(KeyError):
        QcodesInstrument.find_instrument("gates")
    assert "gates" in repr(gates)
    with pytest.raises(AttributeError):
        gates.chan0()
    again = Gates("gates", model=bench, server_name=shared_server.name)
    assert again.chan0() == 0


def test_the_server_goes_on_after_its_last_instrument_was_closed(bench: Bench, shared_server: Server) -> None:
    bench.close()
    assert list(shared_server.instruments) == []
    assert Bench("bench", server_name=shared_server.name).history == []


def test_restart_of_an_instrument_resets_it_and_drops_what_was_added(gates: Gates) -> None:
    chan0 = gates.chan0
    gates.chan0.unit = "mV"
    gates.add_parameter("extra", set_cmd=None, get_cmd=None)
    gates.setattr("d1['a'][1]", 5)
    gates.restart()
    assert gates.chan0 is chan0
    assert (gates.chan0.unit, gates.d1["a"][1]) == ("V", 2)
    assert "extra" not in gates.parameters


def test_reprs_hold_the_names(gates: Gates) -> None:
    assert "gates" in repr(gates)
    assert "chan0" in repr(gates.chan0)
    assert "add5" in repr(gates.add5)
