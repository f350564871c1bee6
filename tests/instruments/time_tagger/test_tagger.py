import json

import numpy as np
import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


def counts(bench: Bench, tagger: TT.TimeTagger, channel: int = 1, seconds: float = 0.05) -> int:
    rate = TT.Countrate(tagger, [channel])
    bench.step(seconds)
    return int(rate.getCountsTotal()[0])


def peak(bench: Bench, tagger: TT.TimeTagger, first: int = 1, second: int = 2) -> int:
    correlation = TT.Correlation(tagger, first, second, 100, 20_001)
    bench.step(0.02)
    return int(correlation.getIndex()[correlation.getData().argmax()])


def test_test_signal_is_800_kHz_and_the_same_on_all_inputs(bench: Bench, tagger: TT.TimeTagger) -> None:
    tagger.setTestSignal([1, 2], True)
    assert [tagger.getTestSignal(channel) for channel in (1, 2, 3)] == [True, True, False]
    assert counts(bench, tagger, 1) == pytest.approx(40_000, abs=2)
    assert peak(bench, tagger) == 0
    tagger.setTestSignal(1, False)
    assert counts(bench, tagger, 1) == 0


def test_test_signal_divider_sets_its_frequency(bench: Bench, tagger: TT.TimeTagger) -> None:
    tagger.setTestSignal(1, True)
    tagger.setTestSignalDivider(5040)
    assert tagger.getTestSignalDivider() == 5040
    assert counts(bench, tagger) == pytest.approx(4000, abs=2)


def test_high_resolution_has_less_jitter(bench: Bench) -> None:
    widths = []
    for resolution in (TT.Resolution.Standard, TT.Resolution.HighResC):
        with TT.createTimeTagger(resolution=resolution) as tagger:
            tagger.setTestSignal([1, 2], True)
            correlation = TT.Correlation(tagger, 1, 2, 1, 201)
            bench.step(0.02)
            data, delays = correlation.getData(), correlation.getIndex()
            widths.append(np.sqrt((data * delays**2).sum() / data.sum()))
    assert widths == pytest.approx([9 * np.sqrt(2), 4 * np.sqrt(2)], rel=0.05)


@pytest.mark.parametrize("delay", [50_000, -120_000])
def test_input_delay_moves_the_peak_of_a_correlation(delay: int, bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.pairs([1, 2], 1e6)
    tagger.setInputDelay(1, delay)
    assert tagger.getInputDelay(1) == delay
    assert peak(bench, tagger) == delay


def test_dead_time_lowers_the_rate(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    assert tagger.setDeadtime(1, 2_000_000) == tagger.getDeadtime(1) == 2_000_000
    assert abs(counts(bench, tagger) - 50_000 / 3) < 5 * np.sqrt(50_000 / 3)


def test_no_two_tags_are_within_the_dead_time(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    tagger.setDeadtime(1, 1_000_000)
    stream = TT.TimeTagStream(tagger, 100_000, [1])
    bench.step(0.1)
    assert np.diff(stream.getData().getTimestamps()).min() >= 1_000_000


def test_trigger_level_chooses_the_pulses_that_count(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e6)
    shares = {}
    for level in (-0.1, 0.0, 0.5, 1.0, 1.5):
        tagger.setTriggerLevel(1, level)
        assert tagger.getTriggerLevel(1) == level
        shares[level] = counts(bench, tagger) / 50_000
    assert shares[-0.1] == shares[0.0] == shares[1.5] == 0
    assert shares[0.5] == pytest.approx(1, abs=0.03)
    assert shares[1.0] == pytest.approx(0.5, abs=0.03)


def test_event_divider_lets_every_nth_tag_through(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e5)
    stream = TT.TimeTagStream(tagger, 10_000, [1])
    bench.step(0.03)
    every = stream.getData().getTimestamps()
    TT.freeTimeTagger(tagger)
    with TT.createTimeTagger() as again:
        again.setEventDivider(1, 7)
        assert again.getEventDivider(1) == 7
        stream = TT.TimeTagStream(again, 10_000, [1])
        for _ in range(3):
            bench.step(0.01)
        np.testing.assert_array_equal(stream.getData().getTimestamps(), every[6::7])


def test_falling_edges_follow_by_the_width_of_a_pulse(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1], 1e5)
    bench.set_detector(1, pulse_width=30e-9)
    assert tagger.getInvertedChannel(1) == -1
    assert peak(bench, tagger, -1, 1) == 30_000


def test_channel_list_follows_edges_and_resolution(bench: Bench) -> None:
    rising, falling = list(range(1, 9)), list(range(-1, -9, -1))
    with TT.createTimeTagger() as tagger:
        assert tagger.getChannelList() == rising + falling
        assert tagger.getChannelList(TT.ChannelEdge.Rising) == rising
        assert tagger.getChannelList(TT.ChannelEdge.StandardFalling) == falling
        assert tagger.getChannelList(TT.ChannelEdge.HighResAll) == []
    with TT.createTimeTagger(resolution=TT.Resolution.HighResA) as tagger:
        assert tagger.getChannelList(TT.ChannelEdge.HighResRising) == rising
        assert tagger.getChannelList(TT.ChannelEdge.StandardAll) == []


def test_reset_goes_back_to_the_settings_of_the_start(bench: Bench, tagger: TT.TimeTagger) -> None:
    start = tagger.getConfiguration()
    tagger.setTestSignal(1, True)
    tagger.setInputDelay(2, 1000)
    tagger.setDeadtime(-3, 5000)
    tagger.setTriggerLevel(4, 0.1)
    tagger.setTestSignalDivider(1000)
    assert tagger.getConfiguration() != start
    tagger.reset()
    assert tagger.getConfiguration() == start
    assert counts(bench, tagger) == 0


def test_configuration_is_plain_and_shows_the_measurements(bench: Bench, tagger: TT.TimeTagger) -> None:
    counter = TT.Counter(tagger, [1, 2], 1000, 5)
    configuration = tagger.getConfiguration()
    assert json.loads(json.dumps(configuration)) == configuration
    assert configuration["serial"] == "1740000JG2"
    assert configuration["measurements"] == [counter.getConfiguration()]
    assert counter.getConfiguration() == {
        "name": "Counter",
        "channels": [1, 2],
        "binwidth": 1000,
        "n_values": 5,
    }


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("setTestSignal", (9, True), "channel 9 is no input; choose 1 to 8, or -1 to -8"),
        ("getTestSignal", (0,), "channel 0 is no input"),
        ("setInputDelay", (1001, 0), "channel 1001 is no input"),
        ("setInputDelay", (1, 0.5), "delay = 0.5 is not whole"),
        ("setDeadtime", (1, 10), "a dead time of 10 ps is outside 2000 to 2147000000 ps"),
        ("setTriggerLevel", (1, 3.0), "a trigger level of 3 V is outside -2.5 to 2.5 V"),
        ("setEventDivider", (1, 70_000), "a divider of 70000 is too large"),
        ("setTestSignalDivider", (0,), "divider = 0 is too small"),
        ("setTestSignalDivider", (70_000,), "a divider of 70000 is too large"),
        ("getInvertedChannel", (77,), "channel 77 does not exist"),
    ],
)
def test_wrong_settings_are_refused(
    name: str, arguments: tuple[object, ...], message: str, tagger: TT.TimeTagger
) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(tagger, name)(*arguments)


def test_plain_facts(tagger: TT.TimeTagger) -> None:
    assert tagger.getPsPerClock() == 2000
    assert tagger.getDeadtimeRange(1) == (2000, 2_147_000_000)
    assert tagger.getTriggerLevelRange(1) == tagger.getDACRange() == (-2.5, 2.5)
    assert tagger.sync() is True
    assert tagger.getOverflows() == 0
    assert tagger.isUnusedChannel(TT.CHANNEL_UNUSED)
    assert tagger.getSensorData()["board"]["temperature"] == 42.0
    assert tagger.getFirmwareVersion() == "simulated"
