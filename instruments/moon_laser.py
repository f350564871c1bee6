"""Simulated giant laser on the moon, the example of the data sockets."""

from __future__ import annotations

import math
import random
import threading
import time
from typing import Any, Final

from qcodes.parameters import Parameter
from qcodes.validators import Enum, MultiType, Numbers, Strings

from instrumentserver import Instrument

NOISE: Final = 0.01
"""Spread of the power from shot to shot, as a fraction of the setpoint, rms."""

COLD: Final = 100.0
"""Temperature of a laser that has not been used for long, K."""

HEAT: Final = 0.5
"""What a shot heats, K for each GW s."""

COOLING: Final = 5.0
"""Time in which the laser loses all but a third of its heat, seconds."""

_SETTINGS: Final = ("power", "focus", "duration", "target")


class MoonLaser(Instrument):
    """Simulated giant laser, which fires one shot at a time and becomes hot by that.

    It fires only while it is active and has a target. Any thread may call it; a second shot waits for the first.

    Args:
        name: Name of the instrument.
        seed: Seed of the noise, dimensionless.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Attributes:
        power: Power of a shot, GW, 0 to 1000.
        focus: Part of the power in the spot, %, 0 to 100.
        duration: Duration of a shot, seconds, 0.001 to 60.
        target: What it aims at, text; None: nothing.
        state: 'idle', 'active', or, during a shot, 'fire'.
        temperature: Temperature of the laser, K.
    """

    def __init__(self, name: str, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._random = random.Random(seed)
        self._shooting = threading.Lock()
        self._shot = (0.0, 0.0)
        self._heat = 0.0
        self._heated = time.monotonic()
        self._state = "idle"
        self._add_settings()
        self.state: Parameter = self.add_parameter(
            "state",
            label="State",
            vals=Enum("idle", "active", "fire"),
            set_cmd=self._set_state,
            get_cmd=lambda: self._state,
            docstring="'idle', 'active', or, during a shot, 'fire'; only the first two can be set.",
        )
        self.temperature: Parameter = self.add_parameter(
            "temperature",
            label="Temperature",
            unit="K",
            get_cmd=lambda: COLD + self._cooled(time.monotonic()),
            docstring="Temperature of the laser, K. Rises with each shot, and falls by itself.",
        )
        self.state.get()

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and firmware of the simulated laser."""
        return {
            "vendor": "instrumentserver",
            "model": "MoonLaser",
            "serial": self.name,
            "firmware": "simulated",
        }

    def fire(self) -> tuple[float, float]:
        """Fire one shot, blocking for its duration.

        Returns:
            What `get_values` returns after it.

        Raises:
            RuntimeError: The laser is not active, or has no target; nothing was fired.
        """
        with self._shooting:
            if self._state != "active" or self.target.cache.get() is None:
                raise RuntimeError(
                    f"{self.name} is {self._state} and its target is {self.target.cache.get()}; "
                    "make it active and give it a target"
                )
            power = self.power.cache.get() * (1 + NOISE * self._random.gauss(0, 1))
            duration = self.duration.cache.get()
            self._enter("fire")
            try:
                time.sleep(duration)
            finally:
                self._enter("active")
            moment = time.monotonic()
            self._heat, self._heated = self._cooled(moment) + HEAT * power * duration, moment
            self._shot = (power, duration)
        return self._shot

    def get_values(self) -> tuple[float, float]:
        """Return power, GW, and duration, seconds, of the last shot; zeros before the first."""
        return self._shot

    def update_settings(self, **settings: Any) -> str:
        """Set several settings together: none is set if one is wrong.

        Args:
            **settings: `power`, GW; `focus`, %; `duration`, seconds; `target`, text or None.

        Returns:
            A text that names what was set.

        Raises:
            ValueError: There is no such setting, or the value is out of range.
        """
        for name, value in settings.items():
            if name not in _SETTINGS:
                raise ValueError(f"{self.name} has no setting {name!r}; it has {', '.join(_SETTINGS)}")
            self.parameters[name].validate(value)
        for name, value in settings.items():
            self.parameters[name].set(value)
        return f"Updated settings with: {settings}"

    def set_state(self, state: str) -> str:
        """Make the laser 'idle' or 'active'; a shot under way is finished first.

        Returns:
            A text that names the state.

        Raises:
            ValueError: It is another word.
        """
        self.state.set(state)
        return f"State set to: {state}"

    def _add_settings(self) -> None:
        self.power: Parameter = self.add_parameter(
            "power",
            label="Power",
            unit="GW",
            vals=Numbers(0, 1000),
            set_cmd=None,
            initial_value=100.0,
            docstring="Power of a shot, GW; that of a single one is within some percent.",
        )
        self.focus: Parameter = self.add_parameter(
            "focus",
            label="Focus",
            unit="%",
            vals=Numbers(0, 100),
            set_cmd=None,
            initial_value=100.0,
            docstring="Part of the power in the spot, %.",
        )
        self.duration: Parameter = self.add_parameter(
            "duration",
            label="Duration",
            unit="s",
            vals=Numbers(0.001, 60),
            set_cmd=None,
            initial_value=0.1,
            docstring="Duration of a shot, s.",
        )
        self.target: Parameter = self.add_parameter(
            "target",
            label="Target",
            vals=MultiType(Strings(min_length=1), Enum(None)),
            set_cmd=None,
            initial_value=None,
            docstring="What the laser aims at; None: nothing.",
        )

    def _set_state(self, state: str) -> None:
        if state == "fire":
            raise ValueError(f"{self.name}: the state 'fire' comes with a shot; call fire()")
        with self._shooting:
            self._state = state

    def _enter(self, state: str) -> None:
        """Change the state, and tell who watches it."""
        self._state = state
        self.state.cache.set(state)

    def _cooled(self, moment: float) -> float:
        """Return what is left of the heat at a moment, K."""
        return self._heat * math.exp(-(moment - self._heated) / COOLING)
