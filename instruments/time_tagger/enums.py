"""Named numbers of the Time Tagger API: channel edges, resolutions, kinds of tags."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

CHANNEL_UNUSED: Final = -134217728
"""Channel number that stands for "no channel", dimensionless."""


class ChannelEdge(IntFlag):
    """Edges and modes by which `TimeTagger.getChannelList` chooses channels."""

    All = 0
    Rising = 1
    Falling = 2
    HighResAll = 4
    HighResRising = 5
    HighResFalling = 6
    StandardAll = 8
    StandardRising = 9
    StandardFalling = 10


class Resolution(IntEnum):
    """Ways of `createTimeTagger` to trade inputs for less jitter."""

    Standard = 0
    HighResA = 1
    HighResB = 2
    HighResC = 3


class CoincidenceTimestamp(IntEnum):
    """Times that a coincidence can be given: of one of its tags, or their mean."""

    Last = 0
    Average = 1
    First = 2
    ListedFirst = 3


class TagType(IntEnum):
    """Kinds of entries in a `TimeTagStreamBuffer`; the simulation makes time tags only."""

    TimeTag = 0
    Error = 1
    OverflowBegin = 2
    OverflowEnd = 3
    MissedEvents = 4
