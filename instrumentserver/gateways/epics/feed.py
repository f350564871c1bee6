"""A feed: one parameter, read, written and followed for all protocols together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from instrumentserver.client.subscription import Subscription, Update
from instrumentserver.errors import ConnectFailed, ServerLost
from instrumentserver.schema import ChannelSchema
from instrumentserver.schema.channel_values import to_value

from .reading import COMM, INVALID, NO_ALARM, READ, UDF, Alarm, Reading, read_data, shown
from .source import Source
from .table import Row, misfit

__all__ = ["Feed", "Sink"]

logger = logging.getLogger(__name__)

_LONGEST_QUEUE: Final = 50_000
_SHORTEST_QUEUE: Final = 10
_QUEUE_SIZE: Final = 64e6
"""Changes that are kept where they come faster than they are passed on: counts, and about how many bytes."""
_EVENT_SECONDS: Final = 0.1
"""How long to wait for an event that is on its way when what caused it has been answered."""
_PATIENCE_SECONDS: Final = 2.0
"""How long a client that begins to watch waits for a fresh reading, before it gets what was known before."""

Done = Callable[[Exception | None], None]


class Sink(Protocol):
    """Somebody who passes readings on to clients."""

    def post(self, reading: Reading) -> None:
        """Pass a reading on; called from any thread, in order, and must not block."""


class Feed:
    """One parameter, for all protocols together.

    Nobody asks its server for anything as long as no client reads, writes or watches. No method blocks.

    Args:
        row: The process variable.
        source: Its server.
        scan: How often the server is to read the parameter while somebody watches, seconds; None for never.
        on_misfit: Called when the parameter turns out to be of another type than was guessed.

    Attributes:
        schema: The parameter as a channel.
        name: The name of the process variable.
    """

    def __init__(
        self, row: Row, source: Source, scan: float | None, on_misfit: Callable[[], None] = lambda: None
    ) -> None:
        assert isinstance(row.what, ChannelSchema)
        self.schema: ChannelSchema = row.what
        self.name = row.name
        self._row = row
        self._source = source
        self._scan = scan
        self._on_misfit = on_misfit
        self._misfit: tuple[Any, ...] | None = None
        self._sinks: tuple[Sink, ...] = ()
        self._subscription: Subscription | None = None
        self._latest: Reading | None = None
        self._is_open = False
        self._is_retrying = False
        self._fresh_at = 0.0
        self._held: Reading | None = None
        self._updates = 0
        self._is_updated = threading.Condition(threading.RLock())

    # Once, for a client that asks

    def read(self, answer: Callable[[Reading], None]) -> None:
        """Read the parameter anew and pass it on; if that fails, pass on the latest reading, in alarm.

        Args:
            answer: Called with the reading, from another thread.
        """
        self._source.submit(self._row.path, lambda: answer(self._read()))

    def write(self, data: Any, who: str, done: Done) -> None:
        """Set the parameter.

        Args:
            data: What the client wrote; see `to_value`.
            who: The client, for the log.
            done: Called with None when the driver has done it, or with why it has not, from another thread.
        """
        self._source.submit(self._row.path, lambda: done(self._write(data, who)))

    def _read(self) -> Reading:
        try:
            value, timestamp = self._source.read(self._row.path)
        except Exception as error:  # noqa: BLE001  (told to the client as an alarm)
            return self._fail(error)
        reading = self._reading(value, timestamp or time.time())
        with self._is_updated:
            if self._latest is None or not self._sinks:
                self._latest = reading
            elif not self._latest.alarm.is_like(reading.alarm):
                # It has recovered, which is no change of the value, and so no event of the server's.
                self._post(reading)
        return reading

    def _write(self, data: Any, who: str) -> Exception | None:
        if self._sinks and not self._is_open:
            # A write must not overtake the first reading of those who began to watch before it.
            self._begin()
        before = self._updates
        try:
            value = to_value(self.schema, data)
            self._source.write(self._row.path, value)
        except Exception as error:  # noqa: BLE001  (told to the client)
            logger.info("%s: a write of %s by %s was refused: %s", self.name, _short(data), who, shown(error))
            return error
        logger.info("%s was set to %s by %s", self.name, _short(value), who)
        with self._is_updated:
            if self._subscription is not None:
                # Whoever reads after this write has ended finds what was written.
                self._is_updated.wait_for(lambda: self._updates != before, _EVENT_SECONDS)
        return None

    # All the time, for clients that watch

    def watch(self, sink: Sink) -> None:
        """Pass every reading on from now on, the present one first."""
        with self._is_updated:
            self._sinks = (*self._sinks, sink)
            if self._is_open and self._latest is not None:
                sink.post(self._latest)
            if len(self._sinks) == 1:
                self._source.submit(self._row.path, self._begin, can_wait=True)
                self._source.submit_later(_PATIENCE_SECONDS, "", self._begin_unread)

    def unwatch(self, sink: Sink) -> None:
        """Pass nothing on any more."""
        with self._is_updated:
            self._sinks = tuple(each for each in self._sinks if each is not sink)
            if self._sinks:
                return
            subscription, self._subscription = self._subscription, None
            self._is_open = False
            self._fresh_at, self._held = 0.0, None
        if subscription is not None:
            self._source.submit("", subscription.close)

    def close(self) -> None:
        """Pass nothing on any more to anybody."""
        for sink in self._sinks:
            self.unwatch(sink)

    def _begin(self) -> None:
        """Follow the parameter's changes, and begin to pass readings on with a fresh one."""
        before = self._updates
        subscription = self._follow()
        if subscription is None or self._is_open:
            return
        reading = self._read()
        with self._is_updated:
            if reading.alarm == NO_ALARM:
                self._fresh_at = reading.timestamp
                self._source.submit_later(_EVENT_SECONDS, "", self._tell_held)
            elif reading.alarm.status != UDF:
                # What was known before comes as the first update: it ends no alarm.
                self._is_updated.wait_for(lambda: self._updates != before, _EVENT_SECONDS)
                reading = self._in_alarm(reading.alarm)
            is_newer = self._updates != before and self._latest is not None
            if not is_newer or self._latest.timestamp <= reading.timestamp:  # type: ignore[union-attr]
                self._latest = reading
        self._open(subscription)

    def _tell_held(self) -> None:
        """Tell what has come since the first reading, although its time is not later; from now on all is told."""
        with self._is_updated:
            # Times may step back: a clock that is put right would keep a monitor silent until it is past this.
            self._fresh_at = 0.0
            held, self._held = self._held, None
            if held is not None and self._is_open and not _is_same(self._latest, held):
                self._post(held)

    def _begin_unread(self) -> None:
        """Begin with what was known before, if the instrument is busy for long."""
        if self._is_open:
            return
        before = self._updates
        subscription = self._follow()
        if subscription is not None:
            with self._is_updated:
                self._is_updated.wait_for(lambda: self._updates != before or self._latest, _EVENT_SECONDS)
            self._open(subscription)

    def _follow(self) -> Subscription | None:
        """Return the subscription to the parameter's changes, None if nobody watches any more."""
        with self._is_updated:
            if not self._sinks or self._subscription is not None:
                return self._subscription
            period = self._scan if self.schema.gettable and self.schema.poll_period is None else None
            queue = int(
                min(max(_QUEUE_SIZE / (8 * max(1, self.schema.count) + 100), _SHORTEST_QUEUE), _LONGEST_QUEUE)
            )
            subscription = self._subscription = self._source.subscription(self._row.path, period, queue)
        subscription.add_callback(self._hear)
        subscription.add_state_callback(self._hear_state)
        return subscription

    def _open(self, subscription: Subscription) -> None:
        """Begin to pass readings on, the latest first."""
        with self._is_updated:
            if subscription is self._subscription and not self._is_open:
                self._is_open = True
                self._post(self._latest or read_data(self.schema, None, time.time()))

    def _hear(self, subscription: Subscription, update: Update) -> None:
        with self._is_updated:
            if subscription is not self._subscription:
                return
            self._updates += 1
            if update.failure is None:
                reading = self._reading(update.value, update.timestamp)
            else:
                reading = self._in_alarm(Alarm(INVALID, READ, shown(update.failure)))
            if update.failure is None and update.timestamp <= self._fresh_at:
                # The first reading is as new, or newer: what led to it is no news. The last of them might be.
                self._held = reading
            elif reading.alarm == NO_ALARM or not _is_same(self._latest, reading):
                # A value that is set again is news, an alarm that goes on is none.
                self._held = None
                self._post(reading)
            self._is_updated.notify_all()
        if update.dropped:
            logger.warning("%s: %d changes were lost", self.name, update.dropped)

    def _hear_state(self, subscription: Subscription, state: str, reason: str) -> None:
        with self._is_updated:
            if subscription is self._subscription and state == "disconnected":
                self._latest = self._in_alarm(Alarm(INVALID, COMM, shown(reason)))
                self._is_open = True
                self._post(self._latest)

    def _reading(self, value: Any, timestamp: float) -> Reading:
        kind = misfit(self.schema, value)
        if kind is not None and kind != self._misfit:
            self._misfit = kind
            self._on_misfit()
        return read_data(self.schema, value, timestamp)

    def _post(self, reading: Reading) -> None:
        self._latest = reading
        if self._is_open:
            for sink in self._sinks:
                sink.post(reading)

    def _fail(self, error: Exception) -> Reading:
        """Return the latest reading in alarm; those who watch hear of it, and of the next good one."""
        is_lost = isinstance(error, ConnectFailed | ServerLost)
        with self._is_updated:
            reading = self._in_alarm(Alarm(INVALID, COMM if is_lost else READ, shown(error)))
            if self._subscription is not None:
                if self._latest is None or not self._latest.alarm.is_like(reading.alarm):
                    self._post(reading)
                if self._scan is not None and not self._is_retrying and not is_lost:
                    self._is_retrying = True
                    self._source.submit_later(self._scan, self._row.path, self._retry)
        return reading

    def _retry(self) -> None:
        self._is_retrying = False
        latest = self._latest
        if self._subscription is not None and latest is not None and latest.alarm != NO_ALARM:
            self._read()

    def _in_alarm(self, alarm: Alarm) -> Reading:
        """Return the latest data, which must not be used any more."""
        latest = self._latest or read_data(self.schema, None, 0.0)
        return Reading(latest.data, time.time(), alarm)


def _is_same(one: Reading | None, other: Reading) -> bool:
    """Return whether two readings differ in their time at most."""
    if one is None or not one.alarm.is_like(other.alarm):
        return False
    is_float = isinstance(one.data, np.ndarray) and one.data.dtype.kind == "f"
    return np.array_equal(one.data, other.data, equal_nan=is_float)


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."
