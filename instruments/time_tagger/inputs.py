"""The inputs of a simulated Time Tagger: from pulses to tags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from instruments.time_tagger.channel import (
    BLOCK,
    KEPT,
    BlockChannel,
    Channel,
    Delayed,
    Tags,
    choose_apart,
)
from instruments.time_tagger.clock import PS
from instruments.time_tagger.enums import Resolution
from instruments.time_tagger.scene import Scene
from instruments.time_tagger.sources import wrap

INPUTS: Final = 8
"""Inputs of a simulated Time Tagger, dimensionless."""

CLOCK_PERIOD: Final = 2000
"""Period of the tagger's clock, ps; also its shortest dead time."""

TEST_FREQUENCY: Final = 403.2e6
"""Frequency of the test signal before its divider, Hz."""

TEST_DIVIDER: Final = 504
"""Divider of the test signal after a reset, dimensionless: 800 kHz."""

TEST_DETUNING: Final = 12e-6
"""Error of the test oscillator against the tagger's clock, dimensionless."""

JITTER: Final = {
    Resolution.Standard: 9.0,
    Resolution.HighResA: 7.0,
    Resolution.HighResB: 5.5,
    Resolution.HighResC: 4.0,
}
"""Jitter of an input, ps rms."""

_PURPOSE: Final = 1_000_000
"""First number for the random numbers of inputs; below are those of sources."""


@dataclass
class InputSettings:
    """What a user sets at one input; dead times and delays also for its falling edges.

    Attributes:
        trigger_level: V.
        delays: Delay per edge, ps.
        dead_times: Dead time per edge, ps.
        dividers: Every how many-th tag counts, per edge, dimensionless.
        test_signal: Whether the test signal replaces the input.
    """

    trigger_level: float
    delays: dict[int, int]
    dead_times: dict[int, int]
    dividers: dict[int, int]
    test_signal: bool

    @classmethod
    def of(cls, channel: int) -> InputSettings:
        """Make the settings of an input after a reset."""
        edges = (channel, -channel)
        return cls(
            trigger_level=0.5,
            delays=dict.fromkeys(edges, 0),
            dead_times=dict.fromkeys(edges, CLOCK_PERIOD),
            dividers=dict.fromkeys(edges, 1),
            test_signal=False,
        )


class Inputs:
    """All inputs of one tagger, with their settings and their channels.

    Args:
        scene: What is in front of the inputs.
        resolution: Mode of the tagger, for the jitter.
    """

    def __init__(self, scene: Scene, resolution: Resolution) -> None:
        self.scene = scene
        self.jitter = JITTER[resolution]
        self._channels: dict[int, Channel] = {}
        self.reset()

    def reset(self) -> None:
        """Go back to the settings of the start."""
        self.test_divider = TEST_DIVIDER
        self.settings = {channel: InputSettings.of(channel) for channel in range(1, INPUTS + 1)}
        for channel in self._channels.values():
            if isinstance(channel, Delayed):
                channel.delay = 0

    def edges(self) -> list[int]:
        """List the channel numbers, rising edges first."""
        return [*self.settings, *(-channel for channel in self.settings)]

    def channel(self, edge: int) -> Channel:
        """Find or make the channel of an edge.

        Args:
            edge: Input number, negative for its falling edges.
        """
        if edge not in self._channels:
            pulses: Channel = Pulses(self, abs(edge))
            if edge < 0:
                pulses = FallingEdges(self, -edge, pulses)
            delay = self.settings[abs(edge)].delays[edge]
            self._channels[edge] = Delayed(Divided(self, edge, DeadTime(self, edge, pulses)), delay)
        return self._channels[edge]

    def set_delay(self, edge: int, delay: int) -> None:
        """Delay an edge by `delay` ps."""
        self.settings[abs(edge)].delays[edge] = delay
        channel = self.channel(edge)
        assert isinstance(channel, Delayed)
        channel.delay = delay


class Pulses(BlockChannel):
    """Rising edges at the comparator of one input, before its dead time."""

    def __init__(self, inputs: Inputs, channel: int) -> None:
        super().__init__(inputs.scene)
        self._inputs = inputs
        self._channel = channel

    def _make(self, number: int) -> Tags:
        random = self._inputs.scene.random(_PURPOSE + self._channel, number)
        if self._inputs.settings[self._channel].test_signal:
            return self._test_signal(number, random)
        return self._detected(number, random)

    def _test_signal(self, number: int, random: np.random.Generator) -> Tags:
        period = PS * self._inputs.test_divider / TEST_FREQUENCY * (1 + TEST_DETUNING)
        start = number * BLOCK
        # In the middle of the period: no edge is within the jitter of the tagger's start.
        count = np.arange(math.ceil(start / period - 0.5), math.ceil((start + BLOCK) / period - 0.5))
        times = (count + 0.5) * period + random.standard_normal(count.size) * self._inputs.jitter
        return wrap(np.rint(times).astype(np.int64), start)

    def _detected(self, number: int, random: np.random.Generator) -> Tags:
        scene, start = self._inputs.scene, number * BLOCK
        detector = scene.detector(self._channel)
        arrivals = scene.arrivals(self._channel, number)
        times = np.concatenate([*arrivals, np.empty(0, np.int64)])
        if detector.efficiency < 1:
            times = times[random.random(times.size) < detector.efficiency]
        if jitter := math.hypot(detector.jitter * PS, self._inputs.jitter):
            times = times + np.rint(random.standard_normal(times.size) * jitter).astype(np.int64)
        if detector.dark_counts:
            dark = random.integers(start, start + BLOCK, random.poisson(detector.dark_counts * BLOCK / PS))
            times = np.concatenate([times, dark])
        level = self._inputs.settings[self._channel].trigger_level
        seen = 0.5 * math.erfc((level - detector.pulse_height) / (math.sqrt(2) * detector.pulse_spread))
        # At or below the baseline the comparator stays on one side and sees no edge.
        seen = seen if level > 0 else 0.0
        if seen < 1 - 1e-6:
            times = times[random.random(times.size) < seen]
        return wrap(times, start)


class FallingEdges(Delayed):
    """Falling edges at one input: its rising edges, later by the width of a pulse."""

    def __init__(self, inputs: Inputs, channel: int, pulses: Channel) -> None:
        super().__init__(pulses, 0)
        self._inputs = inputs
        self._channel = channel

    def tags(self, start: int, end: int) -> Tags:
        """Compute the falling edges of a span."""
        self.delay = round(self._inputs.scene.detector(self._channel).pulse_width * PS)
        return super().tags(start, end)


class DeadTime(BlockChannel):
    """Edges that are not within the dead time of the edge before: of the tagger or its detector."""

    def __init__(self, inputs: Inputs, edge: int, pulses: Channel) -> None:
        super().__init__(inputs.scene)
        self._inputs = inputs
        self._edge = edge
        self._pulses = pulses

    def _make(self, number: int) -> Tags:
        channel = abs(self._edge)
        settings = self._inputs.settings[channel]
        blind = settings.dead_times[self._edge]
        if not settings.test_signal:
            blind = max(blind, round(self._inputs.scene.detector(channel).dead_time * PS))
        start = number * BLOCK
        # Which edges are lost depends on those before, but is forgotten after some dead times.
        times = self._pulses.tags(start - min(200 * blind, 4 * BLOCK), start + BLOCK)
        kept = times[choose_apart(times, times + blind)]
        recent: Tags = kept[np.searchsorted(kept, start) :]
        return recent


class Divided(BlockChannel):
    """Every n-th of the edges that are left, by the divider of the tagger."""

    def __init__(self, inputs: Inputs, edge: int, edges: Channel) -> None:
        super().__init__(inputs.scene)
        self._inputs = inputs
        self._edge = edge
        self._edges = edges
        self._counted: dict[int, int] = {}

    def tags(self, start: int, end: int) -> Tags:
        """Compute the tags of a span."""
        if self._divider == 1:
            return self._edges.tags(start, end)
        return super().tags(start, end)

    @property
    def _divider(self) -> int:
        return self._inputs.settings[abs(self._edge)].dividers[self._edge]

    def _make(self, number: int) -> Tags:
        edges = self._edges.tags(number * BLOCK, (number + 1) * BLOCK)
        # The count goes on from one block to the next; after a pause it begins anew.
        before = self._counted.get(number, 0)
        self._counted[number + 1] = (before + edges.size) % self._divider
        while len(self._counted) > KEPT:
            del self._counted[next(iter(self._counted))]
        return edges[(self._divider - 1 - before) % self._divider :: self._divider]
