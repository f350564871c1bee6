"""Simulated multimeter that digitises any QCoDeS parameter."""

from __future__ import annotations

import math
import time
from typing import Any, Final

import numpy as np
from qcodes.parameters import Parameter
from qcodes.validators import Enum, Numbers

from instrumentserver import Instrument

COUNTS: Final = 1_000_000
"""Steps that make up the range, dimensionless."""

OVERRANGE: Final = 1.2
"""Largest voltage that is still digitised, as a multiple of the range."""


class Dmm(Instrument):
    """Simulated multimeter behind an amplifier that listens to a parameter.

    The source is any gettable QCoDeS parameter of numbers, local or remote: it
    stands for the quantity, `gain` for the amplifier that makes a voltage of
    it, `v` for the voltage at the meter, and `signal` for that voltage
    referred back to the source. Every get of `v` or `signal` gets the source
    once, adds white noise that falls with the square root of `nplc`, and
    rounds to a millionth of the range.

    Args:
        name: Name of the instrument.
        source: What to measure, such as `dot.sensor`.
        gain: Voltage per unit of the source, V per that unit; not 0.
        nplc: Integration time, power line cycles: 0.02, 0.2, 1, 10 or 100.
        noise: Noise at one power line cycle, as a fraction of the range, rms.
        cycle: Duration of one power line cycle, seconds: 0.02 as on a real
            50 Hz meter, 0 for readings that take no time.
        seed: Seed of the noise, dimensionless.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Raises:
        ValueError: The source cannot be read, or `gain`, `nplc`, `noise` or
            `cycle` is out of range.

    Attributes:
        signal: Reading referred to the source, in the unit of the source.
        v: Reading at the meter, V.
        range: Full scale, V: 0.1, 1, 10, 100 or 1000.
        nplc: Integration time, power line cycles.
        gain: Voltage per unit of the source, V per that unit.
    """

    def __init__(
        self,
        name: str,
        source: Parameter,
        gain: float = 1.0,
        nplc: float = 1.0,
        noise: float = 3e-6,
        cycle: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if not source.gettable:
            raise ValueError(f"{name}: {source.full_name} cannot be read; choose a gettable source")
        if noise < 0 or cycle < 0:
            raise ValueError(
                f"{name}: noise = {noise:g} or cycle = {cycle:g} s is negative; choose 0 or more"
            )
        super().__init__(name, **kwargs)
        self._source = source
        self._noise = noise
        self._cycle = cycle
        self._random = np.random.default_rng(seed)
        self._add_settings(gain, nplc)
        self._add_readings()

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and firmware of the simulated meter."""
        return {"vendor": "instrumentserver", "model": "Dmm", "serial": self.name, "firmware": "simulated"}

    def _add_settings(self, gain: float, nplc: float) -> None:
        self.range: Parameter = self.add_parameter(
            "range",
            label="Range",
            unit="V",
            vals=Enum(0.1, 1.0, 10.0, 100.0, 1000.0),
            set_cmd=None,
            initial_value=1.0,
            docstring="Full scale, V. More than 1.2 times this reads as an infinity of the voltage's sign.",
        )
        self.nplc: Parameter = self.add_parameter(
            "nplc",
            label="Integration time",
            unit="PLC",
            vals=Enum(0.02, 0.2, 1.0, 10.0, 100.0),
            set_cmd=None,
            initial_value=nplc,
            docstring="Integration time, power line cycles; the noise falls with its square root.",
        )
        self.gain: Parameter = self.add_parameter(
            "gain",
            label="Gain",
            unit=f"V/{self._source.unit}" if self._source.unit else "V",
            vals=Numbers(),
            set_cmd=self._set_gain,
            get_cmd=lambda: self._gain,
            initial_value=gain,
            docstring="Voltage at the meter per unit of the source, V per that unit; not 0.",
        )

    def _add_readings(self) -> None:
        self.v: Parameter = self.add_parameter(
            "v",
            label="Meter voltage",
            unit="V",
            get_cmd=self._digitise,
            docstring="Voltage at the meter, V; infinite on overload. Every get takes a new reading.",
        )
        self.signal: Parameter = self.add_parameter(
            "signal",
            label=self._source.label,
            unit=self._source.unit,
            get_cmd=lambda: self._digitise() / self._gain,
            docstring=f"Reading of {self._source.full_name}, referred to it: meter voltage over gain.",
        )

    def _set_gain(self, gain: float) -> None:
        if gain == 0:
            raise ValueError(f"{self.name}: a gain of 0 hides the source; choose another, 1 for no amplifier")
        self._gain = float(gain)

    def _digitise(self) -> float:
        full_scale, nplc = self.range.cache.get(), self.nplc.cache.get()
        if duration := nplc * self._cycle:
            time.sleep(duration)
        volts = self._source.get() * self._gain
        volts += full_scale * self._noise / math.sqrt(nplc) * self._random.standard_normal()
        if abs(volts) > OVERRANGE * full_scale:
            return math.copysign(math.inf, volts)
        return float(round(volts / full_scale * COUNTS) / COUNTS * full_scale)
