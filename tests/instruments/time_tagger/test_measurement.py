import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger import stream
from instruments.time_tagger.clock import PS
from instruments.time_tagger.simulation import Bench


def test_measurement_counts_from_its_creation_on(bench: Bench, tagger: TT.TimeTagger) -> None:
    tagger.setTestSignal(1, True)
    bench.step(0.1)
    rate = TT.Countrate(tagger, [1])
    assert rate.isRunning()
    bench.step(0.01)
    assert rate.getCountsTotal()[0] == pytest.approx(8000, abs=1)
    assert rate.getCaptureDuration() == 10**10


def test_start_for_captures_exactly_the_duration(bench: Bench, tagger: TT.TimeTagger) -> None:
    rate = TT.Countrate(tagger, [1])
    bench.step(0.003)
    rate.startFor(12_345_678_901)
    assert rate.isRunning()
    bench.step(1)
    assert not rate.isRunning()
    assert rate.getCaptureDuration() == 12_345_678_901
    rate.startFor(5e3, clear=False)  # type: ignore[arg-type]
    assert rate.waitUntilFinished()
    assert rate.getCaptureDuration() == 12_345_683_901


def test_stopped_measurement_keeps_its_data_and_clear_forgets_it(bench: Bench, tagger: TT.TimeTagger) -> None:
    tagger.setTestSignal(1, True)
    rate = TT.Countrate(tagger, [1])
    bench.step(0.01)
    rate.stop()
    counts = rate.getCountsTotal()[0]
    bench.step(0.01)
    assert rate.getCountsTotal()[0] == counts > 0
    rate.clear()
    assert (rate.getCountsTotal()[0], rate.getCaptureDuration()) == (0, 0)
    rate.start()
    bench.step(0.01)
    rate.abort()
    assert (rate.isRunning(), rate.getCaptureDuration()) == (False, 0)


def test_wait_has_a_timeout_in_milliseconds(bench: Bench, tagger: TT.TimeTagger) -> None:
    rate = TT.Countrate(tagger, [1])
    assert rate.waitUntilFinished(timeout=1) is False
    rate.stop()
    assert rate.waitUntilFinished(timeout=0) is True


def test_stop_in_another_thread_ends_a_wait(bench: Bench, tagger: TT.TimeTagger) -> None:
    rate = TT.Countrate(tagger, [1])
    begun = threading.Event()

    def wait() -> bool:
        begun.set()
        return rate.waitUntilFinished(timeout=10_000)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait)
        assert begun.wait(5)
        rate.stop()
        assert waiting.result(5) is True


def test_real_time_passes_by_itself(bench: Bench) -> None:
    bench.use_real_clock()
    with TT.createTimeTagger() as tagger:
        tagger.setTestSignal(1, True)
        rate = TT.Countrate(tagger, [1])
        rate.startFor(2 * 10**10)
        assert rate.waitUntilFinished(timeout=5000)
        assert rate.getCountsTotal()[0] == pytest.approx(16_000, abs=1)


def test_tags_that_nobody_fetches_are_lost_and_said_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    time = 0

    class JumpingClock(stream.RealClock):
        def now(self) -> int:
            return time

    bench._scene.clock = JumpingClock()
    tagger = TT.createTimeTagger()
    tagger.setTestSignal(1, True)
    counter, rate = TT.Counter(tagger, [1], PS, 12), TT.Countrate(tagger, [1])
    finite = TT.Countrate(tagger, [1])
    finite.startFor(5 * PS)
    monkeypatch.setattr(stream, "BACKLOG", PS // 100)
    time = 20 * PS
    assert rate.getCaptureDuration() == PS // 100
    assert rate.getData()[0] == pytest.approx(8e5, rel=1e-3)
    assert not finite.isRunning()
    assert tagger.getOverflowsAndClear() == 1
    assert tagger.getOverflows() == 0
    monkeypatch.setattr(stream, "BACKLOG", 100 * PS)
    time += 2 * PS
    data = counter.getDataObject()
    assert data.getOverflowMask().tolist() == [1, 0]
    assert np.isnan(counter.getDataNormalized()[0, -2:]).tolist() == [True, False]


def test_measurement_ends_when_nobody_holds_it(bench: Bench, tagger: TT.TimeTagger) -> None:
    rate = TT.Countrate(tagger, [1])
    assert len(tagger.getConfiguration()["measurements"]) == 1
    del rate
    gc.collect()
    assert tagger.getConfiguration()["measurements"] == []


def test_with_statement_ends_a_measurement(bench: Bench, tagger: TT.TimeTagger) -> None:
    with TT.Countrate(tagger, [1]) as rate:
        assert rate.isRunning()
        bench.step(0.001)
    assert tagger.getConfiguration()["measurements"] == []
    bench.step(0.001)
    assert rate.getCaptureDuration() == 10**9
    rate.start()
    bench.step(0.001)
    assert rate.getCaptureDuration() == 2 * 10**9


def test_measurements_that_are_asked_at_different_times_see_the_same_tags(
    bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.coherent([1], 1e6)
    first = TT.Countrate(tagger, [1])
    rates = [first]
    for step in (0.003, 0.09, 0.02, 0.0301, 0.3, 0.001):
        bench._scene.clock.step(round(step * PS))  # type: ignore[attr-defined]
        rates.append(TT.Countrate(tagger, [1]))
        rates[len(rates) // 2].getData()
    bench.step(0.007)
    starts = np.cumsum([0, 0.003, 0.09, 0.02, 0.0301, 0.3, 0.001])
    for rate, start in zip(rates, starts, strict=True):
        assert rate.getCaptureDuration() == round((0.4511 - start) * PS)
    stream = TT.TimeTagStream(tagger, 10**6, [1])
    bench.step(0.05)
    late = stream.getData().size
    assert first.getCountsTotal()[0] - rates[-1].getCountsTotal()[0] == pytest.approx(4.441e5, rel=0.01)
    assert late == pytest.approx(50_000, rel=0.05)


def test_many_threads_see_the_same_tags(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1, 2], 1e6)
    rates = [TT.Countrate(tagger, [1, 2]) for _ in range(8)]
    alone = TT.Countrate(tagger, [1, 2])

    def look(rate: TT.Countrate) -> None:
        for _ in range(5):
            bench.step(0.002)
            rate.getData()
            tagger.setTriggerLevel(3, 0.1)
            TT.Correlation(tagger, 1, 2).getData()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, rates))
    tagger.sync()
    assert alone.getCaptureDuration() == 8 * 5 * 2 * 10**9
    for rate in rates:
        assert rate.getCountsTotal().tolist() == alone.getCountsTotal().tolist()
    assert abs(alone.getCountsTotal().sum() - 80_000) < 5 * np.sqrt(80_000)


@pytest.mark.parametrize("thing", [None, 5, "tagger", TT])
def test_only_a_tagger_makes_measurements(thing: object) -> None:
    with pytest.raises(TypeError, match="give what createTimeTagger"):
        TT.Countrate(thing, [1])  # type: ignore[arg-type]


def test_measurement_is_no_tagger(bench: Bench, tagger: TT.TimeTagger) -> None:
    with pytest.raises(TypeError, match="give what createTimeTagger"):
        TT.Countrate(TT.Countrate(tagger, [1]), [1])  # type: ignore[arg-type]


def test_durations_are_positive(bench: Bench, tagger: TT.TimeTagger) -> None:
    with pytest.raises(ValueError, match="capture_duration = 0 is too small"):
        TT.Countrate(tagger, [1]).startFor(0)
