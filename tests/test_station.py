"""A station's file starts the whole lab, and finds it again; what the file says acts on the servers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drivers import Holder, Plain
from qcodes.instrument import Instrument as QcodesInstrument
from qcodes.instrument_drivers.mock_instruments import DummyInstrument
from qcodes.parameters import DelegateParameter, Parameter
from qcodes.station import Station as QcodesStation
from qcodes.station import ValidationWarning

from instruments import Dac
from instrumentserver import (
    RemoteInstrument,
    Server,
    Station,
    UsageError,
    connect,
    list_servers,
    start_server,
)

LAB = """
instruments:
  dac:
    type: instruments.Dac
    server_name: SOURCE
    enable_forced_reconnect: false
    init:
      channels: 2
    parameters:
      ch1.v:
        label: Plunger
        limits: [-1, 1]
        step: 0.1
        initial_value: 0.25
        monitor: true
    add_parameters:
      plunger:
        source: ch1.v
        label: Plunger gate
        unit: V
  dummy:
    type: qcodes.instrument_drivers.mock_instruments.DummyInstrument
    init:
      server_name: DUMMIES
      gates: [c1, c2]
  here:
    type: drivers.Plain
    init:
      offset: 0.5
"""


@pytest.fixture
def foo(new_name: Callable[[], str]) -> str:
    """Return the name of a server that is not there."""
    return new_name()


@pytest.fixture
def bar(new_name: Callable[[], str]) -> str:
    """Return the name of another server that is not there."""
    return new_name()


@pytest.fixture
def lab(tmp_path: Path, foo: str, bar: str) -> Path:
    """Return the file of a lab with an instrument on either of two servers, and one in this process."""
    file = tmp_path / "lab.station.yaml"
    file.write_text(LAB.replace("SOURCE", foo).replace("DUMMIES", bar))
    return file


def rewrite(file: Path, old: str, new: str) -> None:
    """Replace something in a file."""
    file.write_text(file.read_text().replace(old, new))


def section(**entries: Any) -> str:
    """Return a file with one instrument, ``one``; a `drivers.Plain` unless the entries say otherwise."""
    return f"instruments: {{one: { ({'type': 'drivers.Plain', **entries})!r}}}"


def elsewhere(code: str, *arguments: object) -> str:
    """Run code in another process, with ``Station`` imported, and return what it printed."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom instrumentserver import *\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# One file


@pytest.mark.slow
def test_one_file_starts_the_whole_lab(lab: Path, foo: str, bar: str) -> None:
    station = Station(config_file=str(lab))
    assert set(station.load_all_instruments()) == {"dac", "dummy", "here"}
    assert {server.name for server in list_servers()} == {foo, bar}
    assert [isinstance(station[name], RemoteInstrument) for name in ("dac", "dummy", "here")] == [
        True,
        True,
        False,
    ]
    assert isinstance(station.dac, Dac)
    assert isinstance(station.dummy, DummyInstrument)
    assert {"c1", "c2"} <= set(station.dummy.parameters)
    assert station.here.x() == 0.5
    assert list(connect(foo).instruments) == ["dac"]


@pytest.mark.parametrize("names", [{"only_names": ["dummy"]}, {"only_types": ["DummyInstrument"]}])
def test_some_of_the_instruments_are_loaded(lab: Path, bar: str, names: dict[str, list[str]]) -> None:
    station = Station(config_file=str(lab))
    assert station.load_all_instruments(**names) == ("dummy",)
    assert [server.name for server in list_servers()] == [bar]


def test_files_are_merged_and_every_instrument_has_a_method_that_loads_it(
    lab: Path, tmp_path: Path, foo: str
) -> None:
    other = tmp_path / "other.station.yaml"
    other.write_text(section(server_name=foo))
    station = Station(config_file=[str(lab), str(other)])
    assert station.load_one() is station.one
    assert list(connect(foo).instruments) == ["one"]
    station.close_all_registered_instruments()
    assert list(connect(foo).instruments) == []
    assert station.components == {}


@pytest.mark.parametrize("places", ["beside", "among", "both"])
def test_the_server_is_named_beside_the_type_or_among_the_arguments(foo: str, places: str) -> None:
    station = Station()
    beside = {} if places == "among" else {"server_name": foo}
    among = {} if places == "beside" else {"init": {"server_name": foo}}
    station.load_config(section(address="there", **beside, **among))
    station.load_instrument("one")
    assert station.one.address == "there"
    assert list(connect(foo).instruments) == ["one"]
    assert station.config is not None
    assert station.config["instruments"]["one"]["init"]["server_name"] == foo


def test_two_different_servers_for_one_instrument_are_refused() -> None:
    station = Station()
    with pytest.raises(UsageError, match=r"'one' is to live on server 'foo', and on 'bar'"):
        station.load_config(section(server_name="foo", init={"server_name": "bar"}))


def test_an_empty_server_name_means_the_default_server() -> None:
    station = Station()
    station.load_config(section(server_name="", init={"offset": 1.5}))
    assert station.load_instrument("one").x() == 1.5
    assert [server.name for server in list_servers()] == ["Instruments"]


def test_sections_may_take_entries_from_one_another(foo: str, bar: str) -> None:
    station = Station()
    station.load_config(
        f"""
instruments:
  one: &same
    type: drivers.Plain
    server_name: {foo}
    init: &arguments {{offset: 1.0}}
  two:
    <<: *same
  three:
    <<: *same
    server_name: {bar}
    init: *arguments
"""
    )
    station.load_all_instruments()
    assert set(connect(foo).instruments) == {"one", "two"}
    assert list(connect(bar).instruments) == ["three"]
    assert [station[name].x() for name in ("one", "two", "three")] == [1.0, 1.0, 1.0]


def test_arguments_of_the_call_come_before_those_of_the_file(foo: str, bar: str) -> None:
    station = Station()
    station.load_config(section(server_name=foo, init={"offset": 1.0}))
    station.load_instrument("one", server_name=bar, offset=2.0, name="other")
    assert station.other.x() == 2.0
    assert list(connect(bar).instruments) == ["other"]
    here = station.load_instrument("one", server_name=None)
    assert type(here) is Plain
    here.close()


def test_what_qcodes_does_not_know_is_still_warned_of() -> None:
    with pytest.warns(ValidationWarning, match="typo"):
        Station().load_config(section(server_name="foo", typo="foo"))


def test_shared_kwargs_of_a_file_are_held_once(foo: str) -> None:
    station = Station()
    station.load_config(
        f"""
instruments:
  one: {{type: drivers.Sharing, init: {{server_name: {foo}, backend: {{volts: [1, 2]}}}}}}
  two: {{type: drivers.Sharing, init: {{server_name: {foo}}}}}
"""
    )
    one, two = station.load_instrument("one"), station.load_instrument("two")
    assert one.backend == {"volts": [1, 2]}
    assert one.backend_id() == two.backend_id()


def test_a_failed_constructor_leaves_nothing(tmp_path: Path, foo: str) -> None:
    station = Station()
    station.load_config(section(type="drivers.Failing", server_name=foo, init={"path": str(tmp_path / "x")}))
    with pytest.raises(RuntimeError, match="the hardware does not answer"):
        station.load_instrument("one")
    assert station.components == {}
    assert list_servers() == []


def test_an_instrument_that_cannot_be_set_up_is_closed_again(foo: str) -> None:
    station = Station()
    settings = {"limits": [-1, 1], "initial_value": 2}
    station.load_config(section(server_name=foo, parameters={"x": settings}))
    with pytest.raises(ValueError, match="2 is invalid"):
        station.load_instrument("one")
    assert list(connect(foo).instruments) == []
    station.load_config(section(server_name=foo, parameters={"x": {**settings, "initial_value": 0.5}}))
    assert station.load_instrument("one").x() == 0.5


# Settings


@pytest.mark.slow
def test_settings_of_parameters_act_on_the_server(foo: str) -> None:
    station = Station()
    station.load_config(
        f"""
instruments:
  one:
    type: drivers.Plain
    server_name: {foo}
    parameters:
      x:
        label: Gate
        unit: mV
        scale: 10
        offset: 1
        step: 0.5
        inter_delay: 0.001
        post_delay: 0.0
        limits: [-2, 2]
        alias: gate
        monitor: true
        initial_value: 0.0
      ch1.v: {{label: One, initial_value: 3}}
      outs[2].v: {{label: Two}}
"""
    )
    one = station.load_instrument("one")
    assert (one.x.label, one.x.unit, one.x.scale, one.x.offset, one.x.step) == ("Gate", "mV", 10, 1, 0.5)
    assert one.gate is one.x
    assert station._monitor_parameters == [one.x]
    assert (one.ch1.v.label, one.ch1.v()) == ("One", 3)
    assert (one.outs[2].v.label, one.outs[1].v.label) == ("Two", "Voltage")
    del one.written[:]
    one.x(1.0)
    # In the hardware's own numbers, in steps of 0.5 mV from 0 mV.
    assert one.written == [1.0, 6.0, 11.0]
    with pytest.raises(ValueError, match="2"):
        one.x(2.5)
    # Another client finds them.
    assert elsewhere("one = find_instrument('one'); print(one.x.label, one.x.step, one.x.vals)") == (
        "Gate 0.5 <Numbers -2<=v<=2>\n"
    )


@pytest.mark.slow
def test_an_alias_is_there_for_every_client(foo: str) -> None:
    station = Station()
    station.load_config(section(server_name=foo, parameters={"ch1.v": {"alias": "gate", "initial_value": 2}}))
    assert station.load_instrument("one").ch1.gate() == 2
    assert elsewhere("print(find_instrument('one').ch1.gate())") == "2\n"


def test_nested_settings_reach_submodules_and_channels(foo: str) -> None:
    text = section(server_name=foo, ch1={"v": {"initial_value": 2, "label": "One"}})
    station = Station()
    if not hasattr(sys.modules[QcodesStation.__module__], "INSTRUMENT_CONFIG_RESERVED_KEYS"):
        pytest.skip("this version of QCoDeS has no nested settings")
    station.load_config(text)
    one = station.load_instrument("one")
    assert (one.ch1.v(), one.ch1.v.label) == (2, "One")


def test_added_parameters_delegate_to_the_same_and_to_other_instruments(foo: str, bar: str) -> None:
    config = f"""
instruments:
  one:
    type: drivers.Plain
    server_name: {foo}
    add_parameters:
      gate: {{source: "outs[1].v", label: Gate, unit: mV, scale: 0.001, initial_value: 500, monitor: true}}
      ch1.same: {{source: x}}
  two:
    type: drivers.Holder
    server_name: {bar}
    add_parameters:
      far: {{source: held.ch1.v, label: Far}}
"""
    station = Station()
    station.load_config(config)
    one = station.load_instrument("one")
    assert isinstance(one.gate, DelegateParameter)
    assert one.outs[1].v() == 0.5
    one.ch1.same(1.5)
    assert one.x() == 1.5
    two = station.load_instrument("two", held=one)
    two.far(4.0)
    assert one.ch1.v() == 4.0
    assert station._monitor_parameters == [one.gate]
    assert list(station.snapshot()["instruments"]["two"]["parameters"]) == ["IDN", "far"]
    # Found again, they stay the same.
    gate, far, same = one.gate, two.far, one.ch1.same
    again = Station()
    again.load_config(config)
    again.load_instrument("one")
    again.load_instrument("two", held=one)
    assert (again.one.gate, again.two.far, again.one.ch1.same) == (gate, far, same)
    assert (gate(), far()) == (500, 4.0)


# Finding


@pytest.mark.slow
def test_a_restarted_kernel_finds_its_lab(lab: Path) -> None:
    work = "s = Station(config_file=sys.argv[1]); s.load_all_instruments(); s.dac.plunger(0.75); print(s.dac.plunger())"
    assert elsewhere(work, lab) == "0.75\n"
    rewrite(lab, "[-1, 1]", "[-0.8, 0.8]")
    rewrite(lab, "Plunger gate", "P1")
    station = Station(config_file=str(lab))
    station.load_all_instruments()
    # Values are as they were, and nothing was sent but what asks for them.
    assert station.dac.ch1.v() == station.dac.plunger() == 0.75
    assert [command for command in station.dac.history() if command.startswith("VOLT 1")][-1:] == [
        "VOLT 1,0.75"
    ]
    # What the file says now holds.
    assert station.dac.plunger.label == "P1"
    with pytest.raises(ValueError, match=r"0\.9 is invalid"):
        station.dac.plunger(0.9)
    assert station._monitor_parameters == [station.dac.ch1.v]


@pytest.mark.slow
def test_a_found_delegate_leads_where_the_file_says_now(lab: Path) -> None:
    elsewhere("s = Station(config_file=sys.argv[1]); s.load_dac()", lab)
    rewrite(lab, "source: ch1.v", "source: ch2.v")
    dac = Station(config_file=str(lab)).load_instrument("dac")
    assert dac.plunger.source is dac.ch2.v
    dac.plunger(0.5)
    assert (dac.ch1.v(), dac.ch2.v()) == (0.25, 0.5)


@pytest.mark.slow
def test_forced_reconnect_makes_it_anew(lab: Path) -> None:
    rewrite(lab, "reconnect: false", "reconnect: true")
    elsewhere("s = Station(config_file=sys.argv[1]); s.load_dac(); s.dac.plunger(0.75)", lab)
    station = Station(config_file=str(lab))
    assert station.load_dac().plunger() == 0.25
    station.dac.plunger(0.5)
    assert station.load_dac().plunger() == 0.25
    assert list(station.components) == ["dac"]


def test_another_station_of_the_same_process_finds_the_instrument(lab: Path) -> None:
    first, second = Station(config_file=str(lab)), Station(config_file=str(lab))
    first.load_dac().plunger(0.5)
    assert second.load_dac() is first.dac
    assert second.dac.plunger() == 0.5
    first.close_and_remove_instrument("dac")
    # It is new again, with its values.
    second.remove_component("dac")
    assert second.load_dac().plunger() == 0.25


def test_an_instrument_of_another_class_is_not_taken(lab: Path, foo: str) -> None:
    start_server(foo).create(Holder, "dac")
    station = Station(config_file=str(lab))
    with pytest.raises(TypeError, match="Dac was requested"):
        station.load_dac()
    assert station.components == {}


def test_loading_twice_is_refused_before_anything_is_changed(lab: Path) -> None:
    station = Station(config_file=str(lab))
    station.load_dac().plunger(0.5)
    with pytest.raises(KeyError, match=r"Another instrument has the name: dac.*revive_instance=True"):
        station.load_dac()
    assert station.dac.plunger() == 0.5
    assert station.load_instrument("dac", revive_instance=True) is station.dac


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
def test_an_instrument_whose_server_has_ended_is_loaded_again(
    lab: Path, foo: str, end: Callable[[Server], None]
) -> None:
    station = Station(config_file=str(lab))
    station.load_dac().plunger(0.5)
    end(connect(foo))
    assert station.load_dac().plunger() == 0.25
    assert station.snapshot()["instruments"]["dac"]["parameters"]["plunger"]["value"] == 0.25


# QCoDeS's own station


def test_qcodes_own_station_takes_drivers_with_a_server_and_proxies(foo: str) -> None:
    station = QcodesStation()
    station.load_config(
        f"""
instruments:
  dac:
    type: instruments.Dac
    init: {{server_name: {foo}, channels: 2}}
    parameters: {{ch1.v: {{limits: [-1, 1], initial_value: 0.25}}}}
    add_parameters: {{plunger: {{source: ch1.v}}}}
"""
    )
    dac = station.load_instrument("dac")
    assert isinstance(dac, RemoteInstrument)
    assert dac.plunger() == 0.25
    holder = connect(foo).create(Holder, "holder", dac)
    station.add_component(holder)
    assert list(station.snapshot()["instruments"]) == ["dac", "holder"]
    holder.close()
    assert list(station.snapshot()["instruments"]) == ["dac"]
    station.close_and_remove_instrument("dac")
    assert list(connect(foo).instruments) == []


# QCoDeS's registry


def test_qcodes_finds_lists_and_closes_what_a_station_has_loaded(lab: Path, foo: str, bar: str) -> None:
    station = Station(config_file=str(lab))
    dac, dummy = station.load_dac(), station.load_dummy()
    assert QcodesInstrument.find_instrument("dac") is Dac.find_instrument("dac", Dac) is dac
    assert (Dac.instances(), DummyInstrument.instances(), Plain.instances()) == ([dac], [dummy], [])
    assert QcodesInstrument.exist("dummy")
    assert QcodesInstrument.exist("dummy", DummyInstrument)
    assert not QcodesInstrument.exist("nobody")
    assert QcodesInstrument.is_valid(dac)
    with pytest.raises(TypeError, match="was requested"):
        QcodesInstrument.find_instrument("dummy", Dac)
    QcodesInstrument.close_all()
    assert not QcodesInstrument.exist("dac")
    assert not QcodesInstrument.is_valid(dac)
    assert Dac.instances() == DummyInstrument.instances() == []
    assert list(connect(foo).instruments) == list(connect(bar).instruments) == []


def test_readable_snapshots_print_what_local_ones_print(capsys: pytest.CaptureFixture[str], foo: str) -> None:
    printed = []
    for server_name in (None, foo):
        station = Station()
        station.load_config(section(init={"server_name": server_name, "offset": 2.5}))
        one = station.load_instrument("one")
        one.print_readable_snapshot(update=True, max_chars=60)
        one.ch1.print_readable_snapshot()
        printed.append(capsys.readouterr().out)
        station.close_and_remove_instrument("one")
    assert printed[0] == printed[1]
    assert re.search(r"^x +:\t2\.5 \(V\)$", printed[1], re.MULTILINE)


def test_components_are_found_by_their_full_names(lab: Path) -> None:
    station = Station(config_file=str(lab))
    dac = station.load_dac()
    assert station.get_component("dac") is dac
    assert station.get_component("dac_ch1_v") is dac.ch1.v
    assert isinstance(station.get_component("dac_plunger"), Parameter)
    assert station.dac is station["dac"] is dac
