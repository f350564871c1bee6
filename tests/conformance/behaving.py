"""Drivers with functions, methods and attributes of every kind, and with names that a proxy has, too."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import numpy as np
from conformance.kinds import Mode
from qcodes.instrument import ChannelList, Instrument, InstrumentChannel
from qcodes.parameters import Parameter, ParameterBase
from qcodes.utils import QCoDeSDeprecationWarning
from qcodes.validators import Anything, Enum, Ints, MultiType, Numbers, Strings
from typing_extensions import deprecated

__all__ = ["Acting", "Bay", "Colliding", "Overheated"]

_NOTHING = object()


class Overheated(RuntimeError):
    """A driver's own error.

    Args:
        kelvin: How hot it is.
    """

    def __init__(self, kelvin: float) -> None:
        super().__init__(f"{kelvin} K is too hot")
        self.kelvin = kelvin


class Bay(InstrumentChannel):
    """A channel with functions and methods."""

    def __init__(self, parent: Instrument, name: str, number: int) -> None:
        super().__init__(parent, name)
        self.number = number
        self.done: list[Any] = []
        self.add_parameter("v", set_cmd=None, initial_value=float(number), vals=Numbers(-9, 9), unit="V")
        self.add_function("arm", call_cmd=self.done.append, args=[Ints(0, 5)], docstring="Arm the bay.")
        self.add_function("fire", call_cmd=lambda: self.done.append("fired"))

    def bump(self, by: float = 1.0) -> float:
        """Raise the voltage and return it, V."""
        self.v(self.v() + by)
        return self.v()

    @property
    def halved(self) -> float:
        """Half the voltage, V."""
        return self.v() / 2


class Acting(Instrument):
    """An instrument with functions, methods and attributes of every kind."""

    limit = 5
    modes = Mode
    registry: list[str] = ["class", "attribute"]

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.level = 2.5
        self.mode = Mode.SLOW
        self.table = {"a": np.arange(3), 1: (2, None)}
        self.written: list[str] = []
        self._private = "hidden"
        self.add_parameter("x", set_cmd=None, initial_value=1.0, vals=Numbers(-5, 5), unit="V")
        # Made when the instrument is, as drivers do for what depends on the model.
        self.five = lambda: 5
        self.plus_x = MethodType(_plus_x, self)
        self.half = functools.partial(_scaled, factor=0.5)
        self._add_functions()
        bays = ChannelList(self, "bays", Bay)
        for number in range(3):
            bays.append(Bay(self, f"bay{number}", number))
        self.add_submodule("bays", bays)
        self.add_submodule("front", bays[0])

    def _add_functions(self) -> None:
        self.add_function("reset", call_cmd="*RST", docstring="Start anew.")
        self.add_function("say", call_cmd="SAY {} {:.2f}", args=[Strings(1, 8), Numbers(0, 10)])
        self.add_function("query", call_cmd="Q{}?", args=[Ints(0, 9)], return_parser=int)
        self.add_function("doubled", call_cmd="D {}", args=[Numbers()], arg_parser=lambda value: 2 * value)
        self.add_function("choose", call_cmd=lambda value: value, args=[Enum("a", "b", 3)])
        self.add_function("anything", call_cmd=lambda *values: values, args=[Anything(), Anything()])
        self.add_function("either", call_cmd=lambda value: value, args=[MultiType(Ints(), Strings())])
        self.add_function("fails", call_cmd=self.overheat)

    def write_raw(self, cmd: str) -> None:
        """Take a command."""
        self.written.append(cmd)

    def ask_raw(self, cmd: str) -> str:
        """Return the digits of a question."""
        self.written.append(cmd)
        return "".join(character for character in cmd if character.isdigit())

    def fit(
        self,
        data: np.ndarray = np.zeros(2),  # noqa: B008
        /,
        mode: Mode = Mode.FAST,
        limits: tuple[float, float] = (0.0, 1.0),
        *more: float,
        strict: bool = True,
        missing: object = _NOTHING,
        scale: Any = None,
        **options: float,
    ) -> dict[str, Any]:
        """Return what it was called with.

        Args:
            data: Volts, shape (points,).
            mode: How fast.

        Returns:
            The arguments by name.
        """
        return {
            "data": data,
            "mode": mode,
            "limits": limits,
            "more": more,
            "strict": strict,
            "missing": missing is _NOTHING,
            "scale": scale,
            "options": options,
        }

    @staticmethod
    def add(a: float, b: float = 1) -> float:
        """Return the sum."""
        return a + b

    @classmethod
    def model(cls, suffix: str = "") -> str:
        """Return the name of the class."""
        return cls.__name__ + suffix

    @property
    def squared(self) -> float:
        """The level squared."""
        return self.level**2

    @squared.setter
    def squared(self, value: float) -> None:
        self.level = value**0.5

    @property
    def failing(self) -> float:
        """Nothing: it always fails."""
        raise Overheated(400.0)

    @functools.cached_property
    def matrix(self) -> np.ndarray:
        """A matrix, dimensionless, shape (2, 2)."""
        return np.eye(2)

    def overheat(self, kelvin: float = 500.0) -> None:
        """Fail."""
        raise Overheated(kelvin)

    def warned(self) -> str:
        """Warn, and go on."""
        warnings.warn("the fan is slow", UserWarning, stacklevel=2)
        return "done"

    @deprecated("old is old; use fit", category=QCoDeSDeprecationWarning)
    def old(self) -> str:
        """Be old."""
        return "old"

    def printed(self, text: str) -> int:
        """Print a text and return its length."""
        print(text)  # noqa: T201
        return len(text)

    def ramp(self, stop: float, *, step: float = 1.0) -> Iterator[float]:
        """Set ``x`` step by step, yielding each value, V."""
        while self.x() < stop:
            self.x(self.x() + step)
            yield self.x()

    @contextmanager
    def raised(self, by: float) -> Iterator[float]:
        """Have ``x`` higher by so much within the block; yield it, V."""
        before = self.x()
        self.x(before + by)
        try:
            yield self.x()
        finally:
            self.x(before)

    def itself(self) -> Acting:
        """Return the instrument."""
        return self

    def parts(self) -> dict[str, Any]:
        """Return parts of the instrument in containers."""
        return {"x": self.x, "bays": list(self.bays), "front": (self.front, self.front.v)}

    def name_of(self, part: Any) -> str:
        """Return the full name of a part of any instrument, and whether it is one of this one."""
        is_ours = isinstance(part, ParameterBase) and part is self.x
        return f"{part.full_name} {is_ours}"

    def read(self, parameters: list[Parameter]) -> list[float]:
        """Read parameters."""
        return [parameter() for parameter in parameters]


def _plus_x(self: Acting, value: float = 1.0) -> float:
    """Return a value plus x, V."""
    return value + float(self.x())


def _scaled(value: float, factor: float) -> float:
    return value * factor


class Colliding(Instrument):
    """An instrument whose parameters, functions, methods and attributes are called what proxies' are."""

    NAMES = (
        "update",
        "restart",
        "getattr",
        "setattr",
        "delattr",
        "callattr",
        "link",
        "schema",
        "path",
        "session",
    )

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for number, taken in enumerate(self.NAMES):
            self.add_parameter(taken, set_cmd=None, initial_value=number)
        self.add_function("request", call_cmd=lambda: "requested")
        self.address = "here"
        self.version = 3
        self.methods = ["a", "b"]
        self.home = "lab"
        self._link = "a cable"
        self._path = "/dev/null"
        self._schema = {"a": 1}
        self._modules = ["none"]
        self._methods = 4
        for module in ("modules", "getting"):
            self.add_submodule(module, Shadow(self, module))

    def refresh(self) -> str:
        """Return what the driver's own method returns."""
        return "refreshed"

    def apply(self, value: int) -> int:
        """Return what the driver's own method returns."""
        return value + self.version

    def own(self, name: str) -> Any:
        """Return an attribute as the driver sees it."""
        return getattr(self, name)


class Shadow(InstrumentChannel):
    """A channel whose methods are called what methods of proxies are."""

    def __init__(self, parent: Instrument, name: str) -> None:
        super().__init__(parent, name)
        self.add_parameter("v", set_cmd=None, initial_value=1.0)
        self._path = "shadow"

    def update(self) -> str:
        """Return what the driver's own method returns."""
        return "updated"

    def restart(self, times: int = 1) -> str:
        """Return what the driver's own method returns."""
        return "restarted" * times

    def getattr(self, name: str) -> str:
        """Return what the driver's own method returns."""
        return f"got {name}"

    def callattr(self) -> str:
        """Return what the driver's own method returns."""
        return "called"
