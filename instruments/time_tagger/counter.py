"""Counts over time: `Counter`, its data objects, and `Countrate`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from instruments.time_tagger.clock import PS
from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.tagger import TimeTaggerBase


class Counter(IteratorBase):
    """Counts per time bin on some channels, of the last bins that are complete.

    Args:
        tagger: Where the tags come from.
        channels: Numbers of the channels, one row of data each.
        binwidth: Length of a bin, ps, 1 or more.
        n_values: Bins to keep, dimensionless, 1 or more.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist, or a number is too small.
        RuntimeError: The tagger was freed.
    """

    _removed: int

    def __init__(
        self,
        tagger: TimeTaggerBase,
        channels: Sequence[int],
        binwidth: int = 1_000_000_000,
        n_values: int = 1,
    ) -> None:
        self._binwidth = integer("binwidth", binwidth, 1)
        self._size = integer("n_values", n_values, 1)
        super().__init__(tagger, channels, binwidth=self._binwidth, n_values=self._size)

    def getData(self, rolling: bool = True) -> np.ndarray:
        """Read the counts of the last complete bins.

        Args:
            rolling: Whether the newest bin is the last one; otherwise bins fill
                the array from the left and begin anew when it is full.

        Returns:
            Counts, dimensionless, shape (channels, n_values), int32; 0 in bins
            that are not complete yet.
        """
        with self._stream.use(self):
            return self._arrange(self._counts, rolling)

    def getDataNormalized(self, rolling: bool = True) -> np.ndarray:
        """Read the count rates of the last complete bins.

        Args:
            rolling: As in `getData`.

        Returns:
            Rates, Hz, shape (channels, n_values), float64; NaN in bins that are
            not complete yet or have lost tags.
        """
        with self._stream.use(self):
            rates = self._counts * (PS / self._binwidth)
            rates[:, self._lost] = np.nan
            filled = np.arange(self._size) < self._done
            rates[:, ~filled] = np.nan
            return self._arrange(rates, rolling)

    def getDataTotalCounts(self) -> np.ndarray:
        """Read the counts of all complete bins since `clear`.

        Returns:
            Counts, dimensionless, shape (channels,), uint64.
        """
        with self._stream.use(self):
            return self._total.astype(np.uint64)

    def getIndex(self) -> np.ndarray:
        """Tell the times of the bins of `getData`.

        Returns:
            Begin of each bin after that of the first, ps, shape (n_values,), int64.
        """
        with self._stream.use(self):
            return np.arange(self._size, dtype=np.int64) * self._binwidth

    def getDataObject(self, remove: bool = False) -> CounterData:
        """Take a snapshot of the complete bins, all of one moment.

        Args:
            remove: Whether the bins are taken out, so that the next snapshot
                has only newer ones.
        """
        with self._stream.use(self):
            fresh = self._done - self._removed
            size = min(fresh, self._size)
            places = np.arange(self._done - size, self._done) % self._size
            data = CounterData(
                channels=np.array(self._numbers, np.int32),
                counts=self._counts[:, places],
                times=self._times[places],
                lost=self._lost[places],
                total=self._total.astype(np.uint64),
                binwidth=self._binwidth,
                dropped_bins=fresh - size,
            )
            if remove:
                self._removed = self._done
            return data

    def _reset(self) -> None:
        rows = len(self._numbers)
        self._counts = np.zeros((rows, self._size), np.int32)
        self._times = np.zeros(self._size, np.int64)
        self._lost = np.zeros(self._size, bool)
        self._total = np.zeros(rows, np.int64)
        self._current = np.zeros(rows, np.int64)
        self._current_lost = False
        self._done = 0
        self._removed = 0
        self._begun = 0

    def _count(self, start: int, end: int) -> None:
        if self._captured == self._done * self._binwidth:
            self._begun = start
        complete = (self._captured + end - start) // self._binwidth
        rows = self._tags(start, end)
        if complete == self._done:
            self._current += [tags.size for tags in rows]
            return
        # Bins beyond the array are not worth an edge, but their tags count in the total.
        first = max(self._done, complete - self._size)
        begin = start - self._captured
        edges = begin + np.arange(first, complete + 1, dtype=np.int64) * self._binwidth
        places = np.arange(first, complete) % self._size
        for row, tags in enumerate(rows):
            below = np.searchsorted(tags, edges)
            counts = np.diff(below)
            if first == self._done:
                counts[0] = below[1] + self._current[row]
            self._total[row] += below[-1] + self._current[row]
            self._current[row] = tags.size - below[-1]
            self._counts[row, places] = counts
        self._times[places] = edges[:-1]
        self._lost[places] = False
        if first == self._done:
            self._times[places[0]] = self._begun
            self._lost[places[0]] = self._current_lost
        self._current_lost = False
        self._begun = int(edges[-1])
        self._done = complete

    def _skip(self, end: int) -> None:
        super()._skip(end)
        self._current_lost = True

    def _arrange(self, ring: np.ndarray, rolling: bool) -> np.ndarray:
        if not rolling:
            return ring.copy()
        newest = self._done % self._size
        return np.roll(ring, -newest, axis=1) if newest or self._done else ring.copy()


class CounterData:
    """Snapshot of the complete bins of a `Counter`, from `Counter.getDataObject`.

    It does not change any more, and stays readable after the tagger was freed.

    Attributes:
        size: Bins in it, dimensionless.
        dropped_bins: Bins that had to make room for newer ones, dimensionless.
        overflow: Whether tags were lost in one of the bins.
    """

    def __init__(
        self,
        channels: np.ndarray,
        counts: np.ndarray,
        times: np.ndarray,
        lost: np.ndarray,
        total: np.ndarray,
        binwidth: int,
        dropped_bins: int,
    ) -> None:
        self._channels = channels
        self._counts = counts
        self._times = times
        self._lost = lost
        self._total = total
        self._binwidth = binwidth
        self.size = int(times.size)
        self.dropped_bins = int(dropped_bins)
        self.overflow = bool(lost.any())

    def getData(self) -> np.ndarray:
        """Read the counts, dimensionless, shape (channels, size), int32."""
        return self._counts.copy()

    def getDataNormalized(self) -> np.ndarray:
        """Read the rates, Hz, shape (channels, size), float64; NaN where tags were lost."""
        return self.getFrequency()

    def getFrequency(self, time_scale: int = PS) -> np.ndarray:
        """Read the counts per time.

        Args:
            time_scale: The time, ps; negative for the length of a bin.

        Returns:
            Counts per `time_scale`, shape (channels, size), float64; NaN where
            tags were lost.
        """
        scale = self._binwidth if time_scale < 0 else integer("time_scale", time_scale)
        rates = self._counts * (scale / self._binwidth)
        rates[:, self._lost] = np.nan
        return rates

    def getDataTotalCounts(self) -> np.ndarray:
        """Read the counts of all bins since `clear`, dimensionless, shape (channels,), uint64."""
        return self._total.copy()

    def getIndex(self) -> np.ndarray:
        """Tell the begin of each bin after that of the first, ps, shape (size,), int64."""
        return np.arange(self.size, dtype=np.int64) * self._binwidth

    def getTime(self) -> np.ndarray:
        """Tell the begin of each bin on the tagger's clock, ps, shape (size,), int64."""
        return self._times.copy()

    def getOverflowMask(self) -> np.ndarray:
        """Tell where tags were lost: 1 for such bins, dimensionless, shape (size,), int8."""
        return self._lost.astype(np.int8)

    def getChannels(self) -> np.ndarray:
        """Tell the channel of each row, dimensionless, shape (channels,), int32."""
        return self._channels.copy()


class Countrate(IteratorBase):
    """Mean count rate on some channels since the start.

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

    def getData(self) -> np.ndarray:
        """Read the mean count rates.

        Returns:
            Rates, Hz, shape (channels,), float64; NaN before any time has passed.
        """
        with self._stream.use(self):
            if not self._captured:
                return np.full(self._total.shape, np.nan)
            return self._total * (PS / self._captured)

    def getCountsTotal(self) -> np.ndarray:
        """Read the counts since the start or the last `clear`.

        Returns:
            Counts, dimensionless, shape (channels,), int64.
        """
        with self._stream.use(self):
            return self._total.copy()

    def _reset(self) -> None:
        self._total = np.zeros(len(self._numbers), np.int64)

    def _count(self, start: int, end: int) -> None:
        self._total += [tags.size for tags in self._tags(start, end)]
