import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger import correlation as module
from instruments.time_tagger.correlation import find_pairs
from instruments.time_tagger.simulation import Bench


def differences_of(stops: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return (stops[:, None] - starts[None, :]).ravel()


def tags_of(tagger: TT.TimeTagger, bench: Bench, seconds: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    stream = TT.TimeTagStream(tagger, 10**6, [1, 2])
    for _ in range(steps):
        bench.step(seconds / steps)
    buffer = stream.getData()
    times, channels = buffer.getTimestamps(), buffer.getChannels()
    return times[channels == 1], times[channels == 2]


@pytest.mark.parametrize("n_bins", [1, 2, 7, 100])
def test_correlation_counts_every_pair_in_its_range(n_bins: int, bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1, 2], 2e5)
    correlation = TT.Correlation(tagger, 1, 2, 1_000_000, n_bins)
    first, second = tags_of(tagger, bench, 0.012, 13)
    index = correlation.getIndex()
    assert index[n_bins // 2] == 0
    edges = np.append(index, index[-1] + 1_000_000) - 500_000
    differences = differences_of(first, second)
    differences = differences[differences < edges[-1]]
    np.testing.assert_array_equal(correlation.getData(), np.histogram(differences, edges)[0])


@pytest.mark.parametrize("second", [TT.CHANNEL_UNUSED, 1])
def test_autocorrelation_leaves_out_each_tag_with_itself(
    second: int, bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.coherent([1], 1e5)
    correlation = TT.Correlation(tagger, 1, second, 5_000_000, 11)
    first, _ = tags_of(tagger, bench, 0.021, 7)
    differences = differences_of(first, first)
    edges = np.append(correlation.getIndex(), 6 * 5_000_000) - 2_500_000
    expected = np.histogram(differences[differences < edges[-1]], edges)[0]
    expected[5] -= first.size
    np.testing.assert_array_equal(correlation.getData(), expected)
    assert correlation.getDataNormalized()[5] == pytest.approx(1, abs=0.3)


def test_data_have_their_shapes_and_types(bench: Bench, tagger: TT.TimeTagger) -> None:
    correlation = TT.Correlation(tagger, 1, 2)
    assert np.isnan(correlation.getDataNormalized()).all()
    tagger.setTestSignal([1, 2], True)
    bench.step(0.01)
    for array, dtype in (
        (correlation.getData(), np.int32),
        (correlation.getDataNormalized(), np.float64),
        (correlation.getIndex(), np.int64),
    ):
        assert (array.shape, array.dtype) == ((1000,), dtype)
    assert correlation.getData().sum() == pytest.approx(8000, abs=1)


def test_positive_times_are_stops_after_starts(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pairs([1, 2], 1e5)
    delayed = TT.DelayedChannel(tagger, 1, 30_000)
    correlation = TT.Correlation(tagger, delayed.getChannel(), 2, 1000, 101)
    bench.step(0.01)
    assert correlation.getIndex()[correlation.getData().argmax()] == 30_000


def test_pairs_are_made_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    stops, starts = (np.sort(np.random.default_rng(i).integers(0, 1000, 100)) for i in (1, 2))
    monkeypatch.setattr(module, "CHUNK", 500)
    pieces = [times for _, times in find_pairs(stops, starts, -300, 300)]
    assert len(pieces) > 5
    assert max(piece.size for piece in pieces) <= 600
    differences = differences_of(stops, starts)
    expected = differences[(differences >= -300) & (differences < 300)]
    assert sorted(np.concatenate(pieces).tolist()) == sorted(expected.tolist())


def test_no_tags_make_no_pairs() -> None:
    some, none = np.array([1]), np.empty(0, np.int64)
    assert list(find_pairs(some, none, -5, 5)) == list(find_pairs(none, some, -5, 5)) == []
    assert list(find_pairs(some, some + 100, -5, 5)) == []
