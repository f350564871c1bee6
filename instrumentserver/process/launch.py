"""Starting a server process."""

from __future__ import annotations

import functools
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
        watch_exit(process.pid, functools.partial(_exit_code, process, os.getpid()))
        return _await(receiver, process, options)


def _exit_code(process: Any, parent: int) -> int | None:
    """Return how a process ended, None if it has not; its connections close a moment before it has."""
    if os.getpid() != parent:
        return None
    process.join(_EXIT_SECONDS)
    code: int | None = process.exitcode
    return code


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


def _await(receiver: Any, process: Any, options: ServerOptions) -> bool:
    if not receiver.poll(_START_SECONDS):
        process.kill()
        raise ServerStartFailed(
            f"server {options.name!r} was not ready within {_START_SECONDS:g} s and was killed"
        )
    try:
        outcome, text = receiver.recv()
    except EOFError:
        process.join()
        raise ServerStartFailed(
            f"server {options.name!r} ended with exit code {process.exitcode} before it was ready"
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
