"""Parameters of instruments on a server, as the server of 2016 had them."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from qcodes.validators import Enum, Numbers

from .bench import Bench, Gates, Meter, Source

# QCoDeS of today would rather not have parameters read and set by name.
pytestmark = pytest.mark.filterwarnings("ignore:Use of:PendingDeprecationWarning")


def sent(bench: Bench, part: str) -> list[str]:
    """Return the commands that a part of the setup was sent."""
    return [line.partition(" ")[2] for line in bench.history if line.startswith(f"{part} ")]


def test_a_parameter_is_read_in_many_ways_with_one_query_each(bench: Bench, gates: Gates) -> None:
    gates.chan0.set(0.25)
    ways = [
        gates.get("chan0"),
        gates["chan0"].get(),
        gates.parameters["chan0"].get(),
        gates.chan0(),
        gates.chan0.get(),
    ]
    assert ways == [0.25] * 5
    assert sent(bench, "gates") == ["c0:0.2500", *["c0?"] * 5]


def test_a_parameter_is_set_in_many_ways_with_one_command_each(bench: Bench, gates: Gates) -> None:
    gates.set("chan0", 1)
    gates["chan0"].set(2)
    gates.parameters["chan0"](3)
    gates.chan0(4)
    assert sent(bench, "gates") == ["c0:1.0000", "c0:2.0000", "c0:3.0000", "c0:4.0000"]


def test_what_one_instrument_sets_another_reads(gates: Gates, source: Source, meter: Meter) -> None:
    source.ampl(0.5)
    for gate, value in ((gates.chan0, 1), (gates.chan1, 2), (gates.chan0, 3)):
        gate(value)
    assert meter.signal() == 2.5


def test_a_wrong_value_is_refused_on_set_and_on_validate_and_nothing_is_sent(
    bench: Bench, gates: Gates
) -> None:
    for value, error in (("one", TypeError), ([1], TypeError), (11, ValueError), (-11, ValueError)):
        with pytest.raises(error, match=r"gates\.chan0"):
            gates.chan0.set(value)
        with pytest.raises(error, match=r"gates\.chan0"):
            gates.chan0.validate(value)
    assert bench.history == []


def test_setting_what_can_only_be_read_and_reading_what_can_only_be_set_is_as_local(meter: Meter) -> None:
    local = Meter("here", model=Bench("local_bench"))
    for instrument in (local, meter):
        with pytest.raises(NotImplementedError, match="no set cmd found in Parameter signal"):
            instrument.signal(1)
        with pytest.raises(NotImplementedError, match="no get cmd found in Parameter trigger"):
            instrument.trigger()
        with pytest.raises(AttributeError, match="has no attribute 'set'"):
            instrument.set("signal", 1)
        with pytest.raises(AttributeError, match="has no attribute 'get'"):
            instrument.get("trigger")


def test_what_has_no_get_command_is_read_from_the_cache_as_in_qcodes_of_today(meter: Meter) -> None:
    assert meter.park() is None
    meter.park("now")
    assert meter.park() == "now"


def test_a_step_is_taken_by_the_hardware(bench: Bench, gates: Gates) -> None:
    gates.chan0step.set(0.5)
    assert sent(bench, "gates") == ["c0?", "c0:0.1000", "c0:0.2000", "c0:0.3000", "c0:0.4000", "c0:0.5000"]


def test_a_ramp_begins_where_the_hardware_is(bench: Bench, source: Source) -> None:
    source.ampl.set(0.6)
    assert sent(bench, "source") == ["ampl?", "ampl:0.3000", "ampl:0.5000", "ampl:0.6000"]


def test_between_numbers_and_strings_a_stepped_parameter_jumps_and_says_so(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    source.level("A")
    assert source.level() == "A"
    source.level(-1)
    assert source.level() == -1
    said = [record.getMessage() for record in caplog.records if "cannot sweep" in record.getMessage()]
    assert said == [
        "cannot sweep level from 0 to 'A' - jumping.",
        "cannot sweep level from 'A' to -1 - jumping.",
    ]


def test_a_delay_is_kept_on_the_server(gates: Gates) -> None:
    gates.chan0.inter_delay = 0.03
    began = time.perf_counter()
    gates.chan0(0)
    gates.chan0(1)
    assert time.perf_counter() - began >= 0.03


def test_val_mapping_works_both_ways_and_refuses_the_rest(bench: Bench, source: Source) -> None:
    source.output("on")
    assert sent(bench, "source") == ["relay:1"]
    assert source.output() == "on"
    with pytest.raises(ValueError, match="maybe"):
        source.output("maybe")
    source.add_parameter("relay", get_cmd="relay?", set_cmd="relay:{}", val_mapping={5: "1", 0: "0"})
    assert source.relay() == 5
    source.relay(0)
    assert bench.levels["relay"] == "0"


def test_a_parameter_added_from_here_is_usable_at_once(gates: Gates, bench: Bench) -> None:
    added = gates.add_parameter("c0", get_cmd="c0?", set_cmd="c0:{}", get_parser=float, vals=Numbers(0, 1))
    assert added is gates.c0
    added(0.5)
    assert (gates.c0(), bench.levels["c0"]) == (0.5, "0.5")
    with pytest.raises(ValueError):
        gates.c0(2)
    with pytest.raises(KeyError, match="Duplicate parameter name c0"):
        gates.add_parameter("c0", get_cmd="c0?")
    with pytest.raises(TypeError):
        gates.add_parameter("c1", get_cmd="c1?", vals=[1, 2, 3])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"step": "a"}, TypeError),
        ({"step": -0.1}, ValueError),
        ({"step": 1, "vals": Enum("a", "b")}, TypeError),
        ({"inter_delay": -1}, ValueError),
        ({"inter_delay": "fast"}, TypeError),
        ({"post_delay": -1}, ValueError),
        ({"post_delay": "slow"}, TypeError),
        ({"get_cmd": False, "max_val_age": 1}, SyntaxError),
        ({"val_mapping": {1: 2}, "vals": 5}, TypeError),
    ],
    ids=lambda wrong: str(wrong) if isinstance(wrong, dict) else "",
)
def test_a_parameter_with_senseless_settings_is_refused(
    gates: Gates, wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        gates.add_parameter("wrong", **{"get_cmd": "c0?", "set_cmd": "c0:{}", **wrong})
    assert "wrong" not in gates.parameters


def test_a_manual_parameter_holds_its_value_within_its_limits(meter: Meter) -> None:
    assert meter.range() is None
    meter.range(10)
    assert meter.range.get() == 10
    for value in (None, 5):
        with pytest.raises(ValueError):
            meter.range(value)
    assert meter.range() == 10
    added = meter.add_parameter("res", set_cmd=None, get_cmd=None, initial_value=42, vals=Numbers(-100, 100))
    assert added() == 42
    meter.res(-1)
    assert meter.res() == -1
    with pytest.raises((TypeError, KeyError), match="res2"):
        meter.add_parameter("res2", set_cmd=None, get_cmd=None, initial_value="no number", vals=Numbers())


def test_get_latest_tells_the_last_value_and_leaves_the_hardware_alone(bench: Bench, source: Source) -> None:
    latest = source.ampl.get_latest
    source.ampl.cache.set(0.1)
    source.ampl(0.2)
    taken, count = latest.get_timestamp(), len(bench.history)
    assert latest() == latest.get() == 0.2
    assert len(bench.history) == count
    assert isinstance(taken, datetime)
    assert latest.get_timestamp() == taken
    with pytest.raises(AttributeError):
        latest.set(1)


def test_parameters_are_not_added_to_each_other_as_in_qcodes_of_today(gates: Gates) -> None:
    with pytest.raises(TypeError):
        gates.chan0 + gates.chan1


def test_sweep_and_slice_make_the_values_of_a_sweep(gates: Gates) -> None:
    assert len(list(gates.chan0[1:4:1])) == 3
    assert 2 in gates.chan0[1:4:1]
    values = gates.chan0.sweep(2, 3, num=6)
    assert len(list(values)) == 6
    assert 2.2 in values


def test_idn_is_a_dict_of_four(gates: Gates) -> None:
    assert gates.IDN() == {"vendor": "Bench", "model": "Gates", "serial": "1", "firmware": None}
