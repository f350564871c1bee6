"""Errors, snapshots and checks of instruments on a server, as the server of 2016 had them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from drivers import Gate

from instrumentserver import CallTimeout, RemoteError, Server, start_server, time_limit

from .bench import Bench, Gates, Meter

# QCoDeS of today would rather not have parameters read and set by name.
pytestmark = pytest.mark.filterwarnings("ignore:Use of:PendingDeprecationWarning")


class Unheard(Bench):
    """A bench that fails in its own way."""

    def fail(self) -> None:
        """Raise an error of a class that no client has."""
        exec("class Tripped(Exception): pass\nraise Tripped('the fuse')", {"__name__": "fuses"})

    def exit(self) -> None:
        """Raise what ends programs."""
        raise SystemExit


def test_an_error_says_what_was_written_to_whom_and_what_was_set(gates: Gates) -> None:
    with pytest.raises(ValueError) as raised:
        gates.chan2(-5)
    for said in (
        "tripped the interlock",
        "writing 'c2:-5.0000' to <Gates: gates>",
        "setting gates_chan2 to -5",
    ):
        assert said in str(raised.value)
    with pytest.raises(ValueError) as raised:
        gates.ask("nonsense")
    assert "asking 'nonsense' to <Gates: gates>" in str(raised.value)


def test_after_a_set_that_failed_the_hardware_tells_where_it_is(gates: Gates) -> None:
    with pytest.raises(ValueError, match="interlock"):
        gates.chan2.set(-5)
    assert gates.chan2.get() == -5


def test_an_error_of_an_unknown_class_is_a_runtime_error_with_its_name(shared_server: Server) -> None:
    bench = Unheard("bench", server_name=shared_server.name)
    with pytest.raises(RuntimeError, match=r"Tripped: the fuse") as raised:
        bench.fail()
    assert type(raised.value) is RemoteError
    with pytest.raises(RuntimeError, match="SystemExit"):
        bench.exit()
    assert bench.history == []


def test_every_change_is_answered_also_one_that_fails(gates: Gates) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        gates.callattr("chan0.set")
    with pytest.raises(TypeError, match="positional argument"):
        gates.add5(1, 2, 3)
    with pytest.raises(AttributeError, match="nothing"):
        gates.callattr("nothing")
    assert gates.chan0() == 0


def test_a_time_limit_ends_the_wait_and_late_answers_are_dropped(
    new_name: Callable[[], str], tmp_path: Path
) -> None:
    gate = start_server(new_name()).create(Gate, "gate", str(tmp_path))
    with time_limit(0.05), pytest.raises(CallTimeout) as raised:
        gate.wait()
    assert isinstance(raised.value, TimeoutError)
    (tmp_path / "open").touch()
    assert gate.value() == 1
    assert gate.wait() == "done"


def test_instruments_of_one_server_are_used_side_by_side(shared_server: Server, tmp_path: Path) -> None:
    slow = shared_server.create(Gate, "slow", str(tmp_path))
    quick = Bench("quick", server_name=shared_server.name)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(slow.wait)
        entered = threading.Event()
        while not (tmp_path / "entered").exists():
            entered.wait(0.002)
        assert quick.send("echo", "echo still here") == "still here"
        assert not job.done()
        (tmp_path / "open").touch()
        assert job.result() == "done"


def test_snapshot_is_that_of_the_local_instrument(gates: Gates) -> None:
    local = Gates("here", model=Bench("local_bench"))
    for instrument in (local, gates):
        instrument.chan0(0.5)
    here, there = local.snapshot(), gates.snapshot()
    assert there["__class__"] == f"{Gates.__module__}.Gates"
    assert there["parameters"]["chan0"]["__class__"] == "qcodes.parameters.parameter.Parameter"
    assert plain(there, "gates") == plain(here, "here")


def plain(snapshot: Any, name: str) -> Any:
    """Return a snapshot without the times and with another name for the instrument."""
    if isinstance(snapshot, dict):
        return {key: plain(value, name) for key, value in snapshot.items() if key != "ts"}
    return snapshot.replace(name, "NAME") if isinstance(snapshot, str) else snapshot


def test_a_snapshot_with_update_reads_the_hardware(bench: Bench, gates: Gates) -> None:
    gates.chan0(0.5)
    bench.setattr("levels['c0']", "0.75")
    assert gates.snapshot()["parameters"]["chan0"]["value"] == 0.5
    assert gates.chan0.snapshot(update=True)["value"] == 0.75
    assert gates.snapshot(update=True)["parameters"]["chan1"]["value"] == 0


def test_validate_status_reads_and_checks_every_parameter(
    bench: Bench, gates: Gates, capsys: pytest.CaptureFixture[str]
) -> None:
    gates.validate_status(verbose=True)
    assert "validate_status: param chan0: 0.0" in capsys.readouterr().out
    bench.setattr("levels['c0']", "99")
    with pytest.raises(ValueError, match=r"99\.0 is invalid"):
        gates.validate_status()


def test_a_local_instrument_has_the_same_methods(meter: Meter) -> None:
    local = Meter("here", model=Bench("local_bench"))
    for instrument in (local, meter):
        assert instrument.signal() == instrument.get("signal") == 0
        instrument.range(1)
        instrument.validate_status()
        name = instrument.name
        instrument.close()
        assert name in repr(instrument)
        assert not hasattr(instrument, "signal")


def test_arguments_by_keyword_reach_the_constructor(shared_server: Server) -> None:
    bench = Bench("bench", label="The setup", metadata={"room": 12}, server_name=shared_server.name)
    assert (bench.label, bench.snapshot()["metadata"]) == ("The setup", {"room": 12})
