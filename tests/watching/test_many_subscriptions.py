"""Many subscriptions, and many threads that come and go while values change."""

from __future__ import annotations

import gc
import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from received import Received, eventually
from watched import Source

from instrumentserver import start_server

pytestmark = pytest.mark.slow

SUBSCRIPTIONS = 200


def test_two_hundred_subscriptions_lose_nothing(source: Source) -> None:
    names = ("count", "other", "anything", "x")
    receivers = [(names[number % 4], Received()) for number in range(SUBSCRIPTIONS)]
    source.x(0)
    source.anything(0)
    for number, (name, received) in enumerate(receivers):
        parameter = getattr(source, name)
        parameter.subscribe(lossless=number % 8 < 4, queue=10_000).add_callback(received.take)
    source.raise_in_threads(200, *names)
    for number, (_, received) in enumerate(receivers):
        received.wait_for_value(200, 40)
        assert received.events == 201
        if number % 8 < 4:
            assert received.values == list(range(201))


def test_threads_that_come_and_go_at_random_while_values_change(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=5)
    source = server.create(Source, "source")
    names = ("count", "other", "anything")
    looks = {name: source.looks(name) for name in names}
    threads = set(threading.enumerate())
    source.anything(0)
    source.raise_in_threads(2**60, *names)
    give_up = time.monotonic() + 2

    def come_and_go(seed: int) -> int:
        rng = random.Random(seed)
        received, turns = [], 0
        open_ones = []
        while time.monotonic() < give_up:
            turns += 1
            each = Received()
            subscription = getattr(source, rng.choice(names)).subscribe(
                lossless=rng.random() < 0.5,
                queue=rng.choice((1, 10, 1_000)),
                interval=rng.choice((0.0, 0.0, 0.01)),
            )
            token = subscription.add_callback(each.take)
            open_ones.append((subscription, token, each))
            received.append(each)
            if rng.random() < 0.3:
                each.wait_for_number(3)
            while len(open_ones) > rng.randrange(8):
                subscription, token, each = open_ones.pop(rng.randrange(len(open_ones)))
                each.wait_for_number(1)
                end = rng.choice(("close", "clear", "remove"))
                if end == "remove":
                    subscription.remove_callback(token)
                else:
                    getattr(subscription, end)()
        for subscription, _, _ in open_ones:
            subscription.close()
        for each in received:
            values = each.values
            assert values == sorted(values)
            for number, (update, later) in enumerate(itertools.pairwise(each.updates)):
                # The first is what the cache held: perhaps that of a set whose event is still to come.
                ahead = 0 if number else 1
                assert 1 + later.dropped - ahead <= later.value - update.value <= 1 + later.dropped
        return turns

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(come_and_go, seed) for seed in range(8)]
        done, late = wait(jobs, 40)
        assert not late
        assert sum(job.result() for job in done) > 50
    for name, look in looks.items():
        eventually(lambda name=name, look=look: source.looks(name) == look)
    server.stop()
    # The threads for callbacks are kept for the next ones.
    eventually(
        lambda: (
            {thread.name for thread in threading.enumerate() if thread not in threads}
            <= set(callback_threads())
        ),
        15,
    )
    assert len(callback_threads()) < 60


def callback_threads() -> list[str]:
    """Return the names of the threads on which callbacks run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("user-callback")]


def test_five_hundred_subscriptions_come_and_go_within_seconds(source: Source) -> None:
    received = Received()
    begun = time.monotonic()
    subscriptions = [source.count.subscribe() for _ in range(500)]
    for each in subscriptions:
        each.add_callback(received.take)
    received.wait_for_number(500)
    for each in subscriptions:
        each.close()
    assert time.monotonic() - begun < 10


def test_subscriptions_that_went_leave_no_memory(source: Source) -> None:
    def come_and_go(times: int) -> None:
        for _ in range(times):
            received = Received()
            subscription = source.count.subscribe(lossless=True)
            subscription.add_callback(received.take)
            received.wait_for_number(1)
            subscription.close()

    def kinds() -> dict[str, int]:
        gc.collect()
        found: dict[str, int] = {}
        for each in gc.get_objects():
            kind = f"{type(each).__module__}.{type(each).__qualname__}"
            if kind.startswith("instrumentserver"):
                found[kind] = found.get(kind, 0) + 1
        return found

    come_and_go(20)
    before = kinds()
    come_and_go(60)
    assert {kind: number for kind, number in kinds().items() if number > before.get(kind, 0) + 20} == {}


def test_subscriptions_of_many_servers(new_name: Callable[[], str]) -> None:
    servers = [start_server(new_name(), linger=5) for _ in range(3)]
    receivers = []
    for number, server in enumerate(servers):
        source = server.create(Source, f"source{number}")
        receivers.append(Received())
        source.count.subscribe(lossless=True, queue=5_000).add_callback(receivers[-1].take)
        source.raise_in_threads(2_000)
    for received in receivers:
        received.wait_for_value(2_000)
        assert received.values == list(range(2_001))
