"""A driver with parameters of every kind that QCoDeS has."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
from qcodes.instrument import Instrument
from qcodes.parameters import (
    ArrayParameter,
    DelegateGroup,
    DelegateGroupParameter,
    DelegateParameter,
    ElapsedTimeParameter,
    Group,
    GroupedParameter,
    GroupParameter,
    InstrumentRefParameter,
    ManualParameter,
    MultiParameter,
    Parameter,
    ParameterBase,
    ParameterWithSetpoints,
    ScaledParameter,
    create_on_off_val_mapping,
)
from qcodes.validators import Arrays, Ints, Numbers, Strings
from qcodes.validators import Enum as EnumValidator

__all__ = ["Calibrated", "Counting", "Kinds", "Mode", "Pair", "Trace"]


class Mode(Enum):
    """How fast to measure."""

    SLOW = 1
    FAST = 2


class Counting(ParameterBase):
    """A parameter from the ground up, which counts how often it is read."""

    def __init__(self, name: str, *, start: int = 0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.reads = start

    def get_raw(self) -> int:
        """Return how often it was read."""
        self.reads += 1
        return self.reads


class Calibrated(Parameter):
    """A parameter with attributes, properties and methods of its own."""

    unit_of_slope = "V/A"

    def __init__(self, name: str, *, slope: float = 2.0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.slope = slope
        self._volts = 1.0

    def get_raw(self) -> float:
        """Return the voltage times the slope."""
        return self._volts * self.slope

    def set_raw(self, value: float) -> None:
        """Take the voltage."""
        self._volts = value / self.slope

    @property
    def doubled(self) -> float:
        """Twice the voltage."""
        return 2 * self._volts

    @doubled.setter
    def doubled(self, value: float) -> None:
        self._volts = value / 2

    def calibrate(self, slope: float, *, offset: float = 0.0) -> float:
        """Change the slope and return it, V/A."""
        self.slope = slope + offset
        return self.slope

    def history(self, *points: float) -> Iterator[float]:
        """Yield points times the slope."""
        for point in points:
            yield point * self.slope


class Pair(MultiParameter):
    """Two values that are read and set together."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(
            name,
            names=("left", "right"),
            shapes=((), (2,)),
            labels=("Left", "Right"),
            units=("V", "A"),
            setpoints=((), ((0.0, 1.0),)),
            setpoint_names=((), ("time",)),
            setpoint_labels=((), ("Time",)),
            setpoint_units=((), ("s",)),
            **kwargs,
        )
        self._pair: Any = (0.5, (1.0, 2.0))

    def get_raw(self) -> Any:
        """Return the pair."""
        return self._pair

    def set_raw(self, value: Any) -> None:
        """Take the pair."""
        self._pair = value


class Trace(ArrayParameter):
    """A trace over a fixed axis, as long as ``points`` says."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(
            name,
            shape=(3,),
            label="Trace",
            unit="A",
            setpoints=((0.0, 0.5, 1.0),),
            setpoint_names=("time",),
            setpoint_labels=("Time",),
            setpoint_units=("s",),
            docstring="A trace.",
            **kwargs,
        )

    def get_raw(self) -> Any:
        """Return the trace."""
        return np.arange(float(self.shape[0]))

    def stretch(self, points: int) -> None:
        """Have another number of points."""
        self.shape = (points,)
        self.setpoints = (tuple(float(number) for number in range(points)),)


class Kinds(Instrument):
    """A simulated instrument with parameters of every kind.

    Attributes:
        commands: What the hardware was told.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.commands: list[str] = []
        self._registers = {"level": "0.5", "rate": "1.0e3", "count": "5", "mode": "1", "switch": "0"}
        self._registers.update(gain="2", range="10")
        self._add_manual()
        self._add_commands()
        self._add_treated()
        self._add_arrays()
        self._add_composed()
        self.commands.clear()

    def get_idn(self) -> dict[str, str | None]:
        """Return who made the instrument."""
        return {"vendor": "tests", "model": "Kinds", "serial": "7", "firmware": None}

    def ask_raw(self, cmd: str) -> str:
        """Return the registers that a question such as ``level,rate?`` names."""
        self.commands.append(cmd)
        return ",".join(self._registers[name] for name in cmd.removesuffix("?").split(","))

    def write_raw(self, cmd: str) -> None:
        """Take values, such as ``level,rate 1,2``."""
        self.commands.append(cmd)
        names, _, values = cmd.partition(" ")
        for name, value in zip(names.split(","), values.split(","), strict=True):
            if name not in self._registers:
                raise KeyError(f"no register {name!r}")
            self._registers[name] = value

    def _add_manual(self) -> None:
        self.add_parameter("manual", parameter_class=ManualParameter, initial_value=3, vals=Ints(0, 10))
        self.add_parameter("unset", parameter_class=ManualParameter)
        self.add_parameter("cached", set_cmd=None, get_cmd=None, initial_cache_value=7, unit="s")
        self.add_parameter("described", set_cmd=None, metadata={"origin": ["tests"]}, docstring="Text.")
        self.add_parameter("registered", set_cmd=None, initial_value=1.5, register_name="my_column")
        self.add_parameter("excluded", set_cmd=None, initial_value=1, snapshot_exclude=True)
        self.add_parameter("valueless", set_cmd=None, initial_value=1, snapshot_value=False)
        self.add_parameter("elapsed", parameter_class=ElapsedTimeParameter)

    def _add_commands(self) -> None:
        self.add_parameter(
            "level",
            label="Level",
            unit="V",
            get_cmd="level?",
            set_cmd="level {}",
            get_parser=float,
            vals=Numbers(-10, 10),
            docstring="The level.",
        )
        self.add_parameter("rate", get_cmd="rate?", set_cmd="rate {:.3e}", get_parser=float, unit="1/s")
        self.add_parameter("count", get_cmd="count?", set_cmd="count {}", get_parser=int, set_parser=round)
        self.add_parameter("broken", get_cmd="nothing?", set_cmd="nothing {}", vals=Numbers(0, 1))
        self.add_parameter("garbled", get_cmd="mode?", get_parser=lambda answer: float(f"{answer}V"))
        self.add_parameter("readonly", get_cmd="level?", get_parser=float, set_cmd=False)
        self.add_parameter("writeonly", get_cmd=False, set_cmd="level {}", vals=Numbers(0, 1))
        self.add_parameter("neither", get_cmd=False, set_cmd=False)
        self.add_parameter(
            "unread", get_cmd="level?", get_parser=float, set_cmd="level {}", snapshot_get=False
        )
        self.add_parameter("aging", get_cmd="level?", get_parser=float, max_val_age=0.0)
        self.add_parameter("counting", parameter_class=Counting, start=10, snapshot_get=False)

    def _add_treated(self) -> None:
        self.add_parameter(
            "mapped", get_cmd="mode?", set_cmd="mode {}", val_mapping={"low": "0", "high": "1", "off": None}
        )
        self.add_parameter(
            "switch",
            get_cmd="switch?",
            set_cmd="switch {}",
            val_mapping=create_on_off_val_mapping(on_val="1", off_val="0"),
        )
        self.add_parameter(
            "chosen", set_cmd=None, initial_value="slow", vals=EnumValidator("slow", "fast", 3)
        )
        self.add_parameter(
            "stepped", set_cmd=self._take_step, initial_value=0.0, step=0.25, inter_delay=0.0001, unit="V"
        )
        self.add_parameter("delayed", set_cmd=None, initial_value=0, inter_delay=0.0001, post_delay=0.0001)
        self.add_parameter("scaled", set_cmd=None, initial_value=2.0, scale=10, offset=1, vals=Numbers(0, 5))
        self.add_parameter("each_scaled", set_cmd=None, initial_value=(1.0, 2.0), scale=(2, 4))
        self.add_parameter("calibrated", parameter_class=Calibrated, slope=4.0, unit="V", vals=Numbers(0, 9))

    def _take_step(self, value: float) -> None:
        self.commands.append(f"step {value:g}")

    def _add_arrays(self) -> None:
        self.add_parameter("points", set_cmd=None, initial_value=3, vals=Ints(1, 100))
        self.add_parameter(
            "axis",
            unit="s",
            label="Time",
            vals=Arrays(shape=(self.points,)),
            get_cmd=lambda: np.linspace(0, 1, self.points()),
        )
        self.add_parameter(
            "trace",
            parameter_class=ParameterWithSetpoints,
            setpoints=(self.axis,),
            vals=Arrays(shape=(self.points,)),
            get_cmd=lambda: np.linspace(0, 1, self.points()) ** 2,
        )
        self.add_parameter(
            "phasors",
            parameter_class=ParameterWithSetpoints,
            setpoints=(self.axis, self.axis),
            vals=Arrays(shape=(self.points, self.points), valid_types=(np.complexfloating,)),
            get_cmd=lambda: np.ones((self.points(), self.points())) * (1 + 1j),
            snapshot_value=True,
        )
        self.add_parameter("pair", parameter_class=Pair)
        self.add_parameter("fixed_trace", parameter_class=Trace)

    def _add_composed(self) -> None:
        self.add_parameter(
            "delegate",
            parameter_class=DelegateParameter,
            source=self.level,
            scale=2,
            offset=1,
            label="Delegate",
            bind_to_instrument=True,
        )
        self.add_parameter(
            "sourceless", parameter_class=DelegateParameter, source=None, bind_to_instrument=True
        )
        self.add_parameter(
            "gain", parameter_class=GroupParameter, get_parser=float, vals=Numbers(0, 10), unit="dB"
        )
        self.add_parameter("range", parameter_class=GroupParameter, get_parser=int)
        self.amplifier = Group(
            [self.gain, self.range], set_cmd="gain,range {gain},{range}", get_cmd="gain,range?"
        )
        self.add_parameter("reference", parameter_class=InstrumentRefParameter, vals=Strings())
        # Neither of these is among the parameters of the instrument.
        self.divided = ScaledParameter(output=self.level, division=4, name="divided", unit="mV")
        self.amplified = ScaledParameter(output=self.level, gain=self.manual, name="amplified")
        members = [
            DelegateGroupParameter(name, source)
            for name, source in (("first", self.level), ("second", self.manual))
        ]
        self.add_parameter(
            "grouped",
            parameter_class=GroupedParameter,
            group=DelegateGroup(name="members", parameters=members),
        )
