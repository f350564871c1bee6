from collections.abc import Iterator

import numpy as np
import pytest

from instruments import dac as dac_module
from instruments.dac import Dac, DacLine


@pytest.fixture
def dac() -> Iterator[Dac]:
    instrument = Dac("dac", channels=3)
    yield instrument
    instrument.close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Durations that the line would have slept, seconds."""
    durations: list[float] = []
    monkeypatch.setattr(dac_module.time, "sleep", durations.append)
    return durations


def test_channels_are_submodules_and_a_tuple_in_the_same_order(dac: Dac) -> None:
    assert list(dac.channels) == [dac.ch1, dac.ch2, dac.ch3]


def test_outputs_are_at_zero_after_power_on(dac: Dac) -> None:
    assert [channel.v.get() for channel in dac.channels] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("volts", [0.1, -10, 10, 1 / 3, 5e-324, np.float64(0.7), np.int64(2)])
def test_voltage_is_read_back_exactly(dac: Dac, volts: float) -> None:
    dac.ch2.v.set(volts)
    assert dac.ch2.v.get() == volts


def test_channels_are_independent(dac: Dac) -> None:
    dac.ch1.v.set(1)
    dac.ch3.v.set(3)
    assert [channel.v.get() for channel in dac.channels] == [1, 0, 3]


def test_every_set_and_get_is_one_command_on_the_line(dac: Dac) -> None:
    dac.ch1.v.set(0.5)
    dac.ch1.v.get()
    dac.ch1.v.cache.get()
    assert dac.history() == ["VOLT 1,0.5", "VOLT? 1"]


@pytest.mark.parametrize("volts", [10.001, -11, float("nan"), float("inf")])
def test_voltage_outside_limits_leaves_hardware_untouched(dac: Dac, volts: float) -> None:
    with pytest.raises(ValueError, match=r"-10\.0 and 10\.0"):
        dac.ch1.v.set(volts)
    assert dac.history() == []


def test_voltage_that_is_no_number_leaves_hardware_untouched(dac: Dac) -> None:
    with pytest.raises(TypeError, match="not an int or float"):
        dac.ch1.v.set("high")
    assert dac.history() == []


def test_step_writes_every_intermediate_voltage(dac: Dac) -> None:
    dac.ch1.v.step = 0.25
    dac.ch1.v.get()
    dac.ch1.v.set(0.75)
    assert dac.history()[-3:] == ["VOLT 1,0.25", "VOLT 1,0.5", "VOLT 1,0.75"]


def test_zero_of_a_channel_leaves_the_others(dac: Dac) -> None:
    dac.channels.v.set(1)
    dac.ch2.zero()
    assert [channel.v.get() for channel in dac.channels] == [1, 0, 1]


def test_zero_of_the_source_zeroes_every_channel_and_cache(dac: Dac) -> None:
    dac.channels.v.set(1)
    dac.zero()
    assert [channel.v.cache.get() for channel in dac.channels] == [0, 0, 0]
    assert dac.history()[-3:] == ["VOLT 1,0", "VOLT 2,0", "VOLT 3,0"]


def test_nothing_sleeps_without_settling_time_and_ramp(dac: Dac, slept: list[float]) -> None:
    dac.ch1.v.set(5)
    assert slept == []


def test_settling_time_is_spent_on_every_set(slept: list[float]) -> None:
    dac = Dac("slow", settle=0.5)
    dac.ch1.v.set(1)
    dac.ch1.v.set(2)
    dac.ch1.v.get()
    dac.close()
    assert slept == [0.5, 0.5]


def test_ramp_rate_spends_the_time_of_the_ramp(dac: Dac, slept: list[float]) -> None:
    dac.ch1.ramp_rate.set(2)
    dac.ch1.v.set(1)
    dac.ch1.v.set(-4)
    assert slept == [0.5, 2.5]


def test_ramp_rate_is_read_back(dac: Dac) -> None:
    dac.ch1.ramp_rate.set(0.25)
    assert (dac.ch1.ramp_rate.get(), dac.ch2.ramp_rate.get()) == (0.25, 0.0)


@pytest.mark.parametrize(
    "command", ["RST", "VOLT", "VOLT 1", "VOLT 1,x", "VOLT 4,1", "VOLT? 0", "SLOP 9,1", ""]
)
def test_malformed_command_is_refused(dac: Dac, command: str) -> None:
    with pytest.raises(ValueError):
        dac.write(command)
    assert [channel.v.get() for channel in dac.channels] == [0, 0, 0]


def test_history_forgets_the_oldest() -> None:
    line = DacLine(channels=1, settle=0)
    for _ in range(dac_module.HISTORY):
        line.execute("VOLT? 1")
    line.execute("VOLT 1,1")
    assert len(line.history()) == dac_module.HISTORY
    assert line.history()[-1] == "VOLT 1,1"


@pytest.mark.parametrize("channels", [0, -1, 65])
def test_number_of_channels_outside_limits_is_refused(channels: int) -> None:
    with pytest.raises(ValueError, match="choose 1 to 64"):
        Dac("wrong", channels=channels)


def test_negative_settling_time_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 s is negative"):
        Dac("wrong", settle=-1)


def test_idn_names_the_source(dac: Dac) -> None:
    assert dac.IDN()["model"] == "Dac"


def test_parameters_carry_label_unit_and_docstring(dac: Dac) -> None:
    assert (dac.ch2.v.label, dac.ch2.v.unit) == ("Channel 2 voltage", "V")
    assert "Output voltage, V" in dac.ch2.v.__doc__


def test_snapshot_holds_each_channel_once(dac: Dac) -> None:
    dac.ch1.v.set(0.5)
    submodules = dac.snapshot()["submodules"]
    assert set(submodules) == {"ch1", "ch2", "ch3", "channels"}
    assert submodules["ch1"]["parameters"]["v"]["value"] == 0.5
    assert "channels" not in submodules["channels"]
