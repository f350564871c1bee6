"""Drivers find the instruments of the whole lab by name; instruments are made of others; servers end in time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from drivers import Gate, Onlooker, Plain, Seeker
from qcodes.dataset import do0d, initialise_or_create_database_at, load_or_create_experiment
from qcodes.instrument import Instrument, InstrumentBase
from qcodes.instrument_drivers.mock_instruments import MockMetaParabola, MockParabola
from qcodes.parameters import DelegateParameter
from qcodes.station import Station

from instrumentserver import (
    Server,
    ServerLost,
    UnknownName,
    find_instrument,
    list_servers,
    start_server,
)
from instrumentserver.transport.exits import wait_for_exit


@pytest.fixture
def seeker(server: Server) -> Seeker:
    return server.create(Seeker, "seeker")


@pytest.fixture
def far(new_name: Callable[[], str]) -> Server:
    """Return another server."""
    return start_server(new_name(), linger=5)


def forget(instrument: Instrument) -> None:
    """Take a proxy out of this process's registry, as if another process had made it."""
    instrument.remove_instance(instrument)


# Finding


def test_a_driver_finds_instruments_of_its_own_and_of_other_servers(
    seeker: Seeker, server: Server, far: Server
) -> None:
    near, away = server.create(Plain, "near"), far.create(Plain, "away", offset=2)
    assert seeker.find("near") is near
    assert seeker.find("away") is away
    assert seeker.find("seeker") is seeker
    assert seeker.is_there("away")
    assert not seeker.is_there("ghost")
    with pytest.raises(KeyError, match="ghost"):
        seeker.find("ghost")


@pytest.mark.parametrize("where", ["the same server", "another server"])
def test_a_parameter_that_names_an_instrument_finds_it(
    seeker: Seeker, server: Server, far: Server, where: str
) -> None:
    home = server if where == "the same server" else far
    plain = home.create(Plain, "plain", offset=2)
    seeker.target("plain")
    assert seeker.read_target() == 2
    assert seeker.target_kind() == ("Plain" if home is server else "RemoteInstrument")
    assert seeker.target.get_instr() is plain
    forget(plain)
    assert seeker.target.get_instr() is plain
    plain.close()
    with pytest.raises((KeyError, UnknownName), match="plain"):
        seeker.read_target()
    home.create(Plain, "plain", offset=3)
    assert seeker.read_target() == 3


def test_an_instrument_that_was_made_anew_on_a_third_server_is_found_there(
    seeker: Seeker, far: Server, new_name: Callable[[], str]
) -> None:
    plain = far.create(Plain, "plain", offset=2)
    seeker.target("plain")
    assert seeker.read_target() == 2
    plain.close()
    start_server(new_name()).create(Plain, "plain", offset=3)
    assert seeker.read_target() == 3


def test_an_instrument_of_this_process_is_found_by_the_proxy_alone(seeker: Seeker) -> None:
    local = Plain("local")
    seeker.target("local")
    assert seeker.target.get_instr() is local
    with pytest.raises(KeyError, match="local"):
        seeker.read_target()
    local.close()


def test_a_name_that_two_other_servers_have_is_found_on_neither(
    seeker: Seeker, far: Server, new_name: Callable[[], str]
) -> None:
    forget(far.create(Plain, "twin"))
    third = start_server(new_name())
    twin = third.create(Plain, "twin")
    assert not seeker.is_there("twin")
    third.stop()
    assert seeker.is_there("twin")
    assert type(twin).__name__ == "RemoteInstrument"


def test_the_server_s_own_instrument_comes_first(seeker: Seeker, server: Server, far: Server) -> None:
    forget(far.create(Plain, "twin", offset=1))
    server.create(Plain, "twin", offset=2)
    seeker.target("twin")
    assert (seeker.read_target(), seeker.target_kind()) == (2, "Plain")


def test_names_of_other_servers_instruments_are_free_here(
    seeker: Seeker, server: Server, far: Server
) -> None:
    forget(far.create(Plain, "plain", offset=1))
    assert seeker.find("plain").x() == 1
    forget(find_instrument("plain"))
    assert server.create(Plain, "plain", offset=2).x() == 2


def test_a_server_that_died_keeps_nobody_from_finding(
    seeker: Seeker, far: Server, new_name: Callable[[], str]
) -> None:
    dead = start_server(new_name())
    forget(dead.create(Plain, "gone"))
    plain = far.create(Plain, "plain")
    assert seeker.is_there("gone")
    os.kill(dead.pid, signal.SIGKILL)
    assert wait_for_exit(dead.pid, 5)
    assert seeker.find("plain") is plain
    assert not seeker.is_there("gone")


def test_a_server_that_was_asked_in_vain_may_end(seeker: Seeker, new_name: Callable[[], str]) -> None:
    unused = start_server(new_name(), linger=0)
    unused.create(Plain, "unused")
    assert not seeker.is_there("ghost")
    unused._session.close()
    assert wait_for_exit(unused.pid, 10)
    assert not seeker.is_there("unused")


def test_a_server_does_not_connect_with_itself(seeker: Seeker, server: Server, far: Server) -> None:
    far.create(Plain, "plain")
    assert seeker.is_there("plain")
    assert not seeker.is_there("ghost")
    assert [client["pid"] for client in server.status()["clients"]] == [os.getpid()]
    assert server.pid in [client["pid"] for client in far.status()["clients"]]


def test_a_server_introduces_itself_by_its_name(
    seeker: Seeker, server: Server, far: Server, tmp_path: Path
) -> None:
    far.create(Plain, "plain")
    seeker.find("plain")
    programs = {client["pid"]: client["program"] for client in far.status()["clients"]}
    assert programs[server.pid] == f"server {server.name}"
    assert not programs[os.getpid()].startswith("server")


# Instruments that are made of others


@pytest.mark.parametrize("where", ["the same server", "another server"])
def test_an_instrument_that_qcodes_does_not_register(server: Server, far: Server, where: str) -> None:
    home = server if where == "the same server" else far
    parabola = server.create(MockParabola, "parabola")
    meta = home.create(MockMetaParabola, "meta", parabola)
    assert isinstance(meta, MockMetaParabola)
    assert isinstance(meta, InstrumentBase)
    assert not Instrument.exist("meta")
    assert find_instrument("meta") is home.instruments["meta"] is meta
    parabola.x(2)
    meta.gain(3)
    assert (meta.parabola(), meta.snapshot()["parameters"]["parabola"]["value"]) == (
        3 * parabola.parabola(),
        3 * 4,
    )
    assert Station(parabola, meta, default=False).components["meta"] is meta
    meta.close()
    with pytest.raises(UnknownName, match="meta"):
        find_instrument("meta")
    again = home.create(MockMetaParabola, "meta", parabola)
    again.restart()
    assert again.gain() == 1


@pytest.mark.parametrize("where", ["the same server", "another server"])
def test_lent_parameters_are_the_proxies_of_their_owner(server: Server, far: Server, where: str) -> None:
    home = server if where == "the same server" else far
    parabola = server.create(MockParabola, "parabola")
    meta = home.create(MockMetaParabola, "meta", parabola)
    for name in "xyz":
        assert meta.parameters[name] is getattr(meta, name) is getattr(parabola, name)
    assert (meta.x.full_name, meta.x.instrument) == ("parabola_x", parabola)
    meta.x(2.5)
    assert parabola.x() == meta.x.cache.get() == 2.5
    meta.add_parameter("late", set_cmd=None)
    meta.update()
    assert meta.x is parabola.x
    assert meta.snapshot()["parameters"]["x"]["value"] == 2.5


def test_lent_parameters_are_those_of_their_owner_for_a_third_process(server: Server, far: Server) -> None:
    parabola = server.create(MockParabola, "parabola")
    meta = far.create(MockMetaParabola, "meta", parabola)
    onlooker = start_server(f"{far.name}x").create(Onlooker, "onlooker")
    assert onlooker.see("meta.x.full_name", meta=meta) == "parabola_x"
    assert onlooker.see("meta.x is parabola.x", parabola=parabola)
    assert onlooker.see("meta.x") is parabola.x


def test_a_lender_that_is_gone_leaves_the_borrower_usable(server: Server, far: Server) -> None:
    parabola = server.create(MockParabola, "parabola")
    meta = far.create(MockMetaParabola, "meta", parabola)
    server.stop()
    assert meta.gain() == 1
    forget(parabola)
    found = far.create(Onlooker, "onlooker")
    assert found.see("meta.gain()", meta=meta) == 1


@pytest.mark.slow
def test_a_run_names_lent_parameters_after_their_owner(server: Server, far: Server, tmp_path: Path) -> None:
    parabola = server.create(MockParabola, "parabola")
    meta = far.create(MockMetaParabola, "meta", parabola)
    initialise_or_create_database_at(tmp_path / "runs.db")
    load_or_create_experiment("lent", "sample")
    dataset, _, _ = do0d(meta.x, meta.gain)
    assert set(dataset.get_parameter_data()) == {"parabola_x", "meta_gain"}


def test_an_instrument_of_delegates_over_several_servers(server: Server, far: Server) -> None:
    class Delegates(InstrumentBase):
        def __init__(self, name: str, sources: dict[str, object]) -> None:
            super().__init__(name)
            for key, source in sources.items():
                self.add_parameter(key, parameter_class=DelegateParameter, source=source)

    one, two = server.create(Plain, "one"), far.create(Plain, "two")
    delegates = server.create(Delegates, "delegates", {"here": one.x, "there": two.ch1.v})
    delegates.here(1)
    delegates.there(2)
    assert (one.x(), two.ch1.v()) == (1, 2)
    assert (delegates.here.source is one.x, delegates.there.source is two.ch1.v) == (True, True)
    assert (delegates.there.unit, delegates.there.full_name) == ("V", "delegates_there")


# Ending in time


@pytest.mark.slow
def test_a_server_that_does_not_end_in_time_is_told(server: Server) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(
            ServerLost, match=rf"server '{server.name}' \(pid {server.pid}\) has not ended .*kill"
        ):
            server.stop(timeout=0.1)
        assert time.monotonic() - began < 2
    finally:
        os.kill(server.pid, signal.SIGCONT)
    server.stop()
    assert wait_for_exit(server.pid, 5)
    assert server not in list_servers()


@pytest.mark.slow
def test_a_call_under_way_may_keep_a_server_from_ending_in_time(server: Server, tmp_path: Path) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    onlooker = start_server(f"{server.name}x").create(Onlooker, "onlooker")
    onlooker.do("import threading; waiting = threading.Thread(target=gate.wait, daemon=True)", gate=gate)
    onlooker.do("waiting.start()")
    while not (tmp_path / "entered").exists():
        pass
    try:
        with pytest.raises(ServerLost, match="has not ended"):
            server.stop(timeout=0.1)
        (tmp_path / "open").touch()
        assert wait_for_exit(server.pid, 5)
    finally:
        server.kill()
