import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger import simulation
from instruments.time_tagger.simulation import Bench


def count(bench: Bench, tagger: TT.TimeTagger, seconds: float = 0.1, channel: int = 1) -> int:
    rate = TT.Countrate(tagger, [channel])
    bench.step(seconds)
    return int(rate.getCountsTotal()[0])


def tags_of(seed: int, steps: list[float]) -> np.ndarray:
    """Tags of a bench with some of everything, looked at after each step; ps, shape (n,), int64."""
    simulation.reset()
    bench = simulation.bench()
    bench.use_stepped_clock()
    bench.seed = seed
    bench.thermal([1, 2], 1e5, 1e-6)
    bench.single_emitter([1], 1e5, 1e-8)
    bench.set_detector(1, dark_counts=1e4, dead_time=1e-7, efficiency=0.8)
    with TT.createTimeTagger() as tagger:
        stream = TT.TimeTagStream(tagger, 100_000, [1])
        parts = []
        for step in steps:
            bench.step(step)
            parts.append(stream.getData().getTimestamps())
    return np.concatenate(parts)


def test_nothing_is_counted_where_nothing_is_connected(bench: Bench, tagger: TT.TimeTagger) -> None:
    assert count(bench, tagger) == 0


def test_same_seed_gives_the_same_tags_however_often_one_looks(bench: Bench) -> None:
    whole = tags_of(3, [0.05])
    assert whole.size > 1000
    np.testing.assert_array_equal(tags_of(3, [0.001, 0.019, 0.0000001, 0.0299999]), whole)
    assert not np.array_equal(tags_of(4, [0.05]), whole)


def test_benches_have_seeds_of_their_own(bench: Bench) -> None:
    assert simulation.attach("A").seed != simulation.attach("B").seed
    assert simulation.attach("C", seed=5).seed == 5


def test_dark_counts_are_counted_without_light(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.set_detector(1, dark_counts=1e5)
    assert abs(count(bench, tagger) - 1e4) < 500


def test_efficiency_thins_the_photons(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    bench.set_detector(1, efficiency=0.25)
    assert abs(count(bench, tagger) - 25_000) < 5 * np.sqrt(25_000)


@pytest.mark.parametrize("blind", [1e-7, 1e-6, 1e-5])
def test_dead_time_of_a_detector_lowers_the_rate(blind: float, bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    bench.set_detector(1, dead_time=blind)
    expected = 1e5 / (1 + 1e6 * blind)
    assert abs(count(bench, tagger) - expected) < 5 * np.sqrt(expected)


def test_source_on_the_bench_counts_from_now_on_in_a_running_measurement(
    bench: Bench, tagger: TT.TimeTagger
) -> None:
    counter = TT.Counter(tagger, [1], 10**10, 3)
    bench.step(0.01)
    bench.coherent([1], 1e5)
    bench.step(0.01)
    bench.clear()
    bench.step(0.01)
    before, during, after = counter.getData()[0]
    assert (before, after) == (0, 0)
    assert abs(during - 1000) < 200


def test_clock_is_not_changed_under_a_tagger(bench: Bench, tagger: TT.TimeTagger) -> None:
    with pytest.raises(RuntimeError, match="free it with freeTimeTagger first"):
        bench.use_real_clock()
    TT.freeTimeTagger(tagger)
    bench.use_real_clock()
    with pytest.raises(RuntimeError, match="use_stepped_clock"):
        bench.step(1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"efficiency": 1.5}, ValueError, "efficiency of 1.5"),
        ({"dark_counts": -1}, ValueError, "dark_counts = -1 is negative"),
        ({"pulse_spread": 0}, ValueError, "pulse spread of 0 V"),
        ({"colour": 1}, TypeError, "colour"),
    ],
)
def test_impossible_detectors_are_refused(
    settings: dict[str, float], error: type[Exception], message: str, bench: Bench
) -> None:
    with pytest.raises(error, match=message):
        bench.set_detector(1, **settings)


def test_unknown_inputs_and_devices_are_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="input 9 does not exist; choose 1 to 8"):
        bench.coherent([9], 1.0)
    with pytest.raises(ValueError, match="no device has the serial 'x'; there are 1740000JG2"):
        simulation.bench("x")
    with pytest.raises(ValueError, match="time does not go back"):
        bench.step(-1)
