"""The tags themselves: `TimeTagStream` and its buffers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.tagger import TimeTaggerBase


class TimeTagStream(IteratorBase):
    """The tags of some channels, one after the other.

    Tags that do not fit in the buffer are lost: read often enough.

    Args:
        tagger: Where the tags come from.
        n_max_events: Tags that fit in the buffer, dimensionless, 1 or more.
        channels: Numbers of the channels.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist, or the buffer is too small.
        RuntimeError: The tagger was freed.
    """

    def __init__(self, tagger: TimeTaggerBase, n_max_events: int, channels: Sequence[int]) -> None:
        self._room = integer("n_max_events", n_max_events, 1)
        super().__init__(tagger, channels, n_max_events=self._room)

    def getData(self) -> TimeTagStreamBuffer:
        """Take the tags since the last call out of the buffer."""
        with self._stream.use(self) as now:
            buffer = TimeTagStreamBuffer(self._times, self._from, self._missed, self._begun, now)
            self._reset()
            return buffer

    def getCounts(self) -> int:
        """Tell how many tags are in the buffer, dimensionless."""
        with self._stream.use(self):
            return self._stored

    def _reset(self) -> None:
        self._times: list[np.ndarray] = []
        self._from: list[np.ndarray] = []
        self._stored = 0
        self._missed = False
        self._begun: int | None = None

    def _count(self, start: int, end: int) -> None:
        if self._begun is None:
            self._begun = start
        room = self._room - self._stored
        if not room:
            return
        rows = self._tags(start, end)
        times = np.concatenate(rows)
        channels = np.repeat(np.array(self._numbers, np.int32), [row.size for row in rows])
        order = np.argsort(times, kind="stable")[:room]
        self._times.append(times[order])
        self._from.append(channels[order])
        self._stored += order.size

    def _skip(self, end: int) -> None:
        super()._skip(end)
        self._missed = True


class TimeTagStreamBuffer:
    """Tags that `TimeTagStream.getData` took out of its buffer.

    It does not change any more, and stays readable after the tagger was freed.

    Attributes:
        size: Tags in it, dimensionless.
        hasOverflows: Whether tags of its time were lost in an overflow.
        tStart: When its first tag could have been, ps.
        tGetData: When it was taken, ps.
    """

    def __init__(
        self,
        times: Sequence[np.ndarray],
        channels: Sequence[np.ndarray],
        has_overflows: bool,
        begun: int | None,
        taken: int,
    ) -> None:
        self._times = np.concatenate([*times, np.empty(0, np.int64)])
        self._channels = np.concatenate([*channels, np.empty(0, np.int32)])
        self.size = int(self._times.size)
        self.hasOverflows = has_overflows
        self.tStart = taken if begun is None else begun
        self.tGetData = taken

    def getTimestamps(self) -> np.ndarray:
        """Read the tags.

        Returns:
            Times since the tagger was created, ps, ascending, shape (size,), int64.
        """
        return self._times.copy()

    def getChannels(self) -> np.ndarray:
        """Read the channel of each tag, dimensionless, shape (size,), int32."""
        return self._channels.copy()

    def getEventTypes(self) -> np.ndarray:
        """Read the kind of each entry, a `TagType`, dimensionless, shape (size,), uint8."""
        return np.zeros(self.size, np.uint8)

    def getOverflows(self) -> np.ndarray:
        """Read the kinds by their old name, dimensionless, shape (size,), uint8."""
        return self.getEventTypes()

    def getMissedEvents(self) -> np.ndarray:
        """Read the tags lost at each entry, dimensionless, shape (size,), uint16."""
        return np.zeros(self.size, np.uint16)
