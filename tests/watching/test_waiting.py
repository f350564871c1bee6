"""Waiting for a value, and iterating over what comes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from received import Received, eventually
from watched import Source

from instrumentserver import Server, start_server, wait_until

# wait_for and wait_until


def test_a_value_that_is_there_already_is_not_waited_for(source: Source) -> None:
    source.x(2.0)
    assert source.x.subscribe().wait_for(lambda value: value > 1, timeout=5).value == 2.0
    assert wait_until(source.x, lambda value: value > 1, timeout=5) == 2.0


def test_waiting_ends_with_the_value(source: Source) -> None:
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(source.count.subscribe().wait_for, lambda value: value == 500, 20)
        two = pool.submit(wait_until, source.count, lambda value: value == 500, timeout=20)
        eventually(lambda: source.looks("count") != source.looks("other"))
        source.raise_count(500)
        assert one.result(20).value == 500
        assert two.result(20) == 500


def test_waiting_misses_no_value_that_passes_quickly(source: Source) -> None:
    subscription = source.count.subscribe(lossless=True, queue=10_000)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(subscription.wait_for, lambda value: value == 777, 20)
        eventually(lambda: source.looks("count") != source.looks("other"))
        source.raise_count(3_000)
        assert waiting.result(20).value == 777


def test_wait_until_misses_no_value_that_passes_quickly(source: Source) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_until, source.count, lambda value: value == 7, timeout=20)
        eventually(lambda: source.looks("count") != source.looks("other"))
        source.raise_count(500)
        waiting.result(20)


@pytest.mark.parametrize("timeout", [0.05, 0.0])
def test_waiting_in_vain_is_a_timeout_that_says_what_was_seen_last(source: Source, timeout: float) -> None:
    source.x(3.0)
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"source\.x.*3\.0|3\.0.*source\.x"):
        source.x.subscribe().wait_for(lambda value: value > 5, timeout=timeout)
    with pytest.raises(TimeoutError, match=r"source\.x"):
        wait_until(source.x, lambda value: value > 5, timeout=timeout)
    assert time.monotonic() - begun < 5


def test_after_waiting_nothing_is_watched_any_more(source: Source) -> None:
    looks = source.looks("x")
    wait_until(source.x, lambda value: True, timeout=5)
    with pytest.raises(TimeoutError):
        wait_until(source.x, lambda value: False, timeout=0.02)
    with pytest.raises(ZeroDivisionError):
        wait_until(source.x, lambda value: 1 / 0, timeout=5)
    subscription = source.x.subscribe()
    subscription.wait_for(lambda value: True, timeout=5)
    with pytest.raises(TimeoutError):
        subscription.wait_for(lambda value: False, timeout=0.02)
    eventually(lambda: source.looks("x") == looks)


def test_an_error_of_the_condition_is_the_waiter_s(source: Source) -> None:
    with pytest.raises(TypeError):
        source.x.subscribe().wait_for(lambda value: value > "a", timeout=5)
    with pytest.raises(TypeError):
        wait_until(source.x, lambda value: value > "a", timeout=5)


def test_many_threads_wait_on_one_subscription(source: Source) -> None:
    subscription = source.count.subscribe(lossless=True)
    with ThreadPoolExecutor(8) as pool:
        waiting = [
            pool.submit(subscription.wait_for, lambda value, least=least: value >= least, 20)
            for least in range(10, 90, 10)
        ]
        eventually(lambda: source.looks("count") != source.looks("other"))
        source.raise_count(100)
        assert [job.result(20).value >= least for job, least in zip(waiting, range(10, 90, 10), strict=True)]


def test_waiting_in_a_callback(source: Source) -> None:
    received = Received()

    def wait(update: Any) -> None:
        if update.value == 1.0:
            received.take(source.other.subscribe().wait_for(lambda value: value == 5, timeout=20))

    source.x.subscribe(lossless=True).add_callback(wait)
    source.x(1.0)
    source.other(5)
    assert received.wait_for_number(1)[0].value == 5


def test_waiting_outlasts_a_restart_of_the_server(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=5)
    source = server.create(Source, "source")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_until, source.x, lambda value: value == 4.0, timeout=20)
        eventually(lambda: source.looks("x") != source.looks("drifting"))
        server.kill()
        start_server(server.name).create(Source, "source", x=4.0).x(4.0)
        waiting.result(20)


def test_wait_until_with_a_period_sees_what_changes_by_itself(source: Source) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            source.drifting.subscribe(period=0.005).wait_for, lambda value: value == 4.0, timeout=20
        )
        source.change("drifting", 4.0)
        assert waiting.result(20).value == 4.0


def test_wait_until_takes_a_local_parameter_too() -> None:
    local = Source("local")
    timer = threading.Timer(0.02, local.x, (5.0,))
    timer.start()
    assert wait_until(local.x, lambda value: value == 5.0, timeout=20, period=0.005) == 5.0
    with pytest.raises(TimeoutError, match=r"local_x.*5\.0"):
        wait_until(local.x, lambda value: value == 6.0, timeout=0.02, period=0.005)
    timer.join()
    local.close()


# Iteration


def test_iteration_gives_the_present_value_and_every_change(source: Source) -> None:
    subscription = source.count.subscribe(lossless=True, queue=10_000)
    updates = iter(subscription)
    assert next(updates).value == 0
    source.raise_count(1_000)
    assert [update.value for update in itertools.islice(updates, 1_000)] == list(range(1, 1_001))
    subscription.close()


def test_iteration_over_the_newest_counts_what_it_skipped(source: Source) -> None:
    subscription = source.count.subscribe()
    updates = iter(subscription)
    events = 1 + next(updates).dropped
    source.raise_count(1_000)
    for update in updates:
        events += 1 + update.dropped
        if update.value == 1_000:
            break
    assert events == 1_001
    subscription.close()


def test_close_ends_an_iteration_that_waits(source: Source) -> None:
    subscription = source.x.subscribe()
    begun = threading.Event()

    def collect() -> list[Any]:
        values = []
        for update in subscription:
            values.append(update.value)
            begun.set()
        return values

    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(collect)
        assert begun.wait(20)
        subscription.close()
        assert collecting.result(20) == [0.0]


def test_two_iterations_each_get_everything(source: Source) -> None:
    subscription = source.count.subscribe(lossless=True)
    one, two = iter(subscription), iter(subscription)
    assert (next(one).value, next(two).value) == (0, 0)
    source.raise_count(10)
    assert [next(one).value for _ in range(10)] == [next(two).value for _ in range(10)] == list(range(1, 11))
    subscription.close()


def test_an_iteration_that_is_left_lets_the_server_stop_watching(source: Source) -> None:
    looks = source.looks("x")
    subscription = source.x.subscribe()
    for _ in subscription:
        break
    eventually(lambda: source.looks("x") == looks)


def test_an_iteration_is_interrupted_by_ctrl_c(source: Source) -> None:
    subscription = source.x.subscribe()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        for _ in subscription:
            if not timer.is_alive():
                timer.start()
    timer.join()
    looks = source.looks("other")
    eventually(lambda: source.looks("x")[2:] == looks[2:])


def test_waiting_is_interrupted_by_ctrl_c(source: Source) -> None:
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait_until(source.x, lambda value: False)
    timer.join()


# Async


def test_async_iteration_gives_every_change(source: Source) -> None:
    async def collect() -> list[int]:
        subscription = source.count.subscribe(lossless=True, queue=10_000)
        values = []
        async for update in subscription:
            values.append(update.value)
            if update.value == 0:
                await asyncio.to_thread(source.raise_count, 1_000)
            if update.value == 1_000:
                break
        subscription.close()
        return values

    assert asyncio.run(collect()) == list(range(1_001))


def test_async_iteration_lets_the_loop_run(source: Source) -> None:
    async def tick(ticks: list[int]) -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    async def wait() -> int:
        ticks: list[int] = []
        ticking = asyncio.create_task(tick(ticks))
        subscription = source.x.subscribe(lossless=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                async for _ in subscription:
                    pass
        ticking.cancel()
        subscription.close()
        return len(ticks)

    assert asyncio.run(wait()) > 100


def test_an_async_iteration_that_was_cancelled_leaves_nothing(source: Source) -> None:
    looks = source.looks("x")

    async def wait() -> None:
        async for _ in source.x.subscribe():
            pass

    async def cancel() -> None:
        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(cancel())
    eventually(lambda: source.looks("x") == looks)


def test_close_ends_an_async_iteration(source: Source) -> None:
    async def collect() -> list[float]:
        subscription = source.x.subscribe()
        values = []
        async for update in subscription:
            values.append(update.value)
            subscription.close()
        return values

    async def limited() -> list[float]:
        async with asyncio.timeout(10):
            return await collect()

    assert asyncio.run(limited()) == [0.0]


def test_many_async_iterations_of_one_loop(source: Source) -> None:
    async def collect(number: int) -> list[int]:
        subscription = source.count.subscribe(lossless=True)
        values = []
        async for update in subscription:
            values.append(update.value)
            if update.value == 50:
                break
        return values

    async def gather() -> list[list[int]]:
        collecting = [asyncio.create_task(collect(number)) for number in range(10)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(source.raise_count, 50)
        return await asyncio.wait_for(asyncio.gather(*collecting), 20)

    for values in asyncio.run(gather()):
        assert values == list(range(values[0], 51))


def test_a_condition_that_raises_ends_the_watching_although_its_error_is_kept(
    server: Server, source: Source
) -> None:
    with pytest.raises(ZeroDivisionError) as kept:
        source.x.subscribe().wait_for(lambda value: 1 / 0, 20)
    # The last one to listen closes the line, which the server sees a moment later.
    eventually(lambda: server.status()["watched"] == {}, 5)
    assert kept.value.__traceback__ is not None
