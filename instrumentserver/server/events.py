"""The server's end of an event connection: sends changes as they come, and hears what the client wants.

::

    client -> server    ["watch", request, [[number, path, options, whether it is held, if so], ...]]
                        ["unwatch", request, [number, ...]]
                        ["hold", request, [number, ...]]        ["resume", request, [number, ...]]
                        ["taken", number, changes taken altogether]
                        ["answer", call, result or error, its buffers]
    server -> client    a list of entries, in order:
                        [number, [change, ...], changes dropped before the first of these]
                        ["state", number, "connected" or "disconnected", reason]
                        ["done", request]
                        ["changed", [name of an instrument, ...]]
                        ["call", call, function of the client, chain of calls, arguments, their buffers]
                        ["forget", function of the client, how often it came here, and went back]

An empty list says that the server is alive.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import InstrumentServerError, NotPortable, ProtocolError, UsageError
from instrumentserver.schema import SubscribeOptions
from instrumentserver.transport.connection import Connection

from .subscriber import Subscriber
from .watches import Watches

__all__ = ["ClientEvents"]

logger = logging.getLogger(__name__)

_HEARTBEAT: Final = 5.0
_PAUSE: Final = 50e-6
"""Changes that follow one another faster than this, in seconds, are sent by the thread for that, several together;
a single one is sent by the thread that made it, which spares its client the time to wake the other thread."""
_MOST_SUBSCRIBERS: Final = 512
_MOST_NOTES: Final = 100_000
_SIMPLE: Final = frozenset((type(None), bool, int, float))


class ClientEvents:
    """Serves one event connection until its client goes.

    Args:
        connection: The connection.
        watches: The server's watches.

    Attributes:
        answered: Called with what the client answers when a function of his was called.
        on_end: Called when the client has gone.
    """

    def __init__(self, connection: Connection, watches: Watches) -> None:
        self._connection = connection
        self._watches = watches
        self._subscribers: dict[int, Subscriber] = {}
        self._ready: deque[Subscriber] = deque()
        self._notes: deque[list[Any]] = deque()
        self._later: list[tuple[float, int, Subscriber]] = []
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._is_asleep = False
        self._is_ended = False
        self._sent_at = 0.0
        self._rest = b""
        self.answered: Callable[..., None] = lambda *answer: None
        self.on_end: Callable[[], None] = lambda: None
        self._table: dict[str, Callable[..., None]] = {
            "watch": self._watch,
            "unwatch": self._unwatch,
            "hold": self._hold,
            "resume": self._resume,
            "taken": self._taken,
            "answer": lambda *answer: self.answered(*answer),
        }

    def run(self) -> None:
        """Send what there is to send, and carry out what the client asks for.

        Raises:
            EOFError: The client has gone.
            OSError: The line is cut.
            ProtocolError: The client says what no client of ours says.
        """
        sender = threading.Thread(target=self._send_until_end, name="events", daemon=True)
        sender.start()
        self._watches.open(self)
        try:
            while True:
                message = self._connection.receive()
                try:
                    self._table[message[0]](*message[1:])
                except (TypeError, LookupError, ValueError, AttributeError, UsageError) as error:
                    raise ProtocolError(f"{str(message)[:80]} is no wish for events: {error}") from error
        finally:
            self.on_end()
            self._watches.close(self)
            for subscriber in self._subscribers.values():
                self._watches.unsubscribe(subscriber)
            self._is_ended = True
            self._ring()
            # A sender that waits for a client that reads nothing any more ends with the line.
            self._connection.shutdown()
            sender.join(1.0)

    # What the client asks for

    def _watch(self, request: int, wishes: list[Any]) -> None:
        for number, path, options, *is_held in wishes:
            if number in self._subscribers:
                continue
            if not isinstance(path, str):
                raise TypeError(f"{path!r} is no path")
            subscriber = Subscriber(number, path, SubscribeOptions(*options).checked(), self)
            if any(is_held):
                subscriber.hold()
            self._subscribers[number] = subscriber
            self._watches.subscribe(subscriber)
        self._note(["done", request])

    def _unwatch(self, request: int, numbers: list[int]) -> None:
        for number in numbers:
            subscriber = self._subscribers.pop(number, None)
            if subscriber is not None:
                self._watches.unsubscribe(subscriber)
        self._note(["done", request])

    def _hold(self, request: int, numbers: list[int]) -> None:
        for number in numbers:
            self._subscribers[number].hold()
        self._note(["done", request])

    def _resume(self, request: int, numbers: list[int]) -> None:
        for number in numbers:
            self._subscribers[number].resume()
        self._note(["done", request])

    def _taken(self, number: int, count: int) -> None:
        subscriber = self._subscribers.get(number)
        if subscriber is not None:
            subscriber.taken(count)

    # What there is to tell

    def ready(self, subscriber: Subscriber) -> None:
        """Send what the subscriber has not been told, soon. Never blocks."""
        self._ready.append(subscriber)
        if time.monotonic() - self._sent_at < _PAUSE or not self._sending.acquire(False):
            self._ring()
            return
        try:
            self._send_at_once()
        finally:
            self._sending.release()
        if self._ready or self._notes or self._rest:
            self._ring()

    def tell_state(self, subscriber: Subscriber, state: str, reason: str) -> None:
        """Tell that a subscriber's parameter is "connected" or "disconnected", after what was queued before."""
        queued = subscriber.take(time.monotonic())
        if queued is not None:
            self._notes.append(queued)
        self._note(["state", subscriber.number, state, reason])

    def tell_changed(self, names: list[str]) -> None:
        """Tell which instruments came, went or changed their tree."""
        self._note(["changed", names])

    def tell(self, entry: list[Any]) -> None:
        """Send an entry soon. Never blocks."""
        self._note(entry)

    def tell_at_once(self, entry: list[Any]) -> None:
        """Send an entry in this thread if nothing else is to be sent: it waits for the answer anyway."""
        if not self._sending.acquire(False):
            self._note(entry)
            return
        try:
            if self._notes or self._ready or self._rest:
                self._notes.append(entry)
            else:
                self._connection.send([entry])
                self._sent_at = time.monotonic()
        except OSError:
            pass  # The receiving thread notices, too, and ends all this.
        finally:
            self._sending.release()
        if self._notes or self._ready or self._rest:
            self._ring()

    def _note(self, entry: list[Any]) -> None:
        self._notes.append(entry)
        if len(self._notes) > _MOST_NOTES:
            # It reads nothing any more. If it is there again one day, it connects anew.
            self._connection.shutdown()
        self._ring()

    def _ring(self) -> None:
        """Wake the sending thread if it sleeps."""
        if self._is_asleep:
            self._is_asleep = False
            try:
                self._bell.release()
            except RuntimeError:
                pass  # Another thread rang at the same time.

    # Sending

    def _send_at_once(self) -> None:
        """Send a single small change in the thread that made it, if the line takes it without waiting."""
        if self._notes or self._rest or len(self._ready) != 1:
            return
        entry = self._ready[0].take(time.monotonic())
        if entry is None:
            self._take_later(self._ready.popleft())
            return
        subscriber = self._ready.popleft()
        if subscriber.due:
            self._ready.append(subscriber)
        if len(entry[1]) == 1 and type(entry[1][0][0]) in _SIMPLE:
            try:
                rest = self._connection.send_now([entry])
            except OSError:
                return  # The receiving thread notices, too, and ends all this.
            if rest is not None:
                self._rest = rest
                self._sent_at = time.monotonic()
                return
        self._notes.append(entry)

    def _send_until_end(self) -> None:
        try:
            while not self._is_ended:
                self._wait()
                with self._sending:
                    rest, self._rest = self._rest, b""
                    if rest:
                        self._connection.send_rest(rest)
                    entries = self._collect()
                    if entries or time.monotonic() - self._sent_at >= _HEARTBEAT:
                        self._send(entries)
                        self._sent_at = time.monotonic()
        except (OSError, EOFError):
            pass
        except Exception:
            logger.exception("sending events failed")
            self._connection.shutdown()

    def _wait(self) -> None:
        """Wait for something to send."""
        self._is_asleep = True
        if self._ready or self._notes or self._is_ended or self._rest:
            self._is_asleep = False
            return
        now = time.monotonic()
        due = min(self._sent_at + _HEARTBEAT, self._later[0][0] if self._later else math.inf)
        patience = max(0.0, due - now)
        self._bell.acquire(timeout=patience)
        self._is_asleep = False

    def _collect(self) -> list[list[Any]]:
        """Return what can be sent now."""
        now = time.monotonic()
        entries = []
        while self._notes:
            entries.append(self._notes.popleft())
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        for _ in range(min(len(self._ready), _MOST_SUBSCRIBERS)):
            subscriber = self._ready.popleft()
            entry = subscriber.take(now)
            if entry is None:
                self._take_later(subscriber)
                continue
            entries.append(entry)
            if subscriber.due:
                # It has more; the others come first.
                self._ready.append(subscriber)
        return entries

    def _take_later(self, subscriber: Subscriber) -> None:
        if subscriber.due:
            heapq.heappush(self._later, (subscriber.due, next(self._numbers), subscriber))
            self._ring()

    def _send(self, entries: list[list[Any]]) -> None:
        try:
            self._connection.send(entries)
        except NotPortable:
            for entry in entries:
                self._send_alone(entry)

    def _send_alone(self, entry: list[Any]) -> None:
        """Send an entry by itself, with the reason in the place of each value that cannot travel."""
        try:
            self._connection.send([entry])
        except NotPortable:
            number, changes, dropped = entry
            for change in changes:
                try:
                    self._connection.send([[number, [change], dropped]])
                except InstrumentServerError as error:
                    failure = f"{type(error).__name__}: {error}"
                    self._connection.send([[number, [[None, change[1], change[2], failure]], dropped]])
                dropped = 0
