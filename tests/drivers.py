"""QCoDeS drivers for tests; they know nothing of servers but where their class says so."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
from qcodes.instrument import ChannelList, ChannelTuple, Instrument, InstrumentChannel
from qcodes.parameters import (
    ArrayParameter,
    ManualParameter,
    MultiParameter,
    Parameter,
    ParameterWithSetpoints,
)
from qcodes.validators import Arrays, Ints, Numbers, Strings


class Channel(InstrumentChannel):
    """A channel with a voltage."""

    def __init__(self, parent: Instrument, name: str, **kwargs: Any) -> None:
        super().__init__(parent, name, **kwargs)
        self._v = 0.0
        self.add_parameter(
            "v",
            label="Voltage",
            unit="V",
            vals=Numbers(-10, 10),
            get_cmd=lambda: self._v,
            set_cmd=lambda value: setattr(self, "_v", value),
            docstring="The output voltage.",
        )

    def twice(self) -> float:
        """Return twice the voltage, V."""
        return 2 * self._v


class Plain(Instrument):
    """An instrument as drivers are written."""

    class_constant = 7

    def __init__(self, name: str, address: str = "here", *, offset: float = 0.0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.address = address
        self.gain = 2.0
        self.table = {"a": [1, 2, 3]}
        self.written: list[Any] = []
        self._x = offset
        self.add_parameter(
            "x", unit="V", label="X", get_cmd=self._get_x, set_cmd=self._set_x, vals=Numbers(-5, 5)
        )
        self.add_parameter("readonly", get_cmd=lambda: 42.0)
        self.add_parameter("writeonly", get_cmd=False, set_cmd=self.written.append)
        self.add_parameter("trace", get_cmd=lambda: np.linspace(0, 1, 1000), snapshot_value=False)
        self.add_parameter("note", parameter_class=ManualParameter, initial_value="none", vals=Strings())
        self.add_parameter("count", set_cmd=None, get_cmd=None, initial_value=3, vals=Ints(0, 10))
        self.add_function(
            "echo", call_cmd=lambda value: value, args=[Numbers(0, 10)], docstring="Say it again."
        )
        self.add_submodule("ch1", Channel(self, "ch1"))
        channels = [Channel(self, f"out{number}") for number in range(4)]
        self.add_submodule("outs", ChannelTuple(self, "outs", Channel, channels))

    def _get_x(self) -> float:
        return self._x

    def _set_x(self, value: float) -> None:
        self.written.append(value)
        self._x = value

    def get_idn(self) -> dict[str, str | None]:
        """Return who made the instrument."""
        return {"vendor": "tests", "model": type(self).__name__, "serial": None, "firmware": None}

    def add(self, a: float, b: float = 1, *, times: int = 1) -> float:
        """Return (a + b) times ``times``."""
        return (a + b) * times

    def fail(self, error: BaseException) -> None:
        """Raise a ValueError that names ``error``."""
        raise ValueError(f"no {error}", 5)

    def grow(self, name: str) -> None:
        """Gain a parameter."""
        self.add_parameter(name, get_cmd=lambda: name)

    def shrink(self, name: str) -> None:
        """Lose a parameter."""
        self.remove_parameter(name)

    def pid(self) -> int:
        """Return the process that this runs in."""
        return os.getpid()

    def give(self, value: Any) -> Any:
        """Return what was given."""
        return value

    def kind(self, value: Any) -> str:
        """Return the name of the type that a value has here."""
        return type(value).__name__

    def myself(self) -> Plain:
        """Return the instrument itself."""
        return self

    def say(self, text: str) -> None:
        """Print something."""
        print(text)  # noqa: T201

    @property
    def doubled(self) -> float:
        """Twice x."""
        return 2 * self._x


class Gate(Instrument):
    """An instrument whose call lasts until the test says so."""

    def __init__(self, name: str, folder: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._entered = os.path.join(folder, "entered")
        self._open = os.path.join(folder, "open")
        self.add_parameter("value", set_cmd=None, get_cmd=None, initial_value=1)
        self.inside = 0
        self.most_inside = 0

    def wait(self) -> str:
        """Return when the file ``open`` is there; make ``entered`` first."""
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        open(self._entered, "w").close()
        event = threading.Event()
        give_up = time.monotonic() + 30
        while not os.path.exists(self._open) and time.monotonic() < give_up:
            event.wait(0.002)
        self.inside -= 1
        return "done"

    def die(self) -> None:
        """End the process at once."""
        os._exit(3)


class Growing(Instrument):
    """An instrument with a channel list that may grow."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_submodule("chans", ChannelList(self, "chans", Channel))
        self.add_channel()

    def add_channel(self) -> None:
        """Gain a channel."""
        self.chans.append(Channel(self, f"c{len(self.chans)}"))


class Failing(Instrument):
    """An instrument whose constructor fails after it has opened its hardware."""

    opened: list[str] = []

    def __init__(self, name: str, path: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._path = path
        with open(path, "w") as file:
            file.write("open")
        raise RuntimeError("the hardware does not answer")

    def close(self) -> None:
        """Give the hardware back."""
        if hasattr(self, "_path"):
            os.unlink(self._path)
        super().close()


class Holder(Instrument):
    """An instrument that was given something."""

    def __init__(self, name: str, held: Any = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.held = held

    def held_kind(self) -> str:
        """Return the name of the type of what is held."""
        return type(self.held).__name__

    def read(self) -> Any:
        """Return the held instrument's x."""
        return self.held.x.get()

    def call(self, name: str, *args: Any) -> Any:
        """Call a method of what is held."""
        return getattr(self.held, name)(*args)

    def hold(self, held: Any) -> None:
        """Hold something else."""
        self.held = held


class Sharing(Instrument):
    """An instrument with shared keyword arguments."""

    shared_kwargs = ["backend", "instruments"]

    def __init__(self, name: str, *, backend: Any = None, instruments: Any = (), **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.backend = backend
        self.instruments = instruments

    def backend_id(self) -> int:
        """Return the identity of the backend object."""
        return id(self.backend)


class Sweep(ArrayParameter):
    """A trace over a fixed axis."""

    def __init__(self, name: str, instrument: Instrument, **kwargs: Any) -> None:
        super().__init__(
            name,
            shape=(5,),
            instrument=instrument,
            setpoints=(tuple(float(number) for number in range(5)),),
            setpoint_names=("time",),
            setpoint_units=("s",),
            unit="A",
            **kwargs,
        )

    def get_raw(self) -> Any:
        """Return the trace."""
        return np.arange(5.0) ** 2


class Quadratures(MultiParameter):
    """Two values read at once."""

    def __init__(self, name: str, instrument: Instrument, **kwargs: Any) -> None:
        super().__init__(
            name,
            names=("i", "q"),
            shapes=((), ()),
            units=("V", "V"),
            labels=("I", "Q"),
            setpoints=((), ()),
            instrument=instrument,
            **kwargs,
        )

    def get_raw(self) -> tuple[float, float]:
        """Return both."""
        return 0.25, 0.75


class Digitizer(Instrument):
    """An instrument with arrays of every kind."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("points", set_cmd=None, get_cmd=None, initial_value=4, vals=Ints(1, 1000))
        self.add_parameter(
            "axis",
            parameter_class=Parameter,
            unit="s",
            label="Time",
            vals=Arrays(shape=(self.points.get_latest,)),
            get_cmd=lambda: np.linspace(0, 1, self.points()),
        )
        self.add_parameter(
            "trace",
            parameter_class=ParameterWithSetpoints,
            unit="V",
            vals=Arrays(shape=(self.points.get_latest,)),
            setpoints=(self.axis,),
            get_cmd=lambda: np.linspace(0, 1, self.points()) ** 2,
        )
        self.add_parameter("sweep", parameter_class=Sweep)
        self.add_parameter("iq", parameter_class=Quadratures)
        self.add_parameter("gain", set_cmd=None, get_cmd=None, initial_value=1.0, vals=Numbers(0, 10))
        self.add_parameter("level", unit="V", get_cmd=lambda: 2 * self.gain())
