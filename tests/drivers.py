"""QCoDeS drivers for tests; they know nothing of servers but where their class says so."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qcodes.instrument import ChannelList, ChannelTuple, Instrument, InstrumentChannel
from qcodes.instrument.channel import AutoLoadableChannelList, AutoLoadableInstrumentChannel
from qcodes.parameters import (
    ArrayParameter,
    InstrumentRefParameter,
    ManualParameter,
    MultiChannelInstrumentParameter,
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


class Onlooker(Instrument):
    """Another client: runs code in the process of its server, with what it was given under names."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._names: dict[str, Any] = {"logging": logging, "Instrument": Instrument}

    def see(self, expression: str, **given: Any) -> Any:
        """Return what an expression is worth there."""
        self._names.update(given)
        return eval(expression, self._names)

    def do(self, statements: str, **given: Any) -> None:
        """Carry out statements; what they assign is kept."""
        self._names.update(given)
        exec(statements, self._names)


class Handle:
    """A connection with hardware: an object that cannot leave its process."""

    def __init__(self, depth: int = 2) -> None:
        self.timeout = 2.0
        self.is_open = True
        self.registers = {"a": 1, 3: "three"}
        self._secret = "kept"
        self.below = Handle(depth - 1) if depth else None

    def ask(self, command: str, *, times: int = 1) -> str:
        """Return the command, ``times`` times."""
        return command * times

    def __len__(self) -> int:
        return len(self.registers)

    def __bool__(self) -> bool:
        return self.is_open

    def __getitem__(self, key: Any) -> Any:
        return self.registers[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.registers[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.registers[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.registers)

    def __contains__(self, key: object) -> bool:
        return key in self.registers

    def __repr__(self) -> str:
        return f"<Handle with {self.timeout} s>"


class Trigger(Handle):
    """A connection that can be called."""

    def __call__(self, value: float) -> float:
        return value + self.timeout


class Wired(Plain):
    """An instrument with attributes that cannot travel, and with other names for its parts."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.handle = Handle()
        self._handle = Handle()
        self.trigger = self.handle.trigger = Trigger()
        self._count = 1
        self.limits_class = Numbers
        self.unheard = type("Unheard", (), {"__module__": "elsewhere", "level": 3})
        self.ch1.handle = Handle()
        self.x.handle = Handle()
        self.gate, self.drain, self.leads = self.x, self.ch1, self.outs
        self.again, self.deep = self.functions["echo"], self.outs[2].v
        self.ch1.above = self.x

    def is_handle(self, *things: Any) -> bool:
        """Return whether these are the handle itself, or lists with nothing else inside."""
        return all(self.is_handle(*it) if type(it) is list else it is self.handle for it in things)

    def call_add(self) -> float:
        """Return what the driver gets when it calls its own method."""
        return self.add(1, 1)


class ChattyWarning(UserWarning):
    """A driver's own category."""


class Chatty(Instrument):
    """An instrument that prints, logs and warns."""

    def __init__(self, name: str, *, warning: str = "", failure: str = "", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_submodule("channel", InstrumentChannel(self, "channel"))
        if warning:
            warnings.warn(warning, ChattyWarning, stacklevel=1)
            self.log.warning("logged: %s", warning)
            print(warning)  # noqa: T201
        if failure:
            raise RuntimeError(failure)

    def log_one(self, level: int, text: str, *args: Any, name: str = "drivers.chatty", **more: Any) -> None:
        """Log under a logger of the driver's."""
        logging.getLogger(name).log(level, text, *args, **more)

    def log_odd(self) -> None:
        """Log with extras that cannot travel as they are."""
        extra = {"place": type("Place", (str,), {})("rack 2"), "owner": self, "volts": np.float64(1.5)}
        logging.getLogger("drivers.chatty").warning("odd", extra=extra)

    def log_as_instrument(self, level: int, text: str, *args: Any) -> None:
        """Log under the instrument's own logger, and the channel's."""
        self.log.log(level, text, *args)
        self.channel.log.log(level, text, *args)

    def log_failure(self) -> None:
        """Log a traceback."""
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            self.log.exception("no reading")

    def warn(self, text: str, category: str = "ChattyWarning") -> str:
        """Warn and go on."""
        kinds = {kind.__name__: kind for kind in (ChattyWarning, DeprecationWarning, UserWarning)}
        unheard = type("UnheardWarning", (DeprecationWarning,), {"__module__": "elsewhere"})
        warnings.warn(text, kinds.get(category, unheard), stacklevel=1)
        return "went on"

    def warn_and_fail(self, text: str) -> None:
        """Print, log, warn and raise."""
        print(text)  # noqa: T201
        self.log.warning(text)
        warnings.warn(text, ChattyWarning, stacklevel=1)
        raise ValueError(f"after {text}")

    def print_lines(self, lines: int, length: int, *, to_error: bool = False) -> int:
        """Print lines of a length and return how many characters that were."""
        for number in range(lines):
            print(f"{number:0{length - 1}}", file=sys.stderr if to_error else sys.stdout)
        return lines * length

    def print_and_return_stranger(self) -> object:
        """Print, and return what cannot travel."""
        print("before")  # noqa: T201
        return object()

    def level_of(self, name: str) -> int:
        """Return the level that a logger was given here."""
        return logging.getLogger(name).level


class Guard:
    """A context manager of a class's own; it tells its owner how it was left."""

    def __init__(self, owner: Streaming, *, swallow: bool, failure: str) -> None:
        self._owner = owner
        self._swallow = swallow
        self._failure = failure

    def __enter__(self) -> Guard:
        self._owner.inside += 1
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: Any) -> bool:
        self._owner.inside -= 1
        self._owner.left_with.append([kind.__name__ if kind else None, str(error)])
        if self._failure:
            raise RuntimeError(self._failure)
        return self._swallow


class Both(Guard):
    """A context manager that can be iterated over while it is entered."""

    def __iter__(self) -> Both:
        return self

    def __next__(self) -> int:
        return self._owner.inside


class Strange(Guard):
    """A context manager that yields what cannot travel."""

    def __enter__(self) -> Any:
        super().__enter__()
        return object()


class Streaming(Instrument):
    """An instrument whose methods return generators, iterators and context managers."""

    def __init__(self, name: str, folder: str = "", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._folder = folder
        self.made: list[Any] = []
        self.ended: list[str] = []
        self.inside = 0
        self.left_with: list[list[Any]] = []

    def count(self, number: int, step: int = 1) -> Iterator[int]:
        """Yield numbers, and return how many they were."""
        try:
            for value in range(0, number * step, step):
                self.made.append(value)
                yield value
            return number
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        finally:
            self.ended.append("finally")

    def averages(self) -> Iterator[float | None]:
        """Yield the average of what was sent so far; of an error that is thrown in, its text."""
        total, number, answer = 0.0, 0, None
        while True:
            try:
                value = yield answer
                total, number = total + value, number + 1
                answer = total / number
            except ValueError as error:
                answer = str(error)

    def fail_at(self, number: int) -> Iterator[int]:
        """Yield numbers up to one at which the line breaks."""
        yield from range(number)
        raise OSError(5, "the line broke")

    def strangers(self) -> Iterator[object]:
        """Yield what cannot travel."""
        try:
            while True:
                yield object()
        finally:
            self.ended.append("finally")

    def traces(self, number: int) -> Iterator[Any]:
        """Yield arrays."""
        yield from (np.full(1000, float(value)) for value in range(number))

    def wait_inside(self) -> Iterator[str]:
        """Yield once at once, and again when the file ``open`` is there."""
        try:
            yield "at once"
            pause = threading.Event()
            give_up = time.monotonic() + 30
            while not os.path.exists(os.path.join(self._folder, "open")) and time.monotonic() < give_up:
                pause.wait(0.002)
            yield "later"
        finally:
            self.ended.append("finally")

    def iterate(self, kind: str) -> Any:
        """Return an iterator that is no generator."""
        return {"list": iter([1, 2]), "map": map(str, [1, 2]), "zip": zip("ab", (1, 2), strict=True)}[kind]

    @contextmanager
    def armed(self, value: Any = None, *, swallow: bool = False) -> Iterator[Any]:
        """Be armed during the block."""
        self.inside += 1
        try:
            yield self if value == "self" else value
        except BaseException as error:
            self.left_with.append([type(error).__name__, str(error)])
            if not swallow:
                raise
        finally:
            self.inside -= 1
            self.ended.append("finally")

    @contextmanager
    def armed_with_stranger(self) -> Iterator[object]:
        """Be armed during the block, and yield what cannot travel."""
        with self.armed():
            yield object()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise another error than the block did."""
        try:
            yield
        except ValueError as error:
            raise LookupError(f"instead of {error}") from error

    def guard(self, *, swallow: bool = False, failure: str = "") -> Guard:
        """Return a context manager that yields itself."""
        return Guard(self, swallow=swallow, failure=failure)

    def strange_guard(self) -> Strange:
        """Return a context manager that yields what cannot travel."""
        return Strange(self, swallow=False, failure="")

    def both(self) -> Both:
        """Return a context manager that is an iterator, too."""
        return Both(self, swallow=False, failure="")

    def guards(self) -> list[Guard]:
        """Return what cannot travel."""
        return [self.guard()]

    def lock(self) -> Any:
        """Return a lock, which is a context manager that yields a value."""
        return threading.Lock()


class RackChannel(Channel):
    """A channel with parts of every kind."""

    def __init__(self, parent: Instrument, name: str, **kwargs: Any) -> None:
        super().__init__(parent, name, **kwargs)
        self.bumped: list[Any] = []
        self.add_parameter("sweep", parameter_class=Sweep)
        self.add_parameter("iq", parameter_class=Quadratures)
        self.add_parameter("free", set_cmd=None, get_cmd=None)
        self.add_function("reset", call_cmd=lambda: self.v(0))
        self.add_function("put", call_cmd=self.v, args=[Numbers(-5, 5)])

    def bump(self, by: float = 1) -> Handle:
        """Change the voltage, V; return what cannot travel."""
        self.bumped.append(by)
        self.v(self.v() + by)
        return Handle()


class Bank(ChannelTuple):
    """A tuple of channels with a driver's own methods and attributes."""

    factor = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "front"
        self._hidden = 4

    def total(self, *, times: float = 1) -> float:
        """Return the sum of all voltages, V, ``times`` times."""
        return sum(channel.v() for channel in self) * times

    @property
    def mean(self) -> float:
        """The mean of all voltages, V."""
        return sum(channel.v() for channel in self) / len(self)


class Doubling(MultiChannelInstrumentParameter):
    """Reads twice the value of every channel."""

    def get_raw(self) -> tuple[Any, ...]:
        """Return twice the values."""
        return tuple(2 * value for value in super().get_raw())


class Rack(Instrument):
    """An instrument with channels in tuples and lists of every kind."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        channels = [RackChannel(self, letter) for letter in "abcd"]
        for channel in channels:
            self.add_submodule(channel.short_name, channel)
        self.add_submodule("bank", Bank(self, "bank", RackChannel, channels))
        self.add_submodule(
            "doubling", ChannelTuple(self, "doubling", RackChannel, channels, multichan_paramclass=Doubling)
        )
        self.add_submodule("routed", ChannelList(self, "routed", RackChannel))
        self.routed.extend(channels[:2])
        self.add_submodule("hidden", ChannelTuple(self, "hidden", RackChannel, channels, snapshotable=False))

    def route(self) -> list[str]:
        """Return the names of the channels that are routed."""
        return [channel.short_name for channel in self.routed]


class Slot(AutoLoadableInstrumentChannel):
    """A slot of a crate, which may be added and taken away."""

    def __init__(
        self, parent: Instrument, name: str, number: int, existence: bool = False, channel_list: Any = None
    ) -> None:
        super().__init__(parent, name, existence, channel_list)
        self._number = number
        self.add_parameter("number", get_cmd=lambda: number)

    @classmethod
    def _discover_from_instrument(cls, parent: Any, **kwargs: Any) -> list[dict[Any, Any]]:
        return [{"name": f"slot{number}", "number": number} for number in parent.occupied]

    @classmethod
    def _get_new_instance_kwargs(cls, parent: Any = None, **kwargs: Any) -> dict[Any, Any]:
        number = kwargs.get("number", len(parent.occupied) + 1)
        return {"name": f"slot{number}", "number": number}

    def _create(self) -> None:
        self.root_instrument.occupied.append(self._number)

    def _remove(self) -> None:
        self.root_instrument.occupied.remove(self._number)


class Crate(Instrument):
    """An instrument that finds out which slots it has."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.occupied = [1, 2]
        self.add_submodule("slots", AutoLoadableChannelList(self, "slots", Slot))


class _Memory:
    """Special methods as drivers define them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # QCoDeS's constructors ask whether the instrument is true.
        self.cells = {"a": 1, "b": 2}
        self.entered: list[Any] = []
        super().__init__(*args, **kwargs)

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[str]:
        yield from self.cells

    def __reversed__(self) -> Iterator[str]:
        yield from reversed(self.cells)

    def __contains__(self, key: object) -> bool:
        return key in self.cells

    def __getitem__(self, key: Any) -> Any:
        return self.cells[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.cells[key] = value

    def __delitem__(self, key: str) -> None:
        del self.cells[key]

    def __call__(self, value: int, *, times: int = 1) -> int:
        return (len(self.cells) + value) * times

    def __enter__(self) -> Any:
        self.entered.append("in")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: Any) -> bool:
        self.entered.append([kind.__name__ if kind else None, str(error)])
        return isinstance(error, KeyError)


class Page(_Memory, InstrumentChannel):
    """A channel with special methods."""


class Memory(_Memory, Instrument):
    """An instrument with special methods, and a module with them."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_submodule("page", Page(self, "page"))
        self.add_submodule("pages", ChannelTuple(self, "pages", Page, [Page(self, "p0"), Page(self, "p1")]))


class Closed(Instrument):
    """An instrument that counts as false, and says itself how it reads."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Closed({self.name!r})"

    def __str__(self) -> str:
        return "a closed one"


class Seeker(Instrument):
    """An instrument that looks for others by name."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("target", parameter_class=InstrumentRefParameter, set_cmd=None, get_cmd=None)

    def find(self, name: str) -> Instrument:
        """Return an instrument, wherever it is."""
        return Instrument.find_instrument(name)

    def is_there(self, name: str) -> bool:
        """Return whether there is an instrument of that name."""
        return Instrument.exist(name)

    def read_target(self) -> float:
        """Return x of the instrument that the parameter names."""
        return self.target.get_instr().x()

    def target_kind(self) -> str:
        """Return the name of the type that the target has here."""
        return type(self.target.get_instr()).__name__


class Converter(Instrument):
    """An instrument that was given functions and classes."""

    def __init__(self, name: str, code: Any = None, *, more: Any = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._code = code
        self._more = more

    def use(self, *args: Any) -> Any:
        """Call what the constructor was given by position."""
        return self._code(*args)

    def use_at(self, place: str, *args: Any) -> Any:
        """Call what is at a place in what the constructor was given by keyword."""
        return eval(place, {"more": self._more})(*args)


class OddNumbers(Numbers):
    """A validator of a driver's own."""

    def validate(self, value: Any, context: str = "") -> None:
        """Refuse even numbers."""
        super().validate(value, context)
        if value % 2 == 0:
            raise ValueError(f"{value} is even; {context}")


class Validating(Instrument):
    """An instrument with a validator that cannot travel."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("odd", set_cmd=None, get_cmd=None, vals=OddNumbers(0, 9), initial_value=1)
        self.add_parameter("level", set_cmd=None, get_cmd=None, vals=Numbers(0, 9), initial_value=1)
