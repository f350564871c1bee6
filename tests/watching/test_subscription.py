"""What a subscription delivers: the present value, then the changes; what it lost is counted."""

from __future__ import annotations

import itertools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import pytest
from drivers import Onlooker
from received import Received, eventually
from watched import Source

from instrumentserver import Server


def test_first_comes_the_present_value_and_when_it_was_set(source: Source, received: Received) -> None:
    before = time.time()
    source.x(2.0)
    after = time.time()
    source.x.subscribe().add_callback(received.take)
    (update,) = received.wait_for_number(1)
    assert (update.value, update.dropped, update.failure) == (2.0, 0, None)
    assert before <= update.timestamp <= after


def test_first_comes_what_the_hardware_says_of_a_parameter_that_was_never_read(
    server: Server, received: Received
) -> None:
    source = server.create(Source, "never_read")
    source.change("drifting", 3.0)
    source.drifting.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    assert received.values == [3.0]


def test_without_a_callback_the_server_watches_nothing(source: Source) -> None:
    looks = source.looks("x")
    subscription = source.x.subscribe(lossless=True)
    assert source.looks("x") == looks
    assert subscription.most_recent is None
    assert subscription.callbacks == {}
    subscription.close()


def test_lossless_n_sets_are_n_updates_in_order(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(received.take)
    for value in range(1, 201):
        source.x(float(value))
    updates = received.wait_for_number(201)
    assert received.values == [float(value) for value in range(201)]
    assert {update.dropped for update in updates} == {0}
    assert subscription.dropped == 0
    assert [later.sequence - update.sequence for update, later in itertools.pairwise(updates)] == [1] * 200
    assert all(later.timestamp >= update.timestamp for update, later in itertools.pairwise(updates))


def test_lossless_sets_to_the_same_value_are_updates(source: Source, received: Received) -> None:
    source.x.subscribe(lossless=True).add_callback(received.take)
    for _ in range(20):
        source.x(1.0)
    received.wait_for_number(21)
    source.x(2.0)
    received.wait_for_value(2.0)
    assert received.values == [0.0, *[1.0] * 20, 2.0]


def test_lossless_updates_from_everywhere_arrive_in_the_order_of_their_sequence(
    source: Source, onlooker: Onlooker, received: Received
) -> None:
    source.count.subscribe(lossless=True, queue=10_000).add_callback(received.take)
    source.raise_in_threads(300)
    with ThreadPoolExecutor(4) as pool:
        theirs = pool.submit(onlooker.do, "for value in range(1000, 1300): source.count(value)")
        mine = [pool.submit(source.raise_count, 100, 10_000 * (number + 1)) for number in range(3)]
        for job in (theirs, *mine):
            job.result()
    updates = received.wait_for_number(1 + 300 + 300 + 300)
    assert [later.sequence - update.sequence for update, later in itertools.pairwise(updates)] == [1] * 900
    for first, times in ((1, 300), (1000, 300), (10_000, 100), (20_000, 100), (30_000, 100)):
        of_one = [value for value in received.values if first <= value < first + times]
        assert of_one == list(range(first, first + times))


@pytest.mark.parametrize("times", [10_000])
def test_lossless_a_loop_of_a_driver_s_loses_nothing(source: Source, received: Received, times: int) -> None:
    source.count.subscribe(lossless=True, queue=times).add_callback(received.take)
    source.raise_count(times)
    received.wait_for_value(times)
    assert received.events == times + 1
    assert received.values == list(range(times + 1))


def test_latest_only_the_last_value_always_arrives_and_skipped_ones_are_counted(
    source: Source, received: Received
) -> None:
    subscription = source.count.subscribe()
    subscription.add_callback(received.take)
    for last in range(500, 5_001, 500):
        source.raise_count(500, first=last - 499)
        received.wait_for_value(last)
    updates = received.updates
    assert received.events == 5_001
    assert subscription.dropped == sum(update.dropped for update in updates)
    for update, later in itertools.pairwise(updates):
        assert later.sequence - update.sequence == 1 + later.dropped
        assert later.value - update.value == 1 + later.dropped


def test_latest_only_a_slow_callback_gets_the_newest_next(source: Source) -> None:
    entered, released, received = threading.Event(), threading.Event(), Received()

    def linger(update: Any) -> None:
        received.take(update)
        entered.set()
        assert released.wait(20)

    subscription = source.count.subscribe()
    subscription.add_callback(linger)
    assert entered.wait(20)
    source.raise_count(1_000)
    released.set()
    received.wait_for_value(1_000)
    assert received.events == 1_001
    assert subscription.dropped == 1_001 - len(received.updates)
    assert len(received.updates) <= 10


@pytest.mark.parametrize("queue", [1, 10, 100])
def test_lossless_with_a_full_queue_keeps_the_newest_and_counts_the_others(
    source: Source, queue: int
) -> None:
    entered, released, received = threading.Event(), threading.Event(), Received()

    def block(update: Any) -> None:
        received.take(update)
        entered.set()
        assert released.wait(20)

    subscription = source.count.subscribe(lossless=True, queue=queue)
    subscription.add_callback(block)
    assert entered.wait(20)
    for value in range(1, 1_001):
        source.count(value)
    released.set()
    received.wait_for_value(1_000)
    assert received.events == 1_001
    assert subscription.dropped == 1_001 - len(received.updates) > 0
    assert received.values[-queue:] == list(range(1_001 - queue, 1_001))
    assert received.values == sorted(received.values)
    for update, later in itertools.pairwise(received.updates):
        assert later.sequence - update.sequence == 1 + later.dropped


def test_a_subscription_that_caught_up_loses_nothing_more(source: Source) -> None:
    entered, released, received = threading.Event(), threading.Event(), Received()

    def block_once(update: Any) -> None:
        received.take(update)
        entered.set()
        assert released.wait(20)

    source.count.subscribe(lossless=True, queue=5).add_callback(block_once)
    assert entered.wait(20)
    source.raise_count(1_000)
    released.set()
    received.wait_for_value(1_000)
    lost = 1_001 - len(received.updates)
    for value in range(2_000, 2_100):
        source.count(value)
        received.wait_for_value(value)
    assert sum(update.dropped for update in received.updates) == lost
    assert received.values[-100:] == list(range(2_000, 2_100))


def test_subscriptions_of_one_parameter_are_independent(source: Source) -> None:
    every, newest, coarse = Received(), Received(), Received()
    source.count.subscribe(lossless=True, queue=5_000).add_callback(every.take)
    source.count.subscribe().add_callback(newest.take)
    source.count.subscribe(lossless=True, deadband=9.5).add_callback(coarse.take)
    source.raise_count(2_000)
    for received in (every, newest, coarse):
        received.wait_for_value(2_000)
    assert every.values == list(range(2_001))
    assert newest.events == 2_001
    assert coarse.values == list(range(0, 2_001, 10))


def test_most_recent_is_the_last_that_came(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(received.take)
    source.x(4.0)
    received.wait_for_value(4.0)
    assert subscription.most_recent == received.updates[-1]
    assert subscription.is_connected


# Interval


@pytest.mark.slow
def test_an_interval_limits_the_rate_and_the_last_value_arrives(source: Source) -> None:
    arrivals, received = [], Received()

    def note(update: Any) -> None:
        arrivals.append(time.monotonic())
        received.take(update)

    source.count.subscribe(interval=0.1).add_callback(note)
    received.wait_for_number(1)
    give_up = time.monotonic() + 0.55
    sets = 0
    while time.monotonic() < give_up:
        sets += 1
        source.count(sets)
    received.wait_for_value(sets)
    assert received.events == sets + 1
    assert len(arrivals) <= 9
    # A late delivery makes the time to the one after it shorter: by pairs, it does not show.
    assert min(later - earlier for earlier, later in zip(arrivals, arrivals[2:], strict=False)) > 0.15


@pytest.mark.slow
def test_a_lossless_subscriber_gets_what_came_in_an_interval_all_together(source: Source) -> None:
    arrivals, received = [], Received()

    def note(update: Any) -> None:
        arrivals.append(time.monotonic())
        received.take(update)

    source.count.subscribe(interval=0.4, lossless=True, queue=2_000).add_callback(note)
    received.wait_for_number(1)
    source.raise_count(2_000)
    received.wait_for_value(2_000)
    assert received.values == list(range(2_001))
    assert arrivals[-1] - arrivals[0] < 0.75
    assert arrivals[1] - arrivals[0] > 0.3


def test_a_change_within_the_interval_waits_until_its_end(source: Source, received: Received) -> None:
    prompt = Received()
    source.x.subscribe(interval=30.0).add_callback(received.take)
    source.x.subscribe(lossless=True).add_callback(prompt.take)
    received.wait_for_number(1)
    source.x(1.0)
    prompt.wait_for_value(1.0)
    assert received.values == [0.0]


# Deadband


def test_deadband_hides_small_changes_since_the_last_update(source: Source, received: Received) -> None:
    source.x.subscribe(lossless=True, deadband=1.0).add_callback(received.take)
    for value in (0.6, -1.0, 1.0, 1.2, 0.3, 2.1, 2.3, 2.2, 5.0, math.nan, math.nan, 5.0):
        source.x(value)
    received.wait(lambda: len(received.values) > 4 and received.values[-1] == 5.0)
    expected = [0.0, 1.2, 2.3, 5.0, math.nan, 5.0]
    assert np.array_equal(received.values, expected, equal_nan=True)


@pytest.mark.parametrize(
    "values",
    [["a", "a", "b", None, None, "b"], [True, False, False], [{"a": 1}, {"a": 1}], [5, "a", 5, None, 5.2]],
    ids=["text", "bool", "dicts", "mixed"],
)
def test_deadband_hides_numbers_only(source: Source, received: Received, values: list[Any]) -> None:
    source.anything("first")
    source.anything.subscribe(lossless=True, deadband=1.0).add_callback(received.take)
    for value in [*values, "last"]:
        source.anything(value)
    received.wait_for_value("last")
    assert received.values == ["first", *values, "last"]


def test_deadband_of_complex_numbers_is_a_distance(source: Source, received: Received) -> None:
    source.anything(0j)
    source.anything.subscribe(lossless=True, deadband=1.0).add_callback(received.take)
    for value in (0.6j, 0.8 + 0.8j, 0.8 + 1j, 5j):
        source.anything(value)
    received.wait_for_value(5j)
    assert received.values == [0j, 0.8 + 0.8j, 5j]


@pytest.mark.parametrize(
    "values",
    [
        [np.uint8(5), np.uint8(250)],
        [np.full(3, 5, dtype="u1"), np.full(3, 250, dtype="u1")],
        [np.zeros(5), np.zeros(1), np.zeros(0), np.array(0.0)],
        [np.zeros(3), [0.0, 0.0, 0.0], 0.0],
        [10**400, 10**400 + 2, -(10**400)],
    ],
    ids=["small unsigned", "unsigned", "shapes", "kinds", "large"],
)
def test_deadband_hides_no_real_difference(source: Source, received: Received, values: list[Any]) -> None:
    source.anything("first")
    source.anything.subscribe(lossless=True, deadband=1.0).add_callback(received.take)
    for value in [*values, "last"]:
        source.anything(value)
    received.wait_for_value("last")
    assert len(received.values) == len(values) + 2


def test_deadband_of_infinities_warns_nobody(source: Source, received: Received) -> None:
    source.x.subscribe(lossless=True, deadband=1.0).add_callback(received.take)
    for value in (math.inf, math.inf, -math.inf, 1.0):
        source.x(value)
    received.wait_for_value(1.0)
    assert [value for value in received.values if value != math.inf] == [0.0, -math.inf, 1.0]


def test_deadband_of_arrays_looks_at_the_largest_change(source: Source, received: Received) -> None:
    source.wave.subscribe(lossless=True, deadband=0.5).add_callback(received.take)
    sent = [np.full(1000, 0.25), np.full(1000, 0.5), np.eye(1, 1000)[0], np.zeros(1000), np.zeros(5)]
    for wave in sent:
        source.wave(wave)
    received.wait(lambda: len(received.updates) > 0 and received.updates[-1].value.shape == (5,))
    assert [int(wave.sum()) for wave in received.values] == [0, 1, 0, 0]


# Options


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"queue": 0, "lossless": True}, "queue=0"),
        ({"queue": -1, "lossless": True}, "queue=-1"),
        ({"queue": 2.5, "lossless": True}, r"queue=2\.5"),
        ({"interval": -0.1}, r"interval=-0\.1"),
        ({"interval": math.nan}, "interval=nan"),
        ({"interval": "fast"}, "interval='fast'"),
        ({"deadband": -1.0}, r"deadband=-1(\.0)?"),
        ({"deadband": math.nan}, "deadband=nan"),
        ({"period": 0}, "period=0"),
        ({"period": -1.0}, r"period=-1(\.0)?"),
        ({"period": math.nan}, "period=nan"),
        ({"period": "1 s"}, "period='1 s'"),
    ],
    ids=str,
)
def test_bad_options_are_refused_with_value_and_remedy(
    source: Source, options: dict[str, Any], named: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"{named}.*\b(choose|must|give|use|at least)\b"):
        source.x.subscribe(**options)


def test_an_unknown_option_is_a_type_error(source: Source) -> None:
    with pytest.raises(TypeError, match="every"):
        source.x.subscribe(every=2)


def test_numpy_numbers_are_numbers_as_options(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(
        lossless=True,
        queue=np.int64(50),
        interval=np.float64(0),
        deadband=np.float32(0.5),
        period=np.float64(9),
    )
    subscription.add_callback(received.take)
    source.x(2.0)
    received.wait_for_value(2.0)


def test_an_instrument_forgets_its_watchers_when_the_last_is_closed(
    source: Source, received: Received
) -> None:
    looks = source.looks("x")
    subscriptions = [source.x.subscribe(lossless=number % 2 == 0) for number in range(4)]
    for subscription in subscriptions:
        subscription.add_callback(received.take)
    assert source.looks("x") != looks
    for subscription in subscriptions:
        subscription.close()
    eventually(lambda: source.looks("x") == looks)
    source.x(5.0)
    source.other.subscribe().add_callback(received.take)
    source.other(9)
    received.wait_for_value(9)
    assert 5.0 not in received.values


@pytest.mark.slow
def test_large_values_for_a_slow_callback_are_bounded_in_bytes_and_counted(
    server: Server, source: Source, received: Received
) -> None:
    entered, released = threading.Event(), threading.Event()

    def block(update: Any) -> None:
        received.take(update)
        entered.set()
        assert released.wait(20)

    source.wave.subscribe(lossless=True).add_callback(block)
    assert entered.wait(20)
    processes = psutil.Process(), psutil.Process(server.pid)
    before = [process.memory_info().rss for process in processes]
    source.record(400, 125_000)
    grown = [process.memory_info().rss - rss for process, rss in zip(processes, before, strict=True)]
    released.set()
    # 400 MB altogether.
    assert max(grown) < 200e6
    source.wave(np.full(1, -1.0))
    received.wait(lambda: received.updates[-1].value[0] == -1.0)
    assert received.events == 402
