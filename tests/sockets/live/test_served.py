"""A live server in a server process: its streams in the hands of clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
from drivers import Onlooker
from received import Received, States, eventually, leave_alone

from instrumentserver import Server, find_instrument, start_server, wait_until
from instrumentserver.context import Context
from instrumentserver.sockets import LivePoint, LiveServer, LiveSocket

LOCAL = "127.0.0.1"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("livehome")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """Close what a test made; the server of the module goes on."""
    yield from leave_alone(home)


@pytest.fixture
def live(home: Server) -> Any:
    return home.create(LiveServer, "live", 0, LOCAL)


@pytest.fixture
def onlooker(live: Any, new_name: Callable[[], str]) -> Onlooker:
    """Return another client in another process, which knows the live server as ``live``."""
    onlooker: Any = start_server(new_name()).create(Onlooker, "onlooker")
    onlooker.do("import instrumentserver", live=live)
    return onlooker


def has_streams(live: Any, number: int) -> bool:
    """Return whether there are so many streams, once everything is to be seen."""
    live.update()
    return sum(len(host.parameters) for host in live.submodules.values()) == number


def test_streams_of_two_hosts_appear_at_clients_by_themselves(
    live: Any, onlooker: Onlooker, new_live_socket: Callable[..., LiveSocket]
) -> None:
    assert (live.submodules, onlooker.see("len(live.submodules)")) == ({}, 0)
    first, second = (new_live_socket(name, live.port, "a", "b") for name in ("pc1", "pc-2"))
    first.set_point_now("a", 1.5)
    second.set_batch_now({"a": "on", "b": [1, 2]})
    # Any call tells.
    eventually(lambda: live.statistics()["received"] == 2 and len(live.submodules) == 2)
    assert (live.pc1.a(), live.pc_2.a(), live.pc_2.b()) == (1.5, "on", [1, 2])
    assert live.pc1.a.latest[1] == 1.5
    assert (live.pc_2.host, live.pc_2.a.label) == ("pc-2", "a")
    assert isinstance(live, LiveServer)
    kept = live.pc1.a
    first.set_point_now("b", 2.5)
    eventually(lambda: live.statistics()["received"] == 3 and "b" in live.pc1.parameters)
    assert live.pc1.a is kept
    assert onlooker.see("live.statistics()['received']") == 3
    assert onlooker.see("[live.pc1.b(), live.pc_2.a()]") == [2.5, "on"]


def test_each_point_is_an_event_with_its_own_time(
    live: Any, onlooker: Onlooker, new_live_socket: Callable[..., LiveSocket]
) -> None:
    sender = new_live_socket("pc", live.port, "a")
    began = time.time() - 100
    sender.set_point("a", (began, 0))
    eventually(lambda: has_streams(live, 1))
    received = Received()
    subscription = live.pc.a.subscribe(lossless=True)
    subscription.add_callback(received.take)
    onlooker.do("s = live.pc.a.subscribe(lossless=True); got = []; take = got.append; s.add_callback(take)")
    received.wait_for_number(1)
    for number in range(1, 30):
        sender.set_point("a", (began + number, number // 10))
    updates = received.wait_for_number(30)
    assert [update.value for update in updates] == [number // 10 for number in range(30)]
    assert [update.timestamp for update in updates] == pytest.approx(
        [began + number for number in range(30)], abs=1e-5
    )
    eventually(lambda: onlooker.see("[update.value for update in got]") == received.values)


def test_another_process_waits_for_a_value_and_takes_snapshots(
    live: Any, onlooker: Onlooker, new_live_socket: Callable[..., LiveSocket]
) -> None:
    sender = new_live_socket("pc", live.port, "a")
    sender.set_point_now("a", 1)
    eventually(lambda: has_streams(live, 1))
    onlooker.do(
        "import threading\n"
        "seen = []\n"
        "look = lambda: seen.append(instrumentserver.wait_until(live.pc.a, lambda value: value == 5, 20))\n"
        "waiter = threading.Thread(target=look)\n"
        "waiter.start()\n"
    )
    for number in range(2, 6):
        sender.set_point_now("a", number)
    onlooker.do("waiter.join(20)")
    assert onlooker.see("seen") == [5]
    assert wait_until(live.pc.a, lambda value: value == 5, 20) == 5
    for snapshot in (live.snapshot(), onlooker.see("live.snapshot()")):
        assert snapshot["submodules"]["pc"]["parameters"]["a"]["value"] == 5
    assert onlooker.see("live.points()")["pc"]["a"][1] == 5


def test_context_has_streams_as_channels(live: Any, new_live_socket: Callable[..., LiveSocket]) -> None:
    moment = time.time() - 100
    with Context(timeout=20.0) as context:
        (late,) = context.get_pvs("live.pc.a")
        new_live_socket("pc", live.port, "a").set_point("a", (moment, 1.5))
        late.wait_for_connection(timeout=20)
        found = late.read(data_type="time")
        assert list(found.data) == [1.5]
        assert found.metadata.timestamp == pytest.approx(moment, abs=1e-5)


def test_reset_is_an_event_and_the_stream_stays(
    live: Any, new_live_socket: Callable[..., LiveSocket]
) -> None:
    first, second = (new_live_socket(name, live.port, "a") for name in ("first", "second"))
    first.set_point_now("a", 1)
    second.set_point_now("a", 2)
    eventually(lambda: has_streams(live, 2))
    received = Received()
    subscription = live.first.a.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_value(1)
    first.reset(["a"])
    received.wait_for_value(None)
    first.set_point_now("a", 3)
    received.wait_for_value(3)
    assert live.second.a() == 2


def test_function_of_another_process_gets_the_points(
    live: Any, onlooker: Onlooker, new_live_socket: Callable[..., LiveSocket]
) -> None:
    came: Queue[LivePoint] = Queue()
    sender = new_live_socket("pc", live.port, "a", "b")
    with live.subscribe(came.put, codename="a") as subscription:
        for number in range(20):
            sender.set_batch({"a": (number, -number), "b": (0, 0)})
        points = [came.get(timeout=20) for _ in range(20)]
        assert [point[:4] for point in points] == [("pc", "a", number, -number) for number in range(20)]
        assert type(points[0]) is LivePoint
        assert subscription.dropped == 0
    sender.set_point("a", (1, 1))
    eventually(lambda: live.statistics()["received"] == 21)
    assert came.empty()


def test_restarted_live_server_serves_the_old_subscriptions(
    live: Any, new_live_socket: Callable[..., LiveSocket]
) -> None:
    new_live_socket("pc", live.port, "a").set_point_now("a", 1)
    eventually(lambda: has_streams(live, 1))
    received, states = Received(), States()
    subscription = live.pc.a.subscribe(lossless=True)
    subscription.add_callback(received.take)
    subscription.add_state_callback(states.turn)
    received.wait_for_value(1)
    live.restart()
    states.wait_for_states("disconnected")
    assert live.points() == {}
    new_live_socket("pc", live.port, "a").set_point_now("a", 2)
    received.wait_for_value(2)
    assert live.pc.a() == 2


def test_server_that_ended_and_was_started_again_serves_the_old_subscriptions(
    new_name: Callable[[], str], new_live_socket: Callable[..., LiveSocket]
) -> None:
    name = new_name()
    live: Any = LiveServer("stream", 0, LOCAL, server_name=name)
    new_live_socket("pc", live.port, "a").set_point_now("a", 1)
    eventually(lambda: has_streams(live, 1))
    received = Received()
    subscription = live.pc.a.subscribe(lossless=True)
    subscription.add_callback(received.take)
    received.wait_for_value(1)
    start_server(name).stop()
    again: Any = start_server(name).create(LiveServer, "stream", 0, LOCAL)
    new_live_socket("pc", again.port, "a").set_point_now("a", 2)
    received.wait_for_value(2)


def test_clients_describe_and_snapshot_while_streams_are_added(
    live: Any, onlooker: Onlooker, new_host: Callable[..., Any]
) -> None:
    onlooker.do(
        "import threading\n"
        "errors, looks, is_over = [], [], threading.Event()\n"
        "def look():\n"
        "    try:\n"
        "        while not is_over.is_set():\n"
        "            live.update()\n"
        "            found = live.snapshot(update=len(looks) % 2 == 0)\n"
        "            shown = sum(len(host.parameters) for host in live.submodules.values())\n"
        "            looks.append((sum(len(host['parameters']) for host in found['submodules'].values()), shown))\n"
        "    except BaseException as error:\n"
        "        errors.append(repr(error))\n"
        "looker = threading.Thread(target=look)\n"
        "looker.start()\n"
    )
    is_over = threading.Event()
    looks = 0

    def look() -> None:
        nonlocal looks
        while not is_over.is_set():
            find_instrument("live").update()
            live.snapshot()
            live.points()
            looks += 1

    failures: list[BaseException] = []

    def look_safely() -> None:
        try:
            look()
        except BaseException as error:
            failures.append(error)

    looker = threading.Thread(target=look_safely)
    looker.start()
    hosts = [new_host(f"pc{number}", live.port) for number in range(20)]
    for number in range(400):
        hosts[number % 20].send(**{f"c{number}": [number, number]})
        if number % 20 == 19:
            eventually(lambda sent=number + 1: live.statistics()["received"] == sent)
    is_over.set()
    looker.join(20)
    onlooker.do("is_over.set(); looker.join(20)")
    assert failures == []
    assert onlooker.see("errors") == []
    assert looks > 0
    counts = onlooker.see("looks")
    assert counts == sorted(counts)
    assert has_streams(live, 400)
    assert (
        onlooker.see("live.update() or sum(len(host.parameters) for host in live.submodules.values())") == 400
    )


@pytest.mark.benchmark
def test_five_thousand_points_a_second_come_in(live: Any, new_host: Callable[..., Any]) -> None:
    host = new_host("pc", live.port)
    host.send(a=[0, 0])
    eventually(lambda: has_streams(live, 1))
    received = Received()
    subscription = live.pc.a.subscribe()
    subscription.add_callback(received.take)
    received.wait_for_value(0)
    began = time.monotonic()
    for number in range(1, 50_001):
        host.send(a=[number, number])
    received.wait_for_value(50_000)
    taken = live.statistics()["points"] / (time.monotonic() - began)
    assert taken > 5000
    assert live.pc.a() == 50_000
