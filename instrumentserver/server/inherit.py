"""Threads that a call starts belong to its chain of calls.

Python 3.11 to 3.13 start threads with an empty context, so work that a driver hands to a pool or to a
thread of its own would forget for whom it is done, and a call that comes back could not be told from a
stranger's. Python 3.14 can do this by itself (``thread_inherit_context``).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

__all__ = ["inherit_context"]


def inherit_context() -> None:
    """Have new threads, and tasks of thread pools, run in a copy of their maker's context.

    For a server process, which owns its interpreter; a second call does nothing.
    """
    if getattr(threading.Thread.start, "inherits_context", False):
        return
    start = threading.Thread.start
    submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

    @functools.wraps(start)
    def start_in_context(self: threading.Thread) -> None:
        context, run = copy_context(), self.run
        self.run = lambda: context.run(run)  # type: ignore[method-assign]
        start(self)

    @functools.wraps(submit)
    def submit_in_context(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        return submit(self, functools.partial(copy_context().run, fn), *args, **kwargs)

    start_in_context.inherits_context = True  # type: ignore[attr-defined]
    threading.Thread.start = start_in_context  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[method-assign,assignment]
