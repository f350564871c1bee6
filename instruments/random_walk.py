"""Simulated quantity that changes by itself, as temperatures and pressures do."""

from __future__ import annotations

import random
import threading
import time
from typing import Any, Final

from qcodes.parameters import Parameter
from qcodes.validators import Numbers

from instrumentserver import Instrument

LARGEST_STEP: Final = 1.0
"""Most that x changes in one step, dimensionless."""

_END_SECONDS: Final = 5.0


class RandomWalk(Instrument):
    """Simulated quantity that takes a random step every `dt`, until it is closed.

    A thread of the driver's own sets `x`, as a driver does whose hardware
    sends values unasked. A step is at most `LARGEST_STEP` to either side,
    uniformly distributed. Setting `x` puts the walker elsewhere.

    Args:
        name: Name of the instrument.
        dt: Time between two steps, seconds, 0.001 to 3600.
        seed: Seed of the steps, dimensionless; None for steps that nobody knows.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Attributes:
        dt: Time between two steps, seconds; a new one counts from the latest step on.
        x: Where the walker is, dimensionless.
    """

    def __init__(self, name: str, dt: float = 3.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._random = random.Random(seed)
        self._news = threading.Condition()
        self._is_walking = True
        self.dt: Parameter = self.add_parameter(
            "dt",
            label="Time between steps",
            unit="s",
            vals=Numbers(0.001, 3600),
            set_cmd=self._set_dt,
            initial_value=dt,
            docstring="Time between two steps, s. A new one counts from the latest step on.",
        )
        self.x: Parameter = self.add_parameter(
            "x",
            label="Position",
            vals=Numbers(),
            set_cmd=None,
            initial_value=0.0,
            docstring="Where the walker is, dimensionless. Changes by itself, and can be set.",
        )
        self._thread = threading.Thread(target=self._walk, name=f"{name} walks", daemon=True)
        self._thread.start()

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and firmware of the simulated quantity."""
        return {
            "vendor": "instrumentserver",
            "model": "RandomWalk",
            "serial": self.name,
            "firmware": "simulated",
        }

    def close(self) -> None:
        """Stop walking, and forget the instrument."""
        # A constructor that failed early has no thread yet.
        if hasattr(self, "_thread"):
            with self._news:
                self._is_walking = False
                self._news.notify_all()
            self._thread.join(_END_SECONDS)
        super().close()

    def _set_dt(self, dt: float) -> None:
        with self._news:
            self._dt = float(dt)
            self._news.notify_all()

    def _walk(self) -> None:
        latest = time.monotonic()
        while True:
            with self._news:
                while self._is_walking and (left := latest + self._dt - time.monotonic()) > 0:
                    self._news.wait(left)
                if not self._is_walking:
                    return
            latest = time.monotonic()
            self.x.set(self.x.cache.get() + LARGEST_STEP * self._random.uniform(-1, 1))
