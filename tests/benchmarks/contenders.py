"""The QCoDeS side of the benchmark: one simulated driver, measured locally and through instrumentserver."""

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
from contestant import LOCAL, Contestant, get_and_set
from qcodes.instrument import Instrument
from qcodes.validators import Arrays, Numbers

from instrumentserver import start_server

BANK_SIZE: Final = 100

TRACES: Final = {"80 kB": 10_000, "4 MB": 500_000}
"""Points of the served float64 arrays, by their size."""


class BenchSource(Instrument):
    """A source with one limited output in V and two traces in V; no hardware behind it."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._output = 0.0
        self.add_parameter("output", unit="V", get_cmd=self._read, set_cmd=self._write, vals=Numbers(-10, 10))
        for points in TRACES.values():
            volts = np.linspace(-1, 1, points)
            self.add_parameter(
                f"trace{points}", unit="V", get_cmd=partial(np.asarray, volts), vals=Arrays(shape=(points,))
            )

    def process(self) -> int:
        """Return the id of the process that this instrument lives in."""
        return os.getpid()

    def _read(self) -> float:
        return self._output

    def _write(self, volts: float) -> None:
        self._output = volts


class BenchBank(Instrument):
    """BANK_SIZE limited parameters in V, kept by QCoDeS alone, and the identity that every instrument has."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for index in range(BANK_SIZE):
            self.add_parameter(
                f"gate{index}", unit="V", set_cmd=None, get_cmd=None, initial_value=0.0, vals=Numbers(-10, 10)
            )

    def get_idn(self) -> dict[str, str | None]:
        # A newer QCoDeS asks for it in a snapshot: the default would fail, log, and be timed.
        return {"vendor": "none", "model": "bank", "serial": None, "firmware": None}


def local_contestants(stack: ExitStack) -> list[Contestant]:
    """Return the calls of a QCoDeS instrument in this process; `stack` closes it."""
    source = BenchSource("bench_local_source")
    stack.callback(source.close)
    bank = BenchBank("bench_local_bank")
    stack.callback(bank.close)
    return [
        *get_and_set("local", "-", source.output.get, source.output.set),
        Contestant("local snapshot", "-", bank.snapshot, _holds_bank, share=5),
    ]


def served_contestants(folder: Path, stack: ExitStack) -> tuple[int, list[Contestant]]:
    """Return the process id of an instrumentserver and the calls through it; `stack` stops it.

    Args:
        folder: Where the server keeps its record and its socket, instead of the user's own folder.
        stack: What ends the benchmark.
    """
    stack.enter_context(mock.patch.dict(os.environ, INSTRUMENTSERVER_DIR=str(folder)))
    server = start_server("bench", linger=0)
    stack.callback(server.stop)
    source = server.create(BenchSource, "bench_source")
    bank = server.create(BenchBank, "bench_bank")
    traces = [source.parameters[f"trace{points}"].get for points in TRACES.values()]
    checks = [partial(_is_trace, points) for points in TRACES.values()]
    contestants = [
        *get_and_set("", LOCAL, source.output.get, source.output.set),
        Contestant("cached get", LOCAL, source.output.cache.get, lambda volts: volts == 1.5),
        Contestant("snapshot", LOCAL, bank.snapshot, _holds_bank, share=5),
        Contestant("get 80 kB", LOCAL, traces[0], checks[0], share=2),
        Contestant("get 4 MB", LOCAL, traces[1], checks[1], share=20),
    ]
    return source.process(), contestants


def _holds_bank(snapshot: dict[str, Any]) -> bool:
    parameters = snapshot["parameters"]
    return all(parameters[f"gate{index}"]["value"] == 0.0 for index in range(BANK_SIZE))


def _is_trace(points: int, volts: Any) -> bool:
    return volts.dtype == np.float64 and np.array_equal(volts, np.linspace(-1, 1, points))
