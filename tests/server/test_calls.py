"""How calls run on a server: one at a time on an instrument, side by side on several, never in a circle."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from drivers import Gate, Holder, Plain
from qcodes.instrument import Instrument

from instrumentserver import (
    CallCycle,
    CallTimeout,
    ConnectFailed,
    ProtocolError,
    Server,
    ServerLost,
    UsageError,
    start_server,
    time_limit,
)
from instrumentserver.directory import Directory


class Event:
    """A file that one process makes and another one waits for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set(self) -> None:
        self.path.touch()

    def wait(self) -> None:
        give_up = threading.Event()
        for _ in range(20_000):
            if self.path.exists():
                return
            give_up.wait(0.001)
        raise TimeoutError(f"{self.path} was not made")


@pytest.fixture
def entered(tmp_path: Path) -> Event:
    return Event(tmp_path / "entered")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Event]:
    event = Event(tmp_path / "open")
    yield event
    event.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_calls_on_one_instrument_are_serial(
    server: Server, tmp_path: Path, entered: Event, opened: Event, pool: ThreadPoolExecutor
) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    first = pool.submit(gate.wait)
    entered.wait()
    others = [pool.submit(gate.wait) for _ in range(3)]
    while sum(call["state"] == "waiting" for call in server.status()["calls"]) < 3:
        pass
    opened.set()
    assert [job.result() for job in (first, *others)] == ["done"] * 4
    assert gate.most_inside == 1


def test_a_slow_call_does_not_hold_up_other_instruments_caches_or_the_server(
    server: Server, tmp_path: Path, entered: Event, opened: Event, pool: ThreadPoolExecutor
) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    plain = server.create(Plain, "plain")
    gate.value(3)
    job = pool.submit(gate.wait)
    entered.wait()
    with time_limit(5):
        assert plain.x() == 0.0
        assert gate.value.cache() == 3
        assert gate.value.cache.timestamp is not None
        assert gate.value.unit == ""
        assert gate.snapshot(update=False)["parameters"]["value"]["value"] == 3
        assert list(server.instruments) == ["gate", "plain"]
        assert not job.done()
    opened.set()
    assert job.result() == "done"


def test_status_shows_what_is_done_for_whom_and_since_when(
    server: Server, tmp_path: Path, entered: Event, opened: Event, pool: ThreadPoolExecutor
) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    job = pool.submit(gate.wait)
    entered.wait()
    (call,) = server.status()["calls"]
    assert (call["operation"], call["path"], call["state"]) == ("call", "gate.wait", "running")
    assert f"pid {os.getpid()}" in call["client"]
    assert call["seconds"] >= 0
    opened.set()
    job.result()
    assert server.status()["calls"] == []


def test_ctrl_c_ends_the_wait_and_the_next_reading_is_right(
    server: Server, tmp_path: Path, entered: Event, opened: Event
) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    plain = server.create(Plain, "plain")

    def interrupt() -> None:
        entered.wait()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        gate.wait()
    thread.join()
    assert [plain.add(number) for number in range(5)] == [1, 2, 3, 4, 5]
    assert [call["path"] for call in server.status()["calls"]] == ["gate.wait"]
    opened.set()
    assert gate.most_inside == 1
    assert gate.inside == 0


def test_a_time_limit_raises_and_the_late_answer_is_never_taken_for_another(
    server: Server, tmp_path: Path, entered: Event, opened: Event
) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    plain = server.create(Plain, "plain")
    with pytest.raises(CallTimeout, match=r"within 0\.05 s"), time_limit(0.05):
        gate.wait()
    opened.set()
    assert [plain.give(number) for number in range(20)] == list(range(20))
    assert gate.value() == 1


def test_a_server_that_dies_during_a_call_is_told_with_its_last_words(server: Server, tmp_path: Path) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    with pytest.raises(ServerLost, match=r"exit code 3(.|\n)*end of its log") as raised:
        gate.die()
    assert "gate made" in str(raised.value)


def test_a_crash_leaves_the_stack_in_the_log(server: Server, tmp_path: Path) -> None:
    class Crashing(Instrument):
        def crash(self) -> None:
            ctypes.string_at(0)

    crashing = server.create(Crashing, "crashing")
    with pytest.raises(ServerLost, match="killed by SIGSEGV"):
        crashing.crash()
    assert "Segmentation fault" in server.log(60)
    assert "in crash" in server.log(60)


def test_one_crash_takes_no_other_server_s_instruments(
    server: Server, tmp_path: Path, new_name: Callable[[], str]
) -> None:
    plain = start_server(new_name()).create(Plain, "plain")
    gate = server.create(Gate, "gate", str(tmp_path))
    with pytest.raises(ServerLost):
        gate.die()
    assert plain.x() == 0.0


def test_handles_arrive_as_the_object_at_home_and_as_proxies_elsewhere(
    server: Server, new_name: Callable[[], str]
) -> None:
    plain = server.create(Plain, "plain")
    near = server.create(Holder, "near", plain)
    far = start_server(new_name()).create(Holder, "far", held=[{"deep": (plain, plain.ch1.v)}])
    plain.x(2)
    assert near.held_kind() == "Plain"
    assert near.read() == 2
    assert far.getattr("held[0]['deep'][0].x").get() == 2
    assert far.getattr("held[0]['deep'][0]") is plain
    assert far.callattr("held[0]['deep'][0].x.set", 3) is None
    assert plain.x() == 3
    far.hold(plain)
    assert far.held_kind() == "RemoteInstrument"
    assert far.read() == 3
    assert far.held is plain


def test_an_instrument_and_one_that_it_holds_take_turns_on_one_server(
    server: Server, tmp_path: Path, entered: Event, opened: Event, pool: ThreadPoolExecutor
) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    holder = server.create(Holder, "holder", gate)
    job = pool.submit(holder.call, "wait")
    entered.wait()
    other = pool.submit(gate.wait)
    while not any(call["state"] == "waiting" for call in server.status()["calls"]):
        pass
    opened.set()
    assert (job.result(), other.result(), gate.most_inside) == ("done", "done", 1)


def test_holding_one_another_later_makes_them_take_turns_too(server: Server) -> None:
    plain = server.create(Plain, "plain")
    holder = server.create(Holder, "holder")
    holder.hold(plain)
    assert holder.read() == 0.0
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: holder.read(), range(20))) == [0.0] * 20


def test_a_call_that_comes_back_is_refused_with_the_chain(
    server: Server, new_name: Callable[[], str]
) -> None:
    one = server.create(Holder, "one")
    two = start_server(new_name()).create(Holder, "two", one)
    one.hold(two)
    with pytest.raises(CallCycle, match=r"unix:\w+/one.call -> unix:\w+/two.call -> unix:\w+/one"):
        one.call("call", "held_kind")
    assert one.held_kind() == two.held_kind() == "RemoteInstrument"


def test_a_call_that_comes_back_through_a_thread_pool_is_refused_too(
    server: Server, new_name: Callable[[], str]
) -> None:
    class Fan(Holder):
        def fan(self) -> str:
            with ThreadPoolExecutor(2) as pool:
                return pool.submit(self.held.call, "held_kind").result()

    fan = server.create(Fan, "fan")
    two = start_server(new_name()).create(Holder, "two", fan)
    fan.hold(two)
    with time_limit(10), pytest.raises(CallCycle, match=r"fan\.fan"):
        fan.fan()


def test_a_caller_s_cache_can_be_read_in_a_circle(server: Server, new_name: Callable[[], str]) -> None:
    class Source(Plain):
        other = None

        def hold(self, other: object) -> None:
            self.other = other

        def ask_other(self) -> float:
            return self.other.look()

    class Looker(Holder):
        def look(self) -> float:
            return self.held.x.cache()

    source = server.create(Source, "source")
    looker = start_server(new_name()).create(Looker, "looker", source)
    source.x(4)
    source.hold(looker)
    with time_limit(10):
        assert source.ask_other() == 4


def test_calls_on_two_servers_run_side_by_side(
    server: Server, new_name: Callable[[], str], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    gates = []
    for number, home in enumerate((server, start_server(new_name()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        gates.append((home.create(Gate, f"gate{number}", str(folder)), folder))
    jobs = [pool.submit(gate.wait) for gate, _ in gates]
    for _, folder in gates:
        Event(folder / "entered").wait()
    for _, folder in gates:
        (folder / "open").touch()
    assert [job.result() for job in jobs] == ["done", "done"]


@pytest.mark.parametrize("kind", [EOFError, ProtocolError, BrokenPipeError, OSError, StopIteration])
def test_errors_of_a_driver_that_look_like_a_cut_line_cut_nothing(
    server: Server, kind: type[Exception]
) -> None:
    class Raising(Plain):
        def fall(self) -> None:
            raise kind("from the driver")

    raising = server.create(Raising, "raising")
    connections = server.status()["clients"][0]["connections"]
    with pytest.raises(kind, match="from the driver"):
        raising.fall()
    assert server.status()["clients"][0]["connections"] == connections
    assert raising.x() == 0.0


def test_a_handle_that_leads_nowhere_is_told_to_the_caller_and_cuts_nothing(
    server: Server, new_name: Callable[[], str]
) -> None:
    holder = server.create(Holder, "holder")
    other = start_server(new_name())
    plain = other.create(Plain, "plain")
    other.stop()
    with pytest.raises(ConnectFailed, match=f"{other.name}' is not running"):
        holder.hold(plain)
    assert holder.held_kind() == "NoneType"


def test_a_token_file_that_was_tampered_with_costs_no_instrument(server: Server) -> None:
    plain = server.create(Plain, "plain")
    token = Directory.default().root / "token"
    token.chmod(0o644)
    try:
        with pytest.raises(UsageError, match="chmod 600"):
            start_server(server.name).status()
            server._session.close()
            server.status()
    finally:
        token.chmod(0o600)
    assert plain.x() == 0.0


def test_closing_the_caller_from_within_its_own_call_is_refused(
    server: Server, new_name: Callable[[], str]
) -> None:
    class Closer(Holder):
        def close_held(self) -> None:
            self.held.close()

    one = server.create(Holder, "one")
    two = start_server(new_name()).create(Closer, "two", one)
    one.hold(two)
    with time_limit(10), pytest.raises(CallCycle, match=r"unix:.*two.*unix:.*one"):
        one.call("close_held")


def test_giving_the_caller_to_an_instrument_of_its_own_server_is_refused(
    server: Server, new_name: Callable[[], str]
) -> None:
    class Giver(Holder):
        def give_to(self, other: Holder) -> None:
            other.hold(self.held)

    one, beside = server.create(Holder, "one"), server.create(Holder, "beside")
    two = start_server(new_name()).create(Giver, "two", one)
    one.hold(two)
    with time_limit(10), pytest.raises(CallCycle, match="instrument that is waiting"):
        one.call("give_to", beside)


def test_an_instrument_hands_another_of_its_own_server_on_and_gets_it_back_as_itself(
    server: Server, new_name: Callable[[], str]
) -> None:
    class Passing(Holder):
        def pass_on(self, other: Holder) -> tuple[str, bool]:
            return self.held.call_kind(other), self.held.give(other) is other

    class Taking(Plain):
        def call_kind(self, other: Holder) -> str:
            return type(other).__name__

    taking = start_server(new_name()).create(Taking, "taking")
    passing, beside = server.create(Passing, "passing", taking), server.create(Holder, "beside")
    assert passing.pass_on(beside) == ("RemoteInstrument", True)
