"""Calls of this process's functions by servers: one thread for all, one call after the other, as they come.

A call that comes from within another one, because that one called the server again, runs on a thread of its own.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol

from instrumentserver.errors import InstrumentServerError
from instrumentserver.transport.chain import Link, current_work
from instrumentserver.wire.failures import dump_failure

__all__ = ["FunctionCall", "here", "run_call", "run_in_turn"]

logger = logging.getLogger(__name__)


class Functions(Protocol):
    """The functions that a server has."""

    def function(self, number: int) -> Callable[..., Any]:
        """Return the function of a number."""

    def arguments(self, message: bytes, buffers: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a call."""

    def answer(self, call: int, outcome: list[Any]) -> None:
        """Tell the server how a call ended: ``["returned", value]`` or ``["raised", failure]``."""


class FunctionCall:
    """One call of a function.

    Args:
        functions: Those that the server has.
        call: By which the server knows the call.
        number: Of the function.
        chain: The calls that wait for this one, outermost first, and at the end this one.
        message: The arguments.
        buffers: Their buffers.
    """

    def __init__(
        self,
        functions: Functions,
        call: int,
        number: int,
        chain: list[Link],
        message: bytes,
        buffers: list[Any],
    ) -> None:
        self._functions = functions
        self._call = call
        self._number = number
        self._chain = chain
        self._message = message
        self._buffers = buffers

    def chain(self) -> list[Link]:
        """Return what waits for this work, outermost first."""
        return self._chain

    def is_nested(self) -> bool:
        """Return whether a call that is under way here waits for this one."""
        return any(key in _under_way for key, _ in self._chain[:-1])

    def run(self) -> None:
        """Call the function and answer."""
        key = self._chain[-1][0]
        _under_way.add(key)
        token = current_work.set(self)
        try:
            outcome = self._outcome()
        finally:
            current_work.reset(token)
            _under_way.discard(key)
        self._functions.answer(self._call, outcome)

    def _outcome(self) -> list[Any]:
        try:
            function = self._functions.function(self._number)
            args, kwargs = self._functions.arguments(self._message, self._buffers)
            value = function(*args, **kwargs)
            if inspect.iscoroutine(value):
                value.close()
                raise TypeError(f"{function!r} is async; a server can call plain functions only")
            return ["returned", value]
        except BaseException as error:
            logger.exception("a function that a server called failed")
            return ["raised", dump_failure(error, here())]


class _Turns:
    """The thread on which servers' calls run."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._is_running = False
        self._guard = threading.Lock()

    def run(self, job: Callable[[], None]) -> None:
        """Run a job on the thread, after those that came before."""
        self._jobs.put(job)
        with self._guard:
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._work, name="callbacks of servers", daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            _finish(job)
            # It holds the arguments until the next one comes.
            del job


_turns = _Turns()
_under_way: Final[set[str]] = set()


def run_call(call: FunctionCall) -> None:
    """Run a call when its turn comes. Never blocks."""
    if call.is_nested():
        threading.Thread(target=_finish, args=(call.run,), name="nested callback", daemon=True).start()
    else:
        _turns.run(call.run)


def run_in_turn(job: Callable[[], None]) -> None:
    """Run something on the thread for calls, after those that came before."""
    _turns.run(job)


def here() -> str:
    """Return this process, for the headings of tracebacks."""
    return f"client {Path((sys.argv or [''])[0]).name or 'python'} (pid {os.getpid()})"


def _finish(job: Callable[[], None]) -> None:
    try:
        job()
    except (InstrumentServerError, OSError):
        pass  # The server has gone, and nobody waits for the answer.
    except Exception:
        logger.exception("a call of a server could not be answered")


def _begin_anew() -> None:
    """Begin without a thread in a forked child: the server calls its parent."""
    global _turns
    _turns = _Turns()
    _under_way.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
