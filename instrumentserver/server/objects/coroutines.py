"""Async methods of served objects: one event loop in a thread of the server's own.

A call of an async method waits for its turn as every other call on the object does, and keeps its turn until it has
ended: with ``lock="one"`` and ``lock="each"`` async calls on one object come one after the other; with
``lock="none"`` any number are under way at the same time.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import Any, Final, Protocol

from instrumentserver.errors import CallCycle, ServerLost

__all__ = ["Coroutines", "Waiting", "loop_key"]

_MOST_EARLY: Final = 1024
_END_SECONDS: Final = 2.0


class Waiting(Protocol):
    """The client for whom an async method runs.

    Attributes:
        session: Identifies his process.
        incoming: The chain of calls that his request is part of.
    """

    session: str
    incoming: list[list[str]]


class Coroutines:
    """Runs what async methods return, each for the thread that waits for it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        # Cancelled before they began, the latest last.
        self._early: dict[tuple[str, int], None] = {}
        self._is_closing = False
        self._guard = threading.Lock()

    def finish(self, caller: Waiting, token: int, awaitable: Awaitable[Any]) -> Any:
        """Wait for something in the event loop and return what comes of it, blocking.

        Args:
            caller: For whom.
            token: By which he may cancel it; 0 if he cannot.
            awaitable: What an async method returned.

        Raises:
            asyncio.CancelledError: It was cancelled.
            CallCycle: The event loop stands still until this call has ended.
        """
        loop = self._running_loop()
        if any(key == loop_key(loop) for key, _ in caller.incoming):
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            way = " -> ".join(name for _, name in caller.incoming)
            raise CallCycle(
                f"{way}: an async method called this client's function and waits for it, and no other async method "
                f"can run meanwhile; have it do so with: await asyncio.to_thread(function, ...)"
            )
        done: Future[Any] = Future()
        context = contextvars.copy_context()
        loop.call_soon_threadsafe(self._begin, (caller.session, token), awaitable, done, context)
        # An error that is kept in a future would keep the frames of the call.
        return done.result()

    def cancel(self, caller: Waiting, token: int) -> None:
        """Cancel what a caller's session waits for; also what is still to begin."""
        if self._loop is not None or token:
            self._running_loop().call_soon_threadsafe(self._cancel, (caller.session, token))

    def close(self) -> None:
        """Cancel everything and end the thread."""
        self._is_closing = True
        loop = self._loop
        if loop is None:
            return
        ended = threading.Event()
        loop.call_soon_threadsafe(lambda: loop.create_task(self._end(ended)))
        ended.wait(_END_SECONDS)
        loop.call_soon_threadsafe(loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._run, args=(self._loop,), name="async methods", daemon=True
                ).start()
            return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.close()

    # In the loop's thread

    def _begin(
        self,
        key: tuple[str, int],
        awaitable: Awaitable[Any],
        done: Future[Any],
        context: contextvars.Context,
    ) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._work(key, awaitable, done), context=context)
        if key[1]:
            self._tasks[key] = task
            if key in self._early:
                del self._early[key]
                task.cancel()
        task.add_done_callback(lambda task: self._ended(key, awaitable, done))

    async def _work(self, key: tuple[str, int], awaitable: Awaitable[Any], done: Future[Any]) -> None:
        try:
            value = await awaitable
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            # Also one that would end the loop, and with it everybody's calls.
            done.set_exception(error)
        else:
            done.set_result(value)

    def _ended(self, key: tuple[str, int], awaitable: Awaitable[Any], done: Future[Any]) -> None:
        self._tasks.pop(key, None)
        if asyncio.iscoroutine(awaitable):
            # One that was cancelled in time has not begun, and never will.
            awaitable.close()
        if not done.done():
            stopped = ServerLost("the server was stopped while an async method ran; it was cancelled")
            done.set_exception(stopped if self._is_closing else asyncio.CancelledError("it was cancelled"))

    def _cancel(self, key: tuple[str, int]) -> None:
        task = self._tasks.get(key)
        if task is not None:
            task.cancel()
            return
        self._early[key] = None
        if len(self._early) > _MOST_EARLY:
            del self._early[next(iter(self._early))]

    async def _end(self, ended: threading.Event) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
        ended.set()


def loop_key(loop: asyncio.AbstractEventLoop) -> str:
    """Return by which a chain of calls names an event loop that stands still."""
    return f"loop:{id(loop)}"
