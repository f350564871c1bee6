"""Clients that say nonsense on an event connection, and drivers that make watching hard, harm themselves only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from received import Received, eventually
from watched import Borrower, Groups, Source

from instrumentserver import Server, start_server
from instrumentserver.client.registry import open_session
from instrumentserver.transport.connection import Connection


@pytest.fixture
def line(server: Server, source: Source) -> Iterator[Connection]:
    """Yield an event connection, to say anything on."""
    session = open_session(server.address)
    connection = session.open_events()
    yield connection
    session.close_events(connection)


OPTIONS = [True, 10, 0.0, 0.0, None]
NONSENSE: list[Any] = [
    5,
    None,
    [],
    "watch",
    ["nothing"],
    [["watch"], 1],
    ["watch"],
    ["watch", 1, 5],
    ["watch", 1, [5]],
    ["watch", 1, [[1, "source.x"]]],
    ["watch", 1, [[1, "source.x", [True, -1, 0.0, 0.0, None]]]],
    ["watch", 1, [[1, "source.x", [True, 10**30, 0.0, 0.0, None]]]],
    ["watch", 1, [[1, "source.x", [False, 1, "fast", 0.0, None]]]],
    ["watch", 1, [[1, "source.x", [False, 1, 0.0, 0.0, float("nan")]]]],
    ["watch", 1, [[[], "source.x", OPTIONS]]],
    ["watch", 1, [[1, 7, OPTIONS]]],
    ["watch", 1, [[1, None, OPTIONS]]],
    ["watch", 1, [[1, {}, OPTIONS]]],
    ["hold", 1, [99]],
    ["resume", 1, [99]],
    ["unwatch", 1, [[]]],
    ["taken", None, None],
    ["taken", [], 1],
    {"watch": 1},
]


@pytest.mark.parametrize("said", NONSENSE, ids=lambda said: str(said)[:60])
def test_nonsense_costs_its_sender_the_connection_at_most(
    server: Server, source: Source, line: Connection, received: Received, said: Any
) -> None:
    source.count.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    line.send(["watch", 1, [[7, "source.other", OPTIONS]]])
    line.send(said)
    line.finish_sending()
    for value in range(1, 11):
        source.count(value)
    received.wait_for_value(10)
    assert received.values == list(range(11))
    eventually(lambda: server.status()["watched"] == {"source.count": 1})
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    "path", ["", ".", "..", "source", "source.", ".x", "source.nothing", "source.taps", "nobody.x"]
)
def test_a_path_that_leads_to_no_parameter_is_disconnected_with_the_reason(
    server: Server, source: Source, line: Connection, path: str
) -> None:
    line.send(["watch", 1, [[7, path, OPTIONS]]])
    states: list[Any] = []
    while not states:
        states = [entry for entry in line.receive() if entry[0] == "state"]
    ((_, number, state, reason),) = states
    assert (number, state) == (7, "disconnected")
    assert reason


def test_a_number_that_is_used_twice_is_no_leak(server: Server, source: Source, line: Connection) -> None:
    for path in ("source.x", "source.other", "source.x"):
        line.send(["watch", 1, [[7, path, OPTIONS]]])
    line.finish_sending()
    eventually(lambda: server.status()["watched"] == {})


def test_a_client_that_acknowledges_what_it_never_got_gains_nothing(
    server: Server, source: Source, line: Connection
) -> None:
    line.send(["watch", 1, [[7, "source.count", OPTIONS]]])
    eventually(lambda: server.status()["watched"] == {"source.count": 1})
    for count in (10**18, -5, 3):
        line.send(["taken", 7, count])
    source.raise_count(100)
    changes: list[Any] = []
    events = 0
    while not changes or changes[-1][0] != 100:
        for entry in line.receive():
            if entry[0] == 7:
                changes += entry[1]
                events += len(entry[1]) + entry[2]
        line.send(["taken", 7, len(changes)])
    assert events == 101


def test_a_client_that_never_acknowledges_holds_a_bounded_number(
    server: Server, source: Source, line: Connection, received: Received
) -> None:
    line.send(["watch", 1, [[number, "source.wave", [True, 5, 0.0, 0.0, None]] for number in range(20)]])
    source.record(20, 10_000)
    before = psutil.Process(server.pid).memory_info().rss
    source.record(1_000, 10_000)
    assert psutil.Process(server.pid).memory_info().rss - before < 30e6


# Drivers


@pytest.mark.parametrize("period", [float("inf"), float("nan"), 1e300, 0, -1.0, "fast", True, [1]], ids=str)
def test_a_driver_s_nonsensical_period_hurts_no_other_parameter(
    source: Source, received: Received, period: Any
) -> None:
    beside = Received()
    source.poll_every("drifting", period)
    source.drifting.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.read.subscribe(lossless=True, period=0.005).add_callback(beside.take)
    beside.wait_for_number(1)
    source.change("read", 5)
    beside.wait_for_value(5, 5)


@pytest.mark.parametrize("period", [1e9, 1e10, 1e300])
def test_a_very_long_period_is_no_period(source: Source, received: Received, period: float) -> None:
    beside = Received()
    source.drifting.subscribe(period=period).add_callback(received.take)
    received.wait_for_number(1)
    source.read.subscribe(lossless=True, period=0.005).add_callback(beside.take)
    beside.wait_for_number(1)
    source.change("read", 5)
    beside.wait_for_value(5, 5)


def test_failures_that_differ_each_time_are_one_change_of_state(source: Source, received: Received) -> None:
    source.failing.subscribe(lossless=True, period=0.005).add_callback(received.take)
    received.wait_for_value(0.0)
    source.fail_with_numbers()
    received.wait_for(lambda update: update.failure)
    reads = source.times_read("failing")
    eventually(lambda: source.times_read("failing") > reads + 10)
    source.fail_from_now_on("")
    received.wait_for(lambda update: update.failure is None and update.sequence > 1)
    assert [bool(update.failure) for update in received.updates] == [False, True, False]


def test_a_parser_that_fails_in_a_delegate_spoils_no_set(source: Source, received: Received) -> None:
    source.picky_x.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    source.x(-1.0)
    update = received.wait_for(lambda update: update.failure)
    assert "negative" in update.failure
    source.x(2.0)
    received.wait_for_value(2.0)


def test_a_delegate_that_gets_another_source_follows_it(server: Server, source: Source) -> None:
    borrower = server.create(Borrower, "borrower", source.x)
    received = Received()
    borrower.borrowed.subscribe(lossless=True).add_callback(received.take)
    received.wait_for_number(1)
    borrower.lend(source.count)
    source.count(5)
    received.wait_for_value(5)


def test_a_delegate_without_a_source_is_a_failure_until_it_has_one(server: Server, source: Source) -> None:
    borrower = server.create(Borrower, "borrower")
    received = Received()
    borrower.borrowed.subscribe(lossless=True).add_callback(received.take)
    borrower.lend(source.x)
    borrower.borrowed()
    source.x(4.0)
    received.wait_for_value(4.0)


def test_an_instrument_that_is_closed_while_it_is_read(server: Server) -> None:
    received = Received()
    source = server.create(Source, "slowly")
    subscription = source.slow.subscribe(lossless=True, period=0.001)
    subscription.add_callback(received.take)
    for turn in range(1, 6):
        received.wait_for_number(turn)
        source.close()
        eventually(lambda: not subscription.is_connected)
        source = server.create(Source, "slowly")
    received.wait_for_number(6)
    assert "Traceback" not in server.log()


def test_a_reading_that_hangs_keeps_nobody_from_leaving(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=5)
    source = server.create(Source, "source")
    source.hang_for(30.0)
    received, beside = Received(), Received()
    subscription = source.slow.subscribe(period=0.01)
    subscription.add_callback(received.take)
    other = server.create(Groups, "groups")
    other.b.subscribe(period=0.01).add_callback(beside.take)
    beside.wait_for_value(2)
    begun = time.monotonic()
    subscription.close()
    again = source.slow.subscribe()
    again.add_callback(received.take)
    again.close()
    assert time.monotonic() - begun < 3
    server.kill()


def test_a_tree_that_changes_all_the_time_disturbs_no_watcher(source: Source, received: Received) -> None:
    source.count.subscribe(lossless=True).add_callback(received.take)
    for value in range(1, 21):
        source.grow(f"late{value}")
        source.count(value)
        source.shrink(f"late{value}")
    received.wait_for_value(20)
    assert received.values == list(range(21))
