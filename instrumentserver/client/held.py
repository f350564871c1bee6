"""Generators, iterators and context managers of a server's methods, used from here."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, Final

from instrumentserver.errors import InstrumentServerError
from instrumentserver.schema import HeldSchema
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import Op

from .link import Link

__all__ = ["take_held"]


def take_held(link: Link, value: Any) -> Any:
    """Return a call's result as the caller has it: what stayed on the server gets somebody who stands for it."""
    if type(value) is HeldSchema:
        return _KINDS[value.kind](link, value)
    return value


class _Held:
    """Stands for something on the server, which lets go of it when this is gone."""

    _has_ended = False

    def __init__(self, link: Link, schema: HeldSchema) -> None:
        self._link = link
        self._schema = schema
        _releaser.start()

    def _request(self, operation: str, *arguments: Any) -> Any:
        return self._link.request(operation, "", self._schema.number, *arguments)

    def __repr__(self) -> str:
        return f"<{self._schema.shown} of {self._link.address()}>"

    def __del__(self) -> None:
        if not self._has_ended:
            _releaser.release(self._link, self._schema.number)


class RemoteIterator(_Held, Iterator[Any]):
    """An iterator on the server; each item is one message, asked for when it is wanted."""

    def __next__(self) -> Any:
        return self._step("next", [])

    def _step(self, method: str, arguments: list[Any]) -> Any:
        if self._has_ended:
            raise StopIteration
        try:
            has_more, value = self._request(Op.STEP, method, arguments)
        except BaseException:
            # As with a generator of this process: the one that raised has ended.
            self._has_ended = isinstance(self, Generator)
            raise
        if not has_more:
            self._has_ended = True
            raise StopIteration(value)
        return value


class RemoteGenerator(RemoteIterator, Generator[Any, Any, Any]):
    """A generator on the server."""

    def send(self, value: Any) -> Any:
        """Have the generator go on with a value, and return what it yields next."""
        return self._step("send", [value])

    def throw(self, error: Any, *rest: Any) -> Any:
        """Raise an error in the generator, and return what it yields next."""
        raised = error if isinstance(error, BaseException) else error(*rest[:1])
        if self._has_ended:
            raise raised
        return self._step("throw", [dump_failure(raised, "the client")])

    def close(self) -> None:
        """End the generator."""
        if not self._has_ended:
            self._has_ended = True
            self._link.request(Op.RELEASE, "", [self._schema.number])


class RemoteContext(_Held):
    """A context manager on the server."""

    def __enter__(self) -> Any:
        is_itself, value = self._request(Op.ENTER)
        return self if is_itself else value

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        self._has_ended = True
        failure = None if error is None else dump_failure(error, "the client")
        return bool(self._request(Op.EXIT, failure))


_KINDS: Final[dict[str, type[Any]]] = {
    "generator": RemoteGenerator,
    "iterator": RemoteIterator,
    "context": RemoteContext,
}


class _Releaser:
    """Tells servers what nobody has any more, in a thread of its own: the collector must not wait for an answer."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Link, int]] = queue.SimpleQueue()
        self._pid = 0

    def start(self) -> None:
        """Be ready; a forked child needs a thread of its own."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._queue = queue.SimpleQueue()
            threading.Thread(target=self._run, args=(self._queue,), name="releaser", daemon=True).start()

    def release(self, link: Link, number: int) -> None:
        """Have a server let go of something soon."""
        self._queue.put((link, number))

    @staticmethod
    def _run(released: queue.SimpleQueue[tuple[Link, int]]) -> None:
        while True:
            link, number = released.get()
            try:
                link.session.request([Op.RELEASE, "", [number]])
            except (InstrumentServerError, OSError):
                pass  # The server has gone, and what it held.


_releaser: Final = _Releaser()
