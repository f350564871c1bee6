import gc
import threading

import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger import simulation
from instruments.time_tagger.simulation import Bench

FIRST, SECOND = "1740000JG2", "2138000XH7"


def test_every_public_name_is_there() -> None:
    for name in TT.__all__:
        assert getattr(TT, name) is not None
        assert TT.CHANNEL_UNUSED == -134217728


def test_scan_lists_the_devices_that_are_not_in_use(bench: Bench) -> None:
    assert TT.scanTimeTagger() == (FIRST, SECOND)
    tagger = TT.createTimeTagger()
    assert tagger.getSerial() == FIRST
    assert TT.scanTimeTagger() == (SECOND,)
    assert TT.scanTimeTagger(True) == (f"{SECOND},Time Tagger Ultra (simulated)",)
    TT.freeTimeTagger(tagger)
    assert TT.scanTimeTagger() == (FIRST, SECOND)


def test_device_is_used_once(bench: Bench) -> None:
    tagger = TT.createTimeTagger(FIRST)
    with pytest.raises(RuntimeError, match=f"{FIRST} is already in use"):
        TT.createTimeTagger(FIRST)
    other = TT.createTimeTagger()
    assert other.getSerial() == SECOND
    with pytest.raises(RuntimeError, match="no Time Tagger is free"):
        TT.createTimeTagger()
    TT.freeTimeTagger(tagger)
    assert TT.createTimeTagger(FIRST).getSerial() == FIRST


def test_unknown_serial_is_refused(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match="no Time Tagger has the serial 'x'"):
        TT.createTimeTagger("x")
    with pytest.raises(RuntimeError, match="no device has the serial 'x'"):
        TT.getTimeTaggerModel("x")
    with pytest.raises(TypeError, match="serial is 5"):
        TT.createTimeTagger(5)  # type: ignore[arg-type]


def test_tagger_that_nobody_holds_is_free_again(bench: Bench) -> None:
    rate = TT.Countrate(TT.createTimeTagger(FIRST), [1])
    gc.collect()
    assert TT.scanTimeTagger() == (SECOND,)
    assert rate.isRunning()
    del rate
    gc.collect()
    assert TT.scanTimeTagger() == (FIRST, SECOND)


def test_with_statement_frees(bench: Bench) -> None:
    with TT.createTimeTagger() as tagger:
        pass
    with pytest.raises(RuntimeError, match="was freed"):
        tagger.getSerial()
    with TT.createTimeTagger() as tagger:
        TT.freeTimeTagger(tagger)


def test_freed_tagger_and_its_measurements_say_so(bench: Bench, tagger: TT.TimeTagger) -> None:
    measurements = [
        TT.Counter(tagger, [1]),
        TT.Correlation(tagger, 1, 2),
        TT.TimeTagStream(tagger, 10, [1]),
        TT.DelayedChannel(tagger, 1, 5),
    ]
    counter, correlation, stream, delayed = measurements
    data = counter.getDataObject()
    TT.freeTimeTagger(tagger)
    for use in (
        tagger.getSerial,
        tagger.sync,
        lambda: tagger.setTestSignal(1, True),
        lambda: TT.Counter(tagger, [1]),
        lambda: TT.SynchronizedMeasurements(tagger),
        lambda: TT.freeTimeTagger(tagger),
        counter.getData,
        counter.start,
        counter.waitUntilFinished,
        correlation.getIndex,
        stream.getData,
        delayed.getChannel,
    ):
        with pytest.raises(RuntimeError, match=f"Time Tagger {FIRST} was freed with freeTimeTagger"):
            use()
    assert data.getData().shape == (1, 0)


def test_free_takes_only_a_tagger(bench: Bench, tagger: TT.TimeTagger) -> None:
    for thing in (None, 1, TT.Counter(tagger, [1])):
        with pytest.raises(TypeError, match="give what createTimeTagger"):
            TT.freeTimeTagger(thing)  # type: ignore[arg-type]
    assert tagger.getSerial() == FIRST


def test_freeing_ends_a_wait(bench: Bench) -> None:
    bench.use_real_clock()
    tagger = TT.createTimeTagger()
    counter = TT.Counter(tagger, [1])
    ended: list[str] = []
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        try:
            counter.waitUntilFinished()
        except RuntimeError as error:
            ended.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert begun.wait(5)
    TT.freeTimeTagger(tagger)
    waiter.join(5)
    assert "was freed" in ended[0]


def test_attached_device_has_its_own_bench(bench: Bench) -> None:
    other = simulation.attach("NEW", seed=1)
    assert simulation.attach("NEW").seed == 1
    assert simulation.bench("NEW").seed == 1
    assert "NEW" in TT.scanTimeTagger()
    other.use_stepped_clock()
    other.coherent([1], 1e5)
    mine, its = TT.createTimeTagger(), TT.createTimeTagger("NEW")
    rates = [TT.Countrate(each, [1]) for each in (mine, its)]
    bench.step(0.01)
    other.step(0.01)
    assert rates[0].getCountsTotal()[0] == 0
    assert rates[1].getCountsTotal()[0] > 500


def test_version_and_model_say_that_they_are_simulated(bench: Bench, tagger: TT.TimeTagger) -> None:
    assert "simulated" in TT.getVersion()
    assert TT.getTimeTaggerModel(FIRST) == tagger.getModel() == "Time Tagger Ultra (simulated)"


def test_time_begins_with_the_tagger(bench: Bench) -> None:
    bench.step(5)
    tagger = TT.createTimeTagger()
    tagger.setTestSignal(1, True)
    stream = TT.TimeTagStream(tagger, 10, [1])
    bench.step(0.001)
    assert np.all(stream.getData().getTimestamps() < 10**9)
