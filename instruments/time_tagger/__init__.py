"""Simulated Time Tagger SDK: the shape of Swabian Instruments' library, and its physics.

Names, arguments, units and shapes are those of the vendor's public API
documentation; times are whole picoseconds. What the inputs see is set in
`instruments.time_tagger.simulation`.

    from instruments import time_tagger as TT

    with TT.createTimeTagger() as tagger:
        tagger.setTestSignal([1, 2], True)
        with TT.Countrate(tagger, [1, 2]) as rate:
            rate.startFor(int(1e11))
            rate.waitUntilFinished()
            print(rate.getData())
"""

from instruments.time_tagger.correlation import Correlation
from instruments.time_tagger.counter import Counter, CounterData, Countrate
from instruments.time_tagger.devices import (
    createTimeTagger,
    freeTimeTagger,
    getTimeTaggerModel,
    getVersion,
    scanTimeTagger,
)
from instruments.time_tagger.enums import (
    CHANNEL_UNUSED,
    ChannelEdge,
    CoincidenceTimestamp,
    Resolution,
    TagType,
)
from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.messages import LOGGER_ERROR, LOGGER_INFO, LOGGER_WARNING, setLogger
from instruments.time_tagger.synchronized import SynchronizedMeasurements
from instruments.time_tagger.tag_stream import TimeTagStream, TimeTagStreamBuffer
from instruments.time_tagger.tagger import TimeTagger, TimeTaggerBase
from instruments.time_tagger.time_differences import Histogram, TimeDifferences
from instruments.time_tagger.virtual_channels import (
    Coincidence,
    Coincidences,
    Combiner,
    DelayedChannel,
    DelayedChannels,
)

__all__ = [
    "CHANNEL_UNUSED",
    "LOGGER_ERROR",
    "LOGGER_INFO",
    "LOGGER_WARNING",
    "ChannelEdge",
    "Coincidence",
    "CoincidenceTimestamp",
    "Coincidences",
    "Combiner",
    "Correlation",
    "Counter",
    "CounterData",
    "Countrate",
    "DelayedChannel",
    "DelayedChannels",
    "Histogram",
    "IteratorBase",
    "Resolution",
    "SynchronizedMeasurements",
    "TagType",
    "TimeDifferences",
    "TimeTagStream",
    "TimeTagStreamBuffer",
    "TimeTagger",
    "TimeTaggerBase",
    "createTimeTagger",
    "freeTimeTagger",
    "getTimeTaggerModel",
    "getVersion",
    "scanTimeTagger",
    "setLogger",
]
