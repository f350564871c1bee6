"""The QCoDeS driver: in this process, on a server, and with the SDK on a server."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from qcodes.dataset import Measurement, initialise_or_create_database_at, load_or_create_experiment
from qcodes.instrument import Instrument

from instruments import time_tagger
from instruments.time_tagger import simulation
from instruments.time_tagger_driver import TimeTaggerInstrument
from instrumentserver import Server, start_server

SERIAL = "1740000JG2"


class Lab(NamedTuple):
    """A driver, and what it measures."""

    bench: Any
    driver: TimeTaggerInstrument
    sdk: Any


def local_lab(server: Server) -> Lab:
    simulation.reset()
    bench = stepped(simulation.bench())
    return Lab(bench, TimeTaggerInstrument("tt", channels=[1, 2]), time_tagger)


def lab_on_a_server(server: Server) -> Lab:
    bench = stepped(server.serve("instruments.time_tagger.simulation", "lab").bench())
    sdk = server.serve("instruments.time_tagger", "timetagger")
    return Lab(bench, TimeTaggerInstrument("tt", channels=[1, 2], server_name=server.name), sdk)


def lab_with_a_served_sdk(server: Server) -> Lab:
    bench = stepped(server.serve("instruments.time_tagger.simulation", "lab").bench())
    sdk = server.serve("instruments.time_tagger", "timetagger", lock="none")
    return Lab(bench, TimeTaggerInstrument("tt", sdk=sdk, channels=[1, 2]), sdk)


def stepped(bench: Any) -> Any:
    bench.use_stepped_clock()
    bench.seed = 5
    return bench


@pytest.fixture(
    params=[local_lab, lab_on_a_server, lab_with_a_served_sdk],
    ids=["local", "on a server", "with a served SDK"],
)
def lab(request: pytest.FixtureRequest, server: Server) -> Iterator[Lab]:
    lab = request.param(server)
    yield lab
    if Instrument.exist("tt"):
        lab.driver.close()
    simulation.reset()


@pytest.fixture
def local(server: Server) -> Iterator[Lab]:
    lab = local_lab(server)
    yield lab
    lab.driver.close()
    simulation.reset()


def test_count_rate_is_that_of_the_source(lab: Lab) -> None:
    lab.bench.coherent([1], 1e5)
    lab.driver.integration_time(0.5)
    assert abs(lab.driver.ch1.count_rate() - 1e5) < 5 * np.sqrt(1e5 / 0.5)
    assert lab.driver.ch2.count_rate() == 0
    assert lab.driver.ch1.count_rate.unit == "Hz"


def test_settings_of_an_input_reach_the_tagger(lab: Lab) -> None:
    channel = lab.driver.ch1
    channel.test_signal(True)
    assert lab.driver.ch1.count_rate() == pytest.approx(8e5, rel=1e-4)
    for parameter, value, unit in (
        (channel.trigger_level, 0.125, "V"),
        (channel.input_delay, -1.5e-9, "s"),
        (channel.dead_time, 1e-6, "s"),
        (channel.test_signal, False, ""),
    ):
        parameter(value)
        assert parameter.get() == pytest.approx(value)
        assert parameter.unit == unit


def test_settings_out_of_range_are_refused(lab: Lab) -> None:
    for parameter, value in (
        (lab.driver.ch1.trigger_level, 3.0),
        (lab.driver.ch2.dead_time, 1e-12),
        (lab.driver.correlation.click_channel, 7),
        (lab.driver.histogram.bin_width, 0),
    ):
        with pytest.raises(ValueError, match=r"invalid|not in"):
            parameter(value)


def test_g2_of_a_single_emitter_has_its_dip_at_no_delay(lab: Lab) -> None:
    lab.bench.single_emitter([1, 2], 1e6, 50e-9)
    lab.driver.correlation.bin_width(10e-9)
    lab.driver.correlation.n_bins(41)
    lab.driver.correlation.duration(0.2)
    delay, g2 = lab.driver.correlation.delay(), lab.driver.correlation.g2()
    assert delay.shape == g2.shape == (41,)
    assert delay[20] == 0
    assert g2[20] < 0.2
    assert np.mean(g2[:5]) == pytest.approx(1, abs=0.1)


def test_histogram_of_a_pulsed_laser_shows_the_lifetime(lab: Lab) -> None:
    lab.bench.pulsed([1], 2e5, 1e6, 20e-9, sync_channel=2)
    histogram = lab.driver.histogram
    assert (histogram.click_channel(), histogram.start_channel()) == (1, 2)
    histogram.bin_width(20e-9)
    histogram.n_bins(3)
    np.testing.assert_allclose(histogram.delay(), [0, 20e-9, 40e-9])
    counts = histogram.counts()
    assert counts[:-1] / counts[1:] == pytest.approx(np.e, rel=0.15)


def test_measurement_stores_g2_over_its_delays(lab: Lab, tmp_path: Path) -> None:
    lab.bench.thermal([1, 2], 2e5, 1e-6)
    lab.driver.correlation.n_bins(11)
    lab.driver.correlation.bin_width(1e-7)
    initialise_or_create_database_at(tmp_path / "tagger.db")
    measurement = Measurement(load_or_create_experiment("light", "thermal"))
    measurement.register_parameter(lab.driver.correlation.g2)
    measurement.register_parameter(lab.driver.ch1.count_rate)
    with measurement.run() as saver:
        saver.add_result(
            (lab.driver.correlation.g2, lab.driver.correlation.g2()),
            (lab.driver.ch1.count_rate, lab.driver.ch1.count_rate()),
        )
    stored = saver.dataset.get_parameter_data()
    assert set(stored) == {"tt_correlation_g2", "tt_ch1_count_rate"}
    g2 = stored["tt_correlation_g2"]
    assert g2["tt_correlation_delay"].shape == g2["tt_correlation_g2"].shape == (1, 11)
    assert g2["tt_correlation_g2"][0, 5] > 1.5
    assert saver.dataset.paramspecs["tt_correlation_delay"].unit == "s"


def test_snapshot_has_the_settings_and_measures_nothing(lab: Lab) -> None:
    snapshot = lab.driver.snapshot(update=True)
    settings = snapshot["submodules"]["ch1"]["parameters"]
    assert settings["trigger_level"]["value"] == 0.5
    assert settings["count_rate"].get("value") is None
    assert snapshot["submodules"]["correlation"]["parameters"]["n_bins"]["value"] == 101


def test_idn_names_the_device(lab: Lab) -> None:
    assert lab.driver.IDN() == {
        "vendor": "Swabian Instruments",
        "model": "Time Tagger Ultra (simulated)",
        "serial": SERIAL,
        "firmware": "2.22.6-simulated",
    }


def test_closed_driver_leaves_the_device_free(lab: Lab) -> None:
    assert SERIAL not in lab.sdk.scanTimeTagger()
    lab.driver.close()
    assert SERIAL in lab.sdk.scanTimeTagger()


def test_shared_tagger_survives_the_driver(local: Lab) -> None:
    tagger = time_tagger.createTimeTagger()
    driver = TimeTaggerInstrument("second", tagger=tagger, channels=[3])
    assert [channel.full_name for channel in driver.channels] == ["second_ch3"]
    driver.close()
    assert tagger.getSerial() == "2138000XH7"


def test_driver_closes_though_somebody_has_freed_its_tagger(local: Lab) -> None:
    driver = TimeTaggerInstrument("second", serial="2138000XH7")
    assert len(driver.channels) == 8
    time_tagger.freeTimeTagger(driver.tagger)
    driver.close()
    assert not Instrument.exist("second")


def test_failed_constructor_leaves_nothing_behind(local: Lab) -> None:
    with pytest.raises(ValueError, match="channel 77 is no input"):
        TimeTaggerInstrument("second", channels=[77])
    gc.collect()
    assert "2138000XH7" in time_tagger.scanTimeTagger()
    with pytest.raises(ModuleNotFoundError):
        TimeTaggerInstrument("third", sdk="no.such.sdk")
    with pytest.raises(RuntimeError, match="already in use"):
        TimeTaggerInstrument("fourth", serial=SERIAL)
    for name in ("second", "third", "fourth"):
        assert not Instrument.exist(name)


@pytest.mark.slow
def test_driver_shares_a_tagger_with_its_other_users(server: Server, new_name: Callable[[], str]) -> None:
    sdk = server.serve("instruments.time_tagger", "timetagger", lock="none")
    tagger = sdk.createTimeTagger()
    tagger.setTestSignal(1, True)
    elsewhere = start_server(new_name(), linger=5)
    driver = TimeTaggerInstrument("tt", sdk=sdk, tagger=tagger, channels=[1], server_name=elsewhere.name)
    driver.integration_time(0.01)
    assert driver.ch1.count_rate() == pytest.approx(8e5, rel=1e-3)
    driver.close()
    assert sdk.Countrate(tagger, [1]).isRunning()


@pytest.mark.slow
def test_driver_beside_a_served_sdk_uses_it_directly(server: Server) -> None:
    sdk = server.serve("instruments.time_tagger", "timetagger", lock="none")
    driver = TimeTaggerInstrument("tt", sdk=sdk, channels=[1], server_name=server.name)
    assert driver.ch1.test_signal() is False
    driver.close()
    assert sdk.createTimeTagger(SERIAL).getSerial() == SERIAL
