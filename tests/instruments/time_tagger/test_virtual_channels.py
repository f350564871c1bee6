import gc

import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench

Kind = TT.CoincidenceTimestamp


def tags_of(tagger: TT.TimeTagger, bench: Bench, channels: list[int], seconds: float) -> list[np.ndarray]:
    stream = TT.TimeTagStream(tagger, 10**6, channels)
    bench.step(seconds)
    buffer = stream.getData()
    return [buffer.getTimestamps()[buffer.getChannels() == channel] for channel in channels]


def coincidences_one_by_one(first: np.ndarray, second: np.ndarray, window: int) -> list[int]:
    """Times of the last tags of the coincidences of two channels, ps."""
    events = sorted([(time, 0) for time in first.tolist()] + [(time, 1) for time in second.tolist()])
    last: dict[int, int] = {}
    found = []
    for time, kind in events:
        last[kind] = time
        if len(last) == 2 and time - min(last.values()) <= window:
            found.append(time)
            last = {}
    return found


def test_coincidences_of_pairs_are_as_many_as_the_pairs(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pairs([1, 2], 1e5)
    coincidence = TT.Coincidence(tagger, [1, 2], 1000)
    rate = TT.Countrate(tagger, [1, coincidence.getChannel()])
    bench.step(0.1)
    single, double = rate.getCountsTotal()
    assert double == pytest.approx(single, rel=0.001)


def test_accidental_coincidences_have_their_rate(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 3e5)
    bench.coherent([2], 2e5)
    coincidence = TT.Coincidence(tagger, [1, 2], 50_000)
    rate = TT.Countrate(tagger, [coincidence.getChannel()])
    bench.step(0.5)
    expected = 2 * 3e5 * 2e5 * 50e-9 * 0.5
    assert abs(rate.getCountsTotal()[0] - expected) < 5 * np.sqrt(expected) + 0.03 * expected


def test_each_tag_is_in_one_coincidence_at_most(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1, 2], 1e6)
    coincidence = TT.Coincidence(tagger, [1, 2], 1_000_000)
    first, second, found = tags_of(tagger, bench, [1, 2, coincidence.getChannel()], 0.03)
    expected = coincidences_one_by_one(first, second, 1_000_000)
    # The first few depend on tags from before the stream was looked at.
    assert found.tolist()[100:] == expected[-len(found) + 100 :]


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [(Kind.Last, 900), (Kind.First, 0), (Kind.Average, 400), (Kind.ListedFirst, 300)],
)
def test_coincidence_has_the_time_that_is_asked_for(
    timestamp: TT.CoincidenceTimestamp, expected: int, bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.pairs([1, 2, 3], 1e4)
    for channel in (1, 2, 3):
        bench.set_detector(channel, jitter=0)
    late = [TT.DelayedChannel(tagger, channel, delay) for channel, delay in ((1, 300), (2, 0), (3, 900))]
    channels = [each.getChannel() for each in late]
    coincidence = TT.Coincidences(tagger, [channels], 1200, timestamp).getChannels()
    assert len(coincidence) == 1
    made = TT.Coincidence(tagger, channels, 1200, timestamp)
    correlation = TT.Correlation(tagger, made.getChannel(), 2, 1, 3001)
    bench.step(0.1)
    data = correlation.getData()
    assert (data * correlation.getIndex()).sum() / data.sum() == pytest.approx(expected, abs=5)


def test_groups_make_a_channel_each(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pairs([1, 2], 1e5)
    bench.pairs([2, 3], 5e4)
    coincidences = TT.Coincidences(tagger, [[1, 2], [2, 3], [1, 2, 3]], 1000)
    channels = coincidences.getChannels()
    assert len(set(channels)) == 3
    rate = TT.Countrate(tagger, channels)
    bench.step(0.1)
    first, second, third = rate.getCountsTotal()
    assert abs(first - 10_000) < 500
    assert abs(second - 5000) < 350
    assert third < 20


def test_window_is_changed_from_now_on(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pairs([1, 2], 1e5)
    delayed = TT.DelayedChannel(tagger, 2, 5000)
    coincidence = TT.Coincidence(tagger, [1, delayed.getChannel()], 1000)
    rate = TT.Countrate(tagger, [coincidence.getChannel()])
    bench.step(0.01)
    assert rate.getCountsTotal()[0] < 10
    coincidence.setCoincidenceWindow(10_000)
    assert coincidence.getConfiguration()["coincidenceWindow"] == 10_000
    bench.step(0.01)
    assert rate.getCountsTotal()[0] > 800


@pytest.mark.parametrize("delay", [123_456, -5_000_000, 3 * 10**10])
def test_delayed_channel_correlates_as_a_delta_at_its_delay(
    delay: int, bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.coherent([1], 1e5)
    delayed = TT.DelayedChannel(tagger, 1, delay)
    back = TT.DelayedChannel(tagger, delayed.getChannel(), 100 - delay)
    correlation = TT.Correlation(tagger, back.getChannel(), 1, 1, 301)
    rate = TT.Countrate(tagger, [1])
    bench.step(0.02)
    data = correlation.getData()
    assert data[150 + 100] == pytest.approx(rate.getCountsTotal()[0], abs=1)
    assert data.sum() <= data[250] + 2
    first, late = tags_of(tagger, bench, [1, delayed.getChannel()], 0.01)
    assert np.isin(late - delay, first).mean() > 0.99 or delay > 10**10


def test_delay_is_changed_from_now_on(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e5)
    delayed = TT.DelayedChannels(tagger, [1, 2], 0)
    delayed.setDelay(7000)
    correlation = TT.Correlation(tagger, delayed.getChannels()[0], 1, 1000, 21)
    bench.step(0.01)
    assert correlation.getIndex()[correlation.getData().argmax()] == 7000


def test_combiner_has_the_tags_of_all_channels(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e5)
    bench.coherent([2], 3e5)
    combiner = TT.Combiner(tagger, [1, 2])
    rate = TT.Countrate(tagger, [1, 2, combiner.getChannel()])
    bench.step(0.01)
    first, second, both = rate.getCountsTotal().tolist()
    assert both == first + second > 1000
    assert combiner.getChannelCounts().tolist() == [first, second]


def test_virtual_channel_is_gone_when_nobody_holds_it(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    delayed = TT.DelayedChannel(tagger, 1, 100)
    number = delayed.getChannel()
    assert number > 1000
    assert tagger.getInvertedChannel(number) == TT.CHANNEL_UNUSED
    rate = TT.Countrate(tagger, [number])
    del delayed
    gc.collect()
    bench.step(0.01)
    assert rate.getCountsTotal()[0] > 1000
    del rate
    gc.collect()
    with pytest.raises(ValueError, match=f"channel {number} does not exist; .*virtual: none"):
        TT.Countrate(tagger, [number])


@pytest.mark.parametrize(
    ("groups", "window", "message"),
    [
        ([[1]], 1000, r"group \[1\] needs two or more channels"),
        ([[1, 1]], 1000, r"group \[1, 1\] needs two or more channels, each of them once"),
        ([[1, 2]], 0, "coincidenceWindow = 0 is too small"),
        ([[1, 55]], 1, "channel 55 does not exist"),
    ],
)
def test_wrong_coincidences_are_refused(
    groups: list[list[int]], window: int, message: str, tagger: TT.TimeTagger
) -> None:
    with pytest.raises(ValueError, match=message):
        TT.Coincidences(tagger, groups, window)
