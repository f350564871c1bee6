"""Channels: sequences of time tags that can be computed for any span of time.

Tags are made in blocks of fixed length, and a block is a function of the seed,
the settings and its number. So everybody who looks at a channel sees the same
tags, in whatever order and however often he looks, and only the last few
blocks are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Final, Generic, Protocol, TypeVar

import numpy as np

from instruments.time_tagger.clock import PS

BLOCK: Final = PS // 100
"""Length of a block, ps: 10 ms."""

KEPT: Final = 16
"""Blocks that a channel keeps, dimensionless: more than measurements lag behind."""

Tags = np.ndarray
"""Time tags, ps, sorted, shape (n,), int64."""

NO_TAGS: Final[Tags] = np.empty(0, np.int64)
NO_TAGS.flags.writeable = False

Made = TypeVar("Made")


class Settings(Protocol):
    """What the tags depend on: `revision` changes with each change of it."""

    revision: int


class Blocks(Generic[Made]):
    """The last few blocks that were made, forgotten when the settings change."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: OrderedDict[tuple[int, int], Made] = OrderedDict()

    def find(self, number: int) -> Made | None:
        """Look for a block made with the present settings; None if there is none."""
        return self._kept.get((self._settings.revision, number))

    def keep(self, number: int, made: Made) -> Made:
        """Keep a block, forget the oldest, and return it."""
        self._kept[self._settings.revision, number] = made
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made


class Channel(ABC):
    """A sequence of tags in time.

    Not thread-safe: whoever asks holds the lock of the stream.
    """

    @abstractmethod
    def tags(self, start: int, end: int) -> Tags:
        """Compute the tags of a span.

        Args:
            start: First time of the span, ps.
            end: First time after the span, ps.
        """


class BlockChannel(Channel):
    """A channel whose tags are made block by block.

    Args:
        settings: What its tags depend on.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._blocks: Blocks[Tags] = Blocks(settings)
        self._latest: tuple[tuple[int, int, int], Tags] = ((0, 0, 0), NO_TAGS)

    def tags(self, start: int, end: int) -> Tags:
        """Compute the tags of a span of any length."""
        asked = (self._settings.revision, start, end)
        # All measurements of a tagger ask for the same span, one after the other.
        if self._latest[0] != asked:
            self._latest = (asked, self._cut(start, end))
        return self._latest[1]

    def _cut(self, start: int, end: int) -> Tags:
        if end <= start:
            return NO_TAGS
        first, last = start // BLOCK, (end - 1) // BLOCK
        blocks = [self._block(number) for number in range(first, last + 1)]
        joined = blocks[0] if first == last else np.concatenate(blocks)
        low, high = np.searchsorted(joined, (start, end))
        return joined[low:high]

    @abstractmethod
    def _make(self, number: int) -> Tags:
        """Make one block: the tags from `number * BLOCK` to the next block."""

    def _block(self, number: int) -> Tags:
        made = self._blocks.find(number)
        return self._blocks.keep(number, self._make(number)) if made is None else made


class Delayed(Channel):
    """Another channel's tags, later or earlier.

    Args:
        source: The channel.
        delay: How much later, ps; negative for earlier.
    """

    def __init__(self, source: Channel, delay: int) -> None:
        self._source = source
        self.delay = delay

    def tags(self, start: int, end: int) -> Tags:
        """Compute the tags of a span."""
        if not self.delay:
            return self._source.tags(start, end)
        return self._source.tags(start - self.delay, end - self.delay) + self.delay


def choose_apart(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Choose intervals one after the other, each the first that starts after the last one's end.

    A detector with a dead time does this with `starts` the tags and `ends` the
    times from which it sees the next one.

    Args:
        starts: Begin of each interval, ps, ascending, shape (n,), int64.
        ends: First time at which the next may begin, ps, ascending and later
            than `starts`, shape (n,), int64.

    Returns:
        Whether each interval is chosen, dimensionless, shape (n,), bool.
    """
    chosen = np.ones(starts.size, bool)
    np.greater_equal(starts[1:], ends[:-1], out=chosen[1:])
    if chosen.all():
        return chosen
    crowded = ~chosen
    crowded[:-1] |= crowded[1:]
    places = np.flatnonzero(crowded)
    size = places.size
    follower = np.append(np.searchsorted(starts[places], ends[places]), size)
    reached = np.append(chosen[places], True)
    # Jumps of 1, 2, 4 ... steps: the chain is followed in a logarithmic number of rounds.
    while True:
        found = follower[np.flatnonzero(reached)]
        found = found[~reached[found]]
        if not found.size:
            break
        reached[found] = True
        follower = follower[follower]
    chosen[places] = reached[:size]
    return chosen
