"""`Gates` with instruments on servers: real processes, handles, errors that come back whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drivers import Plain
from qcodes.instrument import Instrument

from instrumentserver import Server, start_server
from meta import Gates


class Meeting(Instrument):
    """An instrument whose set lasts until another one's set is under way too."""

    def __init__(self, name: str, folder: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._folder = Path(folder)
        self.add_parameter("x", get_cmd=lambda: self._value, set_cmd=self._meet)
        self._value = 0.0

    def _meet(self, value: float) -> None:
        (self._folder / self.name).touch()
        pause, give_up = threading.Event(), time.monotonic() + 10
        while len(list(self._folder.iterdir())) < 2:
            pause.wait(0.002)
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.name} was set alone")
        self._value = value


def test_sets_fan_out_in_parallel_over_servers(
    server: Server, new_name: Callable[[], str], tmp_path: Path
) -> None:
    bases = [start_server(new_name()).create(Meeting, name, str(tmp_path)) for name in ("one", "two")]
    gates = Gates("gates", instruments=bases, parameter="x", server_name=server.name)
    gates.setBothAsync(3)
    assert [base.x() for base in bases] == [3, 3]
    assert (gates.c0(), gates.c1()) == (3, 3)


def test_sets_fan_out_in_parallel_on_one_server_too(server: Server, tmp_path: Path) -> None:
    bases = [server.create(Meeting, name, str(tmp_path)) for name in ("one", "two")]
    gates = server.create(Gates, "gates", instruments=bases, parameter="x")
    gates.setBothAsync(3)
    assert [base.x() for base in bases] == [3, 3]


def test_all_errors_of_parallel_sets_arrive_together_and_say_who_took_the_value(
    server: Server, new_name: Callable[[], str]
) -> None:
    bases = [start_server(new_name()).create(Plain, name) for name in ("one", "two", "three")]
    gates = Gates("gates", instruments=bases, parameter="x", server_name=server.name)
    bases[1].setattr("x.vals", bases[1].ch1.v.vals)
    with pytest.raises(ExceptionGroup) as raised:
        gates.setBothAsync(7)
    assert raised.group_contains(ValueError, match="7 is invalid")
    assert len(raised.value.exceptions) == 2
    message = raised.value.message
    assert "took the value: two_x (7 V)" in message
    assert "failed: one_x (7 V), three_x (7 V)" in message
    assert bases[1].x() == 7
    assert bases[0].x() == 0


def test_a_serial_set_stops_at_the_first_failure_and_says_so(
    server: Server, new_name: Callable[[], str]
) -> None:
    bases = [start_server(new_name()).create(Plain, name) for name in ("one", "two")]
    gates = Gates("gates", instruments=bases, parameter="x", server_name=server.name)
    with pytest.raises(ValueError, match="7 is invalid") as raised:
        gates.setBoth(7)
    assert "not tried: two_x (7 V)" in "".join(raised.value.__notes__)


def test_gates_survive_the_restart_of_a_base_on_another_server(
    server: Server, new_name: Callable[[], str]
) -> None:
    base = start_server(new_name()).create(Plain, "base")
    gates = Gates("gates", instruments=[base], parameter="x", server_name=server.name)
    gates.c0(2)
    base.restart()
    assert gates.c0() == 0.0
    gates.c0(1)
    assert base.x() == 1


def test_channels_can_be_gates(server: Server, new_name: Callable[[], str]) -> None:
    base = start_server(new_name()).create(Plain, "base")
    gates = Gates("gates", instruments=list(base.outs), parameter="v", server_name=server.name)
    gates.setBothAsync(1.5)
    assert base.outs.v() == (1.5,) * 4
    assert gates.c2.unit == "V"
    assert gates.snapshot()["parameters"]["c2"]["unit"] == "V"
