"""The stream of tags of one tagger, and the one moment up to which it is counted."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from instruments.time_tagger.channel import BLOCK, Channel
from instruments.time_tagger.clock import PS, RealClock
from instruments.time_tagger.enums import CHANNEL_UNUSED, Resolution
from instruments.time_tagger.inputs import Inputs
from instruments.time_tagger.scene import Scene

logger = logging.getLogger(__name__)

FIRST_VIRTUAL: Final = 1001
"""Lowest number of a virtual channel, dimensionless."""

BACKLOG: Final = 10 * PS
"""Tags that are fetched later than this are lost, ps, as in an overflow of the real device."""

SPAN: Final = 5
"""Blocks that are counted at once, dimensionless."""

LAG: Final = 10 * BLOCK
"""How far measurements that nobody asks may be behind, ps: 100 ms. Their blocks are still kept."""


class Consumer(Protocol):
    """A measurement, as the stream sees it: its users do not see these members."""

    _counting: bool
    """Whether it wants the tags from now on."""

    _position: int
    """Up to when it has counted, ps."""

    def _advance(self, end: int) -> None:
        """Count the tags from where it is to `end`, ps."""
        ...

    def _skip(self, end: int) -> None:
        """Hear that the tags from where it is to `end`, ps, are lost."""
        ...

    def getConfiguration(self) -> dict[str, Any]:
        """Tell its name and its arguments."""
        ...


class Stream:
    """Tags of one tagger, given to all its measurements span by span.

    Nothing runs by itself: a measurement counts up to now when it is asked, and
    all of them together when they lag by `LAG`, or before the tags change. Tags
    are a function of time, so that all see the same ones.

    Args:
        scene: What is in front of the tagger.
        resolution: Mode of the tagger.
        serial: Serial number, for messages.
    """

    def __init__(self, scene: Scene, resolution: Resolution, serial: str) -> None:
        self.scene = scene
        self.inputs = Inputs(scene, resolution)
        self.serial = serial
        self.overflows = 0
        self._changed = threading.Condition(scene.lock)
        self._origin = scene.clock.now()
        self._now = 0
        self._position = 0
        self._depth = 0
        self._freed: str | None = None
        self._consumers: weakref.WeakSet[Consumer] = weakref.WeakSet()
        self._virtual: weakref.WeakValueDictionary[int, Channel] = weakref.WeakValueDictionary()
        self._next_virtual = FIRST_VIRTUAL
        scene.attend(self._settle)

    @property
    def is_freed(self) -> bool:
        """Whether the tagger was freed."""
        return self._freed is not None

    @property
    def consumers(self) -> list[Consumer]:
        """The measurements that exist."""
        return list(self._consumers)

    @contextmanager
    def use(self, consumer: Consumer | None = None) -> Iterator[int]:
        """Hold the lock, with a measurement counted up to now, and yield now in ps.

        Raises:
            RuntimeError: The tagger was freed.
        """
        with self.scene.lock:
            self.check()
            # Within one use the time stands still, so that a group starts at one moment.
            if not self._depth:
                self._look_at_clock()
            if self._now - self._position >= LAG:
                self._advance_all()
            if consumer is not None:
                self._catch_up(consumer)
            self._depth += 1
            try:
                yield self._now
            finally:
                self._depth -= 1

    def check(self) -> None:
        """Make sure that the tagger was not freed.

        Raises:
            RuntimeError: It was.
        """
        if self._freed is not None:
            raise RuntimeError(self._freed)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock to change what the tags depend on.

        Raises:
            RuntimeError: The tagger was freed.
        """
        with self.use():
            self._advance_all()
            yield
            self.scene.revision += 1

    def wait(self, due: int | None, limit: float | None) -> None:
        """Let go of the lock until `due` in ps, a notification, or `limit` seconds."""
        self.scene.clock.wait(self._changed, None if due is None else due + self._origin, limit)

    def notify(self) -> None:
        """Wake those who wait. The caller holds the lock."""
        self._changed.notify_all()

    def join(self, consumer: Consumer) -> None:
        """Take a measurement in, for as long as somebody else holds it."""
        self._consumers.add(consumer)

    def leave(self, consumer: Consumer) -> None:
        """Send a measurement away."""
        self._consumers.discard(consumer)

    def free(self) -> None:
        """End the stream: every later use says so.

        Raises:
            RuntimeError: It was freed before.
        """
        with self.scene.lock:
            self.check()
            self._freed = (
                f"Time Tagger {self.serial} was freed with freeTimeTagger: it and its measurements are "
                f"of no more use; create it anew with createTimeTagger({self.serial!r})"
            )
            self.scene.attend(None)
            self.notify()

    def add_virtual(self, channel: Channel) -> int:
        """Give a channel a number, which holds for as long as somebody holds the channel."""
        number = self._next_virtual
        self._next_virtual += 1
        self._virtual[number] = channel
        return number

    def channel(self, number: int) -> Channel:
        """Find a channel.

        Raises:
            ValueError: No such channel, or its virtual channel is gone.
        """
        if number in self.inputs.edges():
            return self.inputs.channel(number)
        if number == CHANNEL_UNUSED:
            raise ValueError("CHANNEL_UNUSED is no channel to measure; give the number of an input")
        if (found := self._virtual.get(number)) is not None:
            return found
        known = f"1 to {len(self.inputs.settings)}, -1 to {-len(self.inputs.settings)} for falling edges"
        virtual = ", ".join(map(str, sorted(self._virtual))) or "none"
        raise ValueError(f"channel {number} does not exist; there are {known}; virtual: {virtual}")

    def channels(self, numbers: Sequence[int]) -> list[Channel]:
        """Find several channels."""
        return [self.channel(number) for number in numbers]

    def _settle(self) -> None:
        if self._freed is None:
            self._look_at_clock()
            self._advance_all()

    def _look_at_clock(self) -> None:
        self._now = max(self.scene.clock.now() - self._origin, self._now)

    def _advance_all(self) -> None:
        counting = [consumer for consumer in self._consumers if consumer._counting]
        if counting and self._now - self._position > BACKLOG and isinstance(self.scene.clock, RealClock):
            self._lose(self._now - BACKLOG, counting)
        while counting and self._position < self._now:
            # Before the counting: after an interrupt tags may be missing, but none counts twice.
            self._position = self._end_of_span(self._position)
            for consumer in counting:
                consumer._advance(self._position)
        self._position = self._now

    def _catch_up(self, consumer: Consumer) -> None:
        while consumer._counting and consumer._position < self._now:
            consumer._advance(self._end_of_span(consumer._position))

    def _end_of_span(self, start: int) -> int:
        return min(self._now, (start // BLOCK + SPAN) * BLOCK)

    def _lose(self, position: int, counting: Sequence[Consumer]) -> None:
        self.overflows += 1
        seconds = (position - self._position) / PS
        logger.warning(
            "Time Tagger %s: the tags of %.3g s are lost, nobody fetched them", self.serial, seconds
        )
        for consumer in counting:
            if consumer._position < position:
                consumer._skip(position)
        self._position = position
