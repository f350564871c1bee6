"""A driver whose parameters are channels of every kind, and what collects their responses."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
from qcodes.instrument import Instrument, InstrumentChannel
from qcodes.validators import Arrays, Bool, Enum, Ints, Numbers, Strings

from instrumentserver import Server

__all__ = ["PATIENCE", "Colour", "Lab", "Responses", "hanging"]

PATIENCE = 20.0
"""How long to wait for what must come, seconds."""


class Colour(enum.Enum):
    """What both sides know."""

    RED = "r"
    BLUE = "b"


class Tap(InstrumentChannel):
    """A channel with a voltage."""

    def __init__(self, parent: Instrument, name: str, **kwargs: Any) -> None:
        super().__init__(parent, name, **kwargs)
        self.add_parameter(
            "v", unit="V", set_cmd=None, get_cmd=None, initial_value=0.0, vals=Numbers(-10, 10)
        )


class Lab(Instrument):
    """An instrument with a parameter of every kind.

    Attributes:
        written: What was written to ``slow`` and ``broken``, in order.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.written: list[Any] = []
        self.pause = 0.1
        self.reads = 0
        manual: dict[str, Any] = {"set_cmd": None, "get_cmd": None}
        self.add_parameter("x", unit="V", label="Bias", vals=Numbers(-5, 5), initial_value=0.0, **manual)
        self.add_parameter("n", vals=Ints(0, 10_000_000), initial_value=0, **manual)
        self.add_parameter("on", vals=Bool(), initial_value=False, **manual)
        self.add_parameter("mode", val_mapping={"dc": 0, "ac": 1}, initial_value="dc", **manual)
        self.add_parameter("colour", vals=Enum(*Colour), initial_value=Colour.RED, **manual)
        self.add_parameter("text", vals=Strings(), initial_value="hello", **manual)
        self.add_parameter("wave", vals=Arrays(shape=(1000,)), initial_value=np.arange(1000.0), **manual)
        self.add_parameter("short", vals=Arrays(shape=(4,)), initial_value=np.zeros(4), **manual)
        self.add_parameter("anything", initial_value=None, **manual)
        self.add_parameter("readonly", get_cmd=lambda: 42.0, get_parser=float)
        self.add_parameter("setonly", get_cmd=False, set_cmd=self.written.append, vals=Numbers())
        self.add_parameter("slow", get_cmd=self._read_slowly, set_cmd=self._write_slowly, vals=Numbers())
        self.add_parameter("broken", get_cmd=self._break, set_cmd=self._break, vals=Numbers())
        self.add_parameter("fresh", get_cmd=self._read, get_parser=int)
        self.add_submodule("ch1", Tap(self, "ch1"))

    def _read(self) -> int:
        self.reads += 1
        return self.reads

    def _read_slowly(self) -> float:
        time.sleep(self.pause)
        return 1.0

    def _write_slowly(self, value: float) -> None:
        time.sleep(self.pause)
        self.written.append(value)

    def _break(self, *value: Any) -> None:
        raise OSError(5, "the line is dead")

    def set_here(self, name: str, value: Any) -> None:
        """Set a parameter as a driver's method does."""
        self.parameters[name].set(value)

    def raise_n(self, times: int) -> None:
        """Set ``n`` to 1, 2, ... as fast as possible."""
        for value in range(1, times + 1):
            self.n.set(value)

    def narrow(self, lower: float, upper: float) -> None:
        """Give ``x`` other limits."""
        self.x.vals = Numbers(lower, upper)

    def grow(self, name: str) -> None:
        """Gain a parameter."""
        self.add_parameter(name, set_cmd=None, get_cmd=None, initial_value=1.0, vals=Numbers())

    def shrink(self, name: str) -> None:
        """Lose a parameter."""
        self.remove_parameter(name)

    def turn(self, name: str, settable: bool) -> None:
        """Have a parameter be one that can be set, or not, under its old name."""
        self.remove_parameter(name)
        self.add_parameter(name, get_cmd=lambda: 1.0, set_cmd=None if settable else False, vals=Numbers())


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """Have a server hang during the block."""
    process = psutil.Process(server.pid)
    process.suspend()
    try:
        while process.status() != psutil.STATUS_STOPPED:
            threading.Event().wait(0.002)
        yield
    finally:
        process.resume()


class Responses:
    """Collects what callbacks are given; any thread may wait for more.

    Attributes:
        items: All of it, in order: the last argument of each call.
        first: The first arguments.
        threads: Names of the threads that brought it.
        times: When it came, s of the monotonic clock.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.first: list[Any] = []
        self.threads: list[str] = []
        self.times: list[float] = []
        self._news = threading.Condition()

    def take(self, first: Any, *rest: Any) -> None:
        """Be called back."""
        with self._news:
            self.first.append(first)
            self.items.append((first, *rest)[-1])
            self.threads.append(threading.current_thread().name)
            self.times.append(time.monotonic())
            self._news.notify_all()

    def update(self, sub: Any, response: Any) -> None:
        """Be called back by a subscription."""
        self.take(sub, response)

    @property
    def values(self) -> list[Any]:
        """The first elements of the responses' data so far."""
        return [response.data[0] for response in list(self.items)]

    def wait(self, is_enough: Callable[[], bool], timeout: float = PATIENCE) -> list[Any]:
        """Wait until something holds and return the items.

        Raises:
            TimeoutError: It does not within ``timeout`` s.
        """
        with self._news:
            if not self._news.wait_for(is_enough, timeout):
                shown = [str(item)[:100] for item in self.items[-5:]]
                raise TimeoutError(f"not within {timeout} s; {len(self.items)} items, the last: {shown}")
            return list(self.items)

    def wait_for_number(self, number: int, timeout: float = PATIENCE) -> list[Any]:
        """Wait for ``number`` items."""
        return self.wait(lambda: len(self.items) >= number, timeout)

    def wait_for_value(self, value: Any, timeout: float = PATIENCE) -> list[Any]:
        """Wait for a response with a value to be the last one."""
        return self.wait(lambda: bool(self.items) and bool(self.items[-1].data[0] == value), timeout)
