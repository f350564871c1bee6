"""Functions of this process that servers call: they go as arguments, and stay here.

A function goes as a number, by which the server calls it over the event connection.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

import numpy as np
from qcodes.metadatable import Metadatable

from instrumentserver.errors import ConnectFailed, NotPortable, ServerLost
from instrumentserver.transport.chain import Link
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import CALLBACK_CODE

from ..events import EventStream, stream_of
from ..session import Session
from .function_calls import FunctionCall, here, run_call, run_in_turn

__all__ = ["ShippedFunction", "form", "load", "request_with_functions"]


_CODE: Final = (FunctionType, BuiltinFunctionType, MethodType)


@dataclass(frozen=True)
class ShippedFunction:
    """A function on its way to a server.

    Attributes:
        number: By which the server names it.
        name: How it reads.
    """

    number: int
    name: str


def form(session: Session, value: Any) -> tuple[int, Any] | None:
    """Return the code and the plain values for a shipped function, None for anything else."""
    return (CALLBACK_CODE, [value.number, value.name]) if type(value) is ShippedFunction else None


def load(session: Session, plain: Any) -> Callable[..., Any]:
    """Return the function of this process that a server sends back."""
    return _functions_of(session).come_back(plain[0])


def _ship_functions(session: Session, value: Any) -> Any:
    """Return an argument with `ShippedFunction` for functions of this process, in lists, tuples, sets and dicts too.

    An argument without any is returned itself.
    """
    return _in_containers(value, lambda part: _ship(session, part))


def request_with_functions(
    session: Session, request: list[Any], error: NotPortable, send: Callable[[list[Any]], list[Any]]
) -> list[Any]:
    """Send a request again that could not be sent, with functions in it as numbers, and return the reply.

    Args:
        session: With the server.
        request: The request.
        error: Why it could not be sent; raised if there is no function in it.
        send: Sends it.
    """
    shipped = _ship_functions(session, request)
    if shipped is request:
        raise error
    try:
        return send(shipped)
    except (NotPortable, ConnectFailed) as refused:
        # One that the server raised brings its traceback as a note; any other was raised before anything was sent.
        if not hasattr(refused, "__notes__"):
            _in_containers(shipped, lambda part: _take_back(session, part))
        raise


def _ship(session: Session, value: Any) -> Any:
    if isinstance(value, _CODE) or (callable(value) and not _has_form(session, value)):
        return _functions_of(session).ship(value)
    return value


def _take_back(session: Session, value: Any) -> Any:
    if type(value) is ShippedFunction:
        _functions_of(session).forget(value.number, 1)
    return value


def _has_form(session: Session, value: Any) -> bool:
    """Return whether something travels by itself, or would if it were a part of an instrument on a server."""
    if issubclass(type(value), Metadatable):
        return True
    try:
        session.new_codec().encode(value)
    except NotPortable:
        return False
    return True


def _in_containers(value: Any, change: Callable[[Any], Any]) -> Any:
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        parts = [_in_containers(part, change) for part in value]
        changed = any(new is not old for new, old in zip(parts, value, strict=True))
        return kind(parts) if changed else value
    if kind is dict:
        items = {key: _in_containers(part, change) for key, part in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    return change(value)


@dataclass
class _Kept:
    """A function that a server has.

    Attributes:
        function: The function.
        key: By which it is found.
        count: How often it was sent, and not forgotten.
        back: How often the server has sent it back altogether, less than it has come.
    """

    function: Callable[..., Any]
    key: Any
    count: int = 0
    back: int = 0


class _Functions:
    """The functions of this process that one server has.

    They are kept until the server has forgotten them as often as it was sent them, or is gone.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: dict[int, _Kept] = {}
        self._numbers: dict[Any, int] = {}
        self._next = itertools.count(1)
        self._stream: EventStream | None = None
        self._guard = threading.RLock()
        self._opening = threading.Lock()
        self._codec = session.new_codec()
        self._coding = threading.Lock()

    def ship(self, function: Callable[..., Any]) -> ShippedFunction:
        """Return what stands for a function on its way to the server, over whose event connection it will be called."""
        key = function if isinstance(function, MethodType) else id(function)
        with self._guard:
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = next(self._next)
                self._kept[number] = _Kept(function, key)
            self._kept[number].count += 1
        self._listen()
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        return ShippedFunction(number, str(name))

    def function(self, number: int) -> Callable[..., Any]:
        """Return the function of a number."""
        kept = self._kept.get(number)
        if kept is None:
            raise ServerLost(f"function {number} of this process is not known any more")
        return kept.function

    def come_back(self, number: int) -> Callable[..., Any]:
        """Return the function of a number that the server has sent back."""
        with self._guard:
            function = self.function(number)
            self._kept[number].back -= 1
            self._drop_unused(number)
        return function

    def forget(self, number: int, count: int, back: int = 0) -> None:
        """Hear that the server has let go of a function.

        Args:
            number: The function.
            count: How often the server was sent it.
            back: How often it was sent back; the answer with it may come after this.
        """
        with self._guard:
            kept = self._kept.get(number)
            if kept is not None:
                kept.count -= count
                kept.back += back
                self._drop_unused(number)

    def _drop_unused(self, number: int) -> None:
        kept = self._kept[number]
        if kept.count <= 0 and kept.back <= 0:
            # The connection stays: the next function may come with the next call.
            del self._kept[number], self._numbers[kept.key]

    def called(self, call: int, number: int, chain: list[Link], message: bytes, buffers: list[Any]) -> None:
        """Hear that the server calls a function. Never blocks."""
        run_call(FunctionCall(self, call, number, chain, message, buffers))

    def answer(self, call: int, outcome: list[Any]) -> None:
        """Tell the server how a call ended: ``["returned", value]`` or ``["raised", failure]``."""
        try:
            message, buffers = self._encode(outcome)
        except NotPortable as error:
            shipped = _ship_functions(self._session, outcome)
            try:
                if shipped is outcome:
                    raise
                message, buffers = self._encode(shipped)
            except NotPortable:
                _in_containers(shipped, lambda part: _take_back(self._session, part))
                message, buffers = self._encode(["raised", dump_failure(error, here())])
        stream = self._stream
        if stream is not None:
            stream.tell_server(["answer", call, message, [np.frombuffer(each, np.uint8) for each in buffers]])

    def arguments(self, message: bytes, buffers: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a call."""
        with self._coding:
            args, kwargs = self._codec.decode(message, [each.data for each in buffers])
        return args, kwargs

    def _encode(self, value: Any) -> tuple[bytes, Sequence[memoryview]]:
        with self._coding:
            return self._codec.encode(value)

    # As a listener of the event stream

    def stream_connected(self) -> None:
        """Hear that the server is there."""

    def stream_disconnected(self, reason: str) -> None:
        """Hear that the server is gone; a local one has forgotten everything with it."""
        if self._kept and self._session.is_there():
            return
        with self._guard:
            self._kept.clear()
            self._numbers.clear()
            stream, self._stream = self._stream, None
        if stream is not None:
            # Not on the receiving thread, which would wait for itself.
            run_in_turn(lambda: self._stop_listening(stream))

    def instruments_changed(self, names: list[str]) -> None:
        """Hear of instruments, which are nothing to us."""

    def _listen(self) -> None:
        # Everybody waits until the server can call back.
        with self._opening:
            if self._stream is None:
                stream = stream_of(self._session)
                stream.functions = self
                stream.add_listener(self)
                self._stream = stream

    def _stop_listening(self, stream: EventStream) -> None:
        with self._opening:
            if self._stream is None:
                stream.remove_listener(self)


_of_sessions: Final[dict[Session, _Functions]] = {}
_guard = threading.Lock()


def _functions_of(session: Session) -> _Functions:
    with _guard:
        found = _of_sessions.get(session)
        if found is None:
            found = _of_sessions[session] = _Functions(session)
        return found


def _begin_anew() -> None:
    """Begin without functions in a forked child: the server calls its parent."""
    global _guard
    _guard = threading.Lock()
    _of_sessions.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
