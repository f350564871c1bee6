"""The instrument whose channels are timed."""

from __future__ import annotations

from typing import Any

from qcodes.instrument import Instrument

__all__ = ["Bench"]


class Bench(Instrument):
    """An instrument with a parameter ``x``, one that raises it, and any number of others.

    Args:
        name: Its name.
        channels: How many others, ``c0``, ``c1`` and so on.
    """

    def __init__(self, name: str, channels: int, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("x", unit="V", get_cmd=None, set_cmd=None, initial_value=0.0)
        self.add_parameter("burst", set_cmd=self._raise, get_cmd=lambda: 0)
        for index in range(channels):
            self.add_parameter(f"c{index}", get_cmd=None, set_cmd=None, initial_value=float(index))

    def _raise(self, number: float) -> None:
        for value in range(1, int(number) + 1):
            self.x.set(float(value))
