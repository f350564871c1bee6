"""Channels made from other channels: coincidences, delays, merged channels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np

from instruments.time_tagger.channel import (
    BLOCK,
    BlockChannel,
    Channel,
    Delayed,
    Settings,
    Tags,
    choose_apart,
)
from instruments.time_tagger.enums import CoincidenceTimestamp
from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.tagger import TimeTaggerBase

FAR: Final = 1 << 62
"""A time that is before all others when negated, ps."""


class VirtualChannels(IteratorBase):
    """What makes channels instead of data; no class of the vendor's API.

    The channels exist for as long as somebody holds this object or a
    measurement on them. They begin with this object, and starting or stopping
    it changes nothing.
    """

    def __init__(self, tagger: TimeTaggerBase, channels: Sequence[int], **settings: object) -> None:
        super().__init__(tagger, channels, **settings)
        with self._stream.use(self):
            self._made = self._make()
            self._made_numbers = [self._stream.add_virtual(channel) for channel in self._made]

    @abstractmethod
    def _make(self) -> list[Channel]:
        """Make the channels."""

    def _reset(self) -> None:
        pass

    def _count(self, start: int, end: int) -> None:
        pass


class DelayedChannels(VirtualChannels):
    """Copies of channels, all later or earlier by the same time.

    Args:
        tagger: Where the tags come from.
        input_channels: Numbers of the channels.
        delay: How much later, ps; negative for earlier.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist.
        RuntimeError: The tagger was freed.
    """

    def __init__(self, tagger: TimeTaggerBase, input_channels: Sequence[int], delay: int) -> None:
        self._delay = integer("delay", delay)
        super().__init__(tagger, input_channels, delay=self._delay)

    def getChannels(self) -> list[int]:
        """Tell the numbers of the copies, in the order of the channels."""
        with self._stream.use(self):
            return list(self._made_numbers)

    def setDelay(self, delay: int) -> None:
        """Change the delay from now on.

        Args:
            delay: How much later, ps; negative for earlier.
        """
        time = integer("delay", delay)
        with self._stream.changing():
            self._settings["delay"] = time
            for channel in self._made:
                assert isinstance(channel, Delayed)
                channel.delay = time

    def _make(self) -> list[Channel]:
        return [Delayed(channel, self._delay) for channel in self._channels]


class DelayedChannel(DelayedChannels):
    """Copy of a channel, later or earlier.

    Args:
        tagger: Where the tags come from.
        input_channel: Number of the channel.
        delay: How much later, ps; negative for earlier.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: The channel does not exist.
        RuntimeError: The tagger was freed.
    """

    def __init__(self, tagger: TimeTaggerBase, input_channel: int, delay: int) -> None:
        super().__init__(tagger, [input_channel], delay)

    def getChannel(self) -> int:
        """Tell the number of the copy."""
        return self.getChannels()[0]


class Coincidences(VirtualChannels):
    """Channels with a tag whenever all channels of a group have one within a window.

    A tag is part of one coincidence of its group at most.

    Args:
        tagger: Where the tags come from.
        coincidenceGroups: Groups of channel numbers, one new channel each.
        coincidenceWindow: Longest time between the first and the last tag of a
            coincidence, ps, 1 or more.
        timestamp: Which of its tags gives a coincidence its time.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist, a group has fewer than two
            different ones, or the window is too small.
        RuntimeError: The tagger was freed.
    """

    def __init__(
        self,
        tagger: TimeTaggerBase,
        coincidenceGroups: Sequence[Sequence[int]],
        coincidenceWindow: int,
        timestamp: CoincidenceTimestamp = CoincidenceTimestamp.Last,
    ) -> None:
        self._groups = [tuple(group) for group in coincidenceGroups]
        self._window = integer("coincidenceWindow", coincidenceWindow, 1)
        self._timestamp = CoincidenceTimestamp(timestamp)
        for group in self._groups:
            if len(set(group)) != len(group) or len(group) < 2:
                raise ValueError(f"group {list(group)} needs two or more channels, each of them once")
        channels = list(dict.fromkeys(channel for group in self._groups for channel in group))
        super().__init__(
            tagger,
            channels,
            coincidenceGroups=[list(group) for group in self._groups],
            coincidenceWindow=self._window,
            timestamp=self._timestamp.name,
        )

    def getChannels(self) -> list[int]:
        """Tell the numbers of the channels of coincidences, in the order of the groups."""
        with self._stream.use(self):
            return list(self._made_numbers)

    def setCoincidenceWindow(self, coincidenceWindow: int) -> None:
        """Change the window from now on.

        Args:
            coincidenceWindow: Longest time between first and last tag, ps, 1 or more.
        """
        window = integer("coincidenceWindow", coincidenceWindow, 1)
        with self._stream.changing():
            self._window = self._settings["coincidenceWindow"] = window
            for channel in self._made:
                assert isinstance(channel, CoincidenceChannel)
                channel.window = window

    def _make(self) -> list[Channel]:
        by_number = dict(zip(self._numbers, self._channels, strict=True))
        return [
            CoincidenceChannel(
                self._stream.scene, [by_number[number] for number in group], self._window, self._timestamp
            )
            for group in self._groups
        ]


class Coincidence(Coincidences):
    """Channel with a tag whenever all of some channels have one within a window.

    Args:
        tagger: Where the tags come from.
        channels: Numbers of the channels, two or more.
        coincidenceWindow: Longest time between first and last tag, ps, 1 or more.
        timestamp: Which of its tags gives a coincidence its time.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist, there are fewer than two
            different ones, or the window is too small.
        RuntimeError: The tagger was freed.
    """

    def __init__(
        self,
        tagger: TimeTaggerBase,
        channels: Sequence[int],
        coincidenceWindow: int = 1000,
        timestamp: CoincidenceTimestamp = CoincidenceTimestamp.Last,
    ) -> None:
        super().__init__(tagger, [channels], coincidenceWindow, timestamp)

    def getChannel(self) -> int:
        """Tell the number of the channel of coincidences."""
        return self.getChannels()[0]


class Combiner(VirtualChannels):
    """Channel with all tags of some channels.

    Args:
        tagger: Where the tags come from.
        channels: Numbers of the channels.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist.
        RuntimeError: The tagger was freed.
    """

    def __init__(self, tagger: TimeTaggerBase, channels: Sequence[int]) -> None:
        super().__init__(tagger, channels)

    def getChannel(self) -> int:
        """Tell the number of the channel with all tags."""
        with self._stream.use(self):
            return self._made_numbers[0]

    def getChannelCounts(self) -> np.ndarray:
        """Read the tags of each channel since the start or the last `clear`.

        Returns:
            Counts, dimensionless, shape (channels,), int64.
        """
        with self._stream.use(self):
            return self._total.copy()

    def _make(self) -> list[Channel]:
        return [CombinedChannel(self._channels)]

    def _reset(self) -> None:
        self._total = np.zeros(len(self._numbers), np.int64)

    def _count(self, start: int, end: int) -> None:
        self._total += [tags.size for tags in self._tags(start, end)]


class CombinedChannel(Channel):
    """All tags of some channels, in the order of time."""

    def __init__(self, sources: Sequence[Channel]) -> None:
        self._sources = tuple(sources)

    def tags(self, start: int, end: int) -> Tags:
        """Compute the tags of a span."""
        merged = np.concatenate([source.tags(start, end) for source in self._sources])
        merged.sort(kind="stable")
        return merged


class CoincidenceChannel(BlockChannel):
    """Coincidences of some channels."""

    def __init__(
        self, settings: Settings, sources: Sequence[Channel], window: int, timestamp: CoincidenceTimestamp
    ) -> None:
        super().__init__(settings)
        self._sources = tuple(sources)
        self._timestamp = timestamp
        self.window = window

    def _make(self, number: int) -> Tags:
        start, end = number * BLOCK, (number + 1) * BLOCK
        # A coincidence may end after the one of its tags that gives its time; and which tags
        # are taken depends on those before, but is forgotten after some windows.
        margin = min(20 * self.window, 4 * BLOCK)
        rows = [source.tags(start - margin, end + self.window) for source in self._sources]
        times = np.concatenate(rows)
        times.sort()
        latest = np.stack([_latest(row, times) for row in rows])
        first = latest.min(0)
        complete = np.flatnonzero(times - first <= self.window)
        first, last, latest = first[complete], times[complete], latest[:, complete]
        chosen = choose_apart(first, last + 1)
        if self._timestamp == CoincidenceTimestamp.Last:
            stamps = last[chosen]
        elif self._timestamp == CoincidenceTimestamp.First:
            stamps = first[chosen]
        elif self._timestamp == CoincidenceTimestamp.ListedFirst:
            stamps = latest[0, chosen]
        else:
            offsets = latest[:, chosen] - first[chosen]
            stamps = first[chosen] + offsets.sum(0) // len(rows)
        stamps.sort()
        low, high = np.searchsorted(stamps, (start, end))
        inside: Tags = stamps[low:high]
        return inside


def _latest(row: Tags, times: Tags) -> np.ndarray:
    """Find the last tag of a channel until each time; long ago where there is none."""
    latest: np.ndarray = np.concatenate([[-FAR], row])[np.searchsorted(row, times, side="right")]
    return latest
