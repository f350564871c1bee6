"""Subscriptions: what a client is told of one parameter's changes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from instrumentserver.schema import SubscribeOptions
from instrumentserver.schema.subscribing import LARGE_UPDATE
from instrumentserver.wire.values import shown

from .callbacks import reference_to, run_later, takes_two, want_thread
from .events import EventStream, is_ending, stream_of
from .inbox import Consumer, Inbox, Loop
from .session import Session

__all__ = ["Subscription", "Update"]

logger = logging.getLogger(__name__)

_CLEAR_SECONDS: Final = 0.5
"""How long `clear` waits for a callback that is being called."""


class Update(NamedTuple):
    """One change of a parameter.

    Attributes:
        value: Its value, as `get` returns it, in the parameter's unit.
        timestamp: When it changed, seconds since 1970 by the server's clock.
        sequence: Counts the parameter's changes on its server; starts anew with it.
        dropped: Changes that this subscriber lost directly before this one, a count.
        failure: Why the server could not read the parameter, None if it could. ``value`` is the latest good one then.
    """

    value: Any
    timestamp: float
    sequence: int
    dropped: int = 0
    failure: str | None = None


class Subscription:
    """Tells of a parameter's changes: by callbacks, in a loop, or to one who waits.

    The first update is the present value. After that come the changes in order, only the newest ones unless it is
    lossless. It asks the server for updates as long as somebody takes them, and finds a server again that was
    started anew. All methods may be called from any thread, also in callbacks.

    Callbacks run on threads of their own, each in order: one that is slow delays, and loses, its own updates only.

    Args:
        options: How to be told.
        name: What is subscribed to, for people.

    Attributes:
        most_recent: The latest update, None before the first.
        dropped: Updates that were lost altogether, at the server and, of the callback that lost most, here.
    """

    def __init__(self, options: SubscribeOptions, name: str = "") -> None:
        self.options = options.checked()
        self.name = name
        self.most_recent: Update | None = None
        self._place: tuple[EventStream, str] | None = None
        self._number = 0
        self._received = 0
        self._base = 0
        self._taken = 0
        self._told = 0
        self._is_large = False
        self._dropped = 0
        self._is_connected = False
        self._reason = "nobody has asked yet"
        self._functions: dict[int, Callable[[], Any]] = {}
        self._inboxes: dict[Any, Inbox] = {}
        self._states: dict[int, Consumer] = {}
        self._tokens = itertools.count()
        self._state_tokens = itertools.count()
        self._guard = threading.RLock()
        self._switching = threading.RLock()

    # Where it is

    def bind(self, session: Session, path: str) -> None:
        """Be told of this parameter from now on. Not for the thread that receives events."""
        with self._guard:
            self._place = stream_of(session), path
        self._open()

    def unbind(self, reason: str) -> None:
        """Be told of nothing until `bind`; the callbacks stay. Not for the thread that receives events."""
        self.state_changed("disconnected", reason)
        with self._switching:
            self._stop()
            with self._guard:
                self._place = None

    @property
    def is_connected(self) -> bool:
        """Whether there is such a parameter on a running server, as far as is known; False before anybody asked."""
        return self._is_connected

    @property
    def dropped(self) -> int:
        """Updates that were lost altogether, a count."""
        return self._dropped + max((inbox.lost for inbox in list(self._inboxes.values())), default=0)

    # Callbacks

    @property
    def callbacks(self) -> dict[int, Callable[..., Any]]:
        """The callbacks that are left, by token."""
        found = {token: reference() for token, reference in list(self._functions.items())}
        return {token: function for token, function in found.items() if function is not None}

    def add_callback(self, function: Callable[..., Any]) -> int:
        """Have a function be called with each update: ``function(update)`` or ``function(subscription, update)``.

        It is held weakly: the caller has to keep it, so that ``add_callback(lambda update: ...)`` does nothing.
        The first one starts the subscription, which is known to the server when this returns. A further one is
        called with the latest update at once, in this thread.

        Returns:
            A token for `remove_callback`: 0, 1, 2 ...

        Raises:
            TypeError: It cannot be called.
        """
        token = next(self._tokens)
        both = takes_two(function)
        reference = reference_to(function, lambda gone: run_later(_Removal(self, token)))

        def receive(update: Update, lost: int) -> None:
            called = reference()
            if called is not None:
                self._call(called, both, _with_lost(update, lost))

        want_thread()
        consumer = Consumer(receive, self._limit, self._has_taken)
        # Until this returns the function is held; a lambda must not be called just because of that.
        consumer.hold()
        with self._guard:
            self._functions[token] = reference
            present = self._add(token, consumer)
        self._open()
        if present is not None:
            receive(present, 0)
        del function
        consumer.release()
        return token

    def remove_callback(self, token: int) -> None:
        """Have a callback not be called any more; an unknown token is ignored.

        Waits up to 0.5 s for a call that is under way in another thread.
        """
        with self._guard:
            self._functions.pop(token, None)
        self._remove(token)

    def clear(self) -> None:
        """Remove all callbacks and end all loops; nothing arrives after this."""
        for token in list(self._inboxes):
            self.remove_callback(token)

    def close(self) -> None:
        """Remove everything, the state callbacks too."""
        self.clear()
        for token in list(self._states):
            self.remove_state_callback(token)

    def _call(self, function: Callable[..., Any], takes_subscription: bool, update: Update) -> None:
        """Call a callback; what it raises is logged."""
        try:
            if takes_subscription:
                function(self, self._present(update))
            else:
                function(self._present(update))
        except BaseException:
            # Also one that wants to end the thread, which is for other callbacks too.
            logger.exception("callback %r of %r failed", function, self)

    def _present(self, update: Update) -> Any:
        """Return what callbacks are to get for an update."""
        return update

    # The state

    def add_state_callback(self, function: Callable[[Subscription, str, str], None]) -> int:
        """Have ``function(subscription, state, reason)`` be called when the parameter comes or goes.

        The state is "connected" or "disconnected". The function is kept, and called with the present state at once,
        in this thread, then on threads for callbacks, in order.

        Returns:
            A token for `remove_state_callback`.
        """
        consumer = Consumer(lambda told, lost: self._call_state(function, told), 1000, lambda position: None)
        consumer.hold()
        with self._guard:
            token = next(self._state_tokens)
            self._states[token] = consumer
            present = ("connected", "") if self._is_connected else ("disconnected", self._reason)
        self._call_state(function, present)
        consumer.release()
        return token

    def remove_state_callback(self, token: int) -> None:
        """Have a state callback not be called any more; an unknown token is ignored."""
        with self._guard:
            consumer = self._states.pop(token, None)
        if consumer is not None:
            consumer.close(_CLEAR_SECONDS)

    def _call_state(self, function: Callable[..., None], told: tuple[str, str]) -> None:
        try:
            function(self, *told)
        except BaseException:
            logger.exception("state callback %r of %r failed", function, self)

    # Waiting

    def wait_for(self, predicate: Callable[[Any], Any], timeout: float | None = None) -> Update:
        """Wait until the value fulfils a condition, which the present one may do already; return the update.

        Only updates that arrive are looked at: lossless ones see every value.

        Args:
            predicate: Called with each value, in this thread; what it raises is raised here.
            timeout: How long to wait, seconds; None for ever.

        Raises:
            TimeoutError: The time ran out; the message says the latest value.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        # Closed here: an error of the predicate's keeps the loop alive for as long as somebody keeps the error.
        with contextlib.closing(self._updates(give_up)) as updates:
            for update in updates:
                if update.failure is None and predicate(update.value):
                    return update
        latest = "it had none" if self.most_recent is None else f"it is {shown(self.most_recent.value)}"
        why = "" if self._is_connected else f"; it is disconnected: {self._reason}"
        limit = "" if timeout is None else f" within {timeout:g} s"
        raise TimeoutError(f"{self.name} did not become what was waited for{limit}: {latest}{why}")

    def __iter__(self) -> Iterator[Update]:
        """Return the updates from now on, the present value first, waiting for each; `clear` ends it."""
        return self._updates(None)

    def _updates(self, give_up: float | None) -> Generator[Update, None, None]:
        loop = Loop(self._limit, self._has_taken)
        self._begin_loop(loop)
        try:
            while True:
                taken = loop.next(None if give_up is None else give_up - time.monotonic())
                if taken is None:
                    return
                yield _with_lost(*taken)
        finally:
            self._remove(loop)

    async def __aiter__(self) -> AsyncIterator[Update]:
        """Return the updates from now on, the present value first; `clear` ends it."""
        running = asyncio.get_running_loop()
        has_come = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # The event loop was closed meanwhile.
                running.call_soon_threadsafe(has_come.set)

        loop = Loop(self._limit, self._has_taken, wake)
        self._begin_loop(loop)
        try:
            while True:
                has_come.clear()
                while (taken := loop.next(0)) is not None:
                    yield _with_lost(*taken)
                if loop.is_closed:
                    return
                await has_come.wait()
        finally:
            self._remove(loop)

    def _begin_loop(self, loop: Loop) -> None:
        with self._guard:
            present = self._add(loop, loop)
            if present is not None:
                loop.put(0, [present])
        self._open()

    # What the stream tells

    def begun(self) -> None:
        """Hear that the server is about to count the changes from 0."""
        with self._guard:
            self._base = self._told = self._received

    def changed(self, changes: list[Any], dropped: int) -> None:
        """Hear of changes, in order, and how many were dropped before the first of them."""
        updates = [
            Update(change[0], change[1], change[2], 0, change[3] if len(change) > 3 else None)
            for change in changes
        ]
        first = changes[0][0]
        with self._guard:
            if type(first) is np.ndarray:
                self._is_large = first.nbytes >= LARGE_UPDATE
            self._dropped += dropped
            self._received += len(updates)
            self.most_recent = updates[-1]
            for inbox in self._inboxes.values():
                inbox.put(self._received, updates, dropped)

    def state_changed(self, state: str, reason: str) -> None:
        """Hear that the parameter is "connected" or "disconnected"."""
        with self._guard:
            is_connected = state == "connected"
            if not is_connected:
                self._reason = reason
            if is_connected == self._is_connected:
                return
            self._is_connected = is_connected
            for consumer in self._states.values():
                consumer.put(0, [(state, reason)], 0)

    # Asking the server

    @property
    def _limit(self) -> int:
        return self.options.queue if self.options.lossless else 1

    def _add(self, token: Any, inbox: Inbox) -> Update | None:
        """Have an inbox get the updates; return the latest one, None if it will come; the guard is held."""
        if not self._inboxes:
            self.most_recent = None
        self._inboxes[token] = inbox
        return None if self.most_recent is None else self.most_recent

    def _remove(self, token: Any) -> None:
        if is_ending():
            return
        with self._guard:
            inbox = self._inboxes.pop(token, None)
            if inbox is not None and not self._inboxes:
                self._dropped += inbox.lost
        with self._switching:
            if not self._inboxes:
                self._stop()
        if inbox is not None:
            inbox.close(_CLEAR_SECONDS)

    def _open(self) -> None:
        """Ask the server for updates, if anybody wants them and nobody has asked."""
        with self._switching:
            if self._place is None or self._number or not self._inboxes:
                return
            stream, path = self._place
            self.begun()
            self._number = stream.subscribe(self, path)
        # What came before the number was known can be said to be taken now.
        self._has_taken(0)

    def _stop(self) -> None:
        number, place, self._number = self._number, self._place, 0
        if number and place is not None:
            place[0].unsubscribe([number])
            with self._guard:
                self._is_connected, self._reason = False, "nobody listens"

    def _has_taken(self, position: int) -> None:
        """Tell the server to send more when half of what may be on its way has been taken."""
        with self._guard:
            self._taken = max(self._taken, position)
            number, place = self._number, self._place
            enough = 1 if self._is_large else (self.options.window + 1) // 2
            if not number or place is None or self._taken - self._told < enough:
                return
            self._told = self._taken
            count = self._told - self._base
        place[0].taken(number, count)

    def __repr__(self) -> str:
        state = "connected" if self._is_connected else "not connected"
        return f"<Subscription to {self.name or 'nothing'}, {state}, {len(self._inboxes)} receivers>"


def _with_lost(update: Update, lost: int) -> Update:
    return update._replace(dropped=update.dropped + lost) if lost else update


class _Removal:
    """Takes a callback off that nobody has any more."""

    def __init__(self, subscription: Subscription, token: int) -> None:
        self._subscription = subscription
        self._token = token

    def run(self) -> None:
        self._subscription.remove_callback(self._token)
