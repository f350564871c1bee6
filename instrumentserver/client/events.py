"""The client's end of an event connection: one for each server, opened while somebody listens.

What is said on it: `instrumentserver.server.events`.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from instrumentserver.errors import InstrumentServerError
from instrumentserver.schema import SubscribeOptions
from instrumentserver.transport.connection import Connection

from .callbacks import Task, collected_tasks, has_idle_thread, lasting_task_ended, run_lasting, run_soon
from .session import Session

__all__ = ["EventStream", "Listener", "Subscribed", "is_ending", "stream_of"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.05
"""How often a stream looks for a server that has gone."""
_ANSWER_SECONDS: Final = 5.0
_LEAVE_SECONDS: Final = 0.5


class Subscribed(Protocol):
    """What hears of one parameter. Called on the thread that receives: must not block."""

    options: SubscribeOptions

    def begun(self) -> None:
        """Hear that the server is about to count the changes from 0."""

    def changed(self, changes: list[Any], dropped: int) -> None:
        """Hear of changes, in order, and how many were dropped before the first of them."""

    def state_changed(self, state: str, reason: str) -> None:
        """Hear that the parameter is "connected" or "disconnected"."""


class Listener(Protocol):
    """What hears of a server. Called on the thread that receives: must not block."""

    def stream_connected(self) -> None:
        """Hear that the server is there."""

    def stream_disconnected(self, reason: str) -> None:
        """Hear that the server is gone; the stream looks for it."""

    def instruments_changed(self, names: list[str]) -> None:
        """Hear that instruments were made, closed or made again, or that their tree changed."""


class Functions(Protocol):
    """The functions of this process that a server has. Called on the thread that receives: must not block."""

    def called(self, call: int, number: int, chain: list[Any], message: bytes, buffers: list[Any]) -> None:
        """Hear that the server calls a function."""

    def forget(self, number: int, count: int, back: int) -> None:
        """Hear that the server has let go of a function that it was sent ``count`` times, and has sent back."""


class EventStream:
    """Tells what happens on one server; finds it again when it was started anew.

    There is one for each session, `stream_of`. It has a thread and a connection while somebody listens.

    Args:
        session: The session with the server.

    Attributes:
        functions: What hears of calls of this process's functions, while the server has any.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._subscribed: dict[int, tuple[Subscribed, str]] = {}
        self._numbers = itertools.count(1)
        self._held: set[int] = set()
        self._listeners: tuple[Listener, ...] = ()
        self.functions: Functions | None = None
        self._connection: Connection | None = None
        self._answers: dict[int, threading.Event] = {}
        self._is_running = False
        self._tried = threading.Event()
        self._ended = threading.Event()
        self._heard = time.monotonic()
        self._unanswered = 0.0
        self._guard = threading.RLock()
        self._sending = threading.Lock()
        self._table: dict[str, Callable[..., None]] = {
            "state": self._state_changed,
            "done": self._done,
            "changed": self._instruments_changed,
            "call": self._function_called,
            "forget": self._function_forgotten,
        }

    @property
    def is_connected(self) -> bool:
        """Whether the server is there now."""
        return self._connection is not None

    def time_since_last_heard(self) -> float:
        """Return how long ago the server said anything, seconds; it says something every 5 s."""
        return time.monotonic() - self._heard

    # Who listens

    def subscribe(self, subscribed: Subscribed, path: str) -> int:
        """Have a parameter's changes be told, the present value first; return a number for `unsubscribe`.

        Returns when the server knows of it, or is found not to be there: then it will, when it is.
        """
        with self._guard:
            number = next(self._numbers)
            self._subscribed[number] = subscribed, path
            is_new = self._want_thread()
        self._wait_until_tried()
        if not is_new:
            # The server takes no notice of what it was told when the connection was made.
            self._ask("watch", [[number, path, list(subscribed.options), False]])
        return number

    def unsubscribe(self, numbers: Iterable[int]) -> None:
        """Have nothing more be told."""
        with self._guard:
            known = [number for number in numbers if self._subscribed.pop(number, None) is not None]
            self._held.difference_update(known)
            is_last = not self._is_wanted()
        if known and not is_last:
            # Nothing arrives any more in any case: what comes for an unknown number is passed over.
            self._ask("unwatch", known, _LEAVE_SECONDS)
        self._end_if_unwanted()

    def hold(self, subscribed: Iterable[Subscribed]) -> None:
        """Have only the newest change be kept for each, and nothing be told, until `resume`."""
        numbers = self._numbers_of(subscribed)
        self._held.update(numbers)
        self._ask("hold", numbers)

    def resume(self, subscribed: Iterable[Subscribed]) -> None:
        """Have the newest change be told to each, and go on."""
        numbers = self._numbers_of(subscribed)
        self._held.difference_update(numbers)
        self._ask("resume", numbers)

    def _numbers_of(self, subscribed: Iterable[Subscribed]) -> list[int]:
        wanted = {id(each) for each in subscribed}
        with self._guard:
            return [number for number, (each, _) in self._subscribed.items() if id(each) in wanted]

    def taken(self, number: int, count: int) -> None:
        """Tell the server how many changes have been taken altogether: it sends as many more."""
        self._send(["taken", number, count])

    def add_listener(self, listener: Listener) -> None:
        """Have a listener hear of the server; it keeps the connection open."""
        with self._guard:
            self._listeners = (*self._listeners, listener)
            is_new = self._want_thread()
            is_connected = self.is_connected and not is_new
        self._wait_until_tried()
        if is_connected:
            listener.stream_connected()

    def remove_listener(self, listener: Listener) -> None:
        """Have a listener not hear any more."""
        with self._guard:
            self._listeners = tuple(each for each in self._listeners if each is not listener)
        self._end_if_unwanted()

    def tell_server(self, message: list[Any]) -> None:
        """Send a message; nothing happens if the server is not there."""
        self._send(message)

    # Asking

    def _wait_until_tried(self) -> None:
        """Wait until the server was asked for what is wanted, or found not to be there."""
        if threading.current_thread() is not self._thread:
            self._tried.wait(_ANSWER_SECONDS)

    def _ask(self, kind: str, content: list[Any], patience: float = _ANSWER_SECONDS) -> None:
        """Ask for something and wait until the server has done it; nothing happens if it is not there.

        Args:
            kind: What for.
            content: Of what.
            patience: How long to wait, seconds.
        """
        if not content:
            return
        request = next(self._numbers)
        answer = self._answers[request] = threading.Event()
        try:
            if self._send([kind, request, content]) and threading.current_thread() is not self._thread:
                # One that left a question unanswered is not waited for again until it says something.
                asked = time.monotonic()
                if self._heard < self._unanswered or answer.wait(patience):
                    return
                self._unanswered = asked
        finally:
            self._answers.pop(request, None)

    def _send(self, message: list[Any]) -> bool:
        """Send a message; return whether there was a connection for it."""
        with self._sending:
            connection = self._connection
            if connection is None:
                return False
            try:
                connection.send(message)
            except OSError:
                return False  # The receiving thread notices, too.
            return True

    # The receiving thread

    _thread: threading.Thread | None = None

    def _want_thread(self) -> bool:
        """Make sure that there is a thread; return whether it is new."""
        if self._is_running:
            return False
        self._is_running = True
        self._tried.clear()
        self._ended.clear()
        run_lasting(_Turn(self._run, None))
        return True

    def _is_wanted(self) -> bool:
        return bool(self._subscribed or self._listeners)

    def _end_if_unwanted(self) -> None:
        with self._guard:
            if self._is_wanted() or not self._is_running:
                return
            connection = self._connection
            self._tried.clear()
            self._ended.set()
        if connection is not None:
            self._session.close_events(connection)

    def _run(self, connection: Connection | None) -> None:
        """Receive until nobody wants anything any more, or until another thread goes on.

        A single callback is called by the thread that received what it is for, at once, and another thread goes on
        receiving: to wake one for the callback takes 10 to 20 us longer.
        """
        self._thread = threading.current_thread()
        while connection is not None or (connection := self._find_server()) is not None:
            callback = self._receive(connection)
            if callback is not None:
                callback.run()
                return
            self._disconnected(connection)
            connection = None
        lasting_task_ended()

    def _find_server(self) -> Connection | None:
        """Return a new connection with the server as soon as it is there; None if nobody wants anything any more."""
        while True:
            with self._guard:
                if not self._is_wanted() or _is_ending:
                    self._is_running = False
                    self._tried.set()
                    return None
                # It may have been set by one who left before another one came.
                self._ended.clear()
            try:
                connection = self._session.open_events() if self._session.is_there() else None
            except (InstrumentServerError, OSError):
                connection = None
            if connection is None:
                self._tried.set()
                self._ended.wait(_LOOK_SECONDS)
                continue
            self._connected(connection)
            return connection

    def _connected(self, connection: Connection) -> None:
        with self._guard:
            with self._sending:
                self._connection = connection
                wishes = [
                    [number, path, list(subscribed.options), number in self._held]
                    for number, (subscribed, path) in self._subscribed.items()
                ]
            listeners = self._listeners
            self._heard = time.monotonic()
            for subscribed, _ in self._subscribed.values():
                subscribed.begun()
        request = next(self._numbers)
        self._answers[request] = self._tried
        self._send(["watch", request, wishes])
        for listener in listeners:
            self._tell(listener.stream_connected)

    def _receive(self, connection: Connection) -> Task | None:
        """Receive until the connection ends, or until another thread goes on: then return the callback to call."""
        receive = connection.receive
        while True:
            try:
                entries = receive()
            except (EOFError, OSError, InstrumentServerError):
                return None
            self._heard = time.monotonic()
            if len(entries) != 1 or not has_idle_thread():
                self._tell_entries(entries)
                continue
            with collected_tasks() as callbacks:
                self._tell_entries(entries)
            if len(callbacks) == 1:
                self._thread = None
                run_soon(_Turn(self._run, connection))
                return callbacks[0]
            for callback in callbacks:
                run_soon(callback)

    def _tell_entries(self, entries: list[Any]) -> None:
        subscribed, table = self._subscribed, self._table
        for entry in entries:
            first = entry[0]
            try:
                if type(first) is int:
                    found = subscribed.get(first)
                    if found is not None:
                        found[0].changed(entry[1], entry[2])
                else:
                    table[first](*entry[1:])
            except Exception:
                logger.exception("an event could not be told: %.200s", entry)

    def _disconnected(self, connection: Connection) -> None:
        with self._sending:
            self._connection = None
        self._session.close_events(connection)
        with self._guard:
            subscribed = [each for each, _ in self._subscribed.values()]
            listeners = self._listeners
            answers = list(self._answers.values())
        for answer in answers:
            answer.set()
        if self._ended.is_set() or not (subscribed or listeners):
            return  # It was closed here.
        reason = self._session.reason()
        for each in subscribed:
            self._tell(each.state_changed, "disconnected", reason)
        for listener in listeners:
            self._tell(listener.stream_disconnected, reason)

    def _state_changed(self, number: int, state: str, reason: str) -> None:
        found = self._subscribed.get(number)
        if found is not None:
            found[0].state_changed(state, reason)

    def _done(self, request: int) -> None:
        answer = self._answers.pop(request, None)
        if answer is not None:
            answer.set()

    def _instruments_changed(self, names: list[str]) -> None:
        for listener in self._listeners:
            self._tell(listener.instruments_changed, names)

    def _function_called(self, *call: Any) -> None:
        if self.functions is not None:
            self.functions.called(*call)

    def _function_forgotten(self, *forgotten: Any) -> None:
        if self.functions is not None:
            self.functions.forget(*forgotten)

    def _tell(self, told: Callable[..., None], *arguments: Any) -> None:
        try:
            told(*arguments)
        except Exception:
            logger.exception("an event could not be told to %r", told)


class _Turn:
    """Has a thread for callbacks receive what a stream's server tells, until it hands that over."""

    def __init__(self, receive: Callable[[Connection | None], None], connection: Connection | None) -> None:
        self._receive = receive
        self._connection = connection

    def run(self) -> None:
        self._receive(self._connection)


_streams: Final[dict[Session, EventStream]] = {}
_guard = threading.Lock()
_is_ending: Final[list[bool]] = []


def is_ending() -> bool:
    """Return whether Python ends: a thread that stands still by then may hold any lock for ever."""
    return bool(_is_ending)


def stream_of(session: Session) -> EventStream:
    """Return the stream of a session; the same one every time."""
    with _guard:
        stream = _streams.get(session)
        if stream is None:
            if not _streams:
                atexit.register(_is_ending.append, True)
            stream = _streams[session] = EventStream(session)
        return stream


def _forget_all() -> None:
    """Begin without streams in a forked child: the connections are its parent's."""
    global _guard
    _guard = threading.Lock()
    _streams.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
