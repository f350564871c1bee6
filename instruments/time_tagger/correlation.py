"""Histograms of the time between two tags: `Correlation`, and how pairs are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from instruments.time_tagger.channel import NO_TAGS, Tags
from instruments.time_tagger.enums import CHANNEL_UNUSED
from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.tagger import TimeTaggerBase

CHUNK: Final = 1 << 20
"""Pairs that are made at once, dimensionless: bounds the memory, 8 MB an array."""


class Correlation(IteratorBase):
    """Histogram of the times between the tags of two channels, of either sign.

    A time is that of `channel_1` minus that of `channel_2`. Every pair within the
    range counts. Bins are centred on the values of `getIndex`; the one in the
    middle, number n_bins // 2, is centred on 0.

    Args:
        tagger: Where the tags come from.
        channel_1: Channel of the stop tags.
        channel_2: Channel of the start tags; `CHANNEL_UNUSED` for `channel_1`
            with itself, where no tag is paired with itself.
        binwidth: Width of a bin, ps, 1 or more.
        n_bins: Bins, dimensionless, 1 or more.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist, or a number is too small.
        RuntimeError: The tagger was freed.
    """

    def __init__(
        self,
        tagger: TimeTaggerBase,
        channel_1: int,
        channel_2: int = CHANNEL_UNUSED,
        binwidth: int = 1000,
        n_bins: int = 1000,
    ) -> None:
        self._binwidth = integer("binwidth", binwidth, 1)
        self._size = integer("n_bins", n_bins, 1)
        self._lowest = -(self._size // 2) * self._binwidth - self._binwidth // 2
        channels = [channel_1] if channel_2 in (CHANNEL_UNUSED, channel_1) else [channel_1, channel_2]
        super().__init__(tagger, channels, binwidth=self._binwidth, n_bins=self._size)

    def getData(self) -> np.ndarray:
        """Read the histogram.

        Returns:
            Pairs per bin, dimensionless, shape (n_bins,), int32.
        """
        with self._stream.use(self):
            return self._pairs.astype(np.int32)

    def getDataNormalized(self) -> np.ndarray:
        """Read the second-order correlation function g2.

        The pairs per bin over those that uncorrelated channels of the same
        rates give: T / (binwidth N1 N2) pairs, with the captured time T.

        Returns:
            g2, dimensionless, shape (n_bins,), float64; NaN before both
            channels have tags.
        """
        with self._stream.use(self):
            expected = self._binwidth * float(self._first) * float(self._second)
            if not expected:
                return np.full(self._size, np.nan)
            return self._pairs * (self._captured / expected)

    def getIndex(self) -> np.ndarray:
        """Tell the times of the bins.

        Returns:
            Middle of each bin, ps, shape (n_bins,), int64.
        """
        with self._stream.use(self):
            return (np.arange(self._size, dtype=np.int64) - self._size // 2) * self._binwidth

    def _reset(self) -> None:
        self._pairs = np.zeros(self._size, np.int64)
        self._first = self._second = 0
        self._last_1 = self._last_2 = NO_TAGS

    def _count(self, start: int, end: int) -> None:
        rows = self._tags(start, end)
        first, second = rows[0], rows[-1]
        self._first += first.size
        self._second += second.size
        highest = self._lowest + self._size * self._binwidth
        # New stops pair with all starts in reach, old stops with the new starts only.
        known = np.concatenate([self._last_2, second])
        self._add(first, known, highest)
        self._add(self._last_1, second, highest)
        reach = end - max(highest, -self._lowest)
        self._last_1 = _since(np.concatenate([self._last_1, first]), reach)
        self._last_2 = _since(known, reach)

    def _add(self, stops: Tags, starts: Tags, highest: int) -> None:
        for _, times in find_pairs(stops, starts, self._lowest, highest):
            self._pairs += np.bincount((times - self._lowest) // self._binwidth, minlength=self._size)
        if len(self._channels) == 1:
            # A tag found itself, once: in the bin of no delay.
            own = np.intersect1d(stops, starts, assume_unique=True).size
            self._pairs[-self._lowest // self._binwidth] -= own


def find_pairs(
    stops: Tags, starts: Tags, lowest: int, highest: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Find all pairs of tags whose time from start to stop is in a range.

    Args:
        stops: Tags, ps, sorted.
        starts: Tags, ps, sorted.
        lowest: Smallest time from start to stop, ps.
        highest: First time that is too large, ps.

    Yields:
        Indices of the stops, dimensionless, and times, ps, both shape (n,), int64, with n
        at most about `CHUNK`.
    """
    if not stops.size or not starts.size:
        return
    below = np.searchsorted(starts, stops - highest, side="right")
    above = np.searchsorted(starts, stops - lowest, side="right")
    counts = above - below
    total = np.cumsum(counts)
    if not total[-1]:
        return
    cuts = np.searchsorted(total, np.arange(CHUNK, total[-1], CHUNK))
    for part in np.split(np.arange(stops.size), cuts):
        many = counts[part]
        indices = np.repeat(part, many)
        if not indices.size:
            continue
        # Numbers 0, 1, 2 ... within the starts of each stop.
        offsets = np.arange(indices.size) - np.repeat(np.cumsum(many) - many, many)
        yield indices, stops[indices] - starts[below[indices] + offsets]


def _since(tags: Tags, time: int) -> Tags:
    return tags[np.searchsorted(tags, time) :]
