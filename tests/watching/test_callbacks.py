"""Callbacks: held weakly, called off the thread that receives, free to do anything; none disturbs another."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from received import Received, eventually
from watched import Source

from instrumentserver import Server, UnknownName

# Tokens


def test_tokens_count_from_zero_and_callbacks_shows_them(source: Source) -> None:
    subscription = source.x.subscribe()
    receivers = [Received() for _ in range(3)]
    assert [subscription.add_callback(each.take) for each in receivers] == [0, 1, 2]
    assert subscription.callbacks == {token: each.take for token, each in enumerate(receivers)}
    subscription.remove_callback(1)
    assert set(subscription.callbacks) == {0, 2}
    assert subscription.add_callback(receivers[1].take) == 3


def test_an_unknown_token_is_ignored(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(lossless=True)
    token = subscription.add_callback(received.take)
    for unknown in (token + 1, -1, None, "0"):
        subscription.remove_callback(unknown)
    source.x(1.0)
    received.wait_for_value(1.0)
    subscription.remove_callback(token)
    subscription.remove_callback(token)


def test_one_callback_may_be_added_twice(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(lossless=True)
    assert [subscription.add_callback(received.take) for _ in range(2)] == [0, 1]
    source.x(1.0)
    received.wait_for_number(4)
    assert sorted(received.values) == [0.0, 0.0, 1.0, 1.0]


def test_what_cannot_be_called_is_refused(source: Source) -> None:
    with pytest.raises((TypeError, ValueError), match=r"5 .*(call|function)"):
        source.x.subscribe().add_callback(5)


# Late and early callbacks


def test_a_later_callback_gets_the_most_recent_value_first(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(received.take)
    source.x(3.0)
    received.wait_for_value(3.0)
    late = Received()
    subscription.add_callback(late.take)
    late.wait_for_number(1)
    source.x(4.0)
    late.wait_for_value(4.0)
    received.wait_for_value(4.0)
    assert late.values == [3.0, 4.0]
    assert received.values == [0.0, 3.0, 4.0]


def test_callbacks_that_come_while_sets_go_on_miss_nothing(source: Source) -> None:
    subscription = source.count.subscribe(lossless=True, queue=100_000)
    receivers = [Received() for _ in range(5)]
    source.raise_in_threads(8_000)
    for each in receivers:
        subscription.add_callback(each.take)
    for each in receivers:
        each.wait_for_value(8_000)
        # The first is what the cache held: perhaps that of a set whose event is still to come.
        first, *others = each.values
        assert others in (list(range(first, 8_001)), list(range(first + 1, 8_001)))
        assert {update.dropped for update in each.updates} == {0}


def test_a_callback_that_comes_after_all_others_have_gone_gets_the_present_value(
    source: Source, received: Received
) -> None:
    subscription = source.x.subscribe(lossless=True)
    token = subscription.add_callback(received.take)
    received.wait_for_number(1)
    subscription.remove_callback(token)
    source.x(5.0)
    late = Received()
    subscription.add_callback(late.take)
    late.wait_for_number(1)
    assert late.values == [5.0]
    assert late.updates[0].dropped == 0
    assert received.values == [0.0]


# Weak references


def test_a_function_given_inline_is_never_called(source: Source, received: Received) -> None:
    called: list[Any] = []
    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(lambda update: called.append(update))
    subscription.add_callback(received.take)
    source.x(1.0)
    received.wait_for_value(1.0)
    assert called == []


def test_bound_methods_are_held_weakly_and_called_as_long_as_their_object_lives(
    source: Source, received: Received
) -> None:
    kept = Received()
    subscription = source.x.subscribe(lossless=True)
    dropped = Received()
    ghost = weakref.ref(dropped)
    subscription.add_callback(dropped.take)
    subscription.add_callback(kept.take)
    dropped.wait_for_number(1)
    del dropped
    # A callback that is under way holds its object.
    eventually(lambda: gc.collect() is not None and ghost() is None)
    source.x(1.0)
    kept.wait_for_value(1.0)
    eventually(lambda: set(subscription.callbacks) == {1})


def test_when_the_last_callback_is_gone_the_server_stops_watching(source: Source) -> None:
    looks = source.looks("x")
    subscription = source.x.subscribe()
    dropped = Received()
    subscription.add_callback(dropped.take)
    dropped.wait_for_number(1)
    assert source.looks("x") != looks
    del dropped
    eventually(lambda: gc.collect() is not None and source.looks("x") == looks)
    again = Received()
    subscription.add_callback(again.take)
    source.x(1.0)
    again.wait_for_value(1.0)


def test_a_subscription_lives_as_long_as_its_callbacks(source: Source, received: Received) -> None:
    source.x.subscribe(lossless=True).add_callback(received.take)
    gc.collect()
    source.x(1.0)
    received.wait_for_value(1.0)


def test_a_callback_outlives_the_proxy(server: Server, received: Received) -> None:
    server.create(Source, "fleeting")
    server.instruments["fleeting"].x.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    gc.collect()
    server.instruments["fleeting"].x(2.0)
    received.wait_for_value(2.0)


# Signatures


class Signatures:
    """Callbacks of every form."""

    def __init__(self, heard: Callable[..., None]) -> None:
        self._heard = heard

    def one(self, update: Any) -> None:
        self._heard("one", update)

    def two(self, subscription: Any, update: Any) -> None:
        self._heard("two", subscription, update)

    def with_default(self, update: Any, scale: float = 1.0) -> None:
        self._heard("with_default", update, scale)

    def with_keyword(self, update: Any, *, scale: float = 1.0) -> None:
        self._heard("with_keyword", update, scale)

    def __call__(self, update: Any) -> None:
        self._heard("__call__", update)


@pytest.mark.parametrize("form", ["one", "two", "__call__", "with_keyword", "with_default"])
def test_callbacks_take_an_update_or_a_subscription_too(source: Source, form: str) -> None:
    calls: list[Any] = []
    called = threading.Event()

    def heard(*arguments: Any) -> None:
        calls.append(arguments)
        called.set()

    callbacks = Signatures(heard)
    subscription = source.x.subscribe()
    subscription.add_callback(callbacks if form == "__call__" else getattr(callbacks, form))
    assert called.wait(20)
    (name, *arguments), *_ = calls
    assert name == form
    update = arguments[1] if form == "two" else arguments[0]
    assert update.value == 0.0
    if form == "two":
        assert arguments[0] is subscription


@pytest.mark.parametrize("takes", [1, 2])
def test_plain_functions_of_both_forms_are_called(source: Source, takes: int) -> None:
    received = Received()

    def of_one(update: Any) -> None:
        received.take(update)

    def of_two(sub: Any, update: Any) -> None:
        received.take(update)

    function = of_one if takes == 1 else of_two
    source.x.subscribe().add_callback(function)
    received.wait_for_number(1)
    assert received.values == [0.0]


def test_one_callback_of_many_subscriptions_is_told_which(source: Source) -> None:
    heard: dict[Any, Any] = {}
    all_there = threading.Event()

    def hear(subscription: Any, update: Any) -> None:
        heard[subscription] = update.value
        if len(heard) == 2:
            all_there.set()

    first, second = source.x.subscribe(), source.other.subscribe()
    for each in (first, second):
        each.add_callback(hear)
    assert all_there.wait(20)
    assert heard == {first: 0.0, second: 0}


# What a callback may do


def test_callbacks_run_on_threads_of_their_own(source: Source, received: Received) -> None:
    source.x.subscribe().add_callback(received.take)
    received.wait_for_number(1)
    assert threading.current_thread().name not in received.threads
    assert all(thread.daemon for thread in threading.enumerate() if thread.name in received.threads)


def test_a_callback_may_set_what_it_watches(source: Source, received: Received) -> None:
    def double(update: Any) -> None:
        received.take(update)
        if 0 < update.value < 100:
            source.count(update.value * 2)

    source.count.subscribe(lossless=True).add_callback(double)
    source.count(1)
    received.wait_for_value(128)
    assert received.values == [0, 1, 2, 4, 8, 16, 32, 64, 128]


def test_a_callback_may_get_and_call(source: Source, received: Received) -> None:
    found: list[Any] = []

    def look(update: Any) -> None:
        found.append((source.x(), source.other(), source.get_here("mode"), source.snapshot()["name"]))
        received.take(update)

    source.x.subscribe(lossless=True).add_callback(look)
    source.x(2.0)
    received.wait_for_value(2.0)
    assert found[-1] == (2.0, 0, "low", "source")


def test_a_callback_may_subscribe_and_add_callbacks(source: Source, received: Received) -> None:
    inner = Received()

    def subscribe(subscription: Any, update: Any) -> None:
        if update.value == 1.0:
            source.other.subscribe(lossless=True).add_callback(inner.take)
            subscription.add_callback(received.take)

    source.x.subscribe(lossless=True).add_callback(subscribe)
    source.x(1.0)
    inner.wait_for_number(1)
    received.wait_for_number(1)
    source.other(7)
    inner.wait_for_value(7)
    source.x(3.0)
    received.wait_for_value(3.0)
    assert received.values == [1.0, 3.0]


@pytest.mark.parametrize("end", ["remove", "clear", "close"])
def test_a_callback_may_end_itself(source: Source, received: Received, end: str) -> None:
    barrier = Received()
    subscription = source.x.subscribe(lossless=True)
    ends = {
        "remove": lambda: subscription.remove_callback(0),
        "clear": subscription.clear,
        "close": subscription.close,
    }

    def once(update: Any) -> None:
        received.take(update)
        ends[end]()
        received.take(update)

    subscription.add_callback(once)
    source.other.subscribe(lossless=True).add_callback(barrier.take)
    received.wait_for_number(2)
    for value in range(1, 20):
        source.x(value)
        source.other(value)
    barrier.wait_for_value(19)
    assert received.values == [0.0, 0.0]


def test_a_callback_that_raises_is_logged_and_called_again(
    source: Source, received: Received, caplog: pytest.LogCaptureFixture
) -> None:
    other = Received()

    def fail(update: Any) -> None:
        received.take(update)
        raise ZeroDivisionError(f"no {update.value}")

    subscription = source.x.subscribe(lossless=True)
    with caplog.at_level(logging.ERROR):
        subscription.add_callback(fail)
        subscription.add_callback(other.take)
        source.x(1.0)
        source.x(2.0)
        received.wait_for_value(2.0)
        other.wait_for_value(2.0)
        eventually(lambda: "no 2.0" in caplog.text)
    assert received.values == other.values == [0.0, 1.0, 2.0]
    assert "source.x" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "in fail" in caplog.text


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_ends_its_thread_ends_nothing_else(
    source: Source, received: Received, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    other = Received()

    def leave(update: Any) -> None:
        received.take(update)
        raise kind

    subscription = source.x.subscribe(lossless=True)
    subscription.add_callback(leave)
    subscription.add_callback(other.take)
    for value in (1.0, 2.0):
        source.x(value)
    received.wait_for_value(2.0)
    other.wait_for_value(2.0)
    # What is logged later would keep the callback through the next test.
    eventually(lambda: caplog.text.count("failed") == 3)
    assert received.values == other.values == [0.0, 1.0, 2.0]


# A callback that blocks


def test_a_callback_that_blocks_for_ever_holds_up_nothing(source: Source) -> None:
    blocked, released = threading.Event(), threading.Event()

    def block(update: Any) -> None:
        blocked.set()
        released.wait(60)

    beside, elsewhere = Received(), Received()
    subscription = source.count.subscribe(lossless=True, queue=5_000)
    try:
        subscription.add_callback(block)
        subscription.add_callback(beside.take)
        source.count.subscribe(lossless=True, queue=5_000).add_callback(elsewhere.take)
        assert blocked.wait(20)
        for value in range(1, 2_001):
            source.count(value)
        for received in (beside, elsewhere):
            received.wait_for_value(2_000)
            assert received.values == list(range(2_001))
    finally:
        released.set()


def test_many_callbacks_that_block_leave_room_for_others(source: Source) -> None:
    released, blocked = threading.Event(), threading.Semaphore(0)

    def block(update: Any) -> None:
        blocked.release()
        released.wait(60)

    try:
        for _ in range(40):
            source.count.subscribe(lossless=True).add_callback(block)
        for _ in range(40):
            assert blocked.acquire(timeout=20)
        received = Received()
        source.count.subscribe(lossless=True).add_callback(received.take)
        source.raise_count(500)
        received.wait_for_value(500)
        assert received.values == list(range(501))
    finally:
        released.set()


def test_one_callback_is_never_called_by_two_threads_at_once(source: Source, received: Received) -> None:
    inside, most = itertools.count(), [0]
    guard = threading.Lock()

    def watch_out(update: Any) -> None:
        if not guard.acquire(blocking=False):
            most[0] += 1
            return
        try:
            next(inside)
            received.take(update)
        finally:
            guard.release()

    source.count.subscribe(lossless=True, queue=10_000).add_callback(watch_out)
    source.raise_count(3_000)
    received.wait_for_value(3_000)
    assert most == [0]
    assert received.values == list(range(3_001))


# Ends


@pytest.mark.parametrize("end", ["remove", "clear", "close"])
def test_after_the_end_nothing_arrives(source: Source, end: str) -> None:
    """The end is a clear cut, also while events rush in."""
    source.raise_for_ever()
    for _ in range(10):
        received = Received()
        subscription = source.count.subscribe(lossless=True)
        token = subscription.add_callback(received.take)
        received.wait_for_number(5)
        if end == "remove":
            subscription.remove_callback(token)
        elif end == "clear":
            subscription.clear()
        else:
            subscription.close()
        arrived = len(received.updates)
        source.x(1.0)
        assert len(received.updates) == arrived
    assert subscription.callbacks == {}


def test_a_removal_waits_for_no_callback_that_blocks(source: Source) -> None:
    blocked, released = threading.Event(), threading.Event()

    def block(update: Any) -> None:
        blocked.set()
        released.wait(60)

    subscription = source.count.subscribe(lossless=True)
    subscription.add_callback(block)
    assert blocked.wait(20)
    remover = threading.Thread(target=subscription.clear, daemon=True)
    remover.start()
    remover.join(10)
    was_alive = remover.is_alive()
    released.set()
    assert not was_alive


def test_a_closed_subscription_may_be_used_again(source: Source, received: Received) -> None:
    subscription = source.x.subscribe(lossless=True)
    subscription.close()
    subscription.close()
    subscription.add_callback(received.take)
    source.x(1.0)
    received.wait_for_value(1.0)
    assert received.values == [0.0, 1.0]


def test_subscribing_to_what_is_not_there_names_it(source: Source) -> None:
    with pytest.raises((AttributeError, UnknownName)):
        source.nothing.subscribe()
