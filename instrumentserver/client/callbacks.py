"""Callbacks: how users' functions are held and called, on threads of their own."""

from __future__ import annotations

import inspect
import itertools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final, Protocol

__all__ = [
    "Task",
    "collected_tasks",
    "has_idle_thread",
    "lasting_task_ended",
    "reference_to",
    "run_lasting",
    "run_later",
    "run_soon",
    "takes_two",
    "want_thread",
]

logger = logging.getLogger(__name__)

_STUCK_SECONDS: Final = 0.01
"""Callbacks that wait longer than this for a thread get one more."""
_MOST_WORKERS: Final = 512


class Task(Protocol):
    """Something to be run on a thread for callbacks."""

    def run(self) -> None:
        """Do it; raises nothing."""


class _Workers:
    """The threads for callbacks: one beside those with lasting tasks, and one more whenever all are busy for longer."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self.collecting: dict[int, list[Task]] = {}
        self._lasting = 0
        self._idle = 0
        self._count = 0
        self._begun = 0
        self._numbers = itertools.count()
        self._guard = threading.RLock()
        self._backlog = threading.Event()

    def run_soon(self, task: Task) -> None:
        """Run a task on one of the threads."""
        if self.collecting:
            collected = self.collecting.get(threading.get_ident())
            if collected is not None:
                collected.append(task)
                return
        self._tasks.put(task)
        self.want_one()
        if self._tasks.qsize() > self._idle:
            self._backlog.set()

    def run_later(self, task: Task) -> None:
        """Run a task when one of the threads is free; may be called while garbage is collected."""
        self._tasks.put(task)

    def run_lasting(self, task: Task) -> None:
        """Run a task that keeps a thread until `lasting_task_ended`, or hands it over to another one."""
        with self._guard:
            self._lasting += 1
        self.want_one()
        with self._guard:
            while self._count <= self._lasting:
                self._start()
        self.run_soon(task)

    def lasting_task_ended(self) -> None:
        """Have the thread of a task that lasted be used for others."""
        with self._guard:
            self._lasting -= 1

    def has_idle(self) -> bool:
        """Return whether a task would be run at once, as far as can be seen."""
        return self._idle > self._tasks.qsize()

    def want_one(self) -> None:
        """Make sure that there is a thread."""
        if self._count:
            return
        with self._guard:
            if not self._count:
                self._start()
                threading.Thread(target=self._watch, name="user-callback-watch", daemon=True).start()

    def _start(self) -> None:
        with self._guard:
            self._count += 1
        name = f"user-callback-executor_{next(self._numbers)}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        get, guard = self._tasks.get, self._guard
        while True:
            with guard:
                self._idle += 1
            task = get()
            with guard:
                self._idle -= 1
                self._begun += 1
                is_last = not self._idle
            if is_last and not self._tasks.empty():
                # It came while this thread counted as idle.
                self._backlog.set()
            try:
                task.run()
            except BaseException:
                # Also one that wants to end the thread: there are others whose callbacks run here.
                logger.exception("a callback failed")
            del task

    def _watch(self) -> None:
        """Add a thread when nothing was begun for a while although there is something to do."""
        while True:
            self._backlog.wait()
            begun = self._begun
            time.sleep(_STUCK_SECONDS)
            if self._tasks.empty():
                self._backlog.clear()
                # One that came just now has found nobody idle, or somebody.
                if not self._tasks.empty():
                    self._backlog.set()
            elif begun == self._begun and self._count < _MOST_WORKERS:
                self._start()


_workers = _Workers()


def run_soon(task: Task) -> None:
    """Run a task on a thread for callbacks."""
    _workers.run_soon(task)


def run_lasting(task: Task) -> None:
    """Run a task that lasts on a thread for callbacks, of which there is one more for it.

    The task may end by giving another task, its continuation, to `run_soon`; the last one tells `lasting_task_ended`.
    """
    _workers.run_lasting(task)


def lasting_task_ended() -> None:
    """Tell that a task of `run_lasting` has ended."""
    _workers.lasting_task_ended()


def has_idle_thread() -> bool:
    """Return whether a thread for callbacks waits for something to do, as far as can be seen."""
    return _workers.has_idle()


@contextmanager
def collected_tasks() -> Iterator[list[Task]]:
    """Yield the tasks that this thread gives to `run_soon` during the block: nobody runs them."""
    collecting, me = _workers.collecting, threading.get_ident()
    tasks = collecting[me] = []
    try:
        yield tasks
    finally:
        del collecting[me]


def run_later(task: Task) -> None:
    """Run a task on a thread for callbacks when one is free; may be called while garbage is collected."""
    _workers.run_later(task)


def want_thread() -> None:
    """Make sure that there is a thread for callbacks, for what `run_later` will be called with."""
    _workers.want_one()


def _begin_anew() -> None:
    """Begin without threads in a forked child, which has none of its parent's."""
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def reference_to(function: Any, on_gone: Callable[[Any], None]) -> Callable[[], Any]:
    """Return what returns a callback as long as somebody else has it, then None.

    Functions of C such as ``list.append``, which exist for the moment of being named only, are kept.

    Args:
        function: The callback.
        on_gone: Called with the reference when the callback is gone.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(function):
        raise TypeError(f"{function!r} cannot be called; give a function of one argument, the update")
    if inspect.ismethod(function):
        return weakref.WeakMethod(function, on_gone)
    if inspect.isbuiltin(function) or isinstance(function, type(list.append)):
        return lambda: function
    try:
        return weakref.ref(function, on_gone)
    except TypeError:
        return lambda: function


def takes_two(function: Callable[..., Any]) -> bool:
    """Return whether a callback wants the subscription before the update: ``f(sub, update)``, not ``f(update)``."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [
        each for each in arguments if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    required = [each for each in positional if each.default is each.empty]
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in arguments)
    return len(required) >= 2 or (takes_any and not positional)
