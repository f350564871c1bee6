"""Simulated hardware behind text commands, and the drivers of three instruments that are wired to it.

The setup is that of the tests of 2016: a voltage source with three gates, an excitation source, and a meter that
reads what both make of the sample.
"""

from __future__ import annotations

from typing import Any, ClassVar

from qcodes.parameters import ManualParameter
from qcodes.validators import Enum, MultiType, Numbers, Strings

from instrumentserver import Instrument


class Bench(Instrument):
    """The hardware, and what was sent to it, in order.

    Attributes:
        history: Every command with the part of the setup that it went to.
        levels: What the parts are set to: gate voltages ``c0`` to ``c2``, V, excitation ``ampl``, V, and ``relay``.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.history: list[str] = []
        self.levels: dict[str, str] = {"c0": "0", "c1": "0", "c2": "0", "ampl": "0.1", "relay": "0"}

    def send(self, part: str, command: str) -> str:
        """Carry out a command, ``ampl?`` or ``ampl:0.5``, and return the answer, "" for none.

        Raises:
            ValueError: The command is malformed.
        """
        self.history.append(f"{part} {command}")
        if command.startswith("echo "):
            return command[5:]
        if command == "rst":
            self.levels.update(c0="0", c1="0", c2="0")
            return ""
        if command == "signal?":
            return str(
                sum(float(self.levels[gate]) for gate in ("c0", "c1", "c2")) * float(self.levels["ampl"])
            )
        name, colon, value = command.removesuffix("?").partition(":")
        if name not in self.levels or bool(colon) == command.endswith("?"):
            raise ValueError(f"{part}: unknown command {command!r}")
        if not colon:
            return self.levels[name]
        self.levels[name] = value
        if name == "c2" and float(value) < 0:
            raise ValueError(f"{part}: {value} V on c2 tripped the interlock")
        return ""


class Wired(Instrument):
    """An instrument that is wired to a bench.

    Args:
        name: Its name.
        model: The bench.
    """

    def __init__(self, name: str, *, model: Any, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._model = model
        self.wired_to = model.name

    def ask_raw(self, cmd: str) -> str:
        """Send a command and return the answer."""
        return str(self._model.send(self.name, cmd))

    def write_raw(self, cmd: str) -> None:
        """Send a command."""
        self._model.send(self.name, cmd)

    def get_idn(self) -> dict[str, str | None]:
        """Return who made the instrument."""
        return {"vendor": "Bench", "model": type(self).__name__, "serial": "1", "firmware": None}


class Gates(Wired):
    """A source of three voltages."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for number in range(3):
            command = {"get_cmd": f"c{number}?", "set_cmd": f"c{number}:{{:.4f}}", "get_parser": float}
            limits = {"unit": "V", "vals": Numbers(-10, 10)}
            self.add_parameter(f"chan{number}", docstring=f"Voltage of gate {number}.", **command, **limits)
            self.add_parameter(f"chan{number}step", step=0.1, **command, **limits)
        # A mark that the driver itself puts on a parameter.
        self.chan0.wire = "red"
        self.d1 = {"a": {1: 2, 3: [4, 5]}}
        self.add_function("reset", call_cmd="rst", docstring="Set all gates to 0 V.")
        self.add_function("echo", call_cmd="echo {:.2f}", args=[Numbers(0, 1000)], return_parser=float)

        def add5(a: float, b: float) -> float:
            """Return the sum, and 5 more; made by the constructor."""
            return a + b + 5

        self.add5 = add5

    def add5(self, a: float, b: float) -> float:
        """Return nothing: the constructor puts another in its place."""
        raise NotImplementedError


class Source(Wired):
    """A source of excitation."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter(
            "ampl",
            unit="V",
            step=0.2,
            vals=Numbers(0, 1),
            get_cmd="ampl?",
            set_cmd="ampl:{:.4f}",
            get_parser=float,
        )
        self.add_parameter(
            "output", get_cmd="relay?", set_cmd="relay:{}", val_mapping={"on": 1, "off": 0}, get_parser=int
        )
        self.add_parameter(
            "level", get_cmd=None, set_cmd=None, initial_value=0, vals=MultiType(Numbers(), Strings())
        )
        self.level.step = 1


class Meter(Wired):
    """A meter of the current through the sample."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("signal", unit="A", get_cmd="signal?", get_parser=float)
        self.add_parameter("trigger", get_cmd=False, set_cmd="rst", vals=Enum("now"))
        self.add_parameter("park", set_cmd="rst")
        self.add_parameter(
            "range",
            parameter_class=ManualParameter,
            initial_value=None,
            vals=Enum(1, 10),
            docstring="Full scale, A.",
        )


class Delays(Instrument):
    """An instrument whose constructor checks its arguments."""

    def __init__(self, name: str, delay: float = 0.01, *, max_delay: float = 1.0, **kwargs: Any) -> None:
        if not isinstance(max_delay, float | int):
            raise TypeError("max_delay must be a number of seconds")
        if max_delay < delay:
            raise ValueError("max_delay must be no less than delay")
        super().__init__(name, **kwargs)


class SharingGates(Gates):
    """A source of three voltages whose server holds the bench for all of them."""

    shared_kwargs: ClassVar[list[str]] = ["model"]

    def __init__(self, name: str, *, model: Any = None, **kwargs: Any) -> None:
        super().__init__(name, model=model, **kwargs)

    def reach(self) -> int:
        """Return how many commands the bench has had, this one included."""
        self.write("rst")
        return len(self._model.history)
