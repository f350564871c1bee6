"""What all measurements have in common: start, stop, wait, clear."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from instruments.time_tagger.channel import Channel, Tags
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.stream import Stream

if TYPE_CHECKING:
    from instruments.time_tagger.tagger import TimeTaggerBase


class IteratorBase(ABC):
    """A measurement on the tags of a Time Tagger.

    It counts from its creation on; with a tagger of `SynchronizedMeasurements`
    it waits for the start of all. It ends when nobody holds it any more; as
    context manager it stops at the end of the block. Any number of threads may
    use it. Every method raises RuntimeError after the tagger was freed.

    Shape and names are those of the vendor's documentation, "Measurement
    Classes"; this is no base for measurements of one's own.

    Args:
        tagger: Where the tags come from.
        channels: Numbers of the channels that it needs.
        **settings: What `getConfiguration` shows.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist.
        RuntimeError: The tagger was freed.
    """

    def __init__(self, tagger: TimeTaggerBase, channels: Sequence[int], **settings: Any) -> None:
        self._tagger = tagger
        self._stream = stream_of(tagger)
        self._numbers = tuple(integer("channel", channel) for channel in channels)
        self._settings = settings
        self._counting = False
        self._until: int | None = None
        self._captured = 0
        self._position = 0
        with self._stream.use():
            self._channels: list[Channel] = self._stream.channels(self._numbers)
            self._reset()
            self._stream.join(self)
            if tagger._enrol(self):
                self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stream.scene.lock:
            self._end()
            self._stream.leave(self)

    def start(self) -> None:
        """Begin to count, or go on, from now without an end."""
        with self._stream.use(self) as now:
            self._begin(now, None)

    def startFor(self, capture_duration: int, clear: bool = True) -> None:
        """Count from now for a time, then stop.

        Args:
            capture_duration: How long, ps, above 0.
            clear: Whether to forget what was counted before.
        """
        duration = integer("capture_duration", capture_duration, 1)
        with self._stream.use(self) as now:
            if clear:
                self._forget()
            self._begin(now, now + duration)

    def stop(self) -> None:
        """Stop counting; what was counted stays."""
        with self._stream.use(self):
            self._end()

    def abort(self) -> None:
        """Stop counting and forget what was counted."""
        with self._stream.use(self):
            self._end()
            self._forget()

    def clear(self) -> None:
        """Forget what was counted, and the captured time; a running measurement goes on."""
        with self._stream.use(self):
            self._forget()

    def isRunning(self) -> bool:
        """Tell whether it counts: started, and not at the end of `startFor`."""
        with self._stream.use(self):
            return self._counting

    def waitUntilFinished(self, timeout: int = -1) -> bool:
        """Block until it does not count any more.

        With a stepped clock, the time goes to the end of `startFor` at once.

        Args:
            timeout: Longest time to block, ms of real time; negative for no limit.

        Returns:
            Whether it has finished; False after the timeout.

        Raises:
            RuntimeError: The tagger was freed, also during the wait.
        """
        deadline = None if timeout < 0 else time.monotonic() + timeout / 1000
        with self._stream.scene.lock:
            while True:
                if not self.isRunning():
                    return True
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._stream.wait(self._until, left)

    def getCaptureDuration(self) -> int:
        """Tell how long it has counted since its creation or `clear`, ps."""
        with self._stream.use(self):
            return self._captured

    def getConfiguration(self) -> dict[str, Any]:
        """Tell name and arguments of the measurement, plain values by name."""
        with self._stream.use(self):
            return {"name": type(self).__name__, "channels": list(self._numbers), **self._settings}

    def _advance(self, end: int) -> None:
        start = self._position
        if end <= start:
            return
        self._position = end
        until = end if self._until is None else min(end, self._until)
        if self._counting and until > start:
            self._count(start, until)
            self._captured += until - start
        if until == self._until:
            self._end()

    def _skip(self, end: int) -> None:
        self._position = max(self._position, end)
        if self._until is not None and self._until <= end:
            self._end()

    def _tags(self, start: int, end: int) -> list[Tags]:
        return [channel.tags(start, end) for channel in self._channels]

    @abstractmethod
    def _count(self, start: int, end: int) -> None:
        """Count one span; `_captured` is the time captured before it."""

    @abstractmethod
    def _reset(self) -> None:
        """Forget what was counted."""

    def _begin(self, now: int, until: int | None) -> None:
        self._stream.join(self)
        self._counting = True
        self._position = now
        self._until = until
        self._stream.notify()

    def _end(self) -> None:
        self._counting = False
        self._until = None
        self._stream.notify()

    def _forget(self) -> None:
        self._captured = 0
        self._reset()


def stream_of(tagger: Any) -> Stream:
    """Find the stream of a tagger.

    Raises:
        TypeError: No Time Tagger.
    """
    if isinstance(tagger, IteratorBase) or not isinstance(stream := getattr(tagger, "_stream", None), Stream):
        raise TypeError(f"tagger is {tagger!r}; give what createTimeTagger() returned")
    return stream
