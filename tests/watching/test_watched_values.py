"""Values arrive in updates as they left; the cache of a watched proxy parameter is current."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from drivers import Onlooker
from received import Received, eventually
from watched import Colour, Source

from instrumentserver import start_server

VALUES = [
    None,
    True,
    2**100,
    -1.5,
    float("inf"),
    1 + 2j,
    "Ω \N{SNOWMAN}",
    "",
    b"\0bytes",
    (1, [2, {"three": {4}}]),
    {1: "a", (2, 3): None},
    {1, 2},
    datetime(2024, 5, 6, 7, 8, 9, 10),
    Colour.BLUE,
    np.float32(1.5),
    "x" * 1_000_000,
]


@pytest.mark.parametrize("lossless", [False, True])
def test_values_arrive_as_they_left(source: Source, received: Received, lossless: bool) -> None:
    source.anything("first")
    source.anything.subscribe(lossless=lossless).add_callback(received.take)
    received.wait_for_number(1)
    for value in VALUES:
        source.anything(value)
        received.wait_for_value(value)
        assert type(received.updates[-1].value) is type(value)


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.array([], dtype="i2"),
    np.array(3.5),
    np.asfortranarray(np.ones((3, 4), dtype="c8")),
    np.array(["a", "bcd"]),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.arange(10)[::-2],
    np.zeros(300_000),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_arrive_as_they_left(source: Source, received: Received, array: np.ndarray) -> None:
    source.anything.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.anything(array)
    received.wait_for_number(2)
    arrived = received.values[-1]
    assert np.array_equal(arrived, array)
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)


def test_arrays_keep_what_they_were_when_the_driver_set_them(source: Source, received: Received) -> None:
    """The driver overwrites one buffer as fast as it can."""
    source.wave.subscribe(lossless=True, queue=5_000).add_callback(received.take)
    received.wait_for_number(1)
    source.record(2_000)
    received.wait(lambda: received.updates[-1].value[0] == 2_000)
    assert [float(value.min()) for value in received.values] == list(range(2_001))
    assert [float(value.max()) for value in received.values] == list(range(2_001))


def test_large_arrays_of_a_reused_buffer_arrive_whole(source: Source, received: Received) -> None:
    source.wave.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    source.record(60, 200_000)
    received.wait(lambda: received.updates[-1].value[0] == 60)
    assert received.events == 61
    for value in received.values:
        assert value.min() == value.max()


def test_each_subscription_has_an_array_of_its_own(source: Source) -> None:
    receivers = [Received() for _ in range(3)]
    for each in receivers:
        source.wave.subscribe(lossless=True).add_callback(each.take)
    source.wave(np.ones(1000))
    for each in receivers:
        each.wait_for_number(2)
    receivers[0].values[-1][:] = 7.0
    assert receivers[1].values[-1][0] == receivers[2].values[-1][0] == 1.0
    assert source.wave()[0] == 1.0


def test_what_a_callback_does_to_a_list_reaches_nobody_else(source: Source) -> None:
    spoilt, whole = Received(), Received()

    def spoil(update: Any) -> None:
        update.value.append("spoilt")
        spoilt.take(update)

    source.anything([1])
    source.anything.subscribe(lossless=True).add_callback(spoil)
    source.anything.subscribe(lossless=True).add_callback(whole.take)
    source.anything([2])
    spoilt.wait_for_number(2)
    whole.wait_for_number(2)
    assert whole.values == [[1], [2]]
    assert source.anything() == [2]


def test_a_list_that_the_driver_changes_later_is_an_update_of_its_time(
    source: Source, received: Received
) -> None:
    source.anything.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.lengthen_list(100)
    received.wait_for_number(101)
    assert [len(value) for value in received.values[1:]] == list(range(1, 101))


def test_a_proxy_arrives_as_the_proxy_that_it_is(source: Source, received: Received) -> None:
    source.anything.subscribe(lossless=True).add_callback(received.take)
    source.anything(source.x)
    received.wait_for(lambda update: update.value is source.x)
    assert source.x() == 0.0


def test_an_instrument_reference_arrives(source: Source, received: Received) -> None:
    source.friend.subscribe(lossless=True).add_callback(received.take)
    source.friend("source")
    received.wait_for_value("source")


# The cache


def test_the_cache_of_a_watched_parameter_is_current(
    source: Source, onlooker: Onlooker, received: Received
) -> None:
    source.x.subscribe().add_callback(received.take)
    before = time.time()
    onlooker.do("source.x(2.5)")
    received.wait_for_value(2.5)
    assert source.x.cache.get() == source.x.cache() == source.x.get_latest() == 2.5
    assert source.x.cache.raw_value == 2.5
    assert source.x.cache.valid
    assert before <= source.x.cache.timestamp.timestamp() <= time.time()
    assert source.snapshot()["parameters"]["x"]["value"] == 2.5
    assert source.x.snapshot()["value"] == 2.5


def test_the_cache_is_current_after_one_s_own_set(source: Source, received: Received) -> None:
    source.x.subscribe(interval=30.0).add_callback(received.take)
    received.wait_for_number(1)
    for value in range(200):
        source.x(float(value))
        assert source.x.cache.get() == float(value)
        assert source.x.get_latest() == float(value)
    source.set_here("x", -1.0)
    assert source.x.cache.get() == -1.0
    source.x.cache.set(-2.0)
    assert source.x.cache.get() == -2.0


def test_the_cache_is_current_after_one_s_own_get(source: Source, received: Received) -> None:
    source.drifting.subscribe(deadband=10.0).add_callback(received.take)
    received.wait_for_number(1)
    for value in range(1, 100):
        source.change("drifting", float(value) / 100)
        assert source.drifting() == source.drifting.cache.get() == float(value) / 100


def test_an_invalid_cache_is_invalid(source: Source, received: Received) -> None:
    source.x.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    source.x.cache.invalidate()
    assert not source.x.cache.valid
    source.change("x", 3.0)
    assert source.x.cache.get() == 3.0
    source.set_here("x", 4.0)
    assert source.x.cache.valid


def test_a_stale_cache_is_stale(source: Source, received: Received) -> None:
    source.trust_nothing_older_than("x", 0.05)
    source.x()
    source.x.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    source.change("x", 3.0)
    eventually(lambda: not source.x.cache.valid)
    assert source.x.cache.get() == 3.0


def test_the_cache_of_a_parameter_that_is_watched_no_more_is_current(
    source: Source, onlooker: Onlooker, received: Received
) -> None:
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    subscription.close()
    onlooker.do("source.x(7.5)")
    assert source.x.cache.get() == 7.5


def test_the_cache_of_a_scaled_or_mapped_parameter_is_current(source: Source, onlooker: Onlooker) -> None:
    scaled, mode = Received(), Received()
    source.scaled.subscribe().add_callback(scaled.take)
    source.mode.subscribe().add_callback(mode.take)
    onlooker.do("source.scaled(0.4); source.mode('high')")
    scaled.wait_for_value(0.4)
    mode.wait_for_value("high")
    assert (source.scaled.cache.get(), source.scaled.cache.raw_value) == (0.4, 4.0)
    assert (source.mode.cache.get(), source.mode.cache.raw_value) == ("high", 1)


def test_the_cache_after_the_server_has_gone_is_an_error_not_a_stale_value(
    new_name: Callable[[], str], received: Received
) -> None:
    server = start_server(new_name(), linger=5)
    source = server.create(Source, "source")
    source.x.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    server.kill()
    with pytest.raises(ConnectionError):
        source.x.cache.get()


def test_a_value_that_was_changed_in_a_callback_leaves_the_cache_alone(source: Source) -> None:
    received = Received()

    def spoil(update: Any) -> None:
        update.value[:] = -1.0
        received.take(update)

    source.wave.subscribe(lossless=True).add_callback(spoil)
    source.wave(np.ones(1000))
    received.wait_for_number(2)
    assert source.wave.cache.get()[0] == source.wave.get_latest()[0] == 1.0
