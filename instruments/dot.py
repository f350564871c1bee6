"""Simulated double quantum dot with a charge sensor beside it.

The electrostatics are the constant-interaction model of two dots in series,
W. G. van der Wiel et al., "Electron transport through double quantum dots",
Rev. Mod. Phys. 75, 1 (2002), https://doi.org/10.1103/RevModPhys.75.1, section
II. Electrons hop one at a time between left lead, dot 1, dot 2 and right lead;
the steady state of these hops is the thermal average without a bias and gives
the bias triangles with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from qcodes.parameters import Parameter, ParameterBase
from qcodes.validators import Numbers

from instrumentserver import Instrument

CHARGE: Final = 1.602176634e-19
"""Elementary charge, C (exact, SI 2019)."""

BOLTZMANN: Final = 8.617333262e-5
"""Boltzmann constant, eV/K (CODATA 2018)."""

WINDOW: Final = 4
"""Electron numbers per dot that can be occupied at one point, dimensionless."""

FLOOR: Final = 1e-9
"""Slowest hop, as a fraction of the fastest: keeps the rate equation solvable
where the thermal rates underflow."""

SENSITIVITY: Final = 3e-7
"""Change of the sensor's current per potential of dot 1, A/V."""

CROSSTALK: Final = 0.55
"""Effect of dot 2 on the sensor over that of dot 1, dimensionless."""


def _hops() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tabulate the single-electron hops within the window.

    Returns:
        First and last state of each hop, dimensionless indices, shape (n,),
        int; and the electrons that it takes from the left lead, the right
        lead and dot 1 (onto dot 2), dimensionless 0 or 1, shape (3, n).
    """
    index = np.arange(WINDOW * WINDOW).reshape(WINDOW, WINDOW)
    groups = (
        (index[:-1, :], index[1:, :]),
        (index[:, :-1], index[:, 1:]),
        (index[1:, :-1], index[:-1, 1:]),
    )
    start = np.concatenate([first.ravel() for first, _ in groups])
    stop = np.concatenate([last.ravel() for _, last in groups])
    kind = np.repeat(np.arange(3), [first.size for first, _ in groups])
    return start, stop, (kind == np.arange(3)[:, None]).astype(float)


_START, _STOP, _KIND = _hops()
_OFFSETS = np.indices((WINDOW, WINDOW), dtype=float).reshape(2, -1)


@dataclass(frozen=True)
class DoubleDot:
    """Constant-interaction model of two quantum dots in series.

    Immutable, so any thread may use it. Dot 1 is coupled to the left lead,
    dot 2 to the right lead, and each to the other.

    Attributes:
        ec1: Charging energy of dot 1, eV.
        ec2: Charging energy of dot 2, eV.
        ecm: Electrostatic coupling energy, eV; less than `ec1` and `ec2`.
        bias: Voltage of the left lead against the right lead, V.
        temperature: Temperature of the electrons, K, above 0.
        lever: Electrons that each gate pulls onto each dot, 1/V, two rows
            (dots) of two (gates): the capacitances over the electron charge.
        rate: Rate of a hop that is downhill, 1/s.
    """

    ec1: float = 2.0e-3
    ec2: float = 2.2e-3
    ecm: float = 0.6e-3
    bias: float = 0.0
    temperature: float = 0.1
    lever: tuple[tuple[float, float], tuple[float, float]] = ((10.0, 1.5), (1.2, 10.0))
    rate: float = 1e9

    def __post_init__(self) -> None:
        if not 0 <= self.ecm < min(self.ec1, self.ec2):
            raise ValueError(
                f"ecm = {self.ecm:g} eV is negative or not below ec1 = {self.ec1:g} eV and "
                f"ec2 = {self.ec2:g} eV; change the energies in an order that keeps the coupling the smallest"
            )

    def solve(self, v1: float, v2: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Find the steady state at two gate voltages.

        Electron numbers are never negative. Per dot the four numbers next to
        the charge that the gates pull are considered, so a temperature or a
        bias of the order of the charging energies is outside the model.

        Args:
            v1: Voltage of gate 1, V.
            v2: Voltage of gate 2, V.

        Returns:
            Mean electron numbers, dimensionless, shape (2,), float64; mean
            potentials of the dots, V, shape (2,), float64; and the current
            from the left lead to the right lead, A.
        """
        pulled = np.array([row[0] * v1 + row[1] * v2 for row in self.lever])
        lowest = np.maximum(np.floor(pulled) - (WINDOW / 2 - 1), 0)
        excess = _OFFSETS + (lowest - pulled)[:, None]
        potentials = np.array([[self.ec1, self.ecm], [self.ecm, self.ec2]]) @ excess
        energies = 0.5 * (excess * potentials).sum(0)
        occupied, flow = self._steady_state(energies)
        return lowest + _OFFSETS @ occupied, -(potentials @ occupied), CHARGE * flow

    def _steady_state(self, energies: np.ndarray) -> tuple[np.ndarray, float]:
        """Occupation of each state, and electrons per second from right to left."""
        # Raising the left lead's voltage lowers the energy of its electrons.
        lead_levels = np.array([-self.bias / 2, self.bias / 2, 0.0])
        gain = energies[_STOP] - energies[_START] - lead_levels @ _KIND
        uphill = np.tanh(gain / (2 * BOLTZMANN * self.temperature))
        forward = 0.5 * (1 - uphill) + FLOOR
        backward = 0.5 * (1 + uphill) + FLOOR
        rates = np.zeros((energies.size, energies.size))
        rates[_STOP, _START] = forward
        rates[_START, _STOP] = backward
        balance = rates - np.diag(rates.sum(0))
        # The columns add up to zero, so one row is redundant: it holds the normalisation.
        balance[0] = 1.0
        one = np.zeros(energies.size)
        one[0] = 1.0
        occupied = np.linalg.solve(balance, one)
        through_left = _KIND[0] * (backward * occupied[_STOP] - forward * occupied[_START])
        return occupied, self.rate * float(through_left.sum())


class Dot(Instrument):
    """Simulated double quantum dot between two gates, with a charge sensor.

    Every get evaluates the model at the voltages in the gates' caches; a gate
    that was never set nor read is read once (QCoDeS `cache.get()`). Readings
    carry white noise from a seeded generator: the same calls in the same order
    give the same numbers.

    Args:
        name: Name of the instrument.
        gates: The parameters of gate 1 and gate 2, V; local or remote.
        noise: Noise of `current` and of `sensor`, A rms per reading.
        seed: Seed of the noise, dimensionless.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Raises:
        ValueError: `gates` are not two parameters.

    Attributes:
        current: Current through the dots from left to right, A.
        sensor: Current through the charge sensor, A.
        bias: Voltage of the left lead against the right lead, V.
        temperature: Temperature of the electrons, K.
        ec1: Charging energy of dot 1, eV.
        ec2: Charging energy of dot 2, eV.
        ecm: Electrostatic coupling energy of the dots, eV.
        noise: Noise of `current` and of `sensor`, A rms per reading.
    """

    def __init__(
        self, name: str, gates: Sequence[ParameterBase], noise: float = 2e-12, seed: int = 0, **kwargs: Any
    ) -> None:
        if len(gates) != 2:
            raise ValueError(
                f"{name}: {len(gates)} gates given; give two, as in gates=[dac.ch1.v, dac.ch2.v]"
            )
        super().__init__(name, **kwargs)
        self._gates = tuple(gates)
        self._random = np.random.default_rng(seed)
        self._model = DoubleDot()
        self._add_readings()
        self.bias = self._add_knob("bias", "Bias", "V", Numbers(-2e-3, 2e-3))
        self.temperature = self._add_knob("temperature", "Electron temperature", "K", Numbers(0.01, 4.2))
        self.ec1 = self._add_knob("ec1", "Charging energy of dot 1", "eV", Numbers(1e-4, 1e-2))
        self.ec2 = self._add_knob("ec2", "Charging energy of dot 2", "eV", Numbers(1e-4, 1e-2))
        self.ecm = self._add_knob("ecm", "Coupling energy of the dots", "eV", Numbers(0, 1e-2))
        self.noise: Parameter = self.add_parameter(
            "noise",
            label="Noise",
            unit="A",
            vals=Numbers(0, 1e-9),
            set_cmd=None,
            initial_value=noise,
            docstring="Noise of current and of sensor, A rms per reading.",
        )

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and firmware of the simulated sample."""
        return {"vendor": "instrumentserver", "model": "Dot", "serial": self.name, "firmware": "simulated"}

    def electrons(self) -> np.ndarray:
        """Evaluate the mean electron numbers, which no meter can see.

        Returns:
            Electrons on dot 1 and dot 2, dimensionless, shape (2,), float64.
        """
        electrons, _, _ = self._solve()
        return electrons

    def _add_readings(self) -> None:
        self.current: Parameter = self.add_parameter(
            "current",
            label="Current through the dots",
            unit="A",
            get_cmd=self._get_current,
            docstring="Current through the dots from the left to the right lead, A, with noise.",
        )
        self.sensor: Parameter = self.add_parameter(
            "sensor",
            label="Charge sensor current",
            unit="A",
            get_cmd=self._get_sensor,
            docstring=(
                "Current through a third dot on the flank of its Coulomb peak, A, with noise: 1 nA, "
                "shifted by the potentials of dot 1 and, with 55 % of the effect, dot 2."
            ),
        )

    def _add_knob(self, name: str, label: str, unit: str, limits: Numbers) -> Parameter:
        return self.add_parameter(
            name,
            label=label,
            unit=unit,
            vals=limits,
            set_cmd=partial(self._turn, name),
            get_cmd=lambda: getattr(self._model, name),
            docstring=f"{label}, {unit}.",
        )

    def _turn(self, name: str, value: float) -> None:
        change: dict[str, Any] = {name: float(value)}
        self._model = replace(self._model, **change)

    def _solve(self) -> tuple[np.ndarray, np.ndarray, float]:
        v1, v2 = (gate.cache.get() for gate in self._gates)
        return self._model.solve(v1, v2)

    def _get_current(self) -> float:
        _, _, current = self._solve()
        return current + self._jitter()

    def _get_sensor(self) -> float:
        _, potentials, _ = self._solve()
        return 1e-9 + SENSITIVITY * float(potentials[0] + CROSSTALK * potentials[1]) + self._jitter()

    def _jitter(self) -> float:
        return float(self.noise.cache.get() * self._random.standard_normal())
