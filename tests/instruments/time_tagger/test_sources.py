"""Photon statistics, seen by the measurements of the SDK."""

import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench, Coherent, Pairs, Pulsed, SingleEmitter, Source, Thermal


def within_five_sigma(counts: float, expected: float) -> bool:
    return abs(counts - expected) < 5 * np.sqrt(expected)


def g2_of(tagger: TT.TimeTagger, binwidth: int, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Delays in s, measured g2 and its statistical error, both dimensionless, all of shape (41,)."""
    correlation = TT.Correlation(tagger, 1, 2, binwidth, 41)
    correlation.startFor(round(seconds * 1e12))
    assert correlation.waitUntilFinished()
    g2 = correlation.getDataNormalized()
    error = g2 / np.sqrt(np.maximum(correlation.getData(), 1))
    return correlation.getIndex() * 1e-12, g2, error


@pytest.mark.parametrize(
    "source",
    [
        Coherent((1, 2), 4e5),
        SingleEmitter((1, 2), 4e5, 20e-9),
        Pulsed((1, 2), 4e5, 1e8, 3e-9),
        Pulsed((1, 2), 4e5, 1e6, 3e-9, single=True),
    ],
    ids=["coherent", "single emitter", "pulsed", "pulsed single emitter"],
)
def test_splitter_gives_each_channel_its_half_of_the_rate(
    source: Source, bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.add(source)
    rate = TT.Countrate(tagger, [1, 2])
    bench.step(0.5)
    for counts in rate.getCountsTotal():
        assert within_five_sigma(counts, 1e5)


def test_thermal_rate_is_right_within_its_larger_noise(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.thermal([1], 2e5, 1e-6)
    rate = TT.Countrate(tagger, [1])
    bench.step(0.5)
    # Bunching raises the variance by the photons per coherence time: 0.2. Dead time loses 0.08 %.
    assert abs(rate.getCountsTotal()[0] - 1e5 * (1 - 0.0008)) < 5 * np.sqrt(1.2e5)


def test_laser_light_has_a_flat_g2(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1, 2], 1e6)
    _, g2, error = g2_of(tagger, 100_000, 0.2)
    assert np.all(abs(g2 - 1) < 5 * error)


def test_thermal_light_is_bunched(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.thermal([1, 2], 4e5, 1e-6)
    delays, g2, error = g2_of(tagger, 100_000, 0.3)
    assert g2[20] > 1.7
    assert np.all(abs(g2 - 1 - np.exp(-2 * abs(delays) / 1e-6)) < 5 * error + 0.1)
    assert abs(np.mean(g2 - 1 - np.exp(-2 * abs(delays) / 1e-6))) < 0.03


def test_thermal_light_is_flat_beyond_its_coherence_time(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.thermal([1, 2], 5e5, 10e-9)
    delays, g2, error = g2_of(tagger, 500_000, 0.2)
    far = abs(delays) > 1e-6
    assert np.all(abs(g2[far] - 1) < 5 * error[far])


def test_single_emitter_never_gives_two_photons_at_once(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.single_emitter([1, 2], 1e6, 50e-9)
    delays, g2, error = g2_of(tagger, 10_000, 0.3)
    assert g2[20] < 0.5
    expected = 1 - np.exp(-abs(delays) / 50e-9)
    # The middle bin averages the dip over 10 ns: 0.05.
    expected[20] = 0.05
    assert np.all(abs(g2 - expected) < 5 * error + 0.02)


def test_background_fills_the_dip_of_a_single_emitter(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.single_emitter([1, 2], 5e5, 100e-9)
    bench.coherent([1, 2], 5e5)
    _, g2, error = g2_of(tagger, 10_000, 0.3)
    # Half of the light is signal: g2(0) = 1 - 0.5², and the bin's average of the dip on top.
    assert abs(g2[20] - 0.75) < 5 * error[20] + 0.02


def test_triggered_single_photons_leave_out_the_peak_without_delay(
    bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.pulsed([1, 2], 5e5, 1e6, 5e-9, single=True)
    _, g2, error = g2_of(tagger, 1_000_000, 0.2)
    assert g2[20] == 0
    assert np.all(abs(np.delete(g2, 20) - 1) < 5 * np.delete(error, 20))


def test_photons_after_a_pulse_decay_with_the_lifetime(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pulsed([1], 2e5, 1e6, 20e-9, sync_channel=2)
    histogram = TT.Histogram(tagger, 1, 2, 10_000, 20)
    bench.step(0.5)
    counts = histogram.getData()
    edges = np.arange(21) * 0.5
    expected = 1e5 * -np.diff(np.exp(-edges))
    assert np.all(abs(counts - expected) < 5 * np.sqrt(expected) + 20)


def test_sync_channel_counts_every_pulse(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pulsed([1], 1e4, 1e6, sync_channel=2)
    rate = TT.Countrate(tagger, [2])
    bench.step(0.1)
    assert abs(rate.getCountsTotal()[0] - 1e5) <= 1


def test_pulses_may_be_rarer_than_the_blocks_of_the_simulation(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pulsed([1], 40, 50, sync_channel=2, single=True)
    rate = TT.Countrate(tagger, [1, 2])
    bench.step(2)
    photons, pulses = rate.getCountsTotal()
    assert pulses == 100
    assert 55 < photons < 100


def test_pairs_are_at_the_same_time_within_the_jitter(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pairs([1, 2], 1e5)
    correlation = TT.Correlation(tagger, 1, 2, 100, 21)
    counts = TT.Countrate(tagger, [1])
    bench.step(0.1)
    data, delays = correlation.getData(), correlation.getIndex()
    assert data.sum() == pytest.approx(counts.getCountsTotal()[0], rel=0.01)
    # Two detectors of 50 ps and two inputs of 9 ps.
    assert np.sqrt((data * delays**2).sum() / data.sum()) == pytest.approx(71.8, rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Coherent((), 1.0), "reaches no detector"),
        (lambda: Coherent((1,), -1.0), "-1 Hz is outside"),
        (lambda: Thermal((1,), 1.0, 0.0), "coherence_time = 0 s"),
        (lambda: SingleEmitter((1,), 1e9, 1e-9), "gives at most 2.5e\\+08 Hz"),
        (lambda: Pulsed((1,), 2e6, 1e6, single=True), "more than one photon per pulse"),
        (lambda: Pulsed((1,), 1.0, 0.0), "repetition rate of 0 Hz"),
        (lambda: Pulsed((1,), 1.0, 1.0, -1.0), "lifetime of -1 s is negative"),
        (lambda: Pulsed((1,), 1.0, 1.0, sync_channel=1), r"inputs \[1, 1\] are not all different"),
        (lambda: Coherent((2, 2), 1.0), r"inputs \[2, 2\] are not all different"),
        (lambda: Pairs((1,), 1.0), r"two or more channels, not \[1\]"),
    ],
)
def test_impossible_sources_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
