import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


@pytest.fixture
def scan(bench: Bench, tagger: TT.TimeTagger) -> TT.TimeTagger:
    """A tagger with photons of a pulsed laser on 1, its sync on 2, a marker every 1 ms on 3 and 5 ms on 4."""
    bench.pulsed([1], 1e5, 1e6, 20e-9, sync_channel=2)
    bench.pulsed([8], 0, 1000, sync_channel=3)
    bench.pulsed([8], 0, 200, sync_channel=4)
    return tagger


def test_histogram_is_the_only_one_of_time_differences(scan: TT.TimeTagger, bench: Bench) -> None:
    histogram = TT.Histogram(scan, 1, 2, 1000, 100)
    differences = TT.TimeDifferences(scan, 1, 2, binwidth=1000, n_bins=100)
    for _ in range(3):
        bench.step(0.01)
    data = histogram.getData()
    assert (data.shape, data.dtype) == ((100,), np.int32)
    assert differences.getData().shape == (1, 100)
    assert differences.getData().dtype == np.int32
    assert data.tolist() == differences.getData()[0].tolist()
    assert histogram.getIndex().tolist() == differences.getIndex().tolist() == list(range(0, 100_000, 1000))
    assert data.sum() == pytest.approx(3000, rel=0.1)
    assert (differences.getHistogramIndex(), differences.getCounts(), differences.ready()) == (0, 0, False)


def test_histogram_counts_all_clicks_after_every_start(scan: TT.TimeTagger, bench: Bench) -> None:
    """Also those that come many pulses, and a block of the simulation, later."""
    histogram = TT.Histogram(scan, 1, 2, 1_000_000, 50)
    rate = TT.Countrate(scan, [1])
    bench.step(0.05)
    counts = rate.getCountsTotal()[0]
    np.testing.assert_allclose(histogram.getData(), counts, rtol=0.01)


def test_autohistogram_leaves_out_each_click_with_itself(scan: TT.TimeTagger, bench: Bench) -> None:
    histogram, differences = TT.Histogram(scan, 2, n_bins=100), TT.TimeDifferences(scan, 2, n_bins=100)
    bench.step(0.01)
    assert histogram.getData().sum() == differences.getData().sum() == 0


def test_next_channel_goes_through_the_histograms(scan: TT.TimeTagger, bench: Bench) -> None:
    differences = TT.TimeDifferences(scan, 1, 2, 3, binwidth=10**6, n_bins=1, n_histograms=4)
    assert differences.getHistogramIndex() == -1
    rate = TT.Countrate(scan, [1])
    bench.step(0.0004)
    before = rate.getCountsTotal()[0]
    for expected in (0, 1, 2, 3, 0, 1):
        bench.step(0.001)
        assert differences.getHistogramIndex() == expected
    assert differences.getCounts() == 1
    counts = differences.getData()[:, 0]
    # Each histogram has had 1 ms of 1e5 counts/s, the first one 2 ms and the second nearly as much.
    assert counts[:2] == pytest.approx([200, 190], abs=70)
    assert counts[2:] == pytest.approx([100, 100], abs=50)
    assert counts.sum() == pytest.approx(rate.getCountsTotal()[0] - before, abs=40)


def test_sync_channel_begins_anew(scan: TT.TimeTagger, bench: Bench) -> None:
    differences = TT.TimeDifferences(scan, 1, 2, 3, 4, binwidth=10**6, n_bins=1, n_histograms=3)
    assert differences.getHistogramIndex() == -2
    bench.step(0.002)
    # Markers at 0.5, 1.5, 2.5 ms and so on, the first sync at 2.5 ms: not seen yet.
    assert differences.getHistogramIndex() == -2
    assert differences.getData().sum() == 0
    bench.step(0.0012)
    assert differences.getHistogramIndex() in (-1, 0)
    bench.step(0.003)
    assert differences.getCounts() <= 1
    bench.step(0.001)
    assert differences.getHistogramIndex() == -2
    assert differences.getCounts() == 1
    assert (differences.getData()[:, 0] > 0).all()


@pytest.mark.parametrize("name", ["setMaxRollovers", "setMaxCounts"])
def test_measurement_stops_after_the_last_rollover(name: str, scan: TT.TimeTagger, bench: Bench) -> None:
    differences = TT.TimeDifferences(scan, 1, 2, 3, binwidth=10**6, n_bins=1, n_histograms=2)
    getattr(differences, name)(2)
    bench.step(0.1)
    assert differences.ready()
    assert differences.getCounts() == 2
    assert not differences.isRunning()
    assert differences.getData().sum() == pytest.approx(400, abs=100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"binwidth": 0}, "binwidth = 0 is too small"),
        ({"n_bins": 0}, "n_bins = 0 is too small"),
        ({"n_histograms": 0}, "n_histograms = 0 is too small"),
        ({"start_channel": 77}, "channel 77 does not exist"),
        ({"sync_channel": 4}, "sync_channel 4 does nothing without a next_channel"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, int], message: str, tagger: TT.TimeTagger) -> None:
    with pytest.raises(ValueError, match=message):
        TT.TimeDifferences(tagger, 1, **arguments)
