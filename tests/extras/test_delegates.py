"""Instruments that are made of others: here over remote ones, and on a server themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from extras.rack import ServedDelegate
from measuring.bench import Alike, Bench
from measuring.rack import Source
from measuring.stored import without_circumstances
from qcodes.dataset import LinSweep, do0d, dond
from qcodes.instrument.delegate import DelegateChannelInstrument, DelegateInstrument, InstrumentGroup
from qcodes.instrument_drivers.mock_instruments import MockDAC, MockField
from qcodes.station import Station

from instrumentserver.transport.exits import wait_for_exit

pytestmark = pytest.mark.slow

WRAPPER = "qcodes.instrument_drivers.mock_instruments.MockCustomChannel"
FIELDS = {"field": ["field.field"], "rate": "field.ramp_rate", "both": ["field.field", "field.ramp_rate"]}


def test_a_delegate_instrument_over_a_remote_one(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        field = bench.make(MockField, "field")
        station = Station(field)
        delegate = DelegateInstrument(
            "delegate",
            station,
            parameters=FIELDS,
            initial_values={"rate": 1e9},
            set_initial_values_on_load=True,
            units={"field": "mT"},
        )
        station.add_component(delegate)
        delegate.both({"field": 0.25, "ramp_rate": 2e9})
        read = delegate.field(), delegate.rate(), delegate.both(), repr(delegate), field.ramp_rate()
        dataset, _, _ = dond(LinSweep(delegate.field, 0, 0.1, 3), delegate.rate)
        return read, without_circumstances(delegate.snapshot()), dataset

    read, snapshot, _ = alike(act)
    assert read[:3] == [0.25, 2e9, [0.25, 2e9]]
    assert snapshot["parameters"]["field_field"]["source_parameter"]["full_name"] == "field_field"


def test_a_setter_of_the_driver_stands_for_the_set_of_a_delegate(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        field = bench.make(MockField, "field")
        delegate = DelegateInstrument(
            "delegate",
            Station(field),
            parameters={"field": ["field.field"]},
            setters={"field": {"method": "field.set_field", "block": False}},
        )
        delegate.field(1.0)  # 10 minutes at the rate that the magnet begins with, if it waited
        return delegate.field() < 0.1

    assert alike(act, stores=False) is True


def test_channels_of_a_delegate_instrument(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        dac = bench.make(MockDAC, "dac", num_channels=3)
        station = Station(dac)
        wrapped = {"type": WRAPPER, "channel": "dac.ch02", "current_valid_range": [-0.5, 0.5]}
        delegate = DelegateInstrument(
            "delegate",
            station,
            channels={"plain": "dac.ch01", "wrapped": wrapped},
            initial_values={"plain.voltage": 0.3, "wrapped.current_valid_range": [0.1, 0.2]},
            set_initial_values_on_load=True,
        )
        station.add_component(delegate)
        delegate.plain.voltage(0.5)
        read = dac.ch01.voltage(), delegate.wrapped.voltage(), delegate.wrapped.current_valid_range()
        return read, without_circumstances(delegate.snapshot()), do0d(delegate.plain.voltage)

    assert alike(act)[0] == [0.5, 0.0, [0.1, 0.2]]


def test_a_delegate_channel_instrument(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        dac = bench.make(MockDAC, "dac", num_channels=3)
        switch = DelegateChannelInstrument(
            "switch",
            Station(dac),
            channels="dac.channels",
            parameters={"state": ["dac_output", "smc", "gnd", "bus"], "volts": ["voltage"]},
        )
        switch.state01_gnd("on")
        switch.volts02(0.75)
        return sorted(switch.parameters), switch.state01(), dac.ch02.voltage(), repr(switch)

    names, state, volts, _ = alike(act, stores=False)
    assert {"state01", "state03_bus", "volts02"} <= set(names)
    assert (state, volts) == (["off", "off", "on", "off"], 0.75)


def test_a_group_of_delegates_over_two_servers(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        x, y = bench.make(MockField, "x"), bench.make(MockField, "y", server="two")
        station = Station(x, y)
        group = InstrumentGroup(
            "group",
            station,
            submodules_type="qcodes.instrument.delegate.DelegateInstrument",
            submodules={
                "one": {"parameters": {"field": ["x.field"], "rate": ["x.ramp_rate"]}},
                "other": {"parameters": {"amplitude": ["y.field"]}},
            },
            initial_values={"one": {"rate": 7.0}},
            set_initial_values_on_load=True,
        )
        station.add_component(group)
        snapshot = without_circumstances(group.snapshot())
        dataset, _, _ = do0d(group.one.field, group.other.amplitude)
        return x.ramp_rate(), repr(group), snapshot, dataset

    assert alike(act)[:2] == [7.0, "InstrumentGroup(name=group, submodules=one, other)"]


@pytest.mark.parametrize("server", ["one", "two"], ids=["beside its source", "on another server"])
def test_a_delegate_instrument_on_a_server(alike: Alike, server: str) -> None:
    def act(bench: Bench) -> Any:
        field = bench.make(MockField, "field")
        delegate = bench.make(
            ServedDelegate,
            "delegate",
            {"field": field},
            parameters=FIELDS,
            initial_values={"rate": 1e9},
            set_initial_values_on_load=True,
            server=server,
        )
        station = Station(field, delegate)
        delegate.both({"field": 0.25, "ramp_rate": 2e9})
        read = delegate.field(), delegate.both(), delegate.both().field, field.ramp_rate()
        sources = [source.full_name for source in delegate.both.source_parameters]
        assert delegate.field_field.source is field.field
        dataset, _, _ = dond(LinSweep(delegate.field, 0, 0.1, 3), delegate.rate)
        return read, sources, dataset, without_circumstances(station.snapshot())

    read, sources, dataset, _ = alike(act)
    assert read == [0.25, [0.25, 2e9], 0.25, 2e9]
    assert sources == ["field_field", "field_ramp_rate"]
    assert "delegate_rate" in dataset["stored"]


def test_a_name_is_free_again_on_a_server_that_knew_its_instrument(bench: Bench) -> None:
    field = bench.make(MockField, "field", server="two")
    delegate = bench.make(ServedDelegate, "delegate", {"field": field}, parameters=FIELDS)
    assert delegate.rate() == 0.1
    delegate.close()
    field.close()
    # Server "one" held a proxy of the closed instrument.
    assert bench.make(MockField, "field", server="one").ramp_rate() == 0.1


def test_parameters_that_a_station_delegates(alike: Alike) -> None:
    def act(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        station = Station(source)
        station.load_config(f"""
        instruments:
          gates:
            type: {DelegateInstrument.__module__}.DelegateInstrument
            init:
              parameters:
                plunger: [source.v1]
                barrier: source.v2
              units:
                plunger: mV
        """)
        gates = station.load_instrument("gates", station=station)
        gates.plunger(0.5)
        return source.v1(), dond(LinSweep(gates.barrier, 0, 1, 3), gates.plunger)

    assert alike(act)[0] == 0.5


TWO_SERVERS = """
from extras.rack import ServedDelegate
from instrumentserver import start_server
from qcodes.instrument_drivers.mock_instruments import MockField

one, two = (start_server(name, linger=0.2) for name in ("one", "two"))
x, y = one.create(MockField, "x"), two.create(MockField, "y")
of_x = two.create(ServedDelegate, "of_x", {"x": x}, parameters={"field": "x.field"})
of_y = one.create(ServedDelegate, "of_y", {"y": y}, parameters={"field": "y.field"})
print(of_x.field() + of_y.field())
print(one.pid, two.pid)
"""


def test_servers_that_use_one_another_end_with_their_last_client() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWO_SERVERS],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    read, pids = done.stdout.splitlines()
    assert read == "0.0"
    for pid in pids.split():
        assert wait_for_exit(int(pid), 10)
