"""Light sources of the simulation, with the photon statistics of their kind.

Rates are in Hz and times in seconds, as everywhere outside the vendor's API.
g2 is the second-order correlation between two of the source's channels. The
statistics and their formulas are those of R. Loudon, "The Quantum Theory of
Light", 3rd ed., Oxford (2000), chapters 3, 5 and 6.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np

from instruments.time_tagger.channel import BLOCK, Tags
from instruments.time_tagger.clock import PS

BRIGHTEST: Final = 7.0
"""Intensity above which thermal light is cut, as a multiple of its mean: 0.1 %
of the time, and g2(0) is 1.989."""

SECTION: Final = 16.0
"""Time after which a field has forgotten itself, over its coherence time, dimensionless."""

Photons = dict[int, Tags]
"""Tags of each channel of a source."""


@dataclass(frozen=True)
class Source(ABC):
    """Light that falls onto detectors; a beam splitter shares it equally among them.

    Attributes:
        channels: Rising-edge numbers of the inputs whose detectors it reaches.
        rate: Photons before the splitter, Hz.
    """

    channels: tuple[int, ...]
    rate: float

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("a source without channels reaches no detector; give one or more")
        if len(set(self.outputs)) < len(self.outputs):
            raise ValueError(f"inputs {list(self.outputs)} are not all different; give each of them once")
        if not 0 <= self.rate <= 1e9:
            raise ValueError(f"a rate of {self.rate:g} Hz is outside 0 to 1e9 Hz; choose a value inside")

    @property
    def outputs(self) -> tuple[int, ...]:
        """The inputs of the tagger that get a signal from it."""
        return self.channels

    @abstractmethod
    def photons(self, start: int, random: np.random.Generator) -> Photons:
        """Make the photons of the block that begins at `start`, ps."""

    def _split(self, times: Tags, random: np.random.Generator) -> Photons:
        if len(self.channels) == 1:
            return {self.channels[0]: times}
        ports = random.integers(0, len(self.channels), times.size, dtype=np.uint8)
        return {channel: times[ports == port] for port, channel in enumerate(self.channels)}


@dataclass(frozen=True)
class Coherent(Source):
    """Light of a laser far above threshold: photons at random, g2 = 1."""

    def photons(self, start: int, random: np.random.Generator) -> Photons:
        """Make a Poisson process."""
        return self._split(_at_random(self.rate, start, random), random)


@dataclass(frozen=True)
class Thermal(Source):
    """Light of a hot body behind a narrow filter: photons in bunches.

    The field is complex Gaussian noise with a Lorentzian spectrum, so
    g2(t) = 1 + exp(-2 |t| / coherence_time).

    Attributes:
        coherence_time: Time in which the field forgets its phase, seconds.
    """

    coherence_time: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_time("coherence_time", self.coherence_time)

    def photons(self, start: int, random: np.random.Generator) -> Photons:
        """Thin a Poisson process by the intensity of a fluctuating field."""
        highest = BRIGHTEST * self.rate / -math.expm1(-BRIGHTEST)
        times = _at_random(highest, start, random)
        field = _fluctuate((times - start) / (self.coherence_time * PS), random)
        bright = field[0] ** 2 + field[1] ** 2 > random.random(times.size, np.float32) * (2 * BRIGHTEST)
        return self._split(times[bright], random)


@dataclass(frozen=True)
class SingleEmitter(Source):
    """One atom, dot or defect that gives one photon at a time: g2(0) = 0.

    g2(t) = 1 - exp(-|t| / lifetime). `rate` counts photons that are collected,
    as if every loss came before the splitter.

    Attributes:
        lifetime: Time constant of the dip, seconds; at most 1 / (4 rate).
    """

    lifetime: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_time("lifetime", self.lifetime)
        if 4 * self.rate * self.lifetime > 1:
            raise ValueError(
                f"one emitter with a lifetime of {self.lifetime:g} s gives at most "
                f"{1 / (4 * self.lifetime):g} Hz, not {self.rate:g} Hz; lower the rate or the lifetime"
            )

    def photons(self, start: int, random: np.random.Generator) -> Photons:
        """Make a renewal process: each waiting time is that of two decays in turn.

        The decay rates a and b with a + b = 1 / lifetime and a b = rate / lifetime
        are the ones that give this g2, also after losses.
        """
        if not self.rate:
            return self._split(np.empty(0, np.int64), random)
        spread = math.sqrt(max(1 - 4 * self.rate * self.lifetime, 0.0))
        slow, fast = (1 + spread) / (2 * self.rate), 2 * self.lifetime / (1 + spread)
        # The process begins ten photons early: by the block's start it has forgotten how.
        early = 10 / self.rate
        span = early + BLOCK / PS
        count = int(self.rate * span + 10 * math.sqrt(self.rate * span) + 10)
        waits = random.exponential(slow, count) + random.exponential(fast, count)
        times = start + ((np.cumsum(waits) - early) * PS).astype(np.int64)
        low, high = np.searchsorted(times, (start, start + BLOCK))
        return self._split(times[low:high], random)


@dataclass(frozen=True)
class Pulsed(Source):
    """Light that a pulsed laser excites, and the laser's electrical sync signal.

    Attributes:
        repetition_rate: Pulses of the laser, Hz.
        lifetime: Mean time between pulse and photon, seconds; 0 for the
            laser's own light.
        sync_channel: Input that gets one signal per pulse; None for no input.
        single: Whether a pulse gives at most one photon, as a triggered
            single emitter does; otherwise their number is Poissonian.
    """

    repetition_rate: float
    lifetime: float = 0.0
    sync_channel: int | None = None
    single: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.repetition_rate <= 1e9:
            raise ValueError(f"a repetition rate of {self.repetition_rate:g} Hz is outside 1 to 1e9 Hz")
        if self.lifetime < 0:
            raise ValueError(f"a lifetime of {self.lifetime:g} s is negative; choose 0 or more")
        if self.single and self.rate > self.repetition_rate:
            raise ValueError(
                f"{self.rate:g} Hz needs more than one photon per pulse at {self.repetition_rate:g} Hz; "
                f"lower the rate, or leave out single=True"
            )

    @property
    def outputs(self) -> tuple[int, ...]:
        """The inputs of the detectors and of the sync signal."""
        return self.channels if self.sync_channel is None else (*self.channels, self.sync_channel)

    def photons(self, start: int, random: np.random.Generator) -> Photons:
        """Make pulses at regular times, and photons after some of them."""
        period = PS / self.repetition_rate
        # In the middle of the period: no pulse is within the jitter of a block's end.
        first, last = math.ceil(start / period - 0.5), math.ceil((start + BLOCK) / period - 0.5)
        mean = self.rate / self.repetition_rate
        if self.single:
            pulses = first + np.flatnonzero(random.random(last - first) < mean)
        else:
            pulses = random.integers(first, last, random.poisson(mean * (last - first)))
        times = (pulses + 0.5) * period
        if self.lifetime:
            times = times + random.exponential(self.lifetime * PS, pulses.size)
        photons = self._split(wrap(np.rint(times).astype(np.int64), start), random)
        if self.sync_channel is not None:
            sync = np.rint((np.arange(first, last) + 0.5) * period).astype(np.int64)
            photons[self.sync_channel] = wrap(sync, start)
        return photons


@dataclass(frozen=True)
class Pairs(Source):
    """Photon pairs of parametric down-conversion: one photon on each channel, at once.

    `rate` counts pairs; each of the channels gets as many photons.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        super().__post_init__()
        if len(self.channels) < 2:
            raise ValueError(f"pairs need two or more channels, not {list(self.channels)}")

    def photons(self, start: int, random: np.random.Generator) -> Photons:
        """Make one Poisson process for all the channels."""
        times = _at_random(self.rate, start, random)
        return dict.fromkeys(self.channels, times)


def wrap(times: Tags, start: int) -> Tags:
    """Sort times into a block, those outside it at its other end.

    Few are outside, by a jitter or a lifetime: this keeps their density.
    """
    inside = start + (times - start) % BLOCK
    inside.sort()
    return inside


def _at_random(rate: float, start: int, random: np.random.Generator) -> Tags:
    # Sorted uniform numbers are running sums of exponential ones: faster than sorting.
    times = np.cumsum(random.standard_exponential(random.poisson(rate * BLOCK / PS) + 1))
    if times.size == 1:
        return np.empty(0, np.int64)
    inside: Tags = start + (times[:-1] * (BLOCK / times[-1])).astype(np.int64)
    return inside


def _check_time(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} = {value:g} s is not above 0; choose a time in seconds")


def _fluctuate(times: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Make Gaussian noise whose correlation is exp(-|t|) at the given times.

    Args:
        times: Times over the coherence time, dimensionless, ascending, shape (n,), float64.

    Returns:
        Two independent fields of variance 1, dimensionless, shape (2, n), float64.
    """
    fields = random.standard_normal((2, times.size), np.float32).astype(np.float64)
    if times.size < 2:
        return fields
    # x[i] = exp(-dt) x[i-1] + noise, as running sums weighted with exp(t). So that the weights
    # stay small they begin anew with each section, long enough to forget all but the last one.
    section = np.floor(times / SECTION) * SECTION
    weights = np.exp(times - section)
    begins = np.flatnonzero(np.diff(section)) + 1
    memory = weights[:-1] / weights[1:]
    memory[begins - 1] = np.exp(times[begins - 1] - times[begins])
    fields[:, 1:] *= np.sqrt(1 - memory**2)
    fields *= weights
    np.cumsum(fields, axis=1, out=fields)
    before = fields[:, begins - 1]
    last = np.diff(before, axis=1, prepend=0.0) * np.exp(section[begins - 1] - section[begins])
    lengths = np.diff(begins, prepend=0, append=times.size)
    fields += np.repeat(np.pad(last - before, ((0, 0), (1, 0))), lengths, axis=1)
    fields /= weights
    return fields
