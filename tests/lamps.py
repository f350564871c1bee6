"""An instrument and an object that clients of data sockets control in tests."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from qcodes.instrument import ChannelTuple, Instrument, InstrumentChannel
from qcodes.validators import Arrays, Ints, Numbers, Strings

__all__ = ["Lamp", "LaserControl", "Shade"]


class Shade(enum.Enum):
    """How it shines."""

    WARM = 1
    COLD = 2


class Bulb(InstrumentChannel):
    """A part of a lamp."""

    def __init__(self, parent: Instrument, name: str, **kwargs: Any) -> None:
        super().__init__(parent, name, **kwargs)
        self.add_parameter("v", unit="V", set_cmd=None, initial_value=0.0, vals=Numbers(0, 10))

    def flash(self, times: int = 1) -> int:
        """Return how often it flashed."""
        return times


class Lamp(Instrument):
    """A lamp whose settings, state and failures a client can reach as far as it is let.

    Attributes:
        order: Which of the settings were sent to the hardware, in order.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.order: list[str] = []
        self.add_parameter(
            "power", unit="W", vals=Numbers(0, 1000), get_cmd=None, set_cmd=lambda value: self._note("power")
        )
        self.add_parameter(
            "focus", vals=Ints(0, 100), get_cmd=None, set_cmd=lambda value: self._note("focus")
        )
        self.add_parameter("fuse", set_cmd=self._blow, get_cmd=None, vals=Numbers())
        self.add_parameter("target", set_cmd=None, get_cmd=None, vals=Strings())
        self.add_parameter("wave", set_cmd=None, get_cmd=None, vals=Arrays(shape=(3,)))
        self.add_parameter("temperature", unit="K", get_cmd=lambda: 4.2)
        self.add_parameter("shade", get_cmd=lambda: Shade.WARM)
        self.add_function("reset", call_cmd=lambda: self.order.clear())
        self.add_function(
            "scale", call_cmd=lambda value, factor: value * factor, args=[Numbers(), Numbers(0, 10)]
        )
        bulbs = [Bulb(self, f"ch{number}") for number in (1, 2)]
        for bulb in bulbs:
            self.add_submodule(bulb.short_name, bulb)
        self.add_submodule("bulbs", ChannelTuple(self, "bulbs", Bulb, bulbs))

    def update_settings(self, power: float, focus: int = 10) -> str:
        """Set both."""
        self.power(power)
        self.focus(focus)
        return f"power {power}, focus {focus}"

    def anything(self, **settings: Any) -> dict[str, Any]:
        """Return what it is given."""
        return settings

    def sent(self) -> list[str]:
        """Return which settings were sent to the hardware, in order."""
        return list(self.order)

    def measured(self) -> dict[str, Any]:
        """Return values as drivers have them."""
        return {"trace": np.arange(3.0), "shade": Shade.COLD, "count": np.int64(3), "pair": (1, 2)}

    def long(self) -> str:
        """Return more than a datagram holds."""
        return "x" * 70_000

    def fail(self, text: str) -> None:
        """Fail."""
        raise OSError(5, text)

    def shout(self) -> None:
        """Fail with several lines, and what is not ASCII."""
        raise RuntimeError("300 °C\nand more")

    def leave(self) -> None:
        """Try to end the program."""
        raise SystemExit(3)

    def _note(self, name: str) -> None:
        self.order.append(name)

    def _blow(self, value: float) -> None:
        if value > 1:
            raise RuntimeError("the fuse has blown")

    def _secret(self) -> str:
        return "secret"


class LaserControl:
    """The class that is controlled in the manual of the protocol, without its socket."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {"power": 100, "focus": 100, "target": None}
        self._state = "idle"

    def update_settings(self, **kwargs: Any) -> str:
        """Update settings."""
        for key in kwargs:
            if key not in self.settings:
                raise ValueError(f"Not settings for key: {key}")
        self.settings.update(kwargs)
        return f"Updated settings with: {kwargs}"

    def state(self, state: str) -> str:
        """Set the state."""
        self._state = state
        return f"State set to: {state}"

    def history(self) -> list[list[float]]:
        """Return shots."""
        return [[1.0, 42.0], [1.5, 45.6]]

    def summary(self) -> dict[str, Any]:
        """Return what raw text can hold, too."""
        return {"a": [1, 2], "b": True, "c": "x"}

    def nothing(self) -> None:
        """Return None."""

    async def later(self) -> int:
        """Return a number, later."""
        return 1
