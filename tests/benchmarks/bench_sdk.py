"""What every peer serves in the benchmark of objects: an SDK of the shape of the Time Tagger's, with no hardware.

TimeTaggerRPC's server builds itself from a module ``TimeTagger`` of this shape; all others serve it as it is.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np

__all__ = [
    "ANSWER",
    "POINTS",
    "Counter",
    "CounterData",
    "IteratorBase",
    "SynchronizedMeasurements",
    "TimeTagger",
    "TimeTaggerBase",
    "createTimeTagger",
    "freeTimeTagger",
    "trace",
]

ANSWER: Final = 7
POINTS: Final = 500_000
"""Points of the float64 trace, 4 MB."""

_trace: Final = np.linspace(-1, 1, POINTS)
_living: Final[set[int]] = set()
_numbers: Final = itertools.count()


def trace() -> np.ndarray:
    """Return volts, shape (POINTS,), float64."""
    return _trace


class TimeTaggerBase:
    """A tagger without hardware."""

    def getTrace(self) -> np.ndarray:
        return _trace

    def getLiving(self) -> int:
        """Return how many counters there are on the server."""
        return len(_living)


class TimeTagger(TimeTaggerBase):
    pass


class IteratorBase:
    """What every measurement is."""


class CounterData:
    """What a counter has counted."""

    @property
    def size(self) -> int:
        return ANSWER


class Counter(IteratorBase):
    """A small object."""

    def __init__(self, tagger: TimeTaggerBase) -> None:
        self.tagger = tagger
        self._number = next(_numbers)
        _living.add(self._number)

    def __del__(self) -> None:
        _living.discard(self._number)

    def getBins(self) -> int:
        return ANSWER

    @property
    def size(self) -> int:
        return ANSWER

    def getDataObject(self) -> CounterData:
        return CounterData()


class SynchronizedMeasurements:
    def __init__(self, tagger: TimeTaggerBase) -> None:
        self.tagger = tagger


def createTimeTagger() -> TimeTagger:
    return TimeTagger()


def freeTimeTagger(tagger: TimeTaggerBase) -> None:
    """Do nothing: there is no hardware."""
