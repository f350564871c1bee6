"""The optical bench in front of a simulated Time Tagger: sources, detectors, clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from instruments.time_tagger.clock import PS, Clock, RealClock, SteppedClock
from instruments.time_tagger.inputs import INPUTS
from instruments.time_tagger.scene import Detector, Scene
from instruments.time_tagger.sources import Coherent, Pairs, Pulsed, SingleEmitter, Source, Thermal


class Bench:
    """Everything in front of one simulated Time Tagger, and the clock of both.

    No part of the vendor's API: `instruments.time_tagger.simulation.bench` finds
    it. Nothing is connected at first, so the inputs without a test signal count
    nothing. Changes act from the present moment on, in a running measurement
    too; tags already counted stay. Any thread may use it, and all methods take
    plain values, so that it can be served beside the SDK.

    Units are SI here: Hz, seconds and volts.

    Args:
        scene: What it sets.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @property
    def seed(self) -> int:
        """The seed, dimensionless. The same seed, settings and times give the same tags."""
        return self._scene.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        with self._scene.changing():
            self._scene.seed = int(seed)

    def use_stepped_clock(self) -> None:
        """Stop the time: it goes on by `step`, and to the end of what somebody waits for.

        Raises:
            RuntimeError: The tagger is in use; free it first.
        """
        self._use_clock(SteppedClock())

    def use_real_clock(self) -> None:
        """Let the time go by itself, as it does at first.

        Raises:
            RuntimeError: The tagger is in use; free it first.
        """
        self._use_clock(RealClock())

    def step(self, duration: float) -> None:
        """Let time pass at once.

        Args:
            duration: Time that passes, seconds, not negative.

        Raises:
            RuntimeError: The clock is the real one.
        """
        with self._scene.lock:
            clock = self._scene.clock
            if not isinstance(clock, SteppedClock):
                raise RuntimeError("this bench goes by the real clock; call use_stepped_clock() first")
            if duration < 0:
                raise ValueError(f"time does not go back by {-duration:g} s; choose 0 or more")
            clock.step(round(duration * PS))
            self._scene.advance()

    def coherent(self, channels: Sequence[int], rate: float) -> None:
        """Add a laser: photons at random, g2 = 1.

        Args:
            channels: Inputs behind a splitter with equal shares, 1 to 8.
            rate: Photons before the splitter, Hz.
        """
        self.add(Coherent(tuple(channels), rate))

    def thermal(self, channels: Sequence[int], rate: float, coherence_time: float) -> None:
        """Add a thermal source: photons in bunches, g2(t) = 1 + exp(-2 |t| / coherence_time).

        Args:
            channels: Inputs behind a splitter with equal shares, 1 to 8.
            rate: Photons before the splitter, Hz.
            coherence_time: Time in which the field forgets its phase, seconds.
        """
        self.add(Thermal(tuple(channels), rate, coherence_time))

    def single_emitter(self, channels: Sequence[int], rate: float, lifetime: float) -> None:
        """Add a single-photon emitter: g2(t) = 1 - exp(-|t| / lifetime).

        Args:
            channels: Inputs behind a splitter with equal shares, 1 to 8.
            rate: Photons before the splitter, Hz, at most 1 / (4 lifetime).
            lifetime: Time constant of the dip, seconds.
        """
        self.add(SingleEmitter(tuple(channels), rate, lifetime))

    def pulsed(
        self,
        channels: Sequence[int],
        rate: float,
        repetition_rate: float,
        lifetime: float = 0.0,
        *,
        sync_channel: int | None = None,
        single: bool = False,
    ) -> None:
        """Add light excited by a pulsed laser.

        Args:
            channels: Inputs behind a splitter with equal shares, 1 to 8.
            rate: Photons before the splitter, Hz.
            repetition_rate: Pulses of the laser, Hz.
            lifetime: Mean time between pulse and photon, seconds.
            sync_channel: Input for the laser's sync signal; None for no input.
            single: Whether a pulse gives one photon at most.
        """
        self.add(Pulsed(tuple(channels), rate, repetition_rate, lifetime, sync_channel, single))

    def pairs(self, channels: Sequence[int], rate: float) -> None:
        """Add a source of photon pairs: one photon on each channel, at the same time.

        Args:
            channels: Inputs, 1 to 8, two or more.
            rate: Pairs, Hz.
        """
        self.add(Pairs(tuple(channels), rate))

    def add(self, source: Source) -> None:
        """Add any source; several on one channel add up.

        Raises:
            ValueError: An input of the source does not exist.
        """
        for channel in source.outputs:
            _check_input(channel)
        with self._scene.changing():
            self._scene.sources = [*self._scene.sources, source]

    def clear(self) -> None:
        """Take all sources away; the detectors stay, with their dark counts."""
        with self._scene.changing():
            self._scene.sources = []

    def set_detector(self, channel: int, **settings: float) -> None:
        """Change the detector at an input.

        Args:
            channel: The input, 1 to 8.
            **settings: Fields of `Detector` and their values, in its units; the
                others stay as they are.

        Raises:
            ValueError: No such input, or a value out of range.
            TypeError: No such field.
        """
        _check_input(channel)
        with self._scene.changing():
            self._scene.detectors[channel] = replace(self.detector(channel), **settings)

    def detector(self, channel: int) -> Detector:
        """Tell the detector at an input."""
        _check_input(channel)
        return self._scene.detector(channel)

    @property
    def sources(self) -> list[Source]:
        """The sources on the bench, in the order in which they were added."""
        return self._scene.sources

    def _use_clock(self, clock: Clock) -> None:
        with self._scene.lock:
            if self._scene.is_seen:
                raise RuntimeError("the tagger goes by this clock; free it with freeTimeTagger first")
            self._scene.clock = clock


def _check_input(channel: int) -> None:
    if channel not in range(1, INPUTS + 1):
        raise ValueError(f"input {channel} does not exist; choose 1 to {INPUTS}")
