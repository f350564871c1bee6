import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


@pytest.fixture
def lit(bench: Bench, tagger: TT.TimeTagger) -> TT.TimeTagger:
    """A tagger with 1e6 counts/s on input 1 and 2e5 counts/s on input 2."""
    bench.coherent([1], 1e6)
    bench.coherent([2], 2e5)
    return tagger


def test_counts_rates_and_index_have_their_shapes_and_types(lit: TT.TimeTagger, bench: Bench) -> None:
    counter = TT.Counter(lit, [1, 2], 10**9, 5)
    bench.step(0.0035)
    data, rates = counter.getData(), counter.getDataNormalized()
    assert (data.shape, data.dtype) == ((2, 5), np.int32)
    assert (rates.shape, rates.dtype) == ((2, 5), np.float64)
    assert data[:, :2].tolist() == [[0, 0], [0, 0]]
    assert np.isnan(rates[:, :2]).all()
    np.testing.assert_array_equal(rates[:, 2:], data[:, 2:] * 1000.0)
    index = counter.getIndex()
    assert (index.tolist(), index.dtype) == ([0, 10**9, 2 * 10**9, 3 * 10**9, 4 * 10**9], np.int64)
    total = counter.getDataTotalCounts()
    assert (total.shape, total.dtype) == ((2,), np.uint64)
    assert total.tolist() == data.sum(1).tolist()


def test_rates_are_those_of_the_sources(lit: TT.TimeTagger, bench: Bench) -> None:
    counter = TT.Counter(lit, [1, 2], 10**11, 1)
    bench.step(0.1)
    for counts, rate in zip(counter.getData()[:, 0], (1e6, 2e5), strict=True):
        # The dead time of 2 ns loses 0.2 % at 1e6 counts/s.
        expected = 0.1 * rate / (1 + rate * 2e-9)
        assert abs(counts - expected) < 5 * np.sqrt(expected)


def test_rolling_data_ends_with_the_newest_bin_and_sweeping_data_begins_anew(
    lit: TT.TimeTagger, bench: Bench
) -> None:
    counter = TT.Counter(lit, [1], 10**9, 4)
    bench.step(0.003)
    first = counter.getData()[0].tolist()
    assert first[0] == 0
    assert counter.getData(rolling=False)[0].tolist() == [*first[1:], 0]
    bench.step(0.003)
    last = counter.getData()[0].tolist()
    assert last[0] == first[3]
    assert counter.getData(False)[0].tolist() == [*last[2:], *last[:2]]


@pytest.mark.parametrize("binwidth", [1, 999, 10**9, 3 * 10**10])
def test_bins_do_not_depend_on_when_one_looks(binwidth: int, lit: TT.TimeTagger, bench: Bench) -> None:
    once, often = (TT.Counter(lit, [1, 2], binwidth, 20) for _ in range(2))
    seen = []
    for duration in (0.01, 0.000_000_7, 0.033, 0.0201, 0.05):
        bench.step(duration)
        seen.append(often.getDataTotalCounts().sum())
    np.testing.assert_array_equal(once.getData(), often.getData())
    np.testing.assert_array_equal(once.getDataTotalCounts(), often.getDataTotalCounts())
    assert seen == sorted(seen)


def test_bins_are_the_tags_between_their_edges(lit: TT.TimeTagger, bench: Bench) -> None:
    stream = TT.TimeTagStream(lit, 100_000, [1])
    counter = TT.Counter(lit, [1], 7 * 10**8, 100)
    bench.step(0.05)
    edges = np.arange(72) * 7 * 10**8
    expected = np.histogram(stream.getData().getTimestamps(), edges)[0]
    assert counter.getData()[0, -71:].tolist() == expected.tolist()


def test_two_measurements_see_the_same_tags(lit: TT.TimeTagger, bench: Bench) -> None:
    counter, rate = TT.Counter(lit, [1, 2], 10**9, 20), TT.Countrate(lit, [2, 1])
    bench.step(0.02)
    assert counter.getDataTotalCounts().tolist() == rate.getCountsTotal().tolist()[::-1]


def test_data_object_is_a_snapshot_of_one_moment(lit: TT.TimeTagger, bench: Bench) -> None:
    counter = TT.Counter(lit, [1, -2], 10**9, 3)
    bench.step(0.0055)
    data = counter.getDataObject(remove=True)
    assert (data.size, data.dropped_bins, data.overflow) == (3, 2, False)
    assert data.getData().shape == (2, 3)
    assert data.getData().dtype == np.int32
    assert data.getTime().tolist() == [2 * 10**9, 3 * 10**9, 4 * 10**9]
    assert data.getIndex().tolist() == [0, 10**9, 2 * 10**9]
    assert data.getChannels().tolist() == [1, -2]
    assert data.getOverflowMask().tolist() == [0, 0, 0]
    np.testing.assert_array_equal(data.getDataNormalized(), data.getData() * 1000.0)
    np.testing.assert_array_equal(data.getFrequency(-1), data.getData())
    assert data.getDataTotalCounts().dtype == np.uint64
    before = data.getData()
    bench.step(0.001)
    following = counter.getDataObject()
    assert following.size == 1
    assert following.getTime().tolist() == [5 * 10**9]
    np.testing.assert_array_equal(data.getData(), before)


def test_bins_after_a_pause_begin_when_it_goes_on(lit: TT.TimeTagger, bench: Bench) -> None:
    counter = TT.Counter(lit, [1], 10**9, 3)
    bench.step(0.001)
    counter.stop()
    bench.step(0.5)
    counter.start()
    bench.step(0.001)
    assert counter.getDataObject().getTime().tolist() == [0, 501 * 10**9]
    assert counter.getCaptureDuration() == 2 * 10**9


def test_mean_rate_is_counts_over_captured_time(lit: TT.TimeTagger, bench: Bench) -> None:
    rate = TT.Countrate(lit, [1, 2])
    assert np.isnan(rate.getData()).all()
    bench.step(0.0123)
    assert rate.getCountsTotal().dtype == np.int64
    np.testing.assert_allclose(rate.getData(), rate.getCountsTotal() / 0.0123)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1], 0), ValueError, "binwidth = 0 is too small"),
        (([1], 1000, 0), ValueError, "n_values = 0 is too small"),
        (([1], "1000"), TypeError, "binwidth is '1000', a str"),
        (([1], 10.5), ValueError, "binwidth = 10.5 is not whole"),
        (([99],), ValueError, "channel 99 does not exist; there are 1 to 8"),
        (([TT.CHANNEL_UNUSED],), ValueError, "CHANNEL_UNUSED is no channel"),
        ((["a"],), TypeError, "channel is 'a'"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: tuple[object, ...], error: type[Exception], message: str, tagger: TT.TimeTagger
) -> None:
    with pytest.raises(error, match=message):
        TT.Counter(tagger, *arguments)  # type: ignore[arg-type]
