"""What is in front of the simulated Time Taggers; no part of the vendor's API.

The bench of a device holds sources, detectors, the seed and the clock:

    from instruments.time_tagger import Correlation, createTimeTagger, simulation

    bench = simulation.bench("1740000JG2")
    bench.single_emitter([1, 2], rate=2e5, lifetime=10e-9)
    tagger = createTimeTagger("1740000JG2")
    correlation = Correlation(tagger, 1, 2, binwidth=1000, n_bins=101)

This module takes and returns plain values and benches, so it can be served
beside the SDK: `server.serve("instruments.time_tagger.simulation", "lab")`.
"""

from __future__ import annotations

from instruments.time_tagger.bench import Bench
from instruments.time_tagger.devices import shelf
from instruments.time_tagger.scene import Detector
from instruments.time_tagger.sources import Coherent, Pairs, Pulsed, SingleEmitter, Source, Thermal

__all__ = [
    "Bench",
    "Coherent",
    "Detector",
    "Pairs",
    "Pulsed",
    "SingleEmitter",
    "Source",
    "Thermal",
    "attach",
    "bench",
    "reset",
]


def bench(serial: str = "") -> Bench:
    """Find the bench of a device, in use or not.

    Args:
        serial: Serial number; '' for the first device.

    Raises:
        ValueError: No such device.
    """
    return shelf.bench(serial)


def attach(serial: str, seed: int | None = None) -> Bench:
    """Connect one more device to this computer, and return its bench.

    Args:
        serial: Its serial number. A device that is there already stays as it is.
        seed: Seed of its random numbers, dimensionless; None for one of its own.
    """
    return shelf.attach(serial, seed)


def reset() -> None:
    """Free every tagger, and go back to the devices and empty benches of the start."""
    shelf.refill()
