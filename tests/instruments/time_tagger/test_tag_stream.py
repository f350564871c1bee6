import numpy as np

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


def test_buffer_has_the_tags_in_the_order_of_time(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1, 2], 1e6)
    stream, rate = TT.TimeTagStream(tagger, 100_000, [1, 2]), TT.Countrate(tagger, [1, 2])
    bench.step(0.025)
    assert stream.getCounts() == rate.getCountsTotal().sum()
    buffer = stream.getData()
    times, channels = buffer.getTimestamps(), buffer.getChannels()
    assert (times.dtype, channels.dtype) == (np.int64, np.int32)
    assert times.shape == channels.shape == (buffer.size,)
    assert np.all(np.diff(times) >= 0)
    assert [int((channels == channel).sum()) for channel in (1, 2)] == rate.getCountsTotal().tolist()
    assert (buffer.tStart, buffer.tGetData, buffer.hasOverflows) == (0, 25 * 10**9, False)
    for array, dtype in (
        (buffer.getEventTypes(), np.uint8),
        (buffer.getOverflows(), np.uint8),
        (buffer.getMissedEvents(), np.uint16),
    ):
        assert (array.shape, array.dtype, array.any()) == ((buffer.size,), dtype, False)


def test_every_tag_comes_once(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e5)
    stream, whole = TT.TimeTagStream(tagger, 10_000, [1]), TT.TimeTagStream(tagger, 10_000, [1])
    parts = []
    for _ in range(5):
        bench.step(0.003)
        parts.append(stream.getData().getTimestamps())
    assert stream.getData().size == 0
    np.testing.assert_array_equal(np.concatenate(parts), whole.getData().getTimestamps())


def test_full_buffer_keeps_the_first_tags(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    small, large = TT.TimeTagStream(tagger, 100, [1]), TT.TimeTagStream(tagger, 10**5, [1])
    bench.step(0.03)
    assert small.getCounts() == 100
    first = small.getData()
    np.testing.assert_array_equal(first.getTimestamps(), large.getData().getTimestamps()[:100])
    bench.step(0.01)
    assert small.getData().size == 100
