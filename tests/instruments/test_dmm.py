import math
from collections.abc import Iterator

import numpy as np
import pytest
from qcodes.parameters import ManualParameter, Parameter

from instruments import dmm as dmm_module
from instruments.dmm import Dmm


@pytest.fixture
def source() -> ManualParameter:
    return ManualParameter("source", label="Current", unit="A", initial_value=2e-9)


@pytest.fixture
def dmm(source: ManualParameter) -> Iterator[Dmm]:
    instrument = Dmm("dmm", source=source, gain=1e8, noise=0)
    yield instrument
    instrument.close()


def test_signal_is_the_source(dmm: Dmm) -> None:
    assert dmm.signal() == pytest.approx(2e-9, rel=1e-9)


def test_voltage_is_the_source_times_the_gain(dmm: Dmm) -> None:
    assert dmm.v() == pytest.approx(0.2, rel=1e-9)


def test_label_and_unit_are_those_of_the_source(dmm: Dmm) -> None:
    assert (dmm.signal.label, dmm.signal.unit, dmm.v.unit, dmm.gain.unit) == ("Current", "A", "V", "V/A")


def test_every_reading_gets_the_source_once() -> None:
    counter = iter(range(100))
    dmm = Dmm("counting", source=Parameter("count", get_cmd=lambda: next(counter)), noise=0)
    dmm.range(10)
    readings = [dmm.signal(), dmm.v(), dmm.signal()]
    dmm.close()
    assert readings == [0, 1, 2]


def test_reading_is_rounded_to_a_millionth_of_the_range(source: ManualParameter, dmm: Dmm) -> None:
    dmm.gain(1)
    source.set(0.1234564)
    assert dmm.v() == pytest.approx(0.123456, abs=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_overload_reads_infinite_with_the_sign_of_the_voltage(
    source: ManualParameter, dmm: Dmm, sign: int
) -> None:
    source.set(sign * 1.3e-8)
    assert dmm.v() == sign * math.inf
    dmm.range(10)
    assert dmm.v() == pytest.approx(sign * 1.3)


def test_gain_of_zero_is_refused_and_changes_nothing(dmm: Dmm) -> None:
    with pytest.raises(ValueError, match="hides the source"):
        dmm.gain(0)
    assert dmm.gain() == 1e8


def test_negative_gain_keeps_the_sign_of_the_signal(source: ManualParameter, dmm: Dmm) -> None:
    dmm.gain(-1e8)
    assert dmm.v() == pytest.approx(-0.2)
    assert dmm.signal() == pytest.approx(2e-9)


@pytest.mark.parametrize("nplc", [0.02, 1, 100])
def test_noise_falls_with_the_square_root_of_the_integration_time(
    source: ManualParameter, nplc: float
) -> None:
    dmm = Dmm("noisy", source=source, nplc=nplc, noise=1e-3)
    readings = [dmm.v() for _ in range(500)]
    dmm.close()
    assert np.std(readings) == pytest.approx(1e-3 / math.sqrt(nplc), rel=0.1)


def test_same_seed_gives_the_same_readings(source: ManualParameter) -> None:
    readings = []
    for name in ("first", "second"):
        dmm = Dmm(name, source=source, seed=3)
        readings.append([dmm.v() for _ in range(3)])
        dmm.close()
    assert readings[0] == readings[1]


def test_reading_takes_the_integration_time(source: ManualParameter, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(dmm_module.time, "sleep", slept.append)
    dmm = Dmm("slow", source=source, nplc=10, cycle=0.02)
    dmm.v()
    dmm.close()
    assert slept == [pytest.approx(0.2)]


def test_error_of_the_source_is_raised() -> None:
    def broken() -> float:
        raise OSError("cable unplugged")

    dmm = Dmm("dmm", source=Parameter("broken", get_cmd=broken))
    with pytest.raises(OSError, match="cable unplugged"):
        dmm.signal()
    dmm.close()


def test_source_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="deaf cannot be read"):
        Dmm("wrong", source=Parameter("deaf", get_cmd=False, set_cmd=None))


@pytest.mark.parametrize("wrong", [{"gain": 0}, {"noise": -1}, {"cycle": -0.02}, {"nplc": 3}])
def test_setting_out_of_range_is_refused(source: ManualParameter, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Dmm("wrong", source=source, **wrong)


def test_range_that_the_meter_does_not_have_is_refused(dmm: Dmm) -> None:
    with pytest.raises(ValueError):
        dmm.range(2)
    assert dmm.range() == 1.0


def test_idn_names_the_meter(dmm: Dmm) -> None:
    assert dmm.IDN()["model"] == "Dmm"
