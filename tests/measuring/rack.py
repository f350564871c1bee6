"""Instruments to measure with; what they return depends on what was set alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from qcodes.instrument import Instrument
from qcodes.instrument_drivers.mock_instruments import (
    ArraySetPointParam,
    ComplexArraySetPointParam,
    DummyChannelInstrument,
    Multi2DSetPointParam,
    Multi2DSetPointParam2Sizes,
    MultiScalarParam,
    MultiSetPointParam,
)
from qcodes.parameters import ArrayParameter, DelegateParameter, MultiParameter, ParameterWithSetpoints
from qcodes.validators import Arrays, ComplexNumbers, Enum, Ints, Numbers, Strings

__all__ = ["Borrower", "Channels", "Clock", "Follower", "Meeting", "Meter", "Scope", "Source", "Values"]


class Source(Instrument):
    """Three voltages, and other settings."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.history: list[tuple[str, float]] = []
        for channel in ("v1", "v2", "v3"):
            self.add_parameter(
                channel,
                label=f"Voltage {channel}",
                unit="V",
                vals=Numbers(-10, 10),
                get_cmd=None,
                set_cmd=lambda value, channel=channel: self.history.append((channel, value)),
                initial_value=0.0,
            )
        # A source that rounds what it is told.
        self.add_parameter(
            "coarse", unit="V", set_cmd=None, get_cmd=None, get_parser=lambda value: round(value, 1)
        )
        self.add_parameter("mode", set_cmd=None, get_cmd=None, initial_value="dc", vals=Enum("dc", "ac"))
        self.add_parameter("count", set_cmd=None, get_cmd=None, initial_value=3, vals=Ints())
        self.add_parameter("untouched", set_cmd=None, get_cmd=None)
        self.add_parameter(
            "millivolt",
            parameter_class=DelegateParameter,
            source=self.v1,
            scale=1e-3,
            unit="mV",
            label="Voltage v1 in small",
        )
        self.add_parameter("same", parameter_class=DelegateParameter, source=self.v2)

    def forget(self) -> None:
        """Empty the history."""
        self.history.clear()


class Meter(Instrument):
    """Reads currents that a source drives.

    Args:
        name: Name of the instrument.
        source: A `Source`; None for a current of 0.
        delay: Time that a reading takes, seconds.
    """

    def __init__(self, name: str, source: Any = None, delay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._source = source
        self._delay = delay
        self._readings = 0
        self.add_parameter("i", label="Current", unit="A", get_cmd=self._read)
        self.add_parameter("j", label="Twice the current", unit="A", get_cmd=lambda: 2 * self._read())
        self.add_parameter("fragile", get_cmd=self._fail_at_last)

    def _read(self) -> float:
        if self._delay:
            time.sleep(self._delay)
        return 0.0 if self._source is None else 1e-3 * (self._source.v1() + 10 * self._source.v2())

    def _fail_at_last(self) -> float:
        self._readings += 1
        if self._readings > 2:
            raise RuntimeError("the meter has melted")
        return 1.0


class Meeting(Instrument):
    """Returns from a reading once another one has begun one.

    Args:
        name: Name of the instrument.
        folder: Where they see of one another.
        other: Name of the other one.
        friend: The other one, to chat with.
    """

    def __init__(self, name: str, folder: str, other: str, friend: Any = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._friend = friend
        self._mine, self._other = Path(folder, name), Path(folder, other)
        self.add_parameter("meet", get_cmd=self._meet, vals=Strings())
        self.add_parameter("chat", get_cmd=lambda: self._meet() and self._friend.call_name(), vals=Strings())

    def befriend(self, friend: Any) -> None:
        """Chat with another one from now on."""
        self._friend = friend

    def call_name(self) -> str:
        """Return the name."""
        return self.name

    def _meet(self) -> str:
        self._mine.touch()
        give_up = time.monotonic() + 20
        while not self._other.exists():
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.name} met nobody")
            time.sleep(0.002)
        return self.name


class Values(Instrument):
    """A parameter for each kind of value that a dataset can hold."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("text", get_cmd=lambda: "märz", vals=Strings())
        self.add_parameter("impedance", unit="Ohm", get_cmd=lambda: 1 + 2j, vals=ComplexNumbers())
        self.add_parameter("small_complex", get_cmd=lambda: np.complex64(1 + 2j), vals=ComplexNumbers())
        self.add_parameter("single", get_cmd=lambda: np.float32(0.1))
        self.add_parameter("integer", get_cmd=lambda: np.int64(7))
        self.add_parameter("nothing", get_cmd=lambda: float("nan"))
        self.add_parameter("infinite", get_cmd=lambda: -np.inf)
        self.add_parameter("zero_dimensional", get_cmd=lambda: np.array(3.5))
        self.add_parameter(
            "renamed", get_cmd=lambda: 1.5, register_name="my_own_name", label="Mine", unit="A"
        )
        self.add_parameter("unvalued", get_cmd=lambda: 5.0, snapshot_value=False)
        for dtype in ("float64", "float32", "int32", "uint8", "complex64"):
            self.add_parameter(
                dtype,
                get_cmd=lambda dtype=dtype: np.arange(6).reshape(2, 3).astype(dtype),
                vals=Arrays(shape=(2, 3), valid_types=(np.integer, np.floating, np.complexfloating)),
            )


class Scope(Instrument):
    """A parameter for each kind that brings its setpoints along."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("points", set_cmd=None, get_cmd=None, initial_value=5, vals=Ints(1, 100))
        self.add_parameter("multi", parameter_class=MultiSetPointParam)
        self.add_parameter("multi_2d", parameter_class=Multi2DSetPointParam)
        self.add_parameter("multi_2d_two_sizes", parameter_class=Multi2DSetPointParam2Sizes)
        self.add_parameter("multi_scalar", parameter_class=MultiScalarParam)
        self.add_parameter("array", parameter_class=ArraySetPointParam)
        self.add_parameter("complex_array", parameter_class=ComplexArraySetPointParam)
        self.add_parameter("mixed", parameter_class=Mixed)
        self.add_parameter("trace", parameter_class=Trace)
        self.add_parameter("without_setpoints", parameter_class=WithoutSetpoints)


class Trace(ArrayParameter):
    """A trace whose length the instrument may change."""

    def __init__(self, name: str, instrument: Scope, **kwargs: Any) -> None:
        super().__init__(name, shape=(0,), instrument=instrument, label="Trace", unit="V", **kwargs)
        self.resize(5)

    def resize(self, points: int) -> None:
        """Have the trace ``points`` points from now on."""
        self.shape = (points,)
        self.setpoints = (tuple(np.linspace(0, 1, points).tolist()),)
        self.setpoint_names, self.setpoint_labels, self.setpoint_units = ("time",), ("Time",), ("s",)

    def get_raw(self) -> Any:
        """Return the trace."""
        return np.linspace(0, 1, self.shape[0]) ** 2


class Mixed(MultiParameter):
    """Two numbers and an array at once."""

    def __init__(self, name: str, instrument: Scope, **kwargs: Any) -> None:
        super().__init__(
            name,
            names=("number", "length", "image"),
            shapes=((), (), (2, 3)),
            labels=("Number", "Length", "Image"),
            units=("V", "m", "lx"),
            setpoints=((), (), ((1.0, 2.0), ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0)))),
            setpoint_names=((), (), ("row", "column")),
            setpoint_labels=((), (), ("Row", "Column")),
            setpoint_units=((), (), ("px", "px")),
            instrument=instrument,
            **kwargs,
        )

    def get_raw(self) -> Any:
        """Return them."""
        return 0.5, 2.0, np.arange(6.0).reshape(2, 3)


class WithoutSetpoints(ArrayParameter):
    """An array that QCoDeS cannot store, for lack of setpoints."""

    def __init__(self, name: str, instrument: Scope, **kwargs: Any) -> None:
        super().__init__(name, shape=(3,), instrument=instrument, **kwargs)

    def get_raw(self) -> Any:
        """Return it."""
        return np.arange(3.0)


class Borrower(Instrument):
    """Shows a parameter of a `Source` among its own."""

    def __init__(self, name: str, source: Any, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.parameters["v1"] = source.v1


class Clock(Instrument):
    """Has an axis, for other instruments to measure over."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("ticks", set_cmd=None, get_cmd=None, initial_value=4, vals=Ints(1, 100))
        self.add_parameter(
            "axis",
            label="Time",
            unit="s",
            vals=Arrays(shape=(self.ticks.get_latest,)),
            get_cmd=lambda: np.linspace(0, 1, self.ticks()),
        )


class Follower(Instrument):
    """Has a trace over the axis of a `Clock`."""

    def __init__(self, name: str, clock: Any, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter(
            "trace",
            parameter_class=ParameterWithSetpoints,
            label="Trace",
            unit="V",
            setpoints=(clock.axis,),
            vals=Arrays(shape=(clock.ticks.get_latest,)),
            get_cmd=lambda: clock.axis() ** 2,
        )


class Channels(DummyChannelInstrument):
    """QCoDeS's instrument with channels, whose noise is the same in every process."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for channel in self.channels:
            channel.dummy_n_points(4)
            channel.dummy_n_points_2(3)
            for noisy in ("", "_2d", "_complex"):
                parameter = channel.parameters[f"dummy_parameter_with_setpoints{noisy}"]
                parameter._rng = np.random.default_rng(0)
