"""What is an event: a set by anybody, and whatever else brings another value."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from drivers import Onlooker
from received import Received, States, eventually
from watched import Borrower, Groups, Source

from instrumentserver import Server, start_server


@pytest.fixture
def elsewhere(new_name: Callable[[], str]) -> Server:
    """Return another server."""
    return start_server(new_name())


WAYS: dict[str, Callable[[Source], Any]] = {
    "set": lambda source: source.x.set(2.0),
    "call": lambda source: source.x(2.0),
    "method": lambda source: source.set_here("x", 2.0),
    "method that changes the cache": lambda source: source.set_cache("x", 2.0),
    "cache": lambda source: source.x.cache.set(2.0),
    "get of another value": lambda source: (source.change("x", 2.0), source.x()),
    "method that gets": lambda source: (source.change("x", 2.0), source.get_here("x")),
    "snapshot with update": lambda source: (source.change("x", 2.0), source.snapshot(update=True)),
    "delegate": lambda source: source.same_x(2.0),
    "scaled delegate": lambda source: source.twice_x(4.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_change_a_value_is_one_event(source: Source, received: Received, way: str) -> None:
    source.x()
    source.x.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    WAYS[way](source)
    received.wait_for_value(2.0)
    source.x(3.0)
    received.wait_for_value(3.0)
    assert received.values == [0.0, 2.0, 3.0]
    assert {update.dropped for update in received.updates} == {0}


def test_a_driver_s_thread_is_heard(source: Source, received: Received) -> None:
    source.count.subscribe(lossless=True).add_callback(received.take)
    source.raise_in_thread(10, first=1)
    received.wait_for_value(10)
    assert received.values == list(range(11))


def test_other_clients_are_heard(source: Source, received: Received, elsewhere: Server) -> None:
    onlooker = elsewhere.create(Onlooker, "onlooker")
    source.x.subscribe(lossless=True).add_callback(received.take)
    onlooker.do("source.x(1.5); source.x.set(2.5); source.set_here('x', 3.5)", source=source)
    received.wait_for_value(3.5)
    assert received.values == [0.0, 1.5, 2.5, 3.5]


def test_reading_the_same_value_is_no_event(source: Source, received: Received) -> None:
    source.x.subscribe(lossless=True).add_callback(received.take)
    for value in (1.0, 1.0, 2.0):
        source.x(value)
        source.x()
        source.get_here("x")
        source.snapshot(update=True)
    source.x(9.0)
    received.wait_for_value(9.0)
    assert received.values == [0.0, 1.0, 1.0, 2.0, 9.0]


@pytest.mark.parametrize(
    "value",
    [float("nan"), None, np.array([1.0, np.nan]), [np.zeros(2), np.ones(3)], {"a": np.zeros(3)}, (1, [2.5])],
    ids=repr,
)
def test_reading_the_same_again_is_no_event_whatever_it_is(
    source: Source, received: Received, value: Any
) -> None:
    source.anything(value)
    source.anything.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    for _ in range(5):
        source.anything()
        source.set_cache("anything", value)
    source.anything("last")
    received.wait_for_value("last")
    assert len(received.updates) == 2


def test_two_readings_of_several_arrays_differ_if_one_element_does(
    source: Source, received: Received
) -> None:
    source.pair.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.pair()
    source.change("pair", (np.zeros(3), np.array([1.0, 1.0, 2.0])))
    source.pair()
    source.pair()
    updates = received.wait_for_number(2)
    assert updates[1].value[1][2] == 2.0


def test_a_buffer_that_is_reused_is_another_value(source: Source, received: Received) -> None:
    source.trace.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    for value in (1.0, 2.0, 2.0, 3.0):
        source.fill(value)
        source.trace()
    received.wait(lambda: received.updates[-1].value[0] == 3.0)
    assert [float(value.mean()) for value in received.values] == [0.0, 1.0, 2.0, 3.0]


def test_a_ramp_is_an_event_for_each_step(source: Source, received: Received) -> None:
    source.ramped(0)
    source.ramped.subscribe(lossless=True).add_callback(received.take)
    source.ramped(5)
    source.ramped(3)
    received.wait_for(lambda update: update.value == 5)
    received.wait_for_value(3)
    assert received.values == [0, 1, 2, 3, 4, 5, 4, 3]


def test_values_are_those_of_get_not_raw_ones(source: Source) -> None:
    scaled, mode = Received(), Received()
    source.scaled.subscribe(lossless=True).add_callback(scaled.take)
    source.mode.subscribe(lossless=True).add_callback(mode.take)
    source.scaled(0.4)
    source.mode("high")
    scaled.wait_for_value(0.4)
    mode.wait_for_value("high")
    assert mode.values == ["low", "high"]
    source.change("scaled", 20.0)
    source.scaled()
    scaled.wait_for_value(2.0)


def test_a_refused_set_is_no_event(source: Source, received: Received) -> None:
    source.a.v.subscribe(lossless=True).add_callback(received.take)
    with pytest.raises(ValueError, match="100"):
        source.a.v(100)
    source.a.v(1)
    received.wait_for_value(1)
    assert received.values == [0.0, 1]


def test_a_write_only_parameter_can_be_watched(source: Source, received: Received) -> None:
    source.writeonly.subscribe(lossless=True).add_callback(received.take)
    source.writeonly(5)
    source.writeonly(6)
    received.wait_for_value(6)
    assert received.values == [5, 6]


# Parts


def test_channels_are_watched_one_by_one(source: Source) -> None:
    receivers = [Received() for _ in source.taps]
    for channel, each in zip(source.taps, receivers, strict=True):
        channel.v.subscribe(lossless=True).add_callback(each.take)
    source.taps[1].v(1.0)
    source.c.lift(2.0)
    source.set_here("a.v", 3.0)
    for value, each in zip((3.0, 1.0, 2.0), receivers, strict=True):
        each.wait_for_value(value)
        assert each.values == [0.0, value]


def test_setting_all_channels_together_is_an_event_of_each(source: Source) -> None:
    receivers = [Received() for _ in source.taps]
    for channel, each in zip(source.taps, receivers, strict=True):
        channel.v.subscribe(lossless=True).add_callback(each.take)
    source.taps.v(2.0)
    for each in receivers:
        each.wait_for_value(2.0)
        assert each.values == [0.0, 2.0]


def test_a_channel_list_s_parameter_is_watched_or_refused_by_name(source: Source) -> None:
    if not hasattr(source.taps.v, "subscribe"):
        return
    received = Received()
    with pytest.raises(Exception, match=r"taps|channel"):
        source.taps.v.subscribe(lossless=True).add_callback(received.take)
        source.a.v(1.0)
        received.wait_for(lambda update: tuple(update.value) == (1.0, 0.0, 0.0), 5)
        raise LookupError("taps are watched")


# Groups and delegates


def test_setting_one_of_a_group_is_one_event(server: Server) -> None:
    groups = server.create(Groups, "groups")
    a, b = Received(), Received()
    groups.a.subscribe(lossless=True).add_callback(a.take)
    groups.b.subscribe(lossless=True).add_callback(b.take)
    a.wait_for_value(1)
    b.wait_for_value(2)
    groups.a(5)
    groups.a(5)
    groups.b(7)
    a.wait_for_value(5)
    b.wait_for_value(7)
    groups.a(0)
    a.wait_for_value(0)
    assert a.values == [1, 5, 5, 0]
    assert b.values == [2, 7]


def test_reading_one_of_a_group_tells_of_the_others(server: Server) -> None:
    groups = server.create(Groups, "groups")
    received = Received()
    groups.b.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_value(2)
    groups.change("8,9")
    groups.a()
    received.wait_for_value(9)
    assert received.values == [2, 9]


def test_a_delegate_changes_with_its_source(source: Source) -> None:
    same, twice = Received(), Received()
    source.same_x.subscribe(lossless=True).add_callback(same.take)
    source.twice_x.subscribe(lossless=True).add_callback(twice.take)
    same.wait_for_number(1)
    twice.wait_for_number(1)
    source.x(1.0)
    source.same_x(2.0)
    source.twice_x(6.0)
    source.set_here("x", 4.0)
    same.wait_for_value(4.0)
    twice.wait_for_value(8.0)
    assert same.values == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert twice.values == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_delegate_of_another_instrument_s_parameter(server: Server, source: Source) -> None:
    borrower = server.create(Borrower, "borrower", source.x)
    received = Received()
    borrower.borrowed.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.x(1.0)
    borrower.borrowed(2.0)
    received.wait_for_value(2.0)
    assert received.values == [0.0, 1.0, 2.0]


def test_a_delegate_of_another_server_s_parameter(server: Server, source: Source, elsewhere: Server) -> None:
    borrower = elsewhere.create(Borrower, "borrower", source.x)
    received = Received()
    borrower.borrowed.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_value(0.0)
    for value in (1.0, 1.0, 2.0):
        source.x(value)
    received.wait_for_value(2.0)
    borrower.borrowed(3.0)
    received.wait_for_value(3.0)
    assert received.values == [0.0, 1.0, 1.0, 2.0, 3.0]


def test_a_delegate_is_followed_no_more_when_nobody_watches_it(
    source: Source, elsewhere: Server, received: Received
) -> None:
    looks = source.looks("x")
    borrower = elsewhere.create(Borrower, "borrower", source.x)
    subscription = borrower.borrowed.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_value(0.0)
    assert source.looks("x") != looks
    subscription.close()
    eventually(lambda: source.looks("x") == looks)


def test_the_source_of_a_delegate_may_die_and_come_back(
    server: Server, new_name: Callable[[], str], received: Received
) -> None:
    home = server
    server = start_server(new_name(), linger=5)
    source = server.create(Source, "source")
    borrower = home.create(Borrower, "borrower", source.x)
    states = States()
    subscription = borrower.borrowed.subscribe(lossless=True)
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_value(0.0)
    server.kill()
    start_server(server.name).create(Source, "source", x=5.0).x(6.0)
    received.wait_for_value(6.0)


def test_servers_whose_delegates_stand_for_one_another_do_not_wait_for_each_other(
    server: Server, source: Source, elsewhere: Server
) -> None:
    far = elsewhere.create(Source, "far")
    there = elsewhere.create(Borrower, "there", source.x)
    here = server.create(Borrower, "here", far.x)
    for turn in range(1, 11):
        receivers = [Received(), Received()]
        subscriptions = [each.borrowed.subscribe(lossless=True) for each in (here, there)]
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(subscription.add_callback, each.take)
                for subscription, each in zip(subscriptions, receivers, strict=True)
            ]
            for job in jobs:
                job.result(20)
        source.x(turn)
        far.x(10 * turn)
        receivers[0].wait_for_value(10 * turn)
        receivers[1].wait_for_value(turn)
        for subscription in subscriptions:
            subscription.close()


def test_a_driver_may_watch_an_instrument_of_another_server(
    source: Source, elsewhere: Server, received: Received
) -> None:
    borrower = elsewhere.create(Borrower, "borrower")
    borrower.watch(source.count)
    borrower.plain.subscribe(lossless=True).add_callback(received.take)
    source.raise_count(100)
    received.wait_for_value(100)
    assert borrower.getattr("heard") == list(range(101))


# What cannot travel, and what watching costs


def test_a_value_that_cannot_travel_is_told_as_a_failure(source: Source, received: Received) -> None:
    beside = Received()
    source.anything.subscribe(lossless=True).add_callback(received.take)
    source.other.subscribe(lossless=True).add_callback(beside.take)
    received.wait_for_number(1)
    source.set_stranger()
    update = received.wait_for(lambda update: update.failure)
    assert "Stranger" in update.failure
    source.other(1)
    source.anything("again")
    received.wait_for_value("again")
    beside.wait_for_value(1)
    assert received.updates[-1].failure is None


def test_a_subscriber_who_comes_while_the_value_cannot_travel_hears_so(
    source: Source, received: Received
) -> None:
    source.set_stranger()
    source.anything.subscribe().add_callback(received.take)
    update = received.wait_for(lambda update: update.failure)
    assert "Stranger" in update.failure


def test_a_value_that_contains_itself_ends_no_stream(source: Source, received: Received) -> None:
    beside, states = Received(), States()
    source.anything.subscribe(lossless=True).add_callback(received.take)
    subscription = source.other.subscribe(lossless=True)
    subscription.add_callback(beside.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_number(1)
    source.set_knot()
    assert received.wait_for(lambda update: update.failure).failure
    source.other(1)
    source.anything("again")
    received.wait_for_value("again")
    beside.wait_for_value(1)
    assert states.states == ["connected"]


def test_a_value_that_is_an_instrument_is_not_copied(source: Source, received: Received) -> None:
    source.anything.subscribe(lossless=True).add_callback(received.take)
    before = source.times_closed(), source.times_made()
    source.set_itself()
    received.wait_for(lambda update: update.value is source)
    source.anything([source])
    received.wait_for(lambda update: update.value == [source])
    source.anything("gone")
    received.wait_for_value("gone")
    assert (source.times_closed(), source.times_made()) == before


def test_nobody_watches_nobody_pays(source: Source, received: Received) -> None:
    looks = {path: source.looks(path) for path in ("x", "same_x", "a.v", "trace", "drifting")}
    subscriptions = [
        source.x.subscribe(),
        source.same_x.subscribe(lossless=True),
        source.a.v.subscribe(),
        source.trace.subscribe(),
        source.drifting.subscribe(period=0.01),
    ]
    for subscription in subscriptions:
        subscription.add_callback(received.take)
    received.wait_for_number(5)
    for subscription in subscriptions:
        subscription.close()
    for path, look in looks.items():
        assert source.looks(path) == look


def test_a_closed_instrument_is_as_it_was(server: Server, source: Source, received: Received) -> None:
    subscription = source.x.subscribe(period=0.01)
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    before = server.create(Source, "thready")
    source.close()
    eventually(lambda: not subscription.is_connected)
    again = server.create(Source, "source", x=2.0)
    received.wait_for_value(2.0)
    assert sum("source" in name for name in before.thread_names()) <= 1
    again.change("x", 3.0)
    received.wait_for_value(3.0)
