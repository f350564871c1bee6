"""The search: servers that come, go, hang, and answer twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from context.lab import PATIENCE, Lab, Responses, hanging
from qcodes.instrument import Instrument
from received import eventually

from instrumentserver import Server, list_servers, start_server
from instrumentserver.client.session import Session
from instrumentserver.context import ChannelTimeout, Context, SharedBroadcaster
from instrumentserver.errors import UsageError


@pytest.fixture
def other(new_name: Callable[[], str]) -> Server:
    return start_server(new_name(), linger=5)


def test_a_name_is_found_as_soon_as_its_instrument_is_there(context: Context, server: Server) -> None:
    (x,) = context.get_pvs("lab:x")
    with pytest.raises(ChannelTimeout):
        x.wait_for_connection(timeout=0.1)
    server.create(Lab, "lab")
    made = time.monotonic()
    x.wait_for_connection()
    assert time.monotonic() - made < 1


@pytest.mark.slow
def test_a_name_is_found_as_soon_as_its_server_is_there(
    context: Context, new_name: Callable[[], str]
) -> None:
    (x,) = context.get_pvs("lab:x")
    assert not x.connected
    start_server(new_name(), linger=5).create(Lab, "lab")
    made = time.monotonic()
    x.wait_for_connection()
    assert time.monotonic() - made < 1


def test_an_instrument_on_a_connected_server_is_found_at_once(
    context: Context, server: Server, lab: Lab
) -> None:
    context.get_pvs("lab:x")[0].wait_for_connection()
    (later,) = context.get_pvs("later:x")
    for _ in range(5):
        with pytest.raises(ChannelTimeout):
            later.wait_for_connection(timeout=0.15)
    server.create(Lab, "later")
    made = time.monotonic()
    later.wait_for_connection()
    assert time.monotonic() - made < 0.3


@pytest.mark.slow
def test_a_server_that_hangs_delays_nobody_else(
    context: Context, server: Server, other: Server, lab: Lab
) -> None:
    other.create(Lab, "hangs")
    with hanging(other):
        begin = time.monotonic()
        here, there = context.get_pvs("lab:x", "hangs:x")
        here.wait_for_connection()
        assert time.monotonic() - begin < 1
        assert here.read() is not None
        with pytest.raises(ChannelTimeout):
            there.wait_for_connection(timeout=0.2)
    there.wait_for_connection()


@pytest.mark.slow
def test_a_search_keeps_no_server_alive(context: Context, new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=0.5)
    lab = server.create(Lab, "lab")
    (nothing, x) = context.get_pvs("nobody:x", "lab:x")
    x.wait_for_connection()
    x.go_idle()
    lab._link.session.close()
    server._session.close()
    begin = time.monotonic()
    eventually(lambda: server.name not in [each.name for each in list_servers()], 10)
    assert time.monotonic() - begin < 5
    assert not nothing.connected


def test_the_first_of_two_servers_wins_and_the_second_is_named(
    context: Context, server: Server, other: Server, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    server.instruments  # noqa: B018  (the server is there)
    _create_unregistered(other)
    (x,) = context.get_pvs("lab:x")
    x.wait_for_connection()
    eventually(lambda: "lab:x is on two servers" in caplog.text)
    assert x.circuit_manager is not None
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "instrumentserver.search")
    assert f"{x.circuit_manager.circuit.address} answered first and is used" in caplog.text
    for each in (server, other):
        (exact,) = context.get_pvs(f"{each.name}/lab:x")
        exact.wait_for_connection()
        assert exact.circuit_manager is not None
        assert exact.circuit_manager.circuit.address == each.address


def _create_unregistered(server: Server) -> None:
    """Make a second instrument named lab, as another process would."""
    known = Instrument._all_instruments.pop("lab", None)
    server.create(Lab, "lab")
    Instrument._all_instruments.pop("lab", None)
    if known is not None:
        Instrument._all_instruments["lab"] = known


def test_given_servers_may_be_the_only_ones(server: Server, other: Server, lab: Lab) -> None:
    other.create(Lab, "elsewhere")
    with Context(servers=[other.name], local=False, timeout=PATIENCE) as context:
        x, far, exact = context.get_pvs("lab:x", "elsewhere:x", f"{server.name}/lab:x")
        far.wait_for_connection()
        exact.wait_for_connection()
        with pytest.raises(ChannelTimeout):
            x.wait_for_connection(timeout=0.2)


def test_a_server_on_tcp_is_searched_by_address(new_name: Callable[[], str], lab: Lab) -> None:
    far = start_server(new_name(), linger=5, listen="tcp://127.0.0.1:0")
    far.create(Lab, "far")
    with Context(servers=(far.address,), local=False, timeout=PATIENCE) as context:
        (x, exact, by_name) = context.get_pvs("far:x", f"{far.address}/far:x", f"{far.name}/far:x")
        for each in (x, exact, by_name):
            assert each.read().data[0] == 0.0  # type: ignore[union-attr]


def test_nobody_at_an_address_is_waited_for(context: Context) -> None:
    (x,) = context.get_pvs("tcp://127.0.0.1:1/lab:x")
    with pytest.raises(ChannelTimeout):
        x.wait_for_connection(timeout=0.2)


@pytest.mark.parametrize("servers", [["a b"], ["unix:foo/dac"], [None], "tcp://1.2.3.4", [""]])
def test_a_bad_server_is_refused(servers: Any) -> None:
    with pytest.raises(UsageError):
        Context(servers=servers)


def test_one_message_asks_for_all_names(
    context: Context, server: Server, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ask = Session.ask_in_passing

    def watched(self: Session, request: list[Any], patience: float) -> Any:
        asked.append((self.address, len(request[2])))
        return ask(self, request, patience)

    monkeypatch.setattr(Session, "ask_in_passing", watched)
    pvs = context.get_pvs("lab:x", "lab:n", "lab:on", "lab:mode", "lab:ch1:v")
    for pv in pvs:
        pv.wait_for_connection()
    assert asked == [(server.address, 5)]


def test_a_cancelled_name_is_not_searched(lab: Lab) -> None:
    broadcaster = SharedBroadcaster()
    context = Context(broadcaster)
    context.get_pvs("nobody:x", "nobody:y")
    assert broadcaster.pending == ["nobody:x", "nobody:y"]
    broadcaster.cancel("nobody:x", "unknown")
    assert broadcaster.pending == ["nobody:y"]
    context.disconnect()
    assert broadcaster.pending == []
    broadcaster.search_now()
    broadcaster.disconnect()


def test_it_is_known_when_a_server_was_heard(context: Context, server: Server, lab: Lab) -> None:
    context.get_pvs("lab:x")[0].wait_for_connection()
    heard = context.broadcaster.time_since_last_heard()
    assert list(heard) == [server.address]
    assert 0 <= heard[server.address] < 10


def test_no_thread_is_left_when_everything_is_found(context: Context, lab: Lab) -> None:
    context.get_pvs("lab:x")[0].wait_for_connection()
    eventually(lambda: not [each for each in threading.enumerate() if "search" in each.name])


@pytest.mark.slow
def test_a_storm_of_names_from_many_threads_is_found(
    context: Context, lab: Lab, responses: Responses
) -> None:
    names = ["lab:x", "lab:n", "lab:on", "lab:mode", "lab:text", "lab:ch1:v"]

    def ask(number: int) -> None:
        for name in names:
            (pv,) = context.get_pvs(name, priority=number % 5)
            pv.wait_for_connection()
            pv.go_idle()
            context.get_pvs(f"nobody{number}:x")
            pv.read()
        responses.take(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(responses.items) == 16
    assert repr(context).startswith("<Context searches_pending=16 ")
