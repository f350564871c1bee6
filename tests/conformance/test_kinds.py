"""Parameters of every kind do the same to the hardware, here and on a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance.kinds import Counting, Kinds
from conformance.looking import Make
from qcodes.parameters import Parameter
from qcodes.validators import Numbers


@pytest.fixture
def kinds(make: Make) -> Kinds:
    instrument: Kinds = make(Kinds, "kinds")
    return instrument


def told(kinds: Kinds) -> list[str]:
    """Return what the hardware was told since the last time."""
    commands = list(kinds.commands)
    kinds.commands = []
    return commands


def test_making_the_instrument_and_looking_at_it_reads_nothing(kinds: Kinds) -> None:
    assert (kinds.level.label, kinds.level.unit, repr(kinds.level.vals)) == (
        "Level",
        "V",
        "<Numbers -10<=v<=10>",
    )
    assert {"level", "counting", "ask_raw", "commands"} <= set(dir(kinds))
    kinds.snapshot(update=False)
    assert kinds.commands == []
    assert kinds.counting.reads == 10


def test_every_get_is_one_reading_and_a_cached_get_none(kinds: Kinds) -> None:
    assert [kinds.level(), kinds.level.get(), kinds.level.cache(), kinds.level.get_latest()] == [0.5] * 4
    assert told(kinds) == ["level?", "level?"]
    kinds.level.cache.invalidate()
    assert [kinds.level.cache(), kinds.level.cache()] == [0.5, 0.5]
    assert told(kinds) == ["level?"]


def test_a_parameter_written_from_the_ground_up_counts_its_readings(kinds: Kinds) -> None:
    assert isinstance(kinds.counting, Counting)
    assert not isinstance(kinds.counting, Parameter)
    assert not hasattr(kinds.counting, "unit")
    assert [kinds.counting(), kinds.counting.get(), kinds.counting.get_latest()] == [11, 12, 12]
    kinds.snapshot(update=True)
    assert kinds.counting.reads == 12
    kinds.counting.reads = 20
    assert kinds.counting() == 21


def test_a_command_is_formatted_and_an_answer_parsed(kinds: Kinds) -> None:
    kinds.level(2)
    kinds.rate(1234.5)
    kinds.count(7.4)
    assert told(kinds) == ["level 2", "rate 1.234e+03", "count 7"]
    assert (kinds.level(), kinds.rate(), kinds.count()) == (2.0, 1234.0, 7)


@pytest.mark.parametrize("value", [11, -10.1, "high", None, 1j, [1], float("nan")])
def test_a_refused_value_does_not_reach_the_hardware(kinds: Kinds, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"Parameter: kinds\.level"):
        kinds.level(value)
    assert kinds.commands == []
    assert kinds.level() == 0.5


def test_an_error_of_the_hardware_says_which_parameter_it_was(kinds: Kinds) -> None:
    with pytest.raises(KeyError) as raised:
        kinds.broken(1)
    assert raised.value.args[0] == "no register 'nothing'"
    assert raised.value.args[1:] == ("writing 'nothing 1' to <Kinds: kinds>", "setting kinds_broken to 1")
    with pytest.raises(KeyError) as raised:
        kinds.broken()
    assert raised.value.args == ("nothing", "asking 'nothing?' to <Kinds: kinds>", "getting kinds_broken")
    with pytest.raises(ValueError, match="could not convert string to float: '1V'"):
        kinds.garbled()


def test_what_cannot_be_read_or_set_says_so(kinds: Kinds) -> None:
    with pytest.raises(NotImplementedError, match="no get cmd found in Parameter writeonly"):
        kinds.writeonly()
    with pytest.raises(NotImplementedError, match="no set cmd found in Parameter readonly"):
        kinds.readonly(1)
    for name in ("get", "set"):
        assert not hasattr(kinds.neither, name)
    kinds.writeonly(0.25)
    assert kinds.writeonly.get_latest() == 0.25
    assert kinds.commands == ["level 0.25"]


def test_steps_go_from_where_the_hardware_is(kinds: Kinds) -> None:
    kinds.stepped(1)
    assert told(kinds) == ["step 0.25", "step 0.5", "step 0.75", "step 1"]
    kinds.stepped.step = 0.5
    kinds.stepped(0)
    assert told(kinds) == ["step 0.5", "step 0"]
    kinds.stepped.step = None
    kinds.stepped(1)
    assert told(kinds) == ["step 1"]


def test_scale_and_offset_act_once(kinds: Kinds) -> None:
    kinds.scaled(3)
    assert (kinds.scaled(), kinds.scaled.cache.raw_value, kinds.scaled.raw_value) == (3, 31, 31)
    kinds.scaled.scale = 2
    assert kinds.scaled() == 15
    kinds.scaled.offset = None
    kinds.scaled.cache.set(4)
    assert (kinds.scaled.raw_value, kinds.scaled.get_latest()) == (8, 4)
    assert kinds.each_scaled() == (1.0, 2.0)
    assert kinds.each_scaled.raw_value == (2.0, 8.0)


def test_mapped_values(kinds: Kinds) -> None:
    assert kinds.mapped() == "high"
    kinds.mapped("low")
    kinds.switch("on")
    kinds.switch(False)
    assert told(kinds) == ["mode?", "mode 0", "switch 1", "switch 0"]
    assert (kinds.mapped(), kinds.switch()) == ("low", False)
    assert kinds.mapped.val_mapping == {"low": "0", "high": "1", "off": None}
    assert kinds.mapped.inverse_val_mapping == {"0": "low", "1": "high", None: "off"}
    with pytest.raises(ValueError, match="'sideways' is not in"):
        kinds.mapped("sideways")


def test_a_value_is_given_back_after_a_block(kinds: Kinds) -> None:
    with kinds.level.set_to(2):
        assert kinds.level() == 2
        with pytest.raises(TypeError, match="not settable"):
            kinds.level.set(3)
        with pytest.raises(NotImplementedError, match="no set cmd found in Parameter level"):
            kinds.level(3)
    with kinds.level.set_to(4, allow_changes=True):
        kinds.level(5)
    with pytest.raises(RuntimeError, match="inside"), kinds.level.restore_at_exit():
        kinds.level(6)
        raise RuntimeError("inside")
    assert kinds.level() == 0.5
    assert [command for command in kinds.commands if command != "level?"] == [
        *("level 2", "level 0.5", "level 4", "level 5", "level 0.5", "level 6", "level 0.5")
    ]


def test_increment_and_sweep(kinds: Kinds) -> None:
    kinds.level.increment(0.25)
    for value in kinds.level.sweep(0, 1, num=3):
        kinds.level(value)
    for value in kinds.level[0:2:1]:
        kinds.level(value)
    assert told(kinds) == ["level?", *(f"level {value}" for value in (0.75, 0.0, 0.5, 1.0, 0, 1))]
    with pytest.raises(ValueError, match="must be between -10 and 10"):
        kinds.level.sweep(0, 20, num=3)


def test_limits_that_are_changed_hold(kinds: Kinds) -> None:
    kinds.level.vals = Numbers(0, 1)
    with pytest.raises(ValueError, match="between 0 and 1 inclusive"):
        kinds.level(2)
    kinds.level.add_validator(Numbers(0, 0.5))
    assert [repr(vals) for vals in kinds.level.validators] == ["<Numbers 0<=v<=1>", "<Numbers 0<=v<=0.5>"]
    with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
        kinds.level(0.75)
    assert repr(kinds.level.remove_validator()) == "<Numbers 0<=v<=0.5>"
    with kinds.level.extra_validator(Numbers(0.5, 1)), pytest.raises(ValueError, match=r"between 0\.5 and 1"):
        kinds.level(0.25)
    kinds.level(0.25)
    kinds.level.vals = None
    kinds.level(20)
    assert told(kinds) == ["level 0.25", "level 20"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("step", "wide", TypeError),
        ("step", -1, ValueError),
        ("inter_delay", -1, ValueError),
        ("inter_delay", "long", TypeError),
        ("post_delay", -1, ValueError),
    ],
)
def test_settings_of_a_parameter_are_checked(
    kinds: Kinds, name: str, value: Any, error: type[Exception]
) -> None:
    before = repr(getattr(kinds.stepped, name))
    with pytest.raises(error):
        setattr(kinds.stepped, name, value)
    assert repr(getattr(kinds.stepped, name)) == before


def test_labels_metadata_and_what_snapshots_show_can_be_changed(kinds: Kinds) -> None:
    kinds.level.label, kinds.level.unit = "Height", "m"
    kinds.level.metadata["source"] = "drawing"
    kinds.level.load_metadata({"page": 3})
    kinds.manual.snapshot_exclude = True
    shown = kinds.snapshot()["parameters"]
    assert (shown["level"]["label"], shown["level"]["unit"]) == ("Height", "m")
    assert shown["level"]["metadata"] == {"source": "drawing", "page": 3}
    assert "manual" not in shown
    assert "excluded" not in shown
    assert "value" not in shown["valueless"]
    assert kinds.registered.register_name == "my_column"


def test_the_cache_can_be_filled_and_emptied(kinds: Kinds) -> None:
    cache = kinds.level.cache
    assert (cache.valid, cache.timestamp, cache.get(False), cache.raw_value) == (False, None, None, None)
    cache.set(2.5)
    assert (cache.valid, cache.get(), kinds.level.get_latest()) == (True, 2.5, 2.5)
    assert kinds.commands == []
    with pytest.raises(ValueError, match="between -10 and 10"):
        cache.set(20)
    assert kinds.aging.cache.max_val_age == 0.0
    assert kinds.aging() == 0.5
    assert not kinds.aging.cache.valid
    kinds.invalidate_cache()
    assert not cache.valid


def test_attributes_properties_and_methods_of_a_parameter_class(kinds: Kinds) -> None:
    calibrated = kinds.calibrated
    assert (calibrated(), calibrated.slope, calibrated.doubled, calibrated.unit_of_slope) == (
        4.0,
        4.0,
        2.0,
        "V/A",
    )
    assert calibrated.calibrate(2.0, offset=0.5) == 2.5
    assert calibrated() == 2.5
    calibrated.slope = 3.0
    calibrated(6)
    assert (calibrated.doubled, calibrated._volts) == (4.0, 2.0)
    calibrated.doubled = 2.0
    assert calibrated() == 3.0
    assert list(calibrated.history(1, 2)) == [3.0, 6.0]


def test_parameters_of_a_group_are_read_and_set_together(kinds: Kinds) -> None:
    assert kinds.gain() == 2.0
    assert kinds.range.get_latest() == 10
    kinds.gain(5)
    assert told(kinds) == ["gain,range?", "gain,range 5,10"]
    kinds.range(3)
    assert told(kinds) == ["gain,range 5,3"]
    assert (kinds.gain(), kinds.range()) == (5.0, 3)
    with pytest.raises(ValueError, match="between 0 and 10"):
        kinds.gain(11)


def test_a_delegate_reads_and_sets_its_source(kinds: Kinds) -> None:
    delegate = kinds.delegate
    assert delegate.source is kinds.level
    assert (delegate.label, delegate.unit) == ("Delegate", "V")
    kinds.level(5)
    assert delegate() == 2.0
    delegate(3)
    assert (kinds.level(), kinds.level.get_latest(), delegate.get_latest()) == (7.0, 7.0, 3.0)
    kinds.level.cache.set(9)
    assert delegate.cache.get(False) == 4.0
    kinds.level.unit = "mV"
    assert delegate.unit == "mV"
    assert delegate.underlying_instrument is kinds


def test_a_delegate_without_a_source_may_get_one(kinds: Kinds) -> None:
    sourceless = kinds.sourceless
    assert (sourceless.source, sourceless.gettable, sourceless.settable) == (None, False, False)
    with pytest.raises(TypeError, match="not gettable"):
        sourceless.get()
    sourceless.source = kinds.level
    assert (sourceless.gettable, sourceless.settable, sourceless.unit) == (True, True, "V")
    sourceless(3)
    assert kinds.level() == sourceless() == 3.0
    sourceless.source = None
    assert not sourceless.gettable


def test_scaled_parameters(kinds: Kinds) -> None:
    kinds.level(8)
    assert (kinds.divided(), kinds.amplified()) == (2.0, 24.0)
    kinds.divided(1)
    assert kinds.level() == 4.0
    kinds.divided.gain = 2
    assert (kinds.divided.division, kinds.divided()) == (0.5, 8.0)
    kinds.manual(5)
    assert kinds.amplified() == 20.0
    assert kinds.divided.wrapped_parameter is kinds.level
    assert kinds.divided.get_wrapped_parameter_value() == 4.0
    assert "divided" not in kinds.parameters


def test_a_grouped_parameter_reads_its_members(kinds: Kinds) -> None:
    both = kinds.grouped()
    assert (both.first, both.second) == (0.5, 3)
    assert (
        repr(kinds.grouped) == "GroupedParameter(name=grouped, source_parameters=(kinds_level, kinds_manual))"
    )
    assert [source is kinds.level for source in kinds.grouped.source_parameters] == [True, False]
    kinds.grouped({"first": 1.5, "second": 4})
    assert (kinds.level(), kinds.manual()) == (1.5, 4)


def test_a_reference_leads_to_the_instrument(kinds: Kinds, make: Make) -> None:
    other = make(Kinds, "other")
    kinds.reference("other")
    assert kinds.reference.get_instr() is other
    kinds.reference("kinds")
    assert kinds.reference.get_instr() is kinds
    kinds.reference("nobody")
    with pytest.raises(KeyError, match="nobody"):
        kinds.reference.get_instr()


def test_several_values_at_once(kinds: Kinds) -> None:
    pair = kinds.pair
    assert pair() == (0.5, (1.0, 2.0))
    pair((1.5, (3.0, 4.0)))
    assert pair.get_latest() == (1.5, (3.0, 4.0))
    assert (pair.names, pair.shapes, pair.units) == (("left", "right"), ((), (2,)), ("V", "A"))
    assert pair.full_names == ("kinds_left", "kinds_right")
    assert pair.setpoint_full_names == ((), ("kinds_time",))


def test_a_trace_may_become_longer(kinds: Kinds) -> None:
    trace = kinds.fixed_trace
    assert trace().tolist() == [0.0, 1.0, 2.0]
    trace.stretch(5)
    assert (trace.shape, trace.setpoints) == ((5,), ((0.0, 1.0, 2.0, 3.0, 4.0),))
    assert trace().shape == (5,)
    trace.shape = (2,)
    assert trace().shape == (2,)


def test_setpoints_follow_the_number_of_points(kinds: Kinds) -> None:
    assert [parameter is kinds.axis for parameter in kinds.phasors.setpoints] == [True, True]
    for points in (3, 5):
        kinds.points(points)
        kinds.trace.validate_consistent_shape()
        assert kinds.trace.vals.shape == kinds.axis.vals.shape == (points,)
        assert kinds.trace().shape == (points,)
        assert kinds.phasors().dtype == np.complex128
    with pytest.raises(ValueError, match="does not have expected shape"):
        kinds.trace.validate(np.zeros(3))
