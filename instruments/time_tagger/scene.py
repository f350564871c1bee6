"""What a simulated Time Tagger sees: photons of all sources, block by block, and the clock."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from instruments.time_tagger.channel import BLOCK, NO_TAGS, Blocks, Tags
from instruments.time_tagger.clock import Clock, RealClock
from instruments.time_tagger.sources import Photons, Source

FIRST_BLOCK: Final = 1 << 40
"""Added to block numbers in seeds, which may not be negative; tags before the
start of a tagger are seen behind a delay."""


@dataclass(frozen=True)
class Detector:
    """Single-photon detector at one input.

    Attributes:
        efficiency: Share of the photons that it sees, dimensionless, 0 to 1.
        dark_counts: Pulses without a photon, Hz.
        jitter: Spread of the pulses about the photons, seconds rms.
        dead_time: Time after a pulse in which it sees nothing, seconds.
        pulse_height: Mean height of its pulses, V.
        pulse_spread: Spread of the height, V rms, above 0.
        pulse_width: Time between rising and falling edge, seconds.
    """

    efficiency: float = 1.0
    dark_counts: float = 0.0
    jitter: float = 50e-12
    dead_time: float = 0.0
    pulse_height: float = 1.0
    pulse_spread: float = 0.1
    pulse_width: float = 20e-9

    def __post_init__(self) -> None:
        if not 0 <= self.efficiency <= 1:
            raise ValueError(f"an efficiency of {self.efficiency:g} is outside 0 to 1")
        if not self.pulse_spread > 0:
            raise ValueError(
                f"a pulse spread of {self.pulse_spread:g} V is not above 0; choose 0.01 V or more"
            )
        for name in ("dark_counts", "jitter", "dead_time", "pulse_width"):
            if (value := getattr(self, name)) < 0:
                raise ValueError(f"{name} = {value:g} is negative; choose 0 or more")


class Scene:
    """Sources, detectors, seed and clock in front of one tagger, for the tagger's side.

    Args:
        seed: Seed of all random numbers, dimensionless; None for one of its own.

    Attributes:
        lock: Held by whoever uses the scene, or the tagger in front of it.
        revision: Changes with each change of what the tags depend on.
        seed: The seed, dimensionless.
        clock: The clock that the tagger goes by.
        detectors: Detectors by input, where they are not as at first.
    """

    def __init__(self, seed: int | None) -> None:
        self.lock = threading.RLock()
        self.revision = 0
        self.seed = secrets.randbits(32) if seed is None else seed
        self.clock: Clock = RealClock()
        self.detectors: dict[int, Detector] = {}
        self._emitted: list[Emitted] = []
        self._advance: Callable[[], Callable[[], None] | None] = _nothing

    @property
    def sources(self) -> list[Source]:
        """The sources, in the order in which they were added."""
        return [emitted.source for emitted in self._emitted]

    @sources.setter
    def sources(self, sources: list[Source]) -> None:
        self._emitted = [Emitted(self, place, source) for place, source in enumerate(sources)]

    @property
    def is_seen(self) -> bool:
        """Whether a tagger is in front of it."""
        return self._advance() is not None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Count all tags until now, then let the caller change what they depend on."""
        with self.lock:
            self.advance()
            yield
            self.revision += 1

    def advance(self) -> None:
        """Count all tags until now. The caller holds the lock."""
        if (advance := self._advance()) is not None:
            advance()

    def attend(self, advance: Callable[[], None] | None) -> None:
        """Call a bound method, which is held weakly, to count all tags until now; None for none."""
        self._advance = _nothing if advance is None else weakref.WeakMethod(advance)

    def detector(self, channel: int) -> Detector:
        """Find the detector at an input."""
        return self.detectors.get(channel, Detector())

    def arrivals(self, channel: int, number: int) -> list[Tags]:
        """Make the photons of one block at one input, one array per source."""
        return [
            emitted.block(number).get(channel, NO_TAGS)
            for emitted in self._emitted
            if channel in emitted.source.outputs
        ]

    def random(self, purpose: int, number: int) -> np.random.Generator:
        """Make the random numbers of one block, always the same for one purpose."""
        return np.random.default_rng((self.seed, purpose, number + FIRST_BLOCK))


class Emitted:
    """The photons of one source, block by block.

    Args:
        scene: The scene of the source.
        place: Its place in the scene, dimensionless.
        source: The source.
    """

    def __init__(self, scene: Scene, place: int, source: Source) -> None:
        self.source = source
        self._scene = scene
        self._place = place
        self._blocks: Blocks[Photons] = Blocks(scene)

    def block(self, number: int) -> Photons:
        """Make the photons of one block, or find them."""
        if (photons := self._blocks.find(number)) is not None:
            return photons
        random = self._scene.random(self._place, number)
        return self._blocks.keep(number, self.source.photons(number * BLOCK, random))


def _nothing() -> None:
    return None
