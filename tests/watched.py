"""QCoDeS drivers whose parameters change in every way; they know nothing of those who watch."""

from __future__ import annotations

import enum
import gc
import itertools
import os
import threading
from typing import Any

import numpy as np
from qcodes.instrument import ChannelTuple, Instrument, InstrumentChannel
from qcodes.parameters import (
    DelegateParameter,
    Group,
    GroupParameter,
    InstrumentRefParameter,
    MultiParameter,
    Parameter,
)
from qcodes.validators import Arrays, Numbers

__all__ = ["Borrower", "Colour", "Groups", "Source", "Stranger", "Tap"]


class Colour(enum.Enum):
    """What both sides know."""

    RED = 1
    BLUE = 2


class Stranger:
    """What cannot travel."""


class Numbered(Exception):
    """A failure with another text each time."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def __str__(self) -> str:
        return f"failure number {next(self._numbers)}"


def not_negative(value: float) -> float:
    """Return the value, as parsers of drivers do."""
    if value < 0:
        raise ValueError(f"{value} is negative")
    return value


class Tap(InstrumentChannel):
    """A channel with a voltage."""

    def __init__(self, parent: Instrument, name: str, **kwargs: Any) -> None:
        super().__init__(parent, name, **kwargs)
        self.add_parameter(
            "v", unit="V", set_cmd=None, get_cmd=None, initial_value=0.0, vals=Numbers(-10, 10)
        )

    def lift(self, to: float) -> None:
        """Set the voltage, V, as a driver does."""
        self.v.set(to)


class Pair(MultiParameter):
    """Two arrays that are read at once."""

    def __init__(self, name: str, instrument: Source, **kwargs: Any) -> None:
        super().__init__(name, names=("i", "q"), shapes=((3,), (3,)), instrument=instrument, **kwargs)
        self._source = instrument

    def get_raw(self) -> Any:
        """Return both."""
        return self._source.hardware["pair"]


class Source(Instrument):
    """An instrument with hardware of its own, which the test can change behind the parameters' backs.

    Attributes:
        hardware: What the hardware knows, by name.
        reads: How often each parameter was read from the hardware, by name.
        is_closed: Whether the driver's threads have to end.
    """

    closed = 0

    def __init__(self, name: str, x: float = 0.0, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        buffer = np.zeros(1000)
        self.hardware: dict[str, Any] = {"x": x, "drifting": 0.0, "slow": 0.0, "failing": 0.0, "scaled": 0.0}
        self.hardware |= {
            "ramped": 0,
            "mode": 0,
            "trace": buffer,
            "pair": (np.zeros(3), np.ones(3)),
            "read": 0,
        }
        self.reads = dict.fromkeys(self.hardware, 0)
        self.pause = 0.05
        self.is_closed = False
        self.failure: Exception | None = None
        self.threads: list[threading.Thread] = []
        for each in ("x", "drifting", "scaled", "ramped", "read"):
            self._add(each)
        self.x.get()
        self.scaled.scale = 10
        self.ramped.step = 1
        self._add("slow", get_cmd=self._read_slowly)
        self._add("failing", get_cmd=self._read_failing)
        self._add("mode", val_mapping={"low": 0, "high": 1})
        self._add("trace", vals=Arrays(shape=(1000,)), set_cmd=False)
        self.add_parameter("pair", parameter_class=Pair)
        self.add_parameter("count", set_cmd=None, get_cmd=None, initial_value=0)
        self.add_parameter("other", set_cmd=None, get_cmd=None, initial_value=0)
        self.add_parameter("anything", set_cmd=None, get_cmd=None, initial_value=None)
        self.add_parameter("wave", set_cmd=None, get_cmd=None, initial_value=np.zeros(1000), vals=Arrays())
        self.add_parameter("writeonly", set_cmd=lambda value: None, get_cmd=False)
        self.add_parameter("friend", parameter_class=InstrumentRefParameter, set_cmd=None, get_cmd=None)
        self.add_parameter("same_x", parameter_class=DelegateParameter, source=self.x)
        self.add_parameter("twice_x", parameter_class=DelegateParameter, source=self.x, scale=0.5)
        self.add_parameter(
            "picky_x", parameter_class=DelegateParameter, source=self.x, get_parser=not_negative
        )
        taps = [Tap(self, letter) for letter in "abc"]
        for tap in taps:
            self.add_submodule(tap.short_name, tap)
        self.add_submodule("taps", ChannelTuple(self, "taps", Tap, taps))

    def _add(self, name: str, **kwargs: Any) -> None:
        commands = {"get_cmd": lambda: self._read(name), "set_cmd": lambda value: self._write(name, value)}
        self.add_parameter(name, **(commands | kwargs))

    def _read(self, name: str) -> Any:
        self.reads[name] += 1
        return self.hardware[name]

    def _write(self, name: str, value: Any) -> None:
        self.hardware[name] = value

    def _read_slowly(self) -> float:
        threading.Event().wait(self.pause)
        return float(self._read("slow"))

    def _read_failing(self) -> float:
        value = float(self._read("failing"))
        if self.failure is not None:
            raise self.failure
        return value

    # What the test has the driver do

    def change(self, name: str, value: Any) -> None:
        """Change what the hardware knows; no parameter is told."""
        self.hardware[name] = value

    def times_read(self, name: str) -> int:
        """Return how often the hardware was read."""
        return self.reads[name]

    def set_here(self, path: str, value: Any) -> None:
        """Set a parameter as a driver's method does."""
        self._at(path).set(value)

    def get_here(self, path: str) -> Any:
        """Get a parameter as a driver's method does."""
        return self._at(path).get()

    def set_cache(self, path: str, value: Any) -> None:
        """Change a parameter's cache as drivers do."""
        self._at(path).cache.set(value)

    def raise_count(self, times: int, first: int = 1, name: str = "count") -> None:
        """Set a parameter ``times`` times as fast as possible, each time to a number one higher."""
        parameter = self.parameters[name]
        for value in range(first, first + times):
            if self.is_closed:
                return
            parameter.set(value)

    def raise_in_threads(self, times: int, *names: str) -> None:
        """Do that in a thread of the driver's for each of several parameters, and return at once."""
        for name in names or ("count",):
            thread = threading.Thread(
                target=self.raise_count, args=(times,), kwargs={"name": name}, daemon=True
            )
            self.threads.append(thread)
            thread.start()

    def raise_in_thread(self, times: int, first: int) -> None:
        """Do that in a thread of the driver's, from a given number on, and return when it has ended."""
        thread = threading.Thread(target=self.raise_count, args=(times, first))
        thread.start()
        thread.join()

    def raise_for_ever(self) -> None:
        """Do that in a thread of the driver's until the process ends."""
        self.raise_in_threads(2**60)

    def fill(self, value: float) -> None:
        """Overwrite the buffer of ``trace`` in place, as drivers of digitizers do."""
        self.hardware["trace"][:] = value

    def record(self, times: int, size: int = 1000) -> None:
        """Set ``wave`` to one array again and again, which is overwritten in place each time."""
        buffer = np.zeros(size)
        for number in range(1, times + 1):
            buffer[:] = number
            self.wave.set(buffer)

    def lengthen_list(self, times: int) -> None:
        """Set ``anything`` again and again to one list, which is one item longer each time."""
        items: list[int] = []
        for number in range(times):
            items.append(number)
            self.anything.set(items)

    def set_stranger(self) -> None:
        """Set ``anything`` to what cannot travel."""
        self.anything.set(Stranger())

    def set_knot(self) -> None:
        """Set ``anything`` to a list that contains itself."""
        knot: list[Any] = []
        knot.append(knot)
        self.anything.set(knot)

    def set_itself(self) -> None:
        """Set ``anything`` to the instrument."""
        self.anything.set(self)

    def close(self) -> None:
        """Close, and count it."""
        Source.closed += 1
        self.is_closed = True
        super().close()

    def times_closed(self) -> int:
        """Return how often any instrument of this class was closed in this process."""
        return Source.closed

    def times_made(self) -> int:
        """Return how many instruments of this class there are in this process."""
        return sum(type(each) is Source for each in gc.get_objects())

    def fail_from_now_on(self, text: str) -> None:
        """Have reading ``failing`` fail, until the text is empty."""
        self.failure = OSError(5, text) if text else None

    def fail_with_numbers(self) -> None:
        """Have reading ``failing`` fail from now on, with another text each time."""
        self.failure = Numbered()

    def hang_for(self, seconds: float) -> None:
        """Have reading ``slow`` take that long, s."""
        self.pause = seconds

    def poll_every(self, name: str, period: float | None) -> None:
        """Ask to have a parameter polled, as drivers do."""
        self.parameters[name].poll_period = period

    def trust_nothing_older_than(self, name: str, age: float) -> None:
        """Have a cached value be trusted for ``age`` s only."""
        self.parameters[name].cache._max_val_age = age

    def grow(self, name: str) -> None:
        """Gain a parameter."""
        self.add_parameter(name, set_cmd=None, get_cmd=None, initial_value=0)

    def shrink(self, name: str) -> None:
        """Lose a parameter."""
        self.remove_parameter(name)

    def looks(self, path: str) -> list[Any]:
        """Return what a parameter and its cache are made of, by which a parameter that nobody watches is known."""
        parameter = self._at(path)
        cache = parameter.cache
        return [type(parameter).__name__, sorted(vars(parameter)), type(cache).__name__, sorted(vars(cache))]

    def thread_names(self) -> list[str]:
        """Return the names of the threads of this process."""
        return sorted(thread.name for thread in threading.enumerate())

    def pid(self) -> int:
        """Return the process that this runs in."""
        return os.getpid()

    def _at(self, path: str) -> Parameter:
        *modules, name = path.split(".")
        part: Any = self
        for module in modules:
            part = part.submodules[module]
        found: Parameter = part.parameters[name]
        return found


class Groups(Instrument):
    """An instrument with parameters that are read and written together."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.line = "1,2"
        self.add_parameter("a", parameter_class=GroupParameter, get_parser=int, set_parser=int)
        self.add_parameter("b", parameter_class=GroupParameter, get_parser=int, set_parser=int)
        self.group = Group([self.a, self.b], set_cmd="{a},{b}", get_cmd="?")

    def write(self, cmd: str) -> None:
        """Take a line."""
        self.line = cmd

    def ask(self, cmd: str) -> str:
        """Return the line."""
        return self.line

    def change(self, line: str) -> None:
        """Change what the hardware knows."""
        self.line = line


class Borrower(Instrument):
    """An instrument with a parameter that stands for one of another instrument."""

    def __init__(self, name: str, source: Any = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("borrowed", parameter_class=DelegateParameter, source=source)
        self.add_parameter("plain", set_cmd=None, get_cmd=None, initial_value=0)
        self.heard: list[Any] = []
        self._subscription: Any = None

    def lend(self, source: Any) -> None:
        """Have the parameter stand for another one."""
        self.borrowed.source = source

    def watch(self, parameter: Any) -> None:
        """Watch a parameter of another instrument, as meta instruments do."""
        self._subscription = parameter.subscribe(lossless=True)
        self._subscription.add_callback(self.hear)

    def hear(self, update: Any) -> None:
        """Keep the value, and show it."""
        self.heard.append(update.value)
        self.plain.set(update.value)
