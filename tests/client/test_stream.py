"""The event connection: it goes when the server goes, comes back by itself, and rests while it is held."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from received import Received, States, eventually
from watched import Source

from instrumentserver import Server, start_server
from instrumentserver.client.events import stream_of
from instrumentserver.client.registry import open_session
from instrumentserver.transport.exits import wait_for_exit

RESUMED_WITHIN = 0.5
"""Longest time from the start of a new server with its instrument to the first update, s."""


@pytest.fixture
def source(server: Server) -> Source:
    return server.create(Source, "source")


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def states() -> States:
    return States()


def begin(server: Server) -> Source:
    """Start the server anew, make the instrument again, and return it."""
    return start_server(server.name, linger=5).create(Source, "source", x=4.0)


# States


def test_a_state_callback_is_told_the_present_state_at_once(source: Source, states: States) -> None:
    received = Received()
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    token = subscription.add_state_callback(states.turn)
    states.wait_for_number(1)
    assert states.states == ["connected"]
    subscription.remove_state_callback(token)
    subscription.remove_state_callback(token + 1)


def test_state_callbacks_are_held(source: Source, received: Received) -> None:
    heard = Received()
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    subscription.add_state_callback(lambda subscription, state, reason: heard.take((subscription, state)))
    heard.wait_for_number(1)
    assert (subscription, "connected") in heard.updates


def test_a_killed_server_is_told_at_once_with_the_reason(
    server: Server, source: Source, received: Received, states: States
) -> None:
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    states.wait_for_states("connected")
    os.kill(server.pid, signal.SIGKILL)
    states.wait_for_states("connected", "disconnected", timeout=2)
    assert server.name in states.reasons[-1]
    assert not subscription.is_connected
    assert subscription.most_recent.value == 0.0
    wait_for_exit(server.pid, 5)


def test_a_state_callback_that_raises_or_blocks_hinders_nothing(
    server: Server, source: Source, received: Received, states: States
) -> None:
    released = threading.Event()

    def fail(subscription: object, state: str, reason: str) -> None:
        raise ZeroDivisionError

    def block(subscription: object, state: str, reason: str) -> None:
        if received.updates:
            released.wait(60)

    subscription = source.x.subscribe(lossless=True)
    try:
        for each in (fail, block, states.turn):
            subscription.add_state_callback(each)
        states.wait_for_states("disconnected")
        subscription.add_callback(received.take)
        states.wait_for_states("connected")
        source.x(2.0)
        received.wait_for_value(2.0)
        server.kill()
        states.wait_for_states("connected", "disconnected")
    finally:
        released.set()


# Reconnection


def test_a_server_started_anew_resumes_by_itself(
    server: Server, source: Source, received: Received, states: States
) -> None:
    subscription = source.x.subscribe(lossless=True)
    token = subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    for value in (1.0, 2.0):
        source.x(value)
    received.wait_for_value(2.0)
    server.kill()
    states.wait_for_states("connected", "disconnected")
    again = begin(server)
    made = time.monotonic()
    received.wait_for_number(4, RESUMED_WITHIN)
    assert time.monotonic() - made < RESUMED_WITHIN
    states.wait_for_states("disconnected", "connected")
    assert subscription.callbacks == {token: received.take}
    again.x(5.0)
    again.x(6.0)
    received.wait_for_value(6.0)
    assert received.values == [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]


def test_a_server_that_was_away_for_long_is_found_as_fast(
    server: Server, source: Source, received: Received, states: States
) -> None:
    source.x.subscribe().add_callback(received.take)
    subscription = source.x.subscribe()
    subscription.add_state_callback(states.turn)
    received.wait_for_number(1)
    server.kill()
    # The search goes on: a back-off would show.
    threading.Event().wait(1.0)
    begin(server)
    made = time.monotonic()
    received.wait_for_value(4.0, 5)
    assert time.monotonic() - made < RESUMED_WITHIN


def test_restarts_with_fifty_subscriptions(server: Server, source: Source) -> None:
    receivers = [Received() for _ in range(50)]
    names = ("x", "other", "count", "anything", "wave")
    for number, each in enumerate(receivers):
        getattr(source, names[number % 5]).subscribe(lossless=number % 2 == 0).add_callback(each.take)
    for turn in range(2, 6):
        start_server(server.name).kill()
        again = begin(server)
        for each in receivers:
            each.wait_for_number(turn)
        again.x(10.0 + turn)
        again.other(turn)
        receivers[0].wait_for_value(10.0 + turn)
        receivers[1].wait_for_value(turn)
        for each in receivers:
            del each.updates[turn:]
    assert [thread.name for thread in threading.enumerate()].count(threading.current_thread().name) == 1


def test_a_server_without_the_instrument_is_a_disconnection_until_it_is_made(
    server: Server, source: Source, received: Received, states: States
) -> None:
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_number(1)
    server.stop()
    states.wait_for_states("connected", "disconnected")
    again = start_server(server.name)
    again.create(Source, "another").other.subscribe().add_callback(received.take)
    received.wait_for_number(2)
    assert states.states[-1] == "disconnected"
    again.create(Source, "source", x=4.0)
    states.wait_for_states("connected")
    received.wait_for_value(4.0)


def test_sets_after_the_disconnection_are_never_delivered_twice(
    server: Server, source: Source, received: Received
) -> None:
    source.count.subscribe(lossless=True).add_callback(received.take)
    for value in range(1, 51):
        source.count(value)
    received.wait_for_value(50)
    server.kill()
    again = begin(server)
    received.wait_for_value(0)
    for value in range(51, 101):
        again.count(value)
    received.wait_for_value(100)
    assert received.values == [*range(51), 0, *range(51, 101)]
    assert received.updates[51].dropped == 0


def test_an_instrument_closed_and_made_again(
    server: Server, source: Source, received: Received, states: States
) -> None:
    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_number(1)
    source.close()
    states.wait_for_states("connected", "disconnected")
    assert "source" in states.reasons[-1]
    assert not subscription.is_connected
    again = server.create(Source, "source", x=7.0)
    states.wait_for_states("disconnected", "connected")
    again.x(8.0)
    received.wait_for_value(8.0)
    assert received.values == [0.0, 7.0, 8.0]


def test_an_instrument_restarted(server: Server, source: Source, received: Received, states: States) -> None:
    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    source.x(3.0)
    received.wait_for_value(3.0)
    source.restart()
    received.wait_for_number(3)
    source.x(9.0)
    received.wait_for_value(9.0)
    assert received.values == [0.0, 3.0, 0.0, 9.0]
    assert states.states in (["connected"], ["connected", "disconnected", "connected"])


def test_a_parameter_removed_and_added(source: Source, received: Received, states: States) -> None:
    source.grow("late")
    source.late(1)
    subscription = source.late.subscribe(lossless=True)
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_number(1)
    source.shrink("late")
    states.wait_for_states("connected", "disconnected")
    assert "late" in states.reasons[-1]
    source.grow("late")
    states.wait_for_states("disconnected", "connected")
    source.late(5)
    received.wait_for_value(5)
    assert received.values == [1, 0, 5]


def test_the_part_of_a_shrinking_tree_only_is_disconnected(source: Source) -> None:
    late, other, states = Received(), Received(), States()
    source.grow("late")
    source.late.subscribe(lossless=True).add_callback(late.take)
    subscription = source.other.subscribe(lossless=True)
    subscription.add_callback(other.take)
    subscription.add_state_callback(states.turn)
    late.wait_for_number(1)
    states.wait_for_states("connected")
    source.shrink("late")
    source.grow("later")
    source.other(1)
    other.wait_for_value(1)
    assert other.values == [0, 1]
    assert states.states == ["connected"]


@pytest.mark.parametrize("end", ["stop", "terminate"])
def test_a_server_that_ends_in_order_is_a_disconnection(
    server: Server, source: Source, received: Received, states: States, end: str
) -> None:
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_number(1)
    begun = time.monotonic()
    if end == "stop":
        server.stop()
    else:
        os.kill(server.pid, signal.SIGTERM)
        assert wait_for_exit(server.pid, 10)
    assert time.monotonic() - begun < 5
    states.wait_for_states("connected", "disconnected")


def test_removing_callbacks_while_the_server_is_away(
    server: Server, source: Source, received: Received
) -> None:
    stays = Received()
    subscription = source.x.subscribe(lossless=True)
    token = subscription.add_callback(received.take)
    subscription.add_callback(stays.take)
    gone = source.other.subscribe()
    gone.add_callback(received.take)
    stays.wait_for_number(1)
    server.kill()
    subscription.remove_callback(token)
    gone.close()
    looks = Source("local").looks("other")
    arrived = len(received.updates)
    again = begin(server)
    stays.wait_for_value(4.0)
    assert len(received.updates) == arrived
    assert again.looks("other") == looks


def test_a_callback_added_while_the_server_is_away_is_called_when_it_is_back(
    server: Server, source: Source, received: Received
) -> None:
    server.kill()
    source.x.subscribe(lossless=True).add_callback(received.take)
    begin(server)
    received.wait_for_value(4.0)
    assert received.values == [4.0]


def test_a_frozen_server_holds_up_no_ending(server: Server, source: Source, received: Received) -> None:
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        closer = threading.Thread(target=subscription.close, daemon=True)
        closer.start()
        closer.join(15)
        assert not closer.is_alive()
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_subscriptions_do_not_keep_a_server(new_name: Callable[[], str], received: Received) -> None:
    """A subscribed client counts as a client; once it has gone, the server ends after its linger."""
    server = start_server(new_name(), linger=0)
    source = server.create(Source, "source")
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    server._session.close()
    source.x(1.0)
    received.wait_for_value(1.0)
    server._session.close()
    received.wait_for_number(2)
    subscription.close()
    server._session.close()
    assert wait_for_exit(server.pid, 10)


def test_loopback_tcp_is_no_different(
    new_name: Callable[[], str], received: Received, states: States
) -> None:
    name = new_name()
    server = start_server(name, listen="tcp://127.0.0.1:0")
    source = server.create(Source, "source")
    subscription = source.count.subscribe(lossless=True, queue=10_000)
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    source.raise_count(3_000)
    received.wait_for_value(3_000)
    assert received.values == list(range(3_001))
    server.kill()
    states.wait_for_states("connected", "disconnected")
    again = start_server(name, listen=server.address).create(Source, "source")
    made = time.monotonic()
    received.wait_for_value(0)
    assert time.monotonic() - made < 1.5
    again.count(1)
    received.wait_for_value(1)


# The stream itself


class Listener:
    """Hears what the stream says."""

    def __init__(self) -> None:
        self.heard = Received()

    def stream_connected(self) -> None:
        self.heard.take("connected")

    def stream_disconnected(self, reason: str) -> None:
        self.heard.take("disconnected")

    def instruments_changed(self, names: list[str]) -> None:
        self.heard.take(sorted(names))


def test_there_is_one_stream_for_a_server_with_one_connection(server: Server, source: Source) -> None:
    session = open_session(server.address)
    assert stream_of(session) is stream_of(session)
    before = server.status()["clients"][0]["connections"]
    receivers = [Received() for _ in range(20)]
    for each in receivers:
        source.x.subscribe().add_callback(each.take)
        each.wait_for_number(1)
    (client,) = server.status()["clients"]
    assert client["connections"] == before + 1


def test_a_listener_hears_of_the_server_and_of_its_instruments(server: Server) -> None:
    stream = stream_of(open_session(server.address))
    listener = Listener()
    stream.add_listener(listener)
    heard = listener.heard
    heard.wait(lambda: "connected" in heard.updates)
    assert stream.is_connected
    source = server.create(Source, "source")
    heard.wait(lambda: heard.updates.count(["source"]) >= 1)
    seen = len(heard.updates)
    source.grow("late")
    heard.wait(lambda: ["source"] in heard.updates[seen:])
    seen = len(heard.updates)
    source.close()
    heard.wait(lambda: ["source"] in heard.updates[seen:])
    server.kill()
    heard.wait(lambda: heard.updates[-1] == "disconnected")
    assert not stream.is_connected
    start_server(server.name)
    heard.wait(lambda: heard.updates[-1] == "connected")
    stream.remove_listener(listener)


def test_time_since_last_heard_is_short_while_connected(
    server: Server, source: Source, received: Received
) -> None:
    source.x.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    stream = stream_of(open_session(server.address))
    assert 0 <= stream.time_since_last_heard() < 10
    source.x(1.0)
    received.wait_for_number(2)
    assert stream.time_since_last_heard() < 1


def test_while_held_only_the_newest_is_kept_and_delivered_afterwards(server: Server, source: Source) -> None:
    received, free = Received(), Received()
    subscription = source.count.subscribe(lossless=True)
    subscription.add_callback(received.take)
    source.count.subscribe(lossless=True).add_callback(free.take)
    stream = stream_of(open_session(server.address))
    for value in (1, 2, 3):
        source.count(value)
    received.wait_for_value(3)
    stream.hold([subscription])
    for value in (4, 5, 6):
        source.count(value)
    free.wait_for_value(6)
    assert received.values == [0, 1, 2, 3]
    stream.resume([subscription])
    received.wait_for_value(6)
    for value in (7, 8, 9):
        source.count(value)
    received.wait_for_value(9)
    free.wait_for_value(9)
    assert received.values == [0, 1, 2, 3, 6, 7, 8, 9]
    assert received.events == 10
    assert free.values == list(range(10))


def test_resuming_without_news_delivers_nothing(server: Server, source: Source, received: Received) -> None:
    subscription = source.count.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    stream = stream_of(open_session(server.address))
    for _ in range(3):
        stream.hold([subscription])
        stream.resume([subscription])
    source.count(1)
    received.wait_for_value(1)
    assert received.values == [0, 1]


def test_without_subscriptions_the_stream_lets_its_connection_go(server: Server, source: Source) -> None:
    before = server.status()["clients"][0]["connections"]
    received = Received()
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_number(1)
    subscription.close()
    eventually(lambda: server.status()["clients"][0]["connections"] == before)
    subscription = source.x.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_number(2)


def test_what_is_held_stays_held_over_a_restart(server: Server, source: Source) -> None:
    received, free = Received(), Received()
    subscription = source.count.subscribe(lossless=True)
    subscription.add_callback(received.take)
    source.count.subscribe(lossless=True).add_callback(free.take)
    received.wait_for_number(1)
    stream = stream_of(open_session(server.address))
    stream.hold([subscription])
    server.kill()
    again = begin(server)
    free.wait_for_number(2)
    for value in (1, 2, 3):
        again.count(value)
    free.wait_for_value(3)
    assert received.values == [0]
    stream.resume([subscription])
    received.wait_for_value(3)
    assert received.values == [0, 3]


def test_a_frozen_server_does_not_freeze_who_subscribes(
    server: Server, source: Source, received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instrumentserver.client.events._ANSWER_SECONDS", 0.3)
    os.kill(server.pid, signal.SIGSTOP)
    subscription = source.x.subscribe(lossless=True)
    try:
        adder = threading.Thread(target=subscription.add_callback, args=(received.take,), daemon=True)
        adder.start()
        adder.join(30)
        assert not adder.is_alive()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    received.wait_for_value(0.0)
    source.x(1.0)
    received.wait_for_value(1.0)


def test_an_interrupted_subscriber_may_try_again(server: Server, source: Source, received: Received) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    subscription = source.x.subscribe(lossless=True)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            subscription.add_callback(received.take)
    finally:
        timer.join()
        os.kill(server.pid, signal.SIGCONT)
    again = Received()
    subscription.add_callback(again.take)
    again.wait_for_number(1)
    source.x(1.0)
    again.wait_for_value(1.0)
