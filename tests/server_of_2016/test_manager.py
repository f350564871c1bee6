"""`get_instrument_server_manager` and what it returns."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drivers import Gate, Growing, Holder, Plain

from instrumentserver import NotPortable, ServerLost, UnknownName, connect, list_servers, start_server
from instrumentserver.manager import InstrumentServerManager, get_instrument_server_manager
from instrumentserver.transport.exits import wait_for_exit

from .bench import Bench, Gates, SharingGates


@pytest.fixture
def manager(new_name: Callable[[], str]) -> InstrumentServerManager:
    """Return the manager of a server of this test's own."""
    return get_instrument_server_manager(new_name())


def test_there_is_one_manager_for_each_name(manager: InstrumentServerManager) -> None:
    assert get_instrument_server_manager(manager.name) is manager
    assert InstrumentServerManager.instances[manager.name] is manager
    assert manager.server == connect(manager.name)
    assert manager.name in repr(manager)


def test_without_a_name_it_is_the_default_server_s() -> None:
    manager = get_instrument_server_manager("")
    assert manager.name == "Instruments"
    assert manager.server in list_servers()


def test_it_manages_a_server_that_runs_already(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=7)
    plain = server.create(Plain, "plain")
    manager = get_instrument_server_manager(server.name)
    assert dict(manager.instruments) == {"plain": plain}
    assert server.status()["linger"] == 7


def test_it_starts_a_server_that_has_ended(manager: InstrumentServerManager) -> None:
    manager.server.kill()
    with pytest.raises(UnknownName, match=manager.name):
        _ = manager.server
    assert get_instrument_server_manager(manager.name) is manager
    assert dict(manager.instruments) == {}


def test_shared_kwargs_reach_the_instruments(new_name: Callable[[], str], bench: Bench) -> None:
    manager = get_instrument_server_manager(new_name(), {"model": bench})
    assert manager.shared_kwargs == {"model": bench}
    gates = SharingGates("gates", server_name=manager.name)
    assert gates.wired_to == "bench"
    assert get_instrument_server_manager(manager.name) is manager
    assert get_instrument_server_manager(manager.name, {"model": bench}) is manager


def test_other_shared_kwargs_are_refused_and_both_values_shown(new_name: Callable[[], str]) -> None:
    manager = get_instrument_server_manager(new_name(), {"gain": 2})
    with pytest.raises(
        ValueError, match=r"already exists but with different shared_kwargs: it has gain=2, not 3"
    ):
        get_instrument_server_manager(manager.name, {"gain": 3})
    assert manager.shared_kwargs == {"gain": 2}
    get_instrument_server_manager(manager.name, {"offset": 1})
    assert manager.shared_kwargs == {"gain": 2, "offset": 1}


def test_what_cannot_be_shared_is_refused_and_leaves_no_server(new_name: Callable[[], str]) -> None:
    name = new_name()
    with pytest.raises(NotPortable, match="cannot travel"):
        get_instrument_server_manager(name, {"lock": threading.Lock()})
    assert name not in {server.name for server in list_servers()}
    assert name not in InstrumentServerManager.instances


def test_restart_makes_every_instrument_again_in_a_new_process(manager: InstrumentServerManager) -> None:
    plain = manager.server.create(Plain, "plain", "there", offset=0.5)
    pid, x = plain.pid(), plain.x
    plain.x(3)
    plain.setattr("remark", "mine")
    plain.grow("late")
    manager.restart()
    assert plain.pid() == manager.server.pid != pid
    assert (plain.x(), plain.address) == (0.5, "there")
    assert plain.x is x
    assert "late" not in plain.parameters
    assert plain.getattr("remark", None) is None
    assert manager.instruments["plain"] is plain


@pytest.mark.slow
def test_restart_makes_also_those_again_that_another_process_made(manager: InstrumentServerManager) -> None:
    program = (
        "from instrumentserver import connect\n"
        "from qcodes.instrument_drivers.mock_instruments import DummyInstrument\n"
        f"connect({manager.name!r}).create(DummyInstrument, 'dummy', gates=['left', 'right'])\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    dummy = manager.instruments["dummy"]
    dummy.left(5)
    manager.restart()
    assert (dummy.left(), dummy.right()) == (0, 0)


def test_restart_makes_also_those_again_that_hold_others_or_are_of_a_local_class(
    manager: InstrumentServerManager,
) -> None:
    base = Bench("base", server_name=manager.name)
    gates = Gates("gates", model=base, server_name=manager.name)
    calling = manager.server.create(Holder, "calling", lambda value: value + 1)
    holder = manager.server.create(Holder, "holder", [base, {"gate": gates.chan0, "trace": np.arange(3)}])

    class InHere(Plain):
        pass

    in_here = manager.server.create(InHere, "in_here")
    base.history.append("kept here alone")
    gates.chan0(0.5)
    manager.restart()
    assert list(manager.instruments) == ["base", "gates", "calling", "holder", "in_here"]
    assert gates.chan0() == 0
    assert base.history == ["gates c0?"]
    assert calling.callattr("held", 4) == 5
    assert holder.held[0] is base
    assert holder.held[1]["gate"] is gates.chan0
    np.testing.assert_array_equal(holder.held[1]["trace"], np.arange(3))
    assert isinstance(in_here, InHere)
    assert in_here.x() == 0


def test_restart_keeps_shared_kwargs_linger_and_address(new_name: Callable[[], str], bench: Bench) -> None:
    server = start_server(new_name(), linger=7, listen="tcp://127.0.0.1:0")
    manager = get_instrument_server_manager(server.name, {"model": bench})
    gates = SharingGates("gates", server_name=server.name)
    manager.restart()
    assert manager.server.address == server.address
    assert manager.server.status()["linger"] == 7
    assert gates.wired_to == SharingGates("more", server_name=server.name).wired_to == "bench"


def test_restart_of_a_server_that_died_makes_again_what_this_process_had_made(
    manager: InstrumentServerManager,
) -> None:
    plain = manager.server.create(Plain, "plain", offset=0.5)
    pid = manager.server.pid
    os.kill(pid, signal.SIGKILL)
    assert wait_for_exit(pid, 5)
    with pytest.raises(ConnectionError):
        plain.x()
    manager.restart()
    assert plain.x() == 0.5


def test_restart_tells_what_could_not_be_made_again_and_makes_the_others(
    manager: InstrumentServerManager, tmp_path: Path
) -> None:
    class Needing(Plain):
        def __init__(self, name: str, path: str) -> None:
            super().__init__(name)
            with open(path) as file:
                self.content = file.read()

    (tmp_path / "needed").write_text("there")
    manager.server.create(Growing, "first")
    manager.server.create(Needing, "needing", str(tmp_path / "needed"))
    manager.server.create(Growing, "last")
    (tmp_path / "needed").unlink()
    with pytest.raises(ExceptionGroup, match="1 of its 3 instruments could not be made again") as raised:
        manager.restart()
    (error,) = raised.value.exceptions
    assert isinstance(error, FileNotFoundError)
    assert "when instrument 'needing' was made again" in error.__notes__
    assert list(manager.instruments) == ["first", "last"]


def test_halt_ends_a_server_that_does_not_answer_by_force_and_says_so(
    manager: InstrumentServerManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = manager.server.create(Gate, "gate", str(tmp_path))
    pid = manager.server.pid
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(gate.wait)
        entered = threading.Event()
        while not (tmp_path / "entered").exists():
            entered.wait(0.002)
        with caplog.at_level(logging.WARNING):
            manager.halt(timeout=0.1)
        assert wait_for_exit(pid, 5)
        with pytest.raises(ServerLost):
            job.result()
    assert "has not ended within 0.1 s: ended by force" in caplog.text
    assert manager.name not in {server.name for server in list_servers()}
    manager.halt()


def test_halt_closes_the_instruments_first(manager: InstrumentServerManager, tmp_path: Path) -> None:
    class Closing(Plain):
        def close(self) -> None:
            if hasattr(self, "address"):
                Path(self.address).touch()
            super().close()

    manager.server.create(Closing, "closing", str(tmp_path / "closed"))
    manager.halt(timeout=10)
    assert (tmp_path / "closed").exists()


def test_close_ends_the_server_and_forgets_the_manager(manager: InstrumentServerManager) -> None:
    pid = manager.server.pid
    manager.close()
    manager.close()
    assert wait_for_exit(pid, 5)
    assert manager.name not in InstrumentServerManager.instances
    assert get_instrument_server_manager(manager.name) is not manager
