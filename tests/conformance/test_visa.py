"""A VISA instrument on a server is asked, told and configured as a local one."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.looking import Make
from pyvisa.errors import InvalidSession, VisaIOError
from qcodes.instrument import VisaInstrument
from qcodes.instrument_drivers.AimTTi import AimTTiPL601
from qcodes.instrument_drivers.Keysight import Keysight34465A
from qcodes.instrument_drivers.stahl import Stahl
from qcodes.instrument_drivers.weinschel import Weinschel8320

ADDRESS = "GPIB::1::INSTR"
SIMULATION = {"pyvisa_sim_file": "Weinschel_8320.yaml", "timeout": 0.05}


@pytest.fixture
def attenuator(make: Make) -> Weinschel8320:
    instrument: Weinschel8320 = make(Weinschel8320, "attenuator", ADDRESS, **SIMULATION)
    return instrument


def test_it_is_asked_and_told(attenuator: Weinschel8320) -> None:
    assert isinstance(attenuator, VisaInstrument)
    assert attenuator.ask("*IDN?") == "QCoDeS, Weinschel 8320 (Simulated), 1337, 0.0.01"
    assert attenuator.get_idn() == attenuator.IDN()
    attenuator.attenuation(4)
    assert attenuator.attenuation() == 4.0
    attenuator.write("ATTN ALL 12")
    assert (attenuator.ask("ATTN? 1"), attenuator.ask_raw("ATTN? 1")) == ("12", "12")
    with pytest.raises(ValueError, match=r"3 is not in \{"):
        attenuator.attenuation(3)
    assert attenuator.attenuation() == 12.0


def test_it_says_to_what_it_is_connected(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    attenuator = make(Weinschel8320, "attenuator", ADDRESS, **SIMULATION)
    greeting = "Connected to: QCoDeS Weinschel 8320 (Simulated) (serial:1337, firmware:0.0.01) in "
    assert capsys.readouterr().out.startswith(greeting)
    attenuator.connect_message()
    assert capsys.readouterr().out.startswith(greeting)


def test_what_it_does_not_understand_is_answered_as_the_hardware_does(attenuator: Weinschel8320) -> None:
    assert attenuator.ask("nonsense?") == "ERROR"
    attenuator.write("nonsense")
    assert attenuator.ask_raw("*IDN?") == "ERROR"
    assert attenuator.ask("*IDN?").startswith("QCoDeS")


def test_its_timeout_is_a_parameter(attenuator: Weinschel8320) -> None:
    assert attenuator.timeout() == 0.05
    attenuator.timeout(2)
    assert (attenuator.timeout(), attenuator.visa_handle.timeout) == (2.0, 2000.0)
    attenuator.timeout(None)
    assert attenuator.timeout() == float("inf")
    assert attenuator.timeout.get_latest() == float("inf")
    with pytest.raises(ValueError, match="must be between 0 and inf"):
        attenuator.timeout(-1)


def test_its_handle_is_used_where_it_is(attenuator: Weinschel8320) -> None:
    assert attenuator.visa_handle.query("*IDN?").startswith("QCoDeS")
    attenuator.visa_handle.timeout = 20
    assert attenuator.timeout() == 0.02
    assert (attenuator.visabackend, attenuator.address) == ("sim", "GPIB0::1::INSTR")
    assert not callable(attenuator.visa_handle)
    attenuator.set_terminator("\r\n")
    assert attenuator.visa_handle.read_termination == "\r\n"
    shown = attenuator.snapshot()
    assert (shown["terminator"], shown["timeout"], shown["address"]) == ("\r\n", 0.02, "GPIB0::1::INSTR")


def test_a_time_out_names_the_question_and_the_parameter(make: Make) -> None:
    supply = make(AimTTiPL601, "supply", ADDRESS, pyvisa_sim_file="AimTTi_PL601P.yaml", timeout=0.01)
    with pytest.raises(VisaIOError) as raised:
        supply.ch1.volt()
    assert raised.value.error_code == -1073807339
    assert raised.value.args[1:] == ("getting supply_ch1_volt",)
    assert supply.ask("*IDN?").startswith("THURLBY")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"pyvisa_sim_file": "nothing.yaml"}, FileNotFoundError),
        ({"pyvisa_sim_file": "qcodes.nothing:x.yaml"}, ModuleNotFoundError),
        ({"pyvisa_sim_file": "Weinschel_8320.yaml", "visalib": "@py"}, RuntimeError),
        ({"pyvisa_sim_file": "Weinschel_8320.yaml", "timeout": -1}, ValueError),
        ({"pyvisa_sim_file": "Weinschel_8320.yaml", "timeout": "long"}, ValueError),
        ({"visalib": "@nonsense"}, ValueError),
    ],
)
def test_a_connection_that_cannot_be_made(
    make: Make, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make(Weinschel8320, "attenuator", ADDRESS, **settings)
    assert Weinschel8320.instances() == []
    assert make(Weinschel8320, "attenuator", ADDRESS, **SIMULATION).attenuation(2) is None


def test_a_bad_new_address_is_an_error_and_the_old_connection_is_gone(attenuator: Weinschel8320) -> None:
    with pytest.raises(ValueError, match="Wrapper not found: No package named pyvisa_nonsense"):
        attenuator.set_address("GPIB::7::INSTR", "@nonsense")
    with pytest.raises(InvalidSession, match="Invalid session handle"):
        attenuator.ask("*IDN?")


def test_two_instruments_of_one_simulation(make: Make) -> None:
    first = make(Keysight34465A, "first", ADDRESS, pyvisa_sim_file="Keysight_34465A.yaml")
    second = make(Keysight34465A, "second", "GPIB::2::INSTR", pyvisa_sim_file="Keysight_34465A.yaml")
    first.display.text("one")
    assert first.display.text.get_latest() == "one"
    second.close()
    assert first.ask("*IDN?").startswith("Keysight")


def test_a_serial_instrument(make: Make) -> None:
    stahl = make(Stahl, "stahl", "ASRL3", pyvisa_sim_file="stahl.yaml")
    assert stahl.channel[0].voltage() == pytest.approx(-1.2)
    stahl.channel[0].voltage(1)
    assert stahl.channel[0].voltage.get_latest() == 1
    assert stahl.n_channels == len(stahl.channel) == 16
