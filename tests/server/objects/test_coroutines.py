"""The event loop in which async methods of served objects run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from instrumentserver.errors import CallCycle, ServerLost
from instrumentserver.server.objects.coroutines import Coroutines, loop_key


class Waiter:
    """A client that waits."""

    def __init__(self, session: str = "mine") -> None:
        self.session = session
        self.incoming: list[list[str]] = []


@pytest.fixture
def coroutines() -> Iterator[Coroutines]:
    """Return an event loop of this test's own."""
    made = Coroutines()
    yield made
    made.close()


async def give(value: Any) -> Any:
    """Return a value."""
    await asyncio.sleep(0)
    return value


async def wait_for_ever(begun: threading.Event) -> None:
    """Begin, and never end."""
    begun.set()
    await asyncio.Event().wait()


def test_what_is_waited_for_comes_back(coroutines: Coroutines) -> None:
    assert coroutines.finish(Waiter(), 0, give(5)) == 5


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), StopAsyncIteration()]
)
def test_an_error_comes_out_and_the_loop_goes_on(coroutines: Coroutines, error: BaseException) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        coroutines.finish(Waiter(), 0, fail())
    assert raised.value is error
    assert coroutines.finish(Waiter(), 0, give(1)) == 1


def test_every_call_runs_on_the_same_thread(coroutines: Coroutines) -> None:
    async def thread() -> int:
        return threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        threads = set(pool.map(lambda _: coroutines.finish(Waiter(), 0, thread()), range(8)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_call_is_cancelled_by_its_session_and_number_alone(coroutines: Coroutines) -> None:
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(coroutines.finish, Waiter("mine"), 7, wait_for_ever(begun))
        assert begun.wait(5)
        coroutines.cancel(Waiter("theirs"), 7)
        coroutines.cancel(Waiter("mine"), 8)
        assert coroutines.finish(Waiter(), 0, give(1)) == 1
        assert not waiting.done()
        coroutines.cancel(Waiter("mine"), 7)
        with pytest.raises(asyncio.CancelledError):
            waiting.result(5)


def test_a_call_that_is_cancelled_before_it_begins_does_not_begin(coroutines: Coroutines) -> None:
    coroutines.cancel(Waiter(), 3)
    begun = threading.Event()
    with pytest.raises(asyncio.CancelledError):
        coroutines.finish(Waiter(), 3, wait_for_ever(begun))
    assert not begun.is_set()


def test_a_method_that_ends_in_spite_of_being_cancelled_returns_its_value(coroutines: Coroutines) -> None:
    begun = threading.Event()

    async def stubborn() -> str:
        try:
            await wait_for_ever(begun)
        except asyncio.CancelledError:
            return "all the same"
        return ""

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(coroutines.finish, Waiter(), 9, stubborn())
        assert begun.wait(5)
        coroutines.cancel(Waiter(), 9)
        assert waiting.result(5) == "all the same"


def test_the_end_of_the_server_cancels_what_is_under_way() -> None:
    coroutines = Coroutines()
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(coroutines.finish, Waiter(), 1, wait_for_ever(begun))
        assert begun.wait(5)
        coroutines.close()
        with pytest.raises(ServerLost, match="server was stopped"):
            waiting.result(5)


def test_a_call_for_which_the_loop_stands_still_is_refused(coroutines: Coroutines) -> None:
    async def key() -> str:
        return loop_key(asyncio.get_running_loop())

    waiter = Waiter()
    waiter.incoming = [["lock", "unix:s/a.apply"], [coroutines.finish(Waiter(), 0, key()), "the loop"]]
    with pytest.raises(CallCycle, match=r"unix:s/a\.apply -> the loop.*asyncio\.to_thread"):
        coroutines.finish(waiter, 0, give(1))


def test_work_of_the_caller_is_known_in_the_loop(coroutines: Coroutines) -> None:
    from instrumentserver.transport.chain import current_work

    class Work:
        def chain(self) -> list[list[str]]:
            return [["lock", "unix:s/a"]]

    async def chain() -> Any:
        work = current_work.get()
        return work and work.chain()

    token = current_work.set(Work())
    try:
        assert coroutines.finish(Waiter(), 0, chain()) == [["lock", "unix:s/a"]]
    finally:
        current_work.reset(token)
