import gc

import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


def test_members_do_not_start_by_themselves(bench: Bench, tagger: TT.TimeTagger) -> None:
    group = TT.SynchronizedMeasurements(tagger)
    counter = TT.Counter(group.getTagger(), [1])
    assert not counter.isRunning()
    assert not group.isRunning()
    group.start()
    assert counter.isRunning()
    assert group.isRunning()
    group.stop()
    assert not counter.isRunning()


def test_members_count_exactly_the_same_span_of_real_time(bench: Bench) -> None:
    bench.use_real_clock()
    with TT.createTimeTagger() as tagger:
        bench.coherent([1], 1e6)
        group = TT.SynchronizedMeasurements(tagger)
        rates = [TT.Countrate(group.getTagger(), [1]) for _ in range(3)]
        group.startFor(5 * 10**9)
        assert group.waitUntilFinished(5000)
        counts = {int(rate.getCountsTotal()[0]) for rate in rates}
        assert len(counts) == 1
        assert counts.pop() > 4000
        group.start()
        group.stop()
        assert len({rate.getCaptureDuration() for rate in rates}) == 1


def test_clear_and_start_for_reach_registered_measurements(bench: Bench, tagger: TT.TimeTagger) -> None:
    tagger.setTestSignal(1, True)
    rate, other = TT.Countrate(tagger, [1]), TT.Countrate(tagger, [1])
    group = TT.SynchronizedMeasurements(tagger)
    group.registerMeasurement(rate)
    bench.step(0.01)
    group.clear()
    assert rate.getCountsTotal()[0] == 0
    assert other.getCountsTotal()[0] > 0
    group.startFor(10**9)
    assert group.waitUntilFinished()
    assert rate.getCaptureDuration() == 10**9
    group.unregisterMeasurement(rate)
    group.unregisterMeasurement(rate)
    group.start()
    assert not rate.isRunning()


def test_wait_ends_at_its_timeout(bench: Bench, tagger: TT.TimeTagger) -> None:
    group = TT.SynchronizedMeasurements(tagger)
    rate = TT.Countrate(tagger, [1])
    assert group.waitUntilFinished()
    group.registerMeasurement(rate)
    assert group.waitUntilFinished(timeout=1) is False


def test_group_holds_no_measurement(bench: Bench, tagger: TT.TimeTagger) -> None:
    group = TT.SynchronizedMeasurements(tagger)
    TT.Countrate(group.getTagger(), [1]).start()
    gc.collect()
    assert not group.isRunning()


def test_freed_tagger_of_a_group_leaves_the_device_alone(bench: Bench, tagger: TT.TimeTagger) -> None:
    group = TT.SynchronizedMeasurements(tagger)
    member = group.getTagger()
    assert isinstance(member, TT.TimeTaggerBase)
    assert not isinstance(member, TT.TimeTagger)
    TT.freeTimeTagger(member)
    with pytest.raises(RuntimeError, match="another with getTagger"):
        TT.Countrate(member, [1])
    assert TT.Countrate(group.getTagger(), [1]).isRunning() is False
    assert tagger.getSerial()


def test_measurements_of_another_tagger_are_refused(bench: Bench, tagger: TT.TimeTagger) -> None:
    group, other = TT.SynchronizedMeasurements(tagger), TT.createTimeTagger()
    with pytest.raises(ValueError, match="belongs to another Time Tagger"):
        group.registerMeasurement(TT.Countrate(other, [1]))
    with pytest.raises(TypeError, match="measurement is"):
        group.registerMeasurement(tagger)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give what createTimeTagger"):
        TT.SynchronizedMeasurements(None)  # type: ignore[arg-type]


def test_with_statement_lets_all_go(bench: Bench, tagger: TT.TimeTagger) -> None:
    with TT.SynchronizedMeasurements(tagger) as group:
        rate = TT.Countrate(group.getTagger(), [1])
        group.start()
    assert rate.isRunning()
    assert not group.isRunning()
