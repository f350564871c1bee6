"""A small SDK as vendors ship them, for tests of serving one: functions, classes, enums, constants, imports."""

from __future__ import annotations

import asyncio
import enum
import json
import logging
import os
import subprocess
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from math import pi, sqrt
from os.path import join as glue
from typing import Any, NamedTuple, Self

import numpy as np
from numpy import *  # noqa: F403  (as vendors do)

CHANNEL_UNUSED = -134217728
DEFAULT_RANGES = (0.1, 1.0, 10.0)
settings = {"rate": 10}
shell = os.system
run = subprocess.run
quick = partial(os.system, "true")
log = logging.getLogger(__name__)
_secret = "hidden"
opened: list[str] = []


class Resolution(enum.Enum):
    """How finely time is measured."""

    Standard = 0
    HighResA = 1
    HighResB = 2


class Edge(enum.IntFlag):
    """Which edges of a signal count."""

    Rising = 1
    Falling = 2
    All = 3


class Span(NamedTuple):
    """A span of time, seconds."""

    begin: float
    end: float


class DeviceError(Exception):
    """The device refused."""


class Device:
    """A device with channels.

    Args:
        serial: Its serial number.
        resolution: How finely it measures.
    """

    CHANNELS = 8
    Edge = Edge

    class Port:
        """A port of a device."""

        def __init__(self, number: int = 1) -> None:
            self.number = number

    def __init__(self, serial: str = "S1", resolution: Resolution = Resolution.Standard) -> None:
        self.serial = serial
        self.resolution = resolution
        self.comment = ""
        self.on_event: Callable[..., Any] | None = None
        self.tools = os
        self.shell = os.system
        self._delay = 0
        self._listeners: list[Callable[..., Any]] = []
        self._is_freed = False

    def getSerial(self) -> str:
        """Return the serial number."""
        if self._is_freed:
            raise DeviceError(f"{self.serial} was freed")
        return self.serial

    def setDelay(self, channel: int, delay: int = 0, *, unit: str = "ps") -> int:
        """Set a channel's delay and return it, picoseconds."""
        if not 0 < channel <= self.CHANNELS:
            raise ValueError(f"no channel {channel}")
        self._delay = delay
        return delay

    @property
    def delay(self) -> int:
        """The delay, picoseconds."""
        return self._delay

    @delay.setter
    def delay(self, value: int) -> None:
        if value < 0:
            raise DeviceError(f"delay {value} is negative")
        self._delay = value

    @property
    def is_freed(self) -> bool:
        """Whether it was freed."""
        return self._is_freed

    @property
    def broken(self) -> float:
        """A property that fails as if it were not there."""
        raise AttributeError("the sensor is not fitted")

    @staticmethod
    def scan() -> list[str]:
        """Return the serial numbers that are connected."""
        return ["S1", "S2"]

    @classmethod
    def make(cls, serial: str) -> Self:
        """Return a device of a serial number."""
        return cls(serial)

    def counter(self, *channels: int) -> Counter:
        """Return a counter of this device."""
        return Counter(self, list(channels))

    def ports(self) -> dict[str, Any]:
        """Return ports, inside other things."""
        return {"all": [Device.Port(1), Device.Port(2)], "first": (Device.Port(1), 5)}

    def same(self) -> Device:
        """Return the device itself."""
        return self

    def listen(self, function: Callable[..., Any]) -> None:
        """Have a function be called by `fire`."""
        self._listeners.append(function)

    def forget_listeners(self) -> None:
        """Forget what `listen` was told."""
        self._listeners.clear()

    def fire(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Call every listener and return what they return."""
        return [listener(*args, **kwargs) for listener in self._listeners]

    def fire_from_thread(self, *args: Any) -> list[Any]:
        """Call every listener from a thread of the SDK's own."""
        results: list[Any] = []

        def work() -> None:
            try:
                results.extend(self.fire(*args))
            except Exception as error:
                results.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        return results

    def apply(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function and return what it returns."""
        return function(*args, **kwargs)

    def apply_later(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        """Call a function in the event loop."""

        async def work() -> Any:
            return function(*args)

        return work()

    # What must not get out

    def module(self) -> object:
        """Return a module."""
        return os

    def foreign_function(self) -> object:
        """Return a function of another module."""
        return os.system

    def foreign_class(self) -> object:
        """Return a class of another package."""
        return subprocess.Popen

    def nested_module(self) -> object:
        """Return a module inside other things."""
        return [{"it": json}]

    def formatter(self) -> object:
        """Return a method of a text that reads what it is told to."""
        return "{0.__class__}".format

    # What may

    def maker(self) -> Callable[[int], int]:
        """Return a function."""
        return lambda number: number + 1

    def bound(self) -> Callable[[], str]:
        """Return a bound method."""
        return self.getSerial


class Counter:
    """Counts events of some channels of a device.

    Args:
        device: The device.
        channels: The channels.
    """

    def __init__(self, device: Device, channels: list[int]) -> None:
        self.device = device
        self.channels = channels
        self.data = np.arange(len(channels) * 3).reshape(-1, 3)

    def getData(self) -> np.ndarray[Any, Any]:
        """Return counts, dimensionless, shape (channels, 3)."""
        return self.data

    def getDevice(self) -> Device:
        """Return the device."""
        return self.device

    def __len__(self) -> int:
        return len(self.channels)

    def __getitem__(self, index: Any) -> Any:
        return self.channels[index]

    def __setitem__(self, index: Any, value: int) -> None:
        self.channels[index] = value

    def __delitem__(self, index: Any) -> None:
        del self.channels[index]

    def __contains__(self, value: object) -> bool:
        return value in self.channels

    def __iter__(self) -> Iterator[int]:
        return iter(self.channels)

    def __call__(self, factor: int = 1) -> int:
        """Return the sum of the channels' numbers."""
        return sum(self.channels) * factor

    def __add__(self, other: object) -> Counter:
        if not isinstance(other, Counter):
            return NotImplemented
        return Counter(self.device, self.channels + other.channels)

    def __float__(self) -> float:
        return float(sum(self.channels))

    def __lt__(self, other: Counter) -> bool:
        return len(self) < len(other)


class FastCounter(Counter):
    """A counter that is faster."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"FastCounter of {self.channels}"


class Session:
    """A context that notes how it was left."""

    def __init__(self, swallows: bool = False) -> None:
        self.left_with = "nothing"
        self._swallows = swallows

    def __enter__(self) -> Self:
        self.left_with = "still inside"
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        self.left_with = "no error" if error is None else f"{kind.__name__}: {error}"
        return self._swallows

    async def __aenter__(self) -> Session:
        await asyncio.sleep(0)
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        return self.__exit__(kind, error, traceback)


class Stream:
    """Streams of several kinds."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.cancelled = 0

    def numbers(self, count: int) -> Generator[int, int | None, str]:
        """Yield numbers; what is sent is yielded next."""
        try:
            sent: int | None = None
            for number in range(count):
                sent = yield number if sent is None else sent
        except ValueError as error:
            yield -1
            return f"ended by {error}"
        finally:
            self.ended.append("numbers")
        return "done"

    def failing(self) -> Iterator[int]:
        """Yield once, then fail."""
        yield 1
        raise DeviceError("the stream broke")

    def devices(self) -> Iterator[Device]:
        """Yield objects."""
        for serial in ("A", "B"):
            yield Device(serial)

    def modules(self) -> Iterator[object]:
        """Yield a number, a module, and a number."""
        yield from (1, os, 2)

    @property
    def live(self) -> Iterator[int]:
        """A stream."""
        yield from (1, 2, 3)

    def absolutes(self) -> Iterator[int]:
        """Return an iterator of Python's own."""
        return map(abs, range(4))

    async def later(self, value: Any, seconds: float = 0.0) -> Any:
        """Return a value after a while."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return value

    async def failing_later(self) -> None:
        """Fail after a while."""
        await asyncio.sleep(0)
        raise DeviceError("later")

    def soon(self, value: Any) -> Awaitable[Any]:
        """Return something to be waited for."""
        return self.later(value)

    async def ticks(self, count: int) -> AsyncIterator[int]:
        """Yield numbers, async."""
        try:
            for number in range(count):
                await asyncio.sleep(0)
                yield number
        finally:
            self.ended.append("ticks")

    def session(self, swallows: bool = False) -> Session:
        """Return a context."""
        return Session(swallows)


def createDevice(serial: str = "S1", resolution: Resolution = Resolution.Standard) -> Device:
    """Return a new device."""
    opened.append(serial)
    return Device(serial, resolution)


def freeDevice(device: Device) -> bool:
    """Free a device; return whether it was in use."""
    was_used = not device._is_freed
    device._is_freed = True
    return was_used


def describe(*things: Any, **named: Any) -> list[str]:
    """Return the classes of what arrived."""
    return [type(thing).__name__ for thing in (*things, *named.values())]


def is_same(one: Any, other: Any) -> bool:
    """Return whether two arguments are one object."""
    return one is other


def echo(value: Any) -> Any:
    """Return what arrived."""
    return value


def fail(text: str = "broken") -> None:
    """Raise an error of the SDK's own."""
    raise DeviceError(text)


def area(radius: float) -> float:
    """Return the area of a circle, square metres."""
    return pi * sqrt(radius**4)


def _hidden() -> str:
    return glue(_secret, str(OrderedDict()))
