"""Histograms of the time since a start tag: `TimeDifferences` and `Histogram`."""

from __future__ import annotations

import numpy as np

from instruments.time_tagger.channel import NO_TAGS, Tags
from instruments.time_tagger.correlation import find_pairs
from instruments.time_tagger.enums import CHANNEL_UNUSED
from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.tagger import TimeTaggerBase

WAITING_FOR_SYNC = -2
WAITING_FOR_NEXT = -1


class TimeDifferences(IteratorBase):
    """Histograms of the times from start tags to later clicks, one after the other.

    Every click within the range of a start counts, for every start. A tag of
    `next_channel` goes on to the next histogram, after the last one to the first
    again: a rollover. With a `sync_channel` a rollover waits for its tag, which
    begins anew before the first histogram.

    Args:
        tagger: Where the tags come from.
        click_channel: Channel of the clicks.
        start_channel: Channel of the starts; `CHANNEL_UNUSED` for the clicks
            themselves, where no click is paired with itself.
        next_channel: Channel whose tags choose the next histogram;
            `CHANNEL_UNUSED` to count into the first one all the time.
        sync_channel: Channel whose tags begin anew; `CHANNEL_UNUSED` for none.
        binwidth: Width of a bin, ps, 1 or more.
        n_bins: Bins of a histogram, dimensionless, 1 or more.
        n_histograms: Histograms, dimensionless, 1 or more.

    Raises:
        TypeError: `tagger` is no Time Tagger.
        ValueError: A channel does not exist, a number is too small, or there is
            a `sync_channel` without a `next_channel`.
        RuntimeError: The tagger was freed.
    """

    def __init__(
        self,
        tagger: TimeTaggerBase,
        click_channel: int,
        start_channel: int = CHANNEL_UNUSED,
        next_channel: int = CHANNEL_UNUSED,
        sync_channel: int = CHANNEL_UNUSED,
        binwidth: int = 1000,
        n_bins: int = 1000,
        n_histograms: int = 1,
    ) -> None:
        self._binwidth = integer("binwidth", binwidth, 1)
        self._size = integer("n_bins", n_bins, 1)
        self._histograms = integer("n_histograms", n_histograms, 1)
        if sync_channel != CHANNEL_UNUSED and next_channel == CHANNEL_UNUSED:
            raise ValueError(f"sync_channel {sync_channel} does nothing without a next_channel; give both")
        self._has_next = next_channel != CHANNEL_UNUSED
        self._has_sync = sync_channel != CHANNEL_UNUSED
        self._max_rollovers = 0
        starts = click_channel if start_channel == CHANNEL_UNUSED else start_channel
        markers = [channel for channel in (next_channel, sync_channel) if channel != CHANNEL_UNUSED]
        super().__init__(
            tagger,
            [click_channel, starts, *markers],
            binwidth=self._binwidth,
            n_bins=self._size,
            n_histograms=self._histograms,
        )

    def getData(self) -> np.ndarray:
        """Read all histograms.

        Returns:
            Clicks per bin, dimensionless, shape (n_histograms, n_bins), int32.
        """
        with self._stream.use(self):
            return self._clicks.astype(np.int32)

    def getIndex(self) -> np.ndarray:
        """Tell the times of the bins.

        Returns:
            Begin of each bin after the start, ps, shape (n_bins,), int64.
        """
        with self._stream.use(self):
            return np.arange(self._size, dtype=np.int64) * self._binwidth

    def setMaxCounts(self, max_counts: int) -> None:
        """Stop after a number of rollovers; the old name of `setMaxRollovers`."""
        self.setMaxRollovers(max_counts)

    def setMaxRollovers(self, max_rollovers: int) -> None:
        """Stop after a number of rollovers.

        Args:
            max_rollovers: The number, dimensionless; 0 to go on.
        """
        number = integer("max_rollovers", max_rollovers, 0)
        with self._stream.use(self):
            self._max_rollovers = number

    def getHistogramIndex(self) -> int:
        """Tell which histogram is filled, dimensionless, from 0.

        Returns:
            -1 while it waits for a tag of `next_channel`, -2 for one of `sync_channel`.
        """
        with self._stream.use(self):
            return self._index

    def getCounts(self) -> int:
        """Tell the number of rollovers, dimensionless."""
        with self._stream.use(self):
            return self._rollovers

    def ready(self) -> bool:
        """Tell whether the number of `setMaxRollovers` has been reached."""
        with self._stream.use(self):
            return 0 < self._max_rollovers <= self._rollovers

    def _reset(self) -> None:
        self._clicks = np.zeros((self._histograms, self._size), np.int64)
        self._last_starts = NO_TAGS
        self._rollovers = 0
        self._index = 0
        if self._has_next:
            self._index = WAITING_FOR_SYNC if self._has_sync else WAITING_FOR_NEXT

    def _count(self, start: int, end: int) -> None:
        clicks, starts, *markers = self._tags(start, end)
        reach = self._size * self._binwidth
        known = np.concatenate([self._last_starts, starts])
        self._last_starts = known[np.searchsorted(known, end - reach) :]
        times, indices = self._step(markers)
        itself = self._numbers[0] == self._numbers[1]
        for stops, differences in find_pairs(clicks, known, 1 if itself else 0, reach):
            chosen = indices[np.searchsorted(times, clicks[stops], side="right")]
            valid = chosen >= 0
            bins = chosen[valid] * self._size + differences[valid] // self._binwidth
            self._clicks += np.bincount(bins, minlength=self._clicks.size).reshape(self._clicks.shape)

    def _step(self, markers: list[Tags]) -> tuple[np.ndarray, np.ndarray]:
        """Go through the markers of a span.

        Returns:
            Times of the markers, ps, shape (n,), int64, and the histograms before
            the first and after each of them, dimensionless, shape (n + 1,), int64.
        """
        indices = [self._index]
        if not markers:
            return NO_TAGS, np.array(indices)
        times = np.concatenate(markers)
        kinds = np.repeat(np.arange(len(markers)), [tags.size for tags in markers])
        order = np.argsort(times, kind="stable")
        for kind in kinds[order].tolist():
            self._step_once(is_sync=kind == 1)
            indices.append(self._index)
        return times[order], np.array(indices)

    def _step_once(self, *, is_sync: bool) -> None:
        if 0 < self._max_rollovers <= self._rollovers:
            return
        if is_sync:
            self._rollovers += self._index > 0
            self._index = WAITING_FOR_NEXT
        elif self._index == self._histograms - 1:
            self._rollovers += 1
            self._index = WAITING_FOR_SYNC if self._has_sync else 0
        elif self._index != WAITING_FOR_SYNC:
            self._index += 1
        if 0 < self._max_rollovers <= self._rollovers:
            self._index = WAITING_FOR_SYNC
            self._end()


class Histogram(IteratorBase):
    """Histogram of the times from start tags to later clicks.

    Every click within the range of a start counts, for every start.

    Args:
        tagger: Where the tags come from.
        click_channel: Channel of the clicks.
        start_channel: Channel of the starts; `CHANNEL_UNUSED` for the clicks
            themselves, where no click is paired with itself.
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
        click_channel: int,
        start_channel: int = CHANNEL_UNUSED,
        binwidth: int = 1000,
        n_bins: int = 1000,
    ) -> None:
        self._binwidth = integer("binwidth", binwidth, 1)
        self._size = integer("n_bins", n_bins, 1)
        starts = click_channel if start_channel == CHANNEL_UNUSED else start_channel
        channels = [click_channel, starts]
        super().__init__(tagger, channels, binwidth=self._binwidth, n_bins=self._size)

    def getData(self) -> np.ndarray:
        """Read the histogram.

        Returns:
            Clicks per bin, dimensionless, shape (n_bins,), int32.
        """
        with self._stream.use(self):
            return self._clicks.astype(np.int32)

    def getIndex(self) -> np.ndarray:
        """Tell the times of the bins.

        Returns:
            Begin of each bin after the start, ps, shape (n_bins,), int64.
        """
        with self._stream.use(self):
            return np.arange(self._size, dtype=np.int64) * self._binwidth

    def _reset(self) -> None:
        self._clicks = np.zeros(self._size, np.int64)
        self._last_starts = NO_TAGS

    def _count(self, start: int, end: int) -> None:
        clicks, starts = self._tags(start, end)
        reach = self._size * self._binwidth
        known = np.concatenate([self._last_starts, starts])
        self._last_starts = known[np.searchsorted(known, end - reach) :]
        itself = self._numbers[0] == self._numbers[1]
        for _, differences in find_pairs(clicks, known, 1 if itself else 0, reach):
            self._clicks += np.bincount(differences // self._binwidth, minlength=self._size)
