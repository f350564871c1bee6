"""Servers that are killed and started anew: everything goes on by itself."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from context.lab import PATIENCE, Lab, Responses
from received import eventually

from instrumentserver import Server, start_server
from instrumentserver.context import PV, Batch, ChannelTimeout, Context
from instrumentserver.errors import InstrumentServerError, ServerLost

pytestmark = pytest.mark.slow

RESUMED_WITHIN = 0.5
"""Longest time from the moment when the restarted server has the instrument to the first update, s."""


def begin(server: Server) -> Lab:
    """Start a server anew with its instrument."""
    return start_server(server.name, linger=5).create(Lab, "lab")


def test_the_same_objects_work_after_a_kill_and_a_restart(
    context: Context, server: Server, lab: Lab, responses: Responses
) -> None:
    (n,) = context.get_pvs("lab:n", connection_state_callback=responses.take)
    updates = Responses()
    n.subscribe().add_callback(updates.update)
    updates.wait_for_number(1)
    n.write(7)
    updates.wait_for_value(7)
    server.kill()
    responses.wait_for_number(2)
    assert "(searching....)" in repr(n)
    with pytest.raises(ChannelTimeout, match=f"it was on {server.address} before"):
        n.read(timeout=0.05)
    begin(server)
    made = time.monotonic()
    responses.wait_for_number(3)
    updates.wait_for_value(0)
    assert max(responses.times[2], updates.times[-1]) - made < RESUMED_WITHIN
    assert responses.items == ["connected", "disconnected", "connected"]
    n.write(9)
    updates.wait_for_value(9)
    assert updates.values[:2] == [0, 7]


def test_a_read_that_is_issued_meanwhile_is_done_when_the_server_is_back(
    context: Context, server: Server, lab: Lab
) -> None:
    x, n = context.get_pvs("lab:x", "lab:n")
    x.read()
    n.read()
    server.kill()
    with ThreadPoolExecutor() as pool:
        reading, writing = pool.submit(x.read), pool.submit(n.write, 5)
        eventually(lambda: not x.connected)
        lab = begin(server)
        assert reading.result(PATIENCE).data[0] == 0.0  # type: ignore[union-attr]
        writing.result(PATIENCE)
        assert lab.n() == 5


def test_a_write_that_was_under_way_is_not_made_twice(context: Context, server: Server, lab: Lab) -> None:
    lab.pause = 5.0
    (slow,) = context.get_pvs("lab:slow")
    slow.wait_for_connection()
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(slow.write, 1)
        eventually(lambda: bool(server.status()["calls"]))
        server.kill()
        with pytest.raises(ServerLost, match="ended before it answered"):
            writing.result(PATIENCE)
    assert begin(server).written == []


def test_a_read_that_was_under_way_is_made_again(context: Context, server: Server, lab: Lab) -> None:
    lab.pause = 5.0
    (slow,) = context.get_pvs("lab:slow")
    slow.wait_for_connection()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(slow.read)
        eventually(lambda: bool(server.status()["calls"]))
        server.kill()
        begin(server)
        assert reading.result(PATIENCE).data[0] == 1.0  # type: ignore[union-attr]


def test_an_instrument_that_moved_is_found_where_it_is_now(
    context: Context, server: Server, lab: Lab, new_name: Callable[[], str], responses: Responses
) -> None:
    (n,) = context.get_pvs("lab:n")
    n.subscribe().add_callback(responses.update)
    responses.wait_for_number(1)
    other = start_server(new_name(), linger=5)
    lab.close()
    moved = other.create(Lab, "lab")
    moved.n(5)
    made = time.monotonic()
    responses.wait_for_value(5)
    assert time.monotonic() - made < 1
    assert n.circuit_manager is not None
    assert n.circuit_manager.circuit.address == other.address
    n.write(6)
    responses.wait_for_value(6)


def test_an_instrument_that_is_made_again_goes_on(
    context: Context, server: Server, lab: Lab, responses: Responses
) -> None:
    (n,) = context.get_pvs("lab:n")
    n.subscribe().add_callback(responses.update)
    n.write(3)
    responses.wait_for_value(3)
    lab.close()
    eventually(lambda: not n.connected)
    server.create(Lab, "lab")
    responses.wait_for_value(0)
    n.write(4)
    responses.wait_for_value(4)


def test_several_kills_while_many_threads_read_and_write_hurt_nobody(
    context: Context, server: Server, lab: Lab
) -> None:
    x, n, on = context.get_pvs("lab:x", "lab:n", "lab:on")
    over = threading.Event()
    done: list[int] = []
    wrong: list[BaseException] = []

    def use(number: int) -> None:
        while not over.is_set():
            try:
                x.read()
                n.write(number)
                on.write(number % 2)
                done.append(number)
            except ServerLost:
                continue
            except BaseException as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(done)
        eventually(lambda before=before: len(done) > before + 100)  # type: ignore[misc]
        server.kill()
        server = start_server(server.name, linger=5)
        server.create(Lab, "lab")
    before = len(done)
    eventually(lambda: len(done) > before + 100)
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_anything_from_many_threads_at_any_time_hurts_nobody(
    context: Context, server: Server, lab: Lab
) -> None:
    over = threading.Event()
    wrong: list[BaseException] = []

    def subscribe(pv: PV) -> None:
        responses = Responses()
        subscription = pv.subscribe()
        token = subscription.add_callback(responses.update)
        responses.wait_for_number(1)
        subscription.remove_callback(token)

    def batch(pv: PV) -> None:
        with Batch(timeout=PATIENCE) as batch:
            batch.read(pv, lambda response: None)
            batch.write(pv, 0)

    uses: list[Callable[[PV], Any]] = [
        *(subscribe, batch, PV.go_idle, PV.go_idle, PV.read, PV.wait_for_connection, repr),
        lambda pv: pv.write(1),
        lambda pv: pv.read(wait=False),
    ]

    def use(number: int) -> None:
        chance = random.Random(number)
        while not over.is_set():
            (pv,) = context.get_pvs(chance.choice(["lab:n", "lab:x", "lab:on"]), priority=chance.randrange(2))
            try:
                chance.choice(uses)(pv)
            except ServerLost:
                continue
            except BaseException as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        over.wait(1.0)
        server.kill()
        server = start_server(server.name, linger=5)
        server.create(Lab, "lab")
    over.wait(1.0)
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_thousand_subscriptions_come_back(context: Context, server: Server, lab: Lab) -> None:
    pvs = [context.get_pvs("lab:n", priority=priority)[0] for priority in range(20)]
    collected = [Responses() for _ in pvs]
    for pv, each in zip(pvs, collected, strict=True):
        for kind in ("native", "time", "status", "graphic", "control"):
            pv.subscribe(kind).add_callback(each.update)
    for each in collected:
        each.wait_for_number(5)
    server.kill()
    eventually(lambda: not any(pv.connected for pv in pvs))
    begin(server).n(8)
    for each in collected:
        each.wait(lambda each=each: each.values.count(8) >= 5)  # type: ignore[misc]


def test_a_server_that_is_stopped_in_order_is_like_one_that_is_killed(
    context: Context, server: Server, lab: Lab, responses: Responses
) -> None:
    (x,) = context.get_pvs("lab:x", connection_state_callback=responses.take)
    x.read()
    server.stop()
    responses.wait_for_number(2)
    begin(server)
    responses.wait_for_number(3)
    assert x.read() is not None
    assert issubclass(ServerLost, InstrumentServerError)
