"""Generators, iterators and context managers of a server's methods, used from here."""

from __future__ import annotations

import functools
import os
import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, Final

from instrumentserver.errors import CallTimeout, InstrumentServerError, ServerLost
from instrumentserver.schema import HeldSchema
from instrumentserver.wire.failures import dump_failure, load_failure
from instrumentserver.wire.messages import Op

from .attribute import get_attribute, is_forwarded, set_attribute
from .claim import claimed_class
from .link import Link

__all__ = ["RemoteHeld", "take_held"]


def take_held(link: Link, value: Any) -> Any:
    """Return a call's result as the caller has it: what stayed on the server gets somebody who stands for it."""
    if type(value) is not HeldSchema:
        return value
    return _class_for(value.is_generator, value.is_iterator, value.is_context)(link, value)


class RemoteHeld:
    """Stands for something on the server, which lets go of it when this is gone.

    Its attributes are those of the thing on the server.
    """

    _is_built = True
    _has_ended = False

    def __init__(self, link: Link, schema: HeldSchema) -> None:
        vars(self).update(_link=link, _path=schema.path, _schema=schema)
        _releaser.start()

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        return claimed_class(self._schema.classes, type(self))

    def __repr__(self) -> str:
        return f"<{self._schema.shown} of {self._link.address()}>"

    def __getattr__(self, name: str) -> Any:
        if not is_forwarded(name):
            raise AttributeError(f"{self._schema.shown} has no attribute {name!r}")
        return get_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        set_attribute(self, name, value)

    def _let_go(self) -> None:
        """Have the server end it, after the step that is under way."""
        if not self._has_ended:
            vars(self)["_has_ended"] = True
            _releaser.release(self._link, self._path)

    def __del__(self) -> None:
        if "_path" in vars(self):
            self._let_go()


class _Iterating(RemoteHeld, Iterator[Any]):
    """An iterator on the server; each item is one message, asked for when it is wanted."""

    def __next__(self) -> Any:
        return self._step("next", [])

    def _step(self, method: str, arguments: list[Any], thrown: BaseException | None = None) -> Any:
        if self._has_ended:
            raise StopIteration if thrown is None else thrown
        try:
            how, value = self._link.request(Op.STEP, self._path, method, arguments)
        except (KeyboardInterrupt, SystemExit, CallTimeout, ServerLost):
            # The step may be under way still: what comes of it, nobody will ask for.
            self._let_go()
            raise
        if how == "yielded":
            return value
        vars(self)["_has_ended"] = True
        if how == "returned":
            raise StopIteration(value)
        raise load_failure(value) if thrown is None or how == "raised" else thrown


class _Generating(_Iterating, Generator[Any, Any, Any]):
    """A generator on the server."""

    def send(self, value: Any) -> Any:
        """Have the generator go on with a value, and return what it yields next."""
        return self._step("send", [value])

    def throw(self, error: Any, *rest: Any) -> Any:
        """Raise an error in the generator, and return what it yields next."""
        raised = error if isinstance(error, BaseException) else error(*rest[:1])
        return self._step("throw", [dump_failure(raised, "the client")], raised)

    def close(self) -> None:
        """End the generator."""
        if not self._has_ended:
            vars(self)["_has_ended"] = True
            self._link.request(Op.RELEASE, self._path)


class _Context(RemoteHeld):
    """A context manager on the server."""

    def __enter__(self) -> Any:
        is_itself, value = self._link.request(Op.ENTER, self._path)
        return self if is_itself else take_held(self._link, value)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        failure = None if error is None else dump_failure(error, "the client")
        return bool(self._link.request(Op.EXIT, self._path, failure))


@functools.cache
def _class_for(is_generator: bool, is_iterator: bool, is_context: bool) -> type[RemoteHeld]:
    bases: list[type] = [_Context] if is_context else []
    if is_iterator:
        bases.append(_Generating if is_generator else _Iterating)
    return type(RemoteHeld.__name__, (*bases, RemoteHeld), {"__module__": __name__})


class _Releaser:
    """Tells servers what nobody has any more, in a thread of its own: the collector must not wait for an answer."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Link, str]] = queue.SimpleQueue()
        self._pid = 0

    def start(self) -> None:
        """Be ready; a forked child needs a thread of its own."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._queue = queue.SimpleQueue()
            threading.Thread(target=self._run, args=(self._queue,), name="releaser", daemon=True).start()

    def release(self, link: Link, path: str) -> None:
        """Have a server let go of something soon."""
        self._queue.put((link, path))

    @staticmethod
    def _run(released: queue.SimpleQueue[tuple[Link, str]]) -> None:
        while True:
            link, path = released.get()
            try:
                link.session.request([Op.RELEASE, path])
            except (InstrumentServerError, OSError):
                pass  # The server has gone, and what it held.


_releaser: Final = _Releaser()
