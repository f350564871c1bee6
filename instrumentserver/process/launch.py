"""Starting a server process."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import multiprocess
from multiprocess import process as multiprocess_process

from instrumentserver.errors import InstrumentServerError, UsageError
from instrumentserver.server import ServerOptions
from instrumentserver.transport.exits import watch_exit

from .main import run_server

__all__ = ["ServerStartFailed", "launch"]

_START_SECONDS: Final = 60.0
_EXIT_SECONDS: Final = 1.0
_PRELOAD: Final = "instrumentserver.process.preload"
_starting: Final = threading.Lock()


class ServerStartFailed(InstrumentServerError, RuntimeError):
    """A server process ended before it was ready; the message says why."""


def launch(options: ServerOptions) -> bool:
    """Start a server process and wait until it is ready.

    Returns:
        Whether it became the server; False if another process was faster.

    Raises:
        ServerStartFailed: It ended before it was ready.
        UsageError: It cannot be as it was asked for, such as at a port that is taken.
    """
    _occupy_standard_descriptors()
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    with receiver, sender:
        process = context.Process(
            target=run_server,
            args=(sender, options, dict(os.environ)),
            name=f"instrumentserver {options.name}",
        )
        with _starting, _main_module_hidden(), _without_resource_tracker():
            _start(process)
        sender.close()
        # The server outlives this process: Python must not wait for it at the end.
        multiprocess_process._children.discard(process)
        for each in list(_exits):
            each.look()
        exit_ = _Exit(process)
        _exits.add(exit_)
        watch_exit(process.pid, exit_.code)
        return _await(receiver, exit_, options)


class _Exit:
    """How a process ended. One that has ended is let go of: it has two descriptors.

    Args:
        process: A process of multiprocess that this one has started.
    """

    def __init__(self, process: Any) -> None:
        self._process = process
        self._parent = os.getpid()
        self._code: int | None = None
        self._guard = threading.Lock()

    def code(self) -> int | None:
        """Return the exit code, None if it has not ended; its connections close a moment before it has."""
        return self._look(_EXIT_SECONDS)

    def kill(self) -> None:
        """Kill the process, if it has not ended."""
        with self._guard:
            if self._process is not None:
                self._process.kill()

    def look(self) -> None:
        """Let go of the process if it has ended."""
        self._look(0)

    def _look(self, seconds: float) -> int | None:
        if os.getpid() != self._parent:
            return None
        with self._guard:
            if self._process is None:
                return self._code
            self._process.join(seconds)
            self._code = self._process.exitcode
            if self._code is not None:
                self._process.close()
                self._process = None
                _exits.discard(self)
            return self._code


_exits: Final[set[_Exit]] = set()
"""Those of processes that have not ended yet, as far as is known."""


def _occupy_standard_descriptors() -> None:
    """Keep descriptors 0 to 2 from going to pipes and sockets in a process that runs without standard streams.

    A server puts its log there.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)


def _context() -> Any:
    """Return the way to start processes: a fork server with QCoDeS preloaded where the system has one."""
    if "forkserver" not in multiprocess.get_all_start_methods():
        return multiprocess.get_context("spawn")
    context = multiprocess.get_context("forkserver")
    context.set_forkserver_preload([_PRELOAD])
    return context


def _start(process: Any) -> None:
    try:
        process.start()
    except AssertionError as error:
        raise UsageError(
            "this process is a daemonic child of multiprocess, which may have no children; "
            "start the server in its parent, and connect to it here"
        ) from error


def _await(receiver: Any, exit_: _Exit, options: ServerOptions) -> bool:
    if not receiver.poll(_START_SECONDS):
        exit_.kill()
        raise ServerStartFailed(
            f"server {options.name!r} was not ready within {_START_SECONDS:g} s and was killed"
        )
    try:
        outcome, text = receiver.recv()
    except EOFError:
        raise ServerStartFailed(
            f"server {options.name!r} ended with exit code {exit_.code()} before it was ready"
        ) from None
    if outcome == "refused":
        raise UsageError(text)
    if outcome == "failed":
        raise ServerStartFailed(f"server {options.name!r} could not start:\n{text}")
    return bool(outcome == "ready")


@contextmanager
def _without_resource_tracker() -> Iterator[None]:
    """Keep `multiprocess` from starting its resource tracker, which no server needs.

    The tracker ignores SIGTERM, and a Jupyter kernel that shuts down waits 2.5 s for such children.
    """
    try:
        from multiprocess import resource_tracker
    except ImportError:
        yield
        return
    kept = resource_tracker.ensure_running, resource_tracker.getfd
    nowhere = os.open(os.devnull, os.O_WRONLY)
    resource_tracker.ensure_running, resource_tracker.getfd = lambda: None, lambda: nowhere
    try:
        yield
    finally:
        resource_tracker.ensure_running, resource_tracker.getfd = kept
        os.close(nowhere)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep a starting process from running the user's script again.

    `multiprocess` would import ``__main__`` in the child, which without a main guard starts everything anew.
    Classes that a server needs from there travel by value instead.
    """
    main = sys.modules["__main__"]
    names = ("__file__", "__spec__")
    kept = {name: vars(main)[name] for name in names if name in vars(main)}
    main.__spec__ = None
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        vars(main).update(kept)
        if "__spec__" not in kept:
            del main.__spec__
