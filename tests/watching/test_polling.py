"""The server reads watched parameters that change by themselves: as often as asked, once for all, never in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from received import Received, States, eventually
from watched import Source

from instrumentserver import Server, start_server

PERIOD = 0.02
"""How often most of these tests have a parameter read, s."""


def reads_within(source: Source, name: str, seconds: float) -> float:
    """Return how often a parameter is read in a second, counted over some time, s."""
    before, begun = source.times_read(name), time.monotonic()
    threading.Event().wait(seconds)
    return (source.times_read(name) - before) / (time.monotonic() - begun)


def test_a_parameter_is_read_with_the_period_that_the_subscriber_asks_for(
    source: Source, received: Received
) -> None:
    source.drifting.subscribe(lossless=True, period=PERIOD).add_callback(received.take)
    received.wait_for_number(1)
    for value in (1.0, 2.0, 3.0):
        source.change("drifting", value)
        received.wait_for_value(value, 2)
    assert received.values == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.slow
def test_the_period_is_kept(source: Source, received: Received) -> None:
    source.drifting.subscribe(period=0.02).add_callback(received.take)
    received.wait_for_number(1)
    assert 12 < reads_within(source, "drifting", 0.4) < 52


@pytest.mark.slow
def test_all_subscribers_share_the_readings_and_the_shortest_period_wins(source: Source) -> None:
    receivers = [Received() for _ in range(10)]
    subscriptions = [
        source.drifting.subscribe(period=0.02 if number == 4 else 0.5) for number in range(len(receivers))
    ]
    for subscription, each in zip(subscriptions, receivers, strict=True):
        subscription.add_callback(each.take)
    assert 12 < reads_within(source, "drifting", 0.4) < 52
    source.change("drifting", 1.0)
    for each in receivers:
        each.wait_for_value(1.0)
    subscriptions[4].close()
    assert reads_within(source, "drifting", 0.4) < 11


@pytest.mark.slow
def test_reading_ends_with_the_last_subscriber(source: Source, received: Received) -> None:
    subscription = source.drifting.subscribe(period=PERIOD)
    token = subscription.add_callback(received.take)
    received.wait_for_number(1)
    subscription.remove_callback(token)
    assert reads_within(source, "drifting", 0.2) == 0
    subscription.add_callback(received.take)
    source.change("drifting", 1.0)
    received.wait_for_value(1.0)


@pytest.mark.slow
def test_without_a_period_nothing_is_read(source: Source, received: Received) -> None:
    source.drifting()
    source.drifting.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    assert reads_within(source, "drifting", 0.2) == 0
    source.change("drifting", 1.0)
    source.drifting()
    received.wait_for_value(1.0)
    assert received.values == [0.0, 1.0]


def test_the_driver_may_ask_for_a_period(source: Source, received: Received) -> None:
    source.poll_every("drifting", PERIOD)
    source.drifting.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.change("drifting", 1.0)
    received.wait_for_value(1.0, 2)


@pytest.mark.slow
def test_a_subscriber_may_ask_for_less_than_the_driver_s_period(source: Source, received: Received) -> None:
    source.poll_every("drifting", 10.0)
    source.drifting.subscribe(period=PERIOD).add_callback(received.take)
    received.wait_for_number(1)
    source.change("drifting", 1.0)
    received.wait_for_value(1.0, 2)
    assert reads_within(source, "drifting", 0.2) < 60


@pytest.mark.slow
def test_a_slow_reading_is_never_hurried_and_lets_others_in(source: Source, received: Received) -> None:
    source.slow.subscribe(period=0.001).add_callback(received.take)
    received.wait_for_number(1)
    begun, before = time.monotonic(), source.times_read("slow")
    longest = 0.0
    for value in range(10):
        start = time.monotonic()
        source.x(float(value))
        longest = max(longest, time.monotonic() - start)
    reads = source.times_read("slow") - before
    assert reads <= (time.monotonic() - begun) / 0.05 + 1
    # A set waits for the reading that is under way, and for no second one.
    assert longest < 0.2


def test_a_busy_instrument_delays_the_reading_only(source: Source, server: Server) -> None:
    quick = server.create(Source, "quick")
    source.change("slow", 1.0)
    slow, fast = Received(), Received()
    source.slow.subscribe(period=0.001).add_callback(slow.take)
    quick.drifting.subscribe(period=0.005).add_callback(fast.take)
    slow.wait_for_number(1)
    fast.wait_for_number(1)
    for value in range(1, 6):
        quick.change("drifting", float(value))
        fast.wait_for_value(float(value), 2)


def test_a_reading_that_fails_is_told_once_with_the_last_good_value(
    source: Source, received: Received
) -> None:
    source.change("failing", 3.0)
    source.failing.subscribe(lossless=True, period=0.005).add_callback(received.take)
    received.wait_for_value(3.0)
    source.fail_from_now_on("the line broke")
    update = received.wait_for(lambda update: update.failure)
    assert "the line broke" in update.failure
    assert "OSError" in update.failure
    assert update.value == 3.0
    reads = source.times_read("failing")
    eventually(lambda: source.times_read("failing") > reads + 5)
    source.change("failing", 4.0)
    source.fail_from_now_on("")
    received.wait_for_value(4.0)
    assert [(update.value, bool(update.failure)) for update in received.updates] == [
        (3.0, False),
        (3.0, True),
        (4.0, False),
    ]


def test_recovery_with_the_same_value_is_told(source: Source, received: Received) -> None:
    source.failing.subscribe(lossless=True, period=0.005).add_callback(received.take)
    received.wait_for_value(0.0)
    source.fail_from_now_on("the line broke")
    received.wait_for(lambda update: update.failure)
    source.fail_from_now_on("")
    received.wait(lambda: received.updates[-1].failure is None and len(received.updates) == 3)
    assert received.values == [0.0, 0.0, 0.0]


def test_a_set_after_a_failure_is_a_recovery(source: Source, received: Received) -> None:
    source.failing.subscribe(lossless=True, period=0.005).add_callback(received.take)
    received.wait_for_value(0.0)
    source.fail_from_now_on("the line broke")
    received.wait_for(lambda update: update.failure)
    source.failing(7.0)
    received.wait_for(lambda update: update.value == 7.0 and update.failure is None)


def test_a_parameter_that_fails_from_the_beginning_tells_each_subscriber(source: Source) -> None:
    source.fail_from_now_on("never worked")
    for period in (None, 0.01, None, 0.01):
        received = Received()
        source.failing.subscribe(lossless=True, period=period).add_callback(received.take)
        update = received.wait_for_number(1, 5)[0]
        assert "never worked" in update.failure
    source.fail_from_now_on("")
    received.wait_for(lambda update: update.failure is None and update.value == 0.0)


def test_failures_of_one_parameter_leave_the_others_alone(source: Source, received: Received) -> None:
    source.fail_from_now_on("the line broke")
    states = States()
    source.failing.subscribe(period=0.005).add_callback(states.take)
    subscription = source.drifting.subscribe(lossless=True, period=0.005)
    subscription.add_callback(received.take)
    states.wait_for_number(1)
    for value in (1.0, 2.0):
        source.change("drifting", value)
        received.wait_for_value(value)


def test_a_failing_get_of_a_client_is_no_poll(source: Source, received: Received) -> None:
    source.failing.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.fail_from_now_on("the line broke")
    with pytest.raises(OSError, match="the line broke"):
        source.failing()
    source.fail_from_now_on("")
    source.failing(1.0)
    received.wait_for_value(1.0)
    assert [update.value for update in received.updates if not update.failure] == [0.0, 1.0]


def test_a_reused_buffer_is_polled_rightly(source: Source, received: Received) -> None:
    source.trace.subscribe(lossless=True, period=0.005).add_callback(received.take)
    received.wait_for_number(1)
    for value in (1.0, 2.0):
        source.fill(value)
        received.wait(lambda value=value: received.updates[-1].value[0] == value)
    assert [float(value.mean()) for value in received.values] == [0.0, 1.0, 2.0]


def test_status_shows_the_poller_and_no_client_of_its_own(
    server: Server, source: Source, received: Received
) -> None:
    source.slow.subscribe(period=0.001).add_callback(received.take)
    received.wait_for_number(1)
    shown = []
    eventually(lambda: shown.extend(server.status()["calls"]) is not None or bool(shown))
    assert shown[0]["path"] == "source.slow"
    assert len(server.status()["clients"]) == 1


def test_polling_stops_with_the_instrument_and_begins_again(
    server: Server, source: Source, received: Received
) -> None:
    source.drifting.subscribe(lossless=True, period=0.005).add_callback(received.take)
    received.wait_for_number(1)
    source.close()
    again = server.create(Source, "source")
    received.wait_for_number(2)
    again.change("drifting", 5.0)
    received.wait_for_value(5.0)


def test_a_server_whose_pollers_read_ends_in_order(new_name: Callable[[], str], received: Received) -> None:
    server = start_server(new_name(), linger=5)
    source = server.create(Source, "source")
    for name in ("slow", "drifting", "x"):
        getattr(source, name).subscribe(period=0.001).add_callback(received.take)
    received.wait_for_number(3)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 5
    assert "Traceback" not in server.log()


@pytest.mark.slow
def test_a_reading_never_comes_after_the_set_that_followed_it(source: Source, received: Received) -> None:
    source.x.subscribe(lossless=True, queue=100_000, period=0.001).add_callback(received.take)
    received.wait_for_number(1)
    give_up = time.monotonic() + 1
    value = 0.0
    while time.monotonic() < give_up:
        value += 1
        source.x(value)
    received.wait(lambda: value in received.values[-3:])
    assert [
        (before, after)
        for before, after in zip(received.values, received.values[1:], strict=False)
        if after != before + 1
    ] == []
