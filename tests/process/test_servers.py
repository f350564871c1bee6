"""Starting, finding, living, ending."""

from __future__ import annotations

import os
import pickle
import signal
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import multiprocess
import psutil
import pytest
from drivers import Failing, Gate, Plain, Sharing
from qcodes.instrument import Instrument as QcodesInstrument
from qcodes.instrument import IPInstrument, VisaInstrument

from instrumentserver import (
    ConnectFailed,
    Instrument,
    NotPortable,
    Server,
    UnknownName,
    UsageError,
    connect,
    find_instrument,
    find_or_create_instrument,
    list_servers,
    start_server,
    stop_server,
)
from instrumentserver.directory import Directory
from instrumentserver.process.finding import default_server_name
from instrumentserver.transport.exits import wait_for_exit


class Lamp(Instrument):
    """An instrument of our own base class."""

    def __init__(self, name: str, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("on", set_cmd=None, get_cmd=None, initial_value=False)


def test_start_is_idempotent_and_connect_finds_it(new_name: Callable[[], str]) -> None:
    name = new_name()
    one, two = start_server(name), start_server(name)
    assert one == two == connect(name) == connect(f"unix:{name}")
    assert (one.name, one.address) == (name, f"unix:{name}")
    assert psutil.pid_exists(one.pid)
    assert one in list_servers()


def test_stop_closes_instruments_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    class Closing(Plain):
        def __init__(self, name: str, path: str) -> None:
            super().__init__(name)
            self._path = path

        def close(self) -> None:
            if hasattr(self, "_path"):
                with open(self._path, "a") as file:
                    file.write(self.name)
            super().close()

    server.create(Closing, "base", str(tmp_path / "closed"))
    server.create(Closing, "meta", str(tmp_path / "closed"))
    stop_server(server.name)
    assert (tmp_path / "closed").read_text() == "metabase"
    assert wait_for_exit(server.pid, 5)
    assert server not in list_servers()
    assert not Directory.default().socket_path(server.name).exists()
    stop_server(server.name)
    server.stop()


def test_sigterm_closes_the_instruments(server: Server, tmp_path: Path) -> None:
    class Closing(Plain):
        def close(self) -> None:
            if hasattr(self, "address"):
                Path(self.address).touch()
            super().close()

    server.create(Closing, "closing", str(tmp_path / "closed"))
    os.kill(server.pid, signal.SIGTERM)
    assert wait_for_exit(server.pid, 10)
    assert (tmp_path / "closed").exists()
    assert Directory.default().find(server.name) is None


def test_a_killed_server_is_recognised_as_dead(server: Server) -> None:
    plain = server.create(Plain, "plain")
    os.kill(server.pid, signal.SIGKILL)
    assert wait_for_exit(server.pid, 5)
    assert Directory.default().record_path(server.name).exists()
    with pytest.raises(UnknownName, match="no server"):
        connect(server.name)
    assert not Directory.default().record_path(server.name).exists()
    with pytest.raises(ConnectionError, match="killed by SIGKILL"):
        plain.x()
    again = start_server(server.name)
    assert again.pid != server.pid
    assert again.create(Plain, "plain").x() == 0.0


def test_proxies_find_the_instrument_made_again_on_a_new_server(server: Server) -> None:
    plain = server.create(Plain, "plain")
    server.kill()
    with pytest.raises(ConnectFailed):
        plain.x()
    again = start_server(server.name).create(Plain, "plain", offset=2.0)
    assert again is plain
    assert plain.x() == 2.0


def test_a_call_on_a_new_server_without_the_instrument_says_so(server: Server) -> None:
    plain = server.create(Plain, "plain")
    server.stop()
    start_server(server.name)
    with pytest.raises(UnknownName, match="has no instrument 'plain'"):
        plain.x()


def test_many_starts_at_the_same_time_give_one_server(new_name: Callable[[], str]) -> None:
    name = new_name()
    with ThreadPoolExecutor(6) as pool:
        servers = list(pool.map(lambda _: start_server(name), range(6)))
    assert len(set(servers)) == 1


def test_a_server_without_clients_ends_after_its_linger(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=0)
    server.create(Plain, "plain")
    assert server.status()["linger"] == 0
    server._session.close()
    assert wait_for_exit(server.pid, 10)
    assert Directory.default().find(server.name) is None


def test_linger_is_the_longest_that_was_asked_for(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=1)
    start_server(server.name, linger=3)
    start_server(server.name, linger=2)
    find_or_create_instrument(Plain, "plain", server_name=server.name)
    assert server.status()["linger"] == 3
    start_server(server.name, linger=None)
    start_server(server.name, linger=2)
    assert server.status()["linger"] is None
    with pytest.raises(UsageError, match="linger=-1"):
        start_server(server.name, linger=-1)


def test_bad_names_are_refused_with_the_remedy() -> None:
    for name in ("", "a b", "../x", "x" * 65, None):
        with pytest.raises(UsageError, match="cannot name a server; use 1 to 64"):
            start_server(name)
    with pytest.raises(UnknownName, match=r"no server 'nobody' runs \(running: .*start_server\('nobody'\)"):
        connect("nobody")


def test_loopback_tcp_is_the_same_connection(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), listen="tcp://127.0.0.1:0")
    assert server.address.startswith("tcp://127.0.0.1:")
    plain = server.create(Plain, "plain")
    plain.x(2)
    assert plain.x() == 2
    assert connect(server.address).instruments["plain"] is plain
    assert plain.give(plain.ch1.v) is plain.ch1.v
    with pytest.raises(UsageError, match="is plain TCP"):
        start_server(new_name(), listen="tcp://0.0.0.0:0")


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_connection_that_died_idle_is_made_anew_and_the_call_sent_once(
    new_name: Callable[[], str], kind: str
) -> None:
    name = new_name()
    server = start_server(name, listen=None if kind == "unix" else "tcp://127.0.0.1:0")
    listen = None if kind == "unix" else server.address
    plain = server.create(Plain, "plain")
    session = plain._link.session
    (dead,) = session._idle
    os.kill(server.pid, signal.SIGKILL)
    assert wait_for_exit(server.pid, 5)
    start_server(name, listen=listen)
    session._idle[:] = [dead]
    with pytest.raises(UnknownName, match="has no instrument 'plain'"):
        plain.x(2)
    assert dead not in session._idle


def test_folder_and_token_are_private(server: Server) -> None:
    root = Directory.default().root
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "token").stat().st_mode) == 0o600


def test_a_failed_constructor_leaves_nothing(new_name: Callable[[], str], tmp_path: Path) -> None:
    name, path = new_name(), tmp_path / "hardware"
    with pytest.raises(RuntimeError, match="does not answer"):
        find_or_create_instrument(Failing, "failing", str(path), server_name=name)
    assert not path.exists()
    assert name not in [server.name for server in list_servers()]
    assert not QcodesInstrument.exist("failing")


def test_a_failed_constructor_leaves_a_server_alone_that_was_there(server: Server, tmp_path: Path) -> None:
    plain = server.create(Plain, "plain")
    with pytest.raises(RuntimeError, match="does not answer"):
        server.create(Failing, "failing", str(tmp_path / "hardware"))
    assert list(server.instruments) == ["plain"]
    assert plain.x() == 0.0
    assert server.create(Plain, "failing").x() == 0.0


def test_a_name_that_is_taken_is_refused_before_anything_is_made(
    server: Server, tmp_path: Path, new_name: Callable[[], str]
) -> None:
    plain = server.create(Plain, "plain")
    local = Plain("local")
    other = start_server(new_name())
    for home, name in ((server, "plain"), (other, "plain"), (server, "local")):
        with pytest.raises(KeyError, match=f"Another instrument has the name: {name}"):
            home.create(Failing, name, str(tmp_path / "hardware"))
        assert not (tmp_path / "hardware").exists()
    assert plain.x() == 0.0
    local.close()


def test_find_or_create_finds_across_handles(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    one = find_or_create_instrument(Plain, "one", server_name=server.name)
    one.x(3)
    again = find_or_create_instrument(Plain, "one", server_name=server.name)
    assert again is one
    assert "Connected to: tests Plain" in capsys.readouterr().out
    assert again.x() == 3
    made_new = find_or_create_instrument(Plain, "one", server_name=server.name, recreate=True, offset=1.0)
    assert made_new is one
    assert made_new.x() == 1.0
    with pytest.raises(TypeError, match=r"Instrument one is .*Plain.* but drivers\.Gate was requested"):
        find_or_create_instrument(Gate, "one", "folder", server_name=server.name)


def test_find_or_create_without_a_server_is_qcodes_s(capsys: pytest.CaptureFixture[str]) -> None:
    local = find_or_create_instrument(Plain, "local", "place")
    assert type(local) is Plain
    assert find_or_create_instrument(Plain, "local") is local
    local.close()


def test_find_instrument_says_where_it_looked(server: Server, new_name: Callable[[], str]) -> None:
    with pytest.raises(UnknownName, match=f"no instrument 'ghost'.*{server.name}"):
        find_instrument("ghost")
    server.create(Plain, "twin")
    twin = find_instrument("twin")
    twin.remove_instance(twin)
    other = start_server(new_name())
    other.create(Plain, "twin")
    QcodesInstrument._all_instruments.clear()
    with pytest.raises(UsageError, match=r"twin' is on unix:\w+ and unix:\w+; choose one"):
        find_instrument("twin")


def test_server_name_of_our_instrument(new_name: Callable[[], str]) -> None:
    name = new_name()
    here = Lamp("here")
    assert type(here) is Lamp
    here.close()
    there = Lamp("there", server_name=name)
    there.on(True)
    assert connect(name).instruments["there"] is there
    assert isinstance(there, Lamp)
    by_default = Lamp(name="elsewhere", server_name="")
    assert connect("Instruments").instruments["elsewhere"] is by_default
    with pytest.raises(UsageError, match="Lamp needs a name"):
        Lamp(server_name=name)
    with pytest.raises(UsageError, match="5 cannot name an instrument"):
        Lamp(5, server_name=name)


def test_default_server_names_are_those_of_2016() -> None:
    assert default_server_name(VisaInstrument, {"address": "GPIB0::1::INSTR"}) == "GPIBServer"
    assert default_server_name(VisaInstrument, {"address": "ASRL3"}) == "SerialServer"
    assert default_server_name(VisaInstrument, {}, ("TCPIP::10.0.0.1",)) == "VisaServer"
    assert default_server_name(IPInstrument, {}) == "IPInstruments"
    assert default_server_name(Plain, {}) == default_server_name(Lamp, {}) == "Instruments"


def test_shared_kwargs_are_held_once(server: Server) -> None:
    one = server.create(Sharing, "one", backend={"volts": [1, 2]})
    two = server.create(Sharing, "two")
    three = server.create(Sharing, "three", backend={"volts": [1, 2]})
    assert one.backend_id() == two.backend_id() == three.backend_id()
    with pytest.raises(ValueError, match=r"different shared_kwargs.*'volts': \[1, 2\].*'volts': \[3\]"):
        server.create(Sharing, "four", backend={"volts": [3]})
    assert list(server.instruments) == ["one", "two", "three"]


def test_shared_kwargs_of_a_failed_constructor_are_not_kept(server: Server) -> None:
    class Fails(Sharing):
        def __init__(self, name: str, **kwargs: object) -> None:
            super().__init__(name, **kwargs)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        server.create(Fails, "fails", backend=1)
    assert server.create(Sharing, "one", backend=2).backend == 2


def test_shared_kwargs_can_be_given_at_the_start(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), shared_kwargs={"backend": "b"})
    assert server.create(Sharing, "one").backend == "b"
    start_server(server.name, shared_kwargs={"backend": "b"})
    with pytest.raises(ValueError, match=r"has backend='b', not 'c'"):
        start_server(server.name, shared_kwargs={"backend": "c"})


def test_remote_instruments_in_shared_kwargs_arrive_as_instruments(
    server: Server, new_name: Callable[[], str]
) -> None:
    plain = server.create(Plain, "plain")
    far = start_server(new_name()).create(Sharing, "far", instruments=[plain, plain.ch1])
    near = server.create(Sharing, "near", instruments=[plain])
    plain.x(2)
    assert far.getattr("instruments[0]") is plain
    assert far.getattr("instruments[0].x").get() == 2
    assert near.getattr("instruments[0]") is plain


def test_kill_ends_at_once(server: Server) -> None:
    server.create(Plain, "plain")
    server.kill()
    assert wait_for_exit(server.pid, 1)
    server.kill()
    assert server not in list_servers()


def test_log_and_status_tell_what_happened(server: Server) -> None:
    plain = server.create(Plain, "plain")
    plain.say("for the log")
    assert "drivers:Plain plain made" in server.log()
    assert "for the log" in server.log(5)
    assert server.log(0) == ""
    status = server.status()
    assert status["instruments"] == {"plain": "Plain"}
    assert [client["pid"] for client in status["clients"]] == [os.getpid()]
    assert repr(server) == f"<Server: {server.name} at unix:{server.name}, pid {server.pid}>"
    assert "plain" in repr(server.instruments)
    assert pickle.loads(pickle.dumps(server)) == server


def test_a_class_that_cannot_travel_is_refused_with_the_reason(server: Server) -> None:
    lock = threading.Thread(target=print)._started

    class Stuck(Plain):
        def use(self) -> object:
            return generator

    generator = (number for number in range(3))
    with pytest.raises(NotPortable, match=r"class .*Stuck cannot travel to a server.*generator"):
        server.create(Stuck, "stuck")
    assert lock is not None


def test_interrupts_do_not_reach_a_server(server: Server) -> None:
    plain = server.create(Plain, "plain")
    os.kill(server.pid, signal.SIGINT)
    assert plain.x() == 0.0
    assert os.getsid(server.pid) == server.pid


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(server: Server) -> None:
    plain = server.create(Plain, "plain")
    plain.x(1)
    local = Lamp("local")
    pid = os.fork()
    if pid == 0:
        try:
            values = [plain.add(number) for number in range(200)]
            plain.x(2)
            del local
            os._exit(0 if values == [number + 1 for number in range(200)] else 1)
        finally:
            os._exit(2)
    values = [plain.add(number, 5) for number in range(200)]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert values == [number + 5 for number in range(200)]
    assert plain.x() == 2
    assert local.on() is False
    local.close()


@pytest.mark.slow
def test_where_there_is_no_fork_server_a_server_is_spawned(
    new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Local(Lamp):
        pass

    monkeypatch.setattr(multiprocess, "get_all_start_methods", lambda: ["spawn"])
    server = start_server(new_name(), listen="tcp://127.0.0.1:0")
    lamp = server.create(Local, "lamp")
    lamp.on(True)
    assert connect(server.name).instruments["lamp"].on() is True
    server.stop()
    assert wait_for_exit(server.pid, 5)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's memory accounts")
@pytest.mark.benchmark
def test_the_second_server_is_fast_and_small(new_name: Callable[[], str]) -> None:
    start_server(new_name())
    times = []
    for _ in range(5):
        began = time.perf_counter()
        server = start_server(new_name())
        times.append(time.perf_counter() - began)
    private = sum(
        int(line.split()[1])
        for line in Path(f"/proc/{server.pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Private_")
    )
    assert min(times) < 0.05
    assert private < 10_000, f"{private} kB"
    print(f"start {1e3 * min(times):.0f} ms, private memory {private / 1e3:.1f} MB")  # noqa: T201


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list descriptors")
def test_servers_that_have_ended_leave_no_descriptors(new_name: Callable[[], str]) -> None:
    def start_and_stop() -> int:
        start_server(new_name()).stop()
        return len(os.listdir("/proc/self/fd"))

    before = start_and_stop()
    for _ in range(10):
        after = start_and_stop()
    # The latest one is let go of by the next start.
    assert after < before + 10
