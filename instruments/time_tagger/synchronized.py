"""Measurements that start, stop and clear at the same time: `SynchronizedMeasurements`."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from instruments.time_tagger.measurement import IteratorBase, stream_of
from instruments.time_tagger.tagger import TimeTaggerBase


class SynchronizedMeasurements:
    """A group of measurements that count exactly the same span of time.

    Measurements join with `registerMeasurement`, or by being made with the
    tagger of `getTagger`: those do not start by themselves. The group holds
    no measurement: one that nobody else holds leaves it.

    Args:
        tagger: Where the tags come from.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        RuntimeError: The tagger was freed.
    """

    def __init__(self, tagger: TimeTaggerBase) -> None:
        self._tagger = tagger
        self._stream = stream_of(tagger)
        self._group: weakref.WeakSet[IteratorBase] = weakref.WeakSet()
        self._stream.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group.clear()

    def getTagger(self) -> TimeTaggerBase:
        """Make a tagger whose measurements belong to the group.

        It does not own the device: freeing it ends this handle only.
        """
        with self._stream.use():
            return GroupTagger(self._tagger, self._group)

    def registerMeasurement(self, measurement: IteratorBase) -> None:
        """Take a measurement into the group; it goes on as it is.

        Raises:
            TypeError: No measurement.
            ValueError: It belongs to another tagger.
        """
        self._check(measurement)
        with self._stream.use():
            self._group.add(measurement)

    def unregisterMeasurement(self, measurement: IteratorBase) -> None:
        """Take a measurement out of the group, if it is there; it goes on as it is.

        Raises:
            TypeError: No measurement.
            ValueError: It belongs to another tagger.
        """
        self._check(measurement)
        with self._stream.use():
            self._group.discard(measurement)

    def start(self) -> None:
        """Start all, or let them go on, without an end."""
        with self._members() as members:
            for member in members:
                member.start()

    def startFor(self, capture_duration: int, clear: bool = True) -> None:
        """Let all count from now for a time.

        Args:
            capture_duration: How long, ps, above 0.
            clear: Whether to forget what was counted before.
        """
        with self._members() as members:
            for member in members:
                member.startFor(capture_duration, clear)

    def stop(self) -> None:
        """Stop all; what was counted stays."""
        with self._members() as members:
            for member in members:
                member.stop()

    def clear(self) -> None:
        """Let all forget what was counted."""
        with self._members() as members:
            for member in members:
                member.clear()

    def isRunning(self) -> bool:
        """Tell whether one of them counts."""
        with self._members() as members:
            return any(member.isRunning() for member in members)

    def waitUntilFinished(self, timeout: int = -1) -> bool:
        """Block until none of them counts any more.

        Args:
            timeout: Longest time to block, ms of real time; negative for no limit.

        Returns:
            Whether all have finished; False after the timeout.
        """
        deadline = None if timeout < 0 else time.monotonic() + timeout / 1000
        with self._members() as members:
            waited_for = list(members)
        for member in waited_for:
            left = -1 if deadline is None else max(0, round((deadline - time.monotonic()) * 1000))
            if not member.waitUntilFinished(left):
                return False
        return True

    @contextmanager
    def _members(self) -> Iterator[list[IteratorBase]]:
        """Hold the stream at one moment, and yield the measurements of the group."""
        with self._stream.use():
            yield list(self._group)

    def _check(self, measurement: Any) -> None:
        if not isinstance(measurement, IteratorBase):
            raise TypeError(f"measurement is {measurement!r}; give a Counter, Correlation or the like")
        if measurement._stream is not self._stream:
            raise ValueError(
                "the measurement belongs to another Time Tagger, which has a time of its own; "
                "make a group for each tagger"
            )


class GroupTagger(TimeTaggerBase):
    """Tagger whose measurements belong to a group; it does not own the device.

    Args:
        tagger: The tagger that does.
        group: The measurements of the group.
    """

    def __init__(self, tagger: TimeTaggerBase, group: weakref.WeakSet[IteratorBase]) -> None:
        super().__init__(stream_of(tagger))
        # While this handle is held, the device is: its owner frees it when nobody holds it.
        self._owner = tagger
        self._group = group
        self._is_ended = False

    def _enrol(self, measurement: IteratorBase) -> bool:
        if self._is_ended:
            raise RuntimeError(
                "this tagger of a group of synchronized measurements was freed; get another with getTagger()"
            )
        self._group.add(measurement)
        return False

    def _free(self) -> None:
        self._is_ended = True
