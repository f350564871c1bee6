"""Iterators, generators and contexts of served objects, sync and async."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from instrumentserver import Server
from instrumentserver.errors import NotPortable, RemoteError, ServerLost


def soon(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return whether it does within 5 s."""
    pause, give_up = Event(), time.monotonic() + 5
    while not condition() and time.monotonic() < give_up:
        pause.wait(0.002)
    return condition()


def test_a_generator_is_run_there_item_by_item(sdk: Any) -> None:
    stream = sdk.Stream()
    numbers = stream.numbers(3)
    assert isinstance(numbers, Generator)
    assert next(numbers) == 0
    assert stream.ended == []
    assert list(numbers) == [1, 2]
    assert stream.ended == ["numbers"]


def test_a_generator_is_sent_values_and_returns_one(sdk: Any) -> None:
    numbers = sdk.Stream().numbers(2)
    assert [next(numbers), numbers.send(40)] == [0, 40]
    with pytest.raises(StopIteration) as end:
        next(numbers)
    assert end.value.value == "done"
    with pytest.raises(StopIteration):
        next(numbers)


def test_an_error_is_thrown_into_a_generator(sdk: Any) -> None:
    numbers = sdk.Stream().numbers(5)
    next(numbers)
    assert numbers.throw(ValueError("enough")) == -1
    with pytest.raises(StopIteration) as end:
        next(numbers)
    assert end.value.value == "ended by enough"


def test_an_error_that_a_generator_does_not_catch_comes_back_as_itself(sdk: Any) -> None:
    numbers = sdk.Stream().numbers(5)
    next(numbers)
    mine = KeyError("mine")
    with pytest.raises(KeyError) as raised:
        numbers.throw(mine)
    assert raised.value is mine
    assert list(numbers) == []


def test_an_error_in_a_generator_arrives_and_ends_it(sdk: Any) -> None:
    failing = sdk.Stream().failing()
    assert next(failing) == 1
    with pytest.raises(RemoteError, match="the stream broke"):
        next(failing)
    with pytest.raises(StopIteration):
        next(failing)


def test_a_generator_is_closed(sdk: Any) -> None:
    stream = sdk.Stream()
    numbers = stream.numbers(5)
    next(numbers)
    numbers.close()
    assert stream.ended == ["numbers"]
    assert list(numbers) == []


def test_a_generator_that_nobody_has_any_more_is_closed(sdk: Any) -> None:
    stream = sdk.Stream()
    next(stream.numbers(5))
    gc.collect()
    assert soon(lambda: stream.ended == ["numbers"])


def test_items_may_be_objects(sdk: Any) -> None:
    assert [device.serial for device in sdk.Stream().devices()] == ["A", "B"]


def test_iterators_of_python_are_run_there(sdk: Any) -> None:
    absolutes = sdk.Stream().absolutes()
    assert isinstance(absolutes, Iterator)
    assert iter(absolutes) is absolutes
    assert list(absolutes) == [0, 1, 2, 3]
    assert list(absolutes) == []


def test_a_property_may_be_a_stream(sdk: Any) -> None:
    stream = sdk.Stream()
    assert list(stream.live) == [1, 2, 3]
    assert list(stream.live) == [1, 2, 3]


def test_a_generator_holds_its_object_s_lock_for_one_step_only(server: Server, without_sdk: None) -> None:
    stream = server.serve("sdk_sample:Stream", "stream", lock="one", arguments=[])
    numbers = stream.numbers(3)
    assert next(numbers) == 0
    assert stream.ended == []
    assert list(numbers) == [1, 2]


# Contexts


def test_a_context_is_entered_and_left_there(sdk: Any) -> None:
    with sdk.Stream().session() as session:
        assert session.left_with == "still inside"
    assert session.left_with == "no error"


def test_an_object_that_is_a_context_gives_itself(sdk: Any) -> None:
    session = sdk.Session()
    with session as entered:
        assert entered is session


def test_the_error_with_which_a_context_is_left_arrives_there(sdk: Any) -> None:
    session = sdk.Session()
    with pytest.raises(ValueError, match="mine"), session:
        raise ValueError("mine")
    assert session.left_with == "ValueError: mine"


def test_a_context_may_swallow_the_error(sdk: Any) -> None:
    session = sdk.Session(swallows=True)
    with session:
        raise ValueError("mine")
    assert session.left_with == "ValueError: mine"


# Async methods


def test_an_async_method_is_waited_for(sdk: Any) -> None:
    stream = sdk.Stream()
    assert asyncio.iscoroutinefunction(stream.later)
    assert asyncio.run(stream.later({"a": 1})) == {"a": 1}
    assert asyncio.run(stream.later(sdk.createDevice("S6"))).serial == "S6"


def test_an_error_of_an_async_method_arrives(sdk: Any) -> None:
    with pytest.raises(RemoteError, match="later"):
        asyncio.run(sdk.Stream().failing_later())


def test_what_a_plain_method_returns_to_be_waited_for_is_waited_for_there(sdk: Any) -> None:
    assert sdk.Stream().soon(5) == 5


@pytest.mark.slow
def test_async_calls_are_under_way_at_the_same_time_where_nothing_is_locked(sdk: Any) -> None:
    stream = sdk.Stream()

    async def together() -> list[Any]:
        return await asyncio.gather(*(stream.later(number, 0.2) for number in range(10)))

    begun = time.monotonic()
    assert asyncio.run(together()) == list(range(10))
    assert time.monotonic() - begun < 1.5


@pytest.mark.slow
def test_async_calls_take_turns_where_there_is_one_lock(server: Server, without_sdk: None) -> None:
    stream = server.serve("sdk_sample:Stream", "stream", lock="one", arguments=[])

    async def together() -> list[Any]:
        return await asyncio.gather(*(stream.later(number, 0.1) for number in range(3)))

    begun = time.monotonic()
    assert asyncio.run(together()) == [0, 1, 2]
    assert time.monotonic() - begun > 0.29


@pytest.mark.slow
def test_an_async_call_that_is_cancelled_here_is_cancelled_there(sdk: Any) -> None:
    stream = sdk.Stream()

    async def hurry() -> None:
        await asyncio.wait_for(stream.later(1, 30), 0.1)

    with pytest.raises(TimeoutError):
        asyncio.run(hurry())
    assert stream.cancelled == 1


@pytest.mark.slow
def test_an_async_call_that_is_cancelled_while_it_waits_for_its_turn_never_begins(
    server: Server, without_sdk: None
) -> None:
    stream = server.serve("sdk_sample:Stream", "stream", lock="one", arguments=[])

    async def hurry() -> None:
        first = asyncio.create_task(stream.later(1, 0.4))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(stream.later(2, 30))
        await asyncio.sleep(0.1)
        second.cancel()
        assert await first == 1
        with pytest.raises(asyncio.CancelledError):
            await second

    begun = time.monotonic()
    asyncio.run(hurry())
    assert time.monotonic() - begun < 5


@pytest.mark.slow
def test_a_server_that_is_stopped_cancels_async_methods(sdk: Any, server: Server) -> None:
    stream = sdk.Stream()

    async def wait() -> None:
        waiting = asyncio.create_task(stream.later(1, 30))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.stop)
        await waiting

    with pytest.raises(ServerLost):
        asyncio.run(wait())


def test_an_async_generator_is_run_there(sdk: Any) -> None:
    stream = sdk.Stream()

    async def collect() -> list[int]:
        return [number async for number in stream.ticks(3)]

    assert asyncio.run(collect()) == [0, 1, 2]
    assert stream.ended == ["ticks"]


def test_an_async_generator_is_closed(sdk: Any) -> None:
    stream = sdk.Stream()

    async def begin() -> None:
        ticks = stream.ticks(3)
        assert await anext(ticks) == 0
        await ticks.aclose()

    asyncio.run(begin())
    assert stream.ended == ["ticks"]


def test_an_async_generator_that_nobody_has_any_more_is_closed(sdk: Any) -> None:
    stream = sdk.Stream()

    async def begin() -> None:
        assert await anext(stream.ticks(3)) == 0

    asyncio.run(begin())
    gc.collect()
    assert soon(lambda: stream.ended == ["ticks"])


def test_an_async_context_is_entered_and_left_there(sdk: Any) -> None:
    async def use() -> Any:
        async with sdk.Session() as session:
            assert session.left_with == "still inside"
        return session

    assert asyncio.run(use()).left_with == "no error"


def test_async_methods_of_many_threads_run_in_the_one_loop(sdk: Any) -> None:
    stream = sdk.Stream()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: asyncio.run(stream.later(number, 0.01)), range(8)))
    assert found == list(range(8))


def test_an_item_that_must_not_leave_is_refused(sdk: Any) -> None:
    items = sdk.Stream().modules()
    assert next(items) == 1
    with pytest.raises(NotPortable, match="cannot be given to a client"):
        next(items)
    assert next(items) == 2
