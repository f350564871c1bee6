"""Functions of clients, called from the server.

A function arrives as a number, and the object that got it has a `ClientFunction` instead. A call goes over the event
connection of the client's session; whoever calls waits for the answer, in any thread of the server. The client is told
when nothing here has the function any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import uuid
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, Protocol

import numpy as np

from instrumentserver.errors import ClientLost, ProtocolError
from instrumentserver.transport.chain import Link, current_work
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import CALLBACK_CODE

from .coroutines import loop_key

__all__ = ["ClientFunction", "ClientFunctions", "Way"]

logger = logging.getLogger(__name__)

_calls: Final = itertools.count(1)
_LONGEST: Final = 200


class Way(Protocol):
    """The event connection of a client.

    Attributes:
        who: The client, for people.
    """

    who: str

    def tell(self, entry: list[Any]) -> None:
        """Send an entry soon. Never blocks."""

    def tell_at_once(self, entry: list[Any]) -> None:
        """Send an entry in this thread."""

    def encode(self, value: Any, family: Any) -> tuple[bytes, Sequence[memoryview]]:
        """Return the bytes of a value for the client; what cannot travel stays here, in the family."""

    def decode(self, message: bytes, buffers: Sequence[memoryview]) -> Any:
        """Return the value that the client encoded."""


class ClientFunction:
    """A function of a client. Calling it calls the function there, and returns or raises what it does there.

    Args:
        functions: Those of all clients.
        session: The client's session.
        number: By which the client knows it.
        name: How it reads there.
        who: The client, for people.
    """

    def __init__(self, functions: ClientFunctions, session: str, number: int, name: str, who: str) -> None:
        self._functions = functions
        self._session = session
        self._number = number
        self._family: Any = None
        self._who = who
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, blocking until the client has answered.

        Raises:
            ClientLost: The client has gone.
            CallCycle: The function called an object that waits for this call.
            Exception: Whatever the function raised.
        """
        return self._functions.call(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<function {self.__name__} of {self._who}>"


class _Call:
    """A call that is under way."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.has_ended = threading.Event()
        self.answer: tuple[bytes, list[Any]] | None = None


class ClientFunctions:
    """The functions that a server has of its clients."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex[:8]
        self._ways: dict[str, Way] = {}
        self._names: dict[str, str] = {}
        self._known: weakref.WeakValueDictionary[tuple[str, int], ClientFunction] = (
            weakref.WeakValueDictionary()
        )
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._untold: dict[str, list[list[Any]]] = {}
        self._under_way: dict[int, _Call] = {}
        self._guard = threading.RLock()

    # Arriving and leaving

    def load(self, session: str, plain: Any) -> ClientFunction:
        """Return what stands for a function that has arrived: the same as long as anybody has it."""
        number, name = plain
        if type(number) is not int or type(name) is not str:
            raise ProtocolError(f"{str(plain)[:80]} is no function")
        with self._guard:
            key = session, number
            function = self._known.get(key)
            if function is None:
                function = ClientFunction(
                    self, session, number, name[:_LONGEST], self._names.get(session, "a client")
                )
                count = [0, 0]
                weakref.finalize(function, self._let_go, session, number, count).atexit = False
                self._known[key] = function
                self._counts[key] = count
            self._counts[key][0] += 1
        return function

    def dump(self, session: str, value: Any) -> tuple[int, Any] | None:
        """Return the code and the plain values by which a client gets his own function back, None for others."""
        if type(value) is ClientFunction and value._session == session:
            with self._guard:
                self._counts[session, value._number][1] += 1
            return CALLBACK_CODE, [value._number, value.__name__]
        return None

    def _let_go(self, session: str, number: int, count: list[int]) -> None:
        """Tell the client that nothing has a function any more. May be called while garbage is collected."""
        if self._counts.get((session, number)) is count:
            del self._counts[session, number]
        entry = ["forget", number, *count]
        way = self._ways.get(session)
        if way is not None:
            way.tell(entry)
        elif session in self._names:
            self._untold.setdefault(session, []).append(entry)

    # Clients

    def open(self, session: str, way: Way) -> None:
        """Have a client's functions be called over an event connection; the latest one counts."""
        self._ways[session] = way
        self._names[session] = way.who
        for entry in self._untold.pop(session, ()):
            way.tell(entry)

    def close(self, session: str, way: Way) -> None:
        """Have the calls over a connection end with an error, for the client has gone."""
        if self._ways.get(session) is way:
            del self._ways[session]
        for call in list(self._under_way.values()):
            if call.way is way:
                call.has_ended.set()

    def drop_session(self, session: str) -> None:
        """Forget who a client was."""
        self._names.pop(session, None)
        self._untold.pop(session, None)

    # Calling

    def call(self, function: ClientFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a function; see `ClientFunction`."""
        way = self._ways.get(function._session)
        if way is None:
            self._raise_lost(function)
        number = next(_calls)
        chain = [*_chain(), [f"function:{self._id}:{number}", f"{function.__name__} of {way.who}"]]
        message, buffers = way.encode([list(args), dict(kwargs)], function._family)
        call = self._under_way[number] = _Call(way)
        try:
            arrays = [np.frombuffer(each, np.uint8) for each in buffers]
            way.tell_at_once(["call", number, function._number, chain, message, arrays])
            if self._ways.get(function._session) is way:
                call.has_ended.wait()
        finally:
            del self._under_way[number]
        if call.answer is None:
            self._raise_lost(function, " before it answered")
        answer, arrays = call.answer
        return _result(way.decode(answer, [each.data for each in arrays]), chain[-1][1])

    def answered(self, way: Way, number: int, message: bytes, buffers: list[Any]) -> None:
        """Hear a client's answer to a call.

        Raises:
            TypeError: It is no answer.
        """
        if type(message) is not bytes or not all(type(each) is np.ndarray for each in buffers):
            raise TypeError(f"{str(message)[:80]} is no answer")
        call = self._under_way.get(number)
        if call is not None and call.way is way:
            call.answer = message, buffers
            call.has_ended.set()

    def _raise_lost(self, function: ClientFunction, when: str = "") -> NoReturn:
        raise ClientLost(
            f"{function._who} has gone{when}, and its function {function.__name__} with it; "
            f"catch this error where the function is called, and forget the function"
        )


def _result(outcome: Any, name: str) -> Any:
    """Return or raise what a function did."""
    try:
        how, value = outcome
        if how == "returned":
            return value
        error = load_failure(value)
    except (TypeError, LookupError, ValueError, AttributeError) as wrong:
        raise ProtocolError(f"{str(outcome)[:80]} is no answer of {name}: {wrong}") from wrong
    raise error


def _chain() -> list[Link]:
    """Return the calls that wait for what this thread is doing."""
    work = current_work.get()
    chain = [] if work is None else list(work.chain())
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return chain
    return [*chain, [loop_key(loop), "the event loop of async methods"]]
