"""A watch: follows the value of one parameter for all who have subscribed to it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import time
from typing import Any, Final, Protocol

from qcodes.parameters import DelegateParameter, ParameterBase

from instrumentserver.schema.subscribing import LONGEST_PERIOD
from instrumentserver.wire.values import shown

from .hosted import Hosted, Target
from .kept import IMMUTABLE, is_same_value, kept_value
from .subscriber import Change, Subscriber
from .taps import Tap, tap_cache, true_source, untap_cache

__all__ = ["Audience", "Watch"]

logger = logging.getLogger(__name__)

_LONGEST: Final = 500


class Audience(Protocol):
    """What a watch asks of those who keep it."""

    def tell_state(self, subscriber: Subscriber, state: str, reason: str) -> None:
        """Tell a subscriber that the parameter is "connected" or "disconnected"."""

    def set_period(self, watch: Watch, hosted: Hosted, period: float | None) -> None:
        """Read the parameter every ``period`` seconds from now on, None for not at all."""

    def read_soon(self, watch: Watch, hosted: Hosted) -> None:
        """Read the parameter once, soon."""


class Watch:
    """Makes events of what happens to a parameter: a value, its time, its number in the sequence.

    Each set is an event, also one to the value that it had; so is everything else that brings another value
    than the latest event did; and reading in vain, once.

    Args:
        path: The parameter's path; there need not be one yet.
        audience: Who keeps the watch.

    Attributes:
        subscribers: Who is told.
        parameter: The parameter, None while there is none.
    """

    def __init__(self, path: str, audience: Audience) -> None:
        self.path = path
        self.subscribers: tuple[Subscriber, ...] = ()
        self.parameter: ParameterBase | None = None
        self._audience = audience
        self._hosted: Hosted | None = None
        self._reason = f"there is no parameter {path}"
        self._source: ParameterBase | None = None
        self._delegates: list[DelegateParameter[Any, Any]] = []
        self._upstream: Any = None
        self._tap: Tap | None = None
        self._sequence = 0
        self._latest: Change | None = None
        self._waiting: list[Subscriber] = []
        self._guard = threading.RLock()

    @property
    def is_delegate(self) -> bool:
        """Whether it follows a parameter that may delegate to another one one day."""
        return isinstance(self.parameter, DelegateParameter)

    # Subscribers

    def add(self, subscriber: Subscriber) -> None:
        """Tell a subscriber from now on, the present value first."""
        subscriber.wake = self.wake
        with self._guard:
            self.wake()
            self.subscribers = (*self.subscribers, subscriber)
            self._welcome(subscriber)
        self._poll_as_asked()

    def remove(self, subscriber: Subscriber) -> None:
        """Do not tell a subscriber any more."""
        with self._guard:
            self.wake()
            self.subscribers = tuple(each for each in self.subscribers if each is not subscriber)
            self._waiting = [each for each in self._waiting if each is not subscriber]
        self._poll_as_asked()

    def _welcome(self, subscriber: Subscriber) -> None:
        if self.parameter is None or self._hosted is None:
            self._audience.tell_state(subscriber, "disconnected", self._reason)
            return
        self._audience.tell_state(subscriber, "connected", "")
        if self._latest is not None and (self._upstream is not None or self._is_known()):
            subscriber.offer(self._latest, True)
        elif self.parameter.gettable:
            self._waiting.append(subscriber)
            self._audience.read_soon(self, self._hosted)

    def _is_known(self) -> bool:
        """Return whether the cache can be trusted, or is all that there is."""
        parameter = self.parameter
        return parameter is not None and (parameter.cache.valid or not parameter.gettable)

    # The parameter

    def attach(self, target: Target) -> None:
        """Follow what the path leads to now; nothing happens if it is what is followed already."""
        parameter: ParameterBase = target.thing
        with self._guard:
            if self.parameter is parameter:
                if true_source(parameter)[0] is self._source:
                    return
                self.detach(f"{self.path} delegates to another parameter now")
            elif self.parameter is not None:
                self.detach(f"{self.path} was made anew")
            self.parameter, self._hosted = parameter, target.hosted
            self._source, self._delegates = true_source(parameter)
            self._latest = self._cached(parameter)
            if not hasattr(type(self._source), "subscribe"):
                listener = self._hear if self._delegates else self.publish
                self._tap = tap_cache(self._source, listener, self._guard, self.wake)
        if hasattr(type(self._source), "subscribe"):
            # Takes its time, and the other server may be waiting for this one.
            threading.Thread(target=self._follow_upstream, name="follows upstream", daemon=True).start()
        with self._guard:
            for subscriber in self.subscribers:
                self._welcome(subscriber)
        self._poll_as_asked()

    def detach(self, reason: str) -> None:
        """Let go of the parameter; the subscribers hear why."""
        with self._guard:
            self._reason = reason
            if self.parameter is None:
                return
            if self._source is not None:
                self.wake()
                untap_cache(self._source, self._hear if self._delegates else self.publish)
                self._tap = None
            upstream, self._upstream = self._upstream, None
            hosted, self._hosted = self._hosted, None
            self.parameter = self._source = self._latest = None
            self._waiting = []
            for subscriber in self.subscribers:
                self._audience.tell_state(subscriber, "disconnected", reason)
        if upstream is not None:
            upstream.close()
        if hosted is not None:
            self._audience.set_period(self, hosted, None)

    def _cached(self, parameter: ParameterBase) -> Change | None:
        """Return what the cache says, None where nothing was ever in it."""
        if hasattr(type(self._source), "subscribe"):
            return None
        timestamp = parameter.cache.timestamp
        if timestamp is None:
            return None
        value = kept_value(parameter.cache.get(get_if_invalid=False))
        return [value, timestamp.timestamp(), self._sequence]

    def _follow_upstream(self) -> None:
        """Follow a parameter of another server, as a client of that server."""
        source: Any = self._source
        if source is None:
            return
        upstream = source.subscribe(lossless=True)
        with self._guard:
            is_late = self._source is not source
            if not is_late:
                self._upstream = upstream
        if not is_late:
            upstream.add_callback(self._hear_upstream)
            if self._upstream is not upstream:
                upstream.close()

    def _hear_upstream(self, update: Any) -> None:
        if update.failure is not None:
            self._fail(update.failure)
        else:
            self._hear(update.value, True)

    def _hear(self, value: Any, is_set: bool, when: float | None = None) -> None:
        """Publish what went into the cache of the parameter, or of the one that it delegates to."""
        try:
            for delegate in self._delegates:
                value = delegate._from_raw_value_to_value(value)
        except Exception as error:  # noqa: BLE001  (a parser of the driver's, which a set must not suffer from)
            self._fail(_text_of(error))
            return
        self.publish(value, is_set, when)

    # Events

    def publish(self, value: Any, is_set: bool, when: float | None = None) -> None:
        """Tell the subscribers of a value, unless it was not set and is the one that they know.

        Args:
            value: The value.
            is_set: Whether it was set.
            when: Its time, seconds since 1970; None for now.
        """
        with self._guard:
            self.wake()
            latest = self._latest
            if not is_set and latest is not None and len(latest) == 3 and is_same_value(value, latest[0]):
                self._serve_waiting(latest)
                return
            self._sequence = sequence = self._sequence + 1
            self._latest = change = [
                value if type(value) in IMMUTABLE else kept_value(value),
                time() if when is None else when,
                sequence,
            ]
            if self._waiting:
                self._waiting.clear()
            can_take = False
            for subscriber in self.subscribers:
                can_take |= subscriber.offer(change)
            tap = self._tap
            if not can_take and tap is not None and tap.may_be_quiet(self._guard) and not self._delegates:
                tap.recent = deque(maxlen=max((each.limit for each in self.subscribers), default=1))
                tap.is_quiet = True

    def wake(self) -> None:
        """Make up for the sets that were only counted, because no subscriber could take another value."""
        tap = self._tap
        if tap is None or not tap.is_quiet:
            return
        with self._guard:
            if not tap.is_quiet:
                return  # type: ignore[unreachable]  # Another thread was faster; mypy does not know of them.
            tap.is_quiet = False
            skipped, tap.skipped = tap.skipped, 0
            if not skipped:
                return
            first = self._sequence + 1 + skipped - len(tap.recent)
            self._sequence += skipped
            changes = [[value, when, first + index] for index, (value, when) in enumerate(tap.recent)]
            tap.recent.clear()
            self._latest = changes[-1]
            for subscriber in self.subscribers:
                subscriber.make_up(changes, skipped)

    def _serve_waiting(self, latest: Change) -> None:
        for subscriber in self._waiting:
            subscriber.offer(latest, True)
        self._waiting.clear()

    def read(self, hold: Callable[[Hosted, str], Any]) -> None:
        """Read the parameter while ``hold`` has its instrument for us."""
        parameter, hosted = self.parameter, self._hosted
        if parameter is None or hosted is None:
            return
        try:
            with hold(hosted, self.path):
                value = parameter.get()
                if self.parameter is parameter and self._upstream is None:
                    # Also where the value did not pass the cache, and where only reading in vain had been told.
                    self.publish(value, False)
        except Exception as error:  # noqa: BLE001  (told to the subscribers)
            if self.parameter is parameter:
                self._fail(_text_of(error))

    def _fail(self, failure: str) -> None:
        """Tell the subscribers that reading failed, once for each way of failing."""
        with self._guard:
            self.wake()
            latest = self._latest
            # The text may tell the time or count: it is the way of failing that is told once.
            if latest is not None and len(latest) > 3 and latest[3].split(":")[0] == failure.split(":")[0]:
                self._serve_waiting(latest)
                return
            self._sequence += 1
            value = None if latest is None else latest[0]
            self._latest = [value, time(), self._sequence, failure]
            self._waiting.clear()
            for subscriber in self.subscribers:
                subscriber.offer(self._latest)

    def _poll_as_asked(self) -> None:
        parameter, hosted = self.parameter, self._hosted
        if parameter is None or hosted is None:
            return
        asked = [subscriber.options.period for subscriber in self.subscribers]
        if self.subscribers:
            asked.append(_period_of(parameter))
        periods = [period for period in asked if period is not None]
        # Reading a parameter that is nothing but its cache would find nothing new.
        is_worth_it = parameter.gettable and not _is_manual(parameter)
        self._audience.set_period(self, hosted, min(periods) if periods and is_worth_it else None)


def _period_of(parameter: ParameterBase) -> float | None:
    """Return how often the driver wants its parameter to be read, seconds; None if it does not say."""
    period = getattr(parameter, "poll_period", None)
    if period is None:
        return None
    if isinstance(period, int | float) and period > 0:
        return min(float(period), LONGEST_PERIOD)
    logger.warning("%s.poll_period is %s, no number of seconds over 0: not used", parameter, shown(period))
    return None


def _is_manual(parameter: ParameterBase) -> bool:
    """Return whether reading the parameter returns what QCoDeS keeps of it, and no more."""
    code = getattr(getattr(parameter, "get_raw", None), "__code__", None)
    return getattr(code, "co_name", "") == "_get_manual_parameter"


def _text_of(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST]
