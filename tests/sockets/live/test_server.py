"""A live server in this process: its traffic, its subscribers, its end."""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from qcodes.instrument import Instrument
from sockets.live.hosts import LOCAL, received

from instrumentserver.sockets import LivePoint, LiveServer, PortStillReserved

# Traffic


def hostile_datagrams(count: int) -> list[bytes]:
    """Return datagrams that no live socket sends."""
    chance = random.Random(6)
    kinds = [
        lambda: chance.randbytes(chance.randrange(200)),
        lambda: b"",
        lambda: b"[" * chance.randrange(1, 5000),
        lambda: json.dumps({"host": "pc", "data": {"a": [1] * chance.choice((0, 1, 3, 9))}}).encode(),
        lambda: json.dumps({"host": "pc", "data": {"a": [chance.choice((None, "x", [], {})), 1]}}).encode(),
        lambda: json.dumps({"host": chance.choice((5, [], "", "a\n")), "data": {"a": [1, 2]}}).encode(),
        lambda: json.dumps({"data": {"a": [1, 2]}}).encode(),
        lambda: json.dumps({"host": "pc", "data": {"zz": "RESET"}}).encode(),
        lambda: b'{"host": "pc", "data": {"a": [1, "\\ud800"]}}',
        lambda: b'{"host": "pc", "data": {"a": [1, 2], "b": \xff}}',
    ]
    return [chance.choice(kinds)() if number % 500 else bytes(65507) for number in range(count)]


@pytest.mark.slow
def test_hostile_datagrams_are_refused_and_good_ones_between_them_come(
    live: LiveServer, came: Queue[LivePoint], new_host: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = new_host("pc", live.port), new_host(None, live.port)
    good.send(a=[0, 0])
    sent = 1
    for number, datagram in enumerate(hostile_datagrams(10_000)):
        bad.send_bytes(datagram)
        sent += 1
        if number % 100 == 0:
            good.send(a=[number, number])
            sent += 1
        if number % 50 == 0:
            # No more than the port's buffer takes: what is lost there nobody can count.
            received(live, sent)
    assert received(live, sent)["refused"] == 10_000
    assert live.statistics()["points"] == 101
    assert live.points() == {"pc": {"a": [9900, 9900]}}
    assert [came.get(timeout=10).y for _ in range(101)] == [0, *range(0, 10_000, 100)]
    assert live._receiver.is_alive()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1


# Subscribers of this process


def test_subscribers_get_every_point_in_order(live: LiveServer, new_host: Callable[..., Any]) -> None:
    everything: Queue[LivePoint] = Queue()
    some: Queue[LivePoint] = Queue()
    first = live.subscribe(everything.put)
    second = live.subscribe(some.put, "pc", codename="b")
    host = new_host("pc", live.port)
    before = time.time()
    for number in range(50):
        host.send(a=[number, number], b=[number, -number])
    points = [everything.get(timeout=10) for _ in range(100)]
    assert [(point.x, point.y) for point in points if point.codename == "a"] == [(n, n) for n in range(50)]
    assert [some.get(timeout=10).y for _ in range(50)] == [-number for number in range(50)]
    assert {point.host for point in points} == {"pc"}
    assert all(before <= point.received <= time.time() for point in points)
    first.close()
    second.close()
    host.send(a=[1, 1], b=[1, 1])
    received(live, 51)
    assert everything.empty()
    assert some.empty()


def test_slow_and_raising_subscribers_hurt_nobody(live: LiveServer, new_host: Callable[..., Any]) -> None:
    is_called, may_go_on = threading.Event(), threading.Event()
    came: Queue[LivePoint] = Queue()

    def slow(point: LivePoint) -> None:
        is_called.set()
        assert may_go_on.wait(20)

    def raising(point: LivePoint) -> None:
        raise ValueError("no")

    with live.subscribe(slow, queue=5) as sleeper, live.subscribe(raising), live.subscribe(came.put):
        host = new_host("pc", live.port)
        host.send(a=[0, 0])
        assert is_called.wait(10)
        for number in range(1, 101):
            host.send(a=[number, number])
            assert came.get(timeout=10).y == number - 1
        assert came.get(timeout=10).y == 100
        received(live, 101)
        assert sleeper.dropped == live.statistics()["dropped"] == 95
        assert live.pc.a() == 100
        may_go_on.set()


# Making and closing


def test_defaults_are_port_8100_of_all_addresses() -> None:
    assert LiveServer.__init__.__defaults__ == (8100, "0.0.0.0")


def test_statistics_tell_who_sent_last(live: LiveServer, new_host: Callable[..., Any]) -> None:
    assert live.statistics()["last_client"] is None
    host = new_host("pc", live.port)
    host.send(a=[1, 2])
    assert received(live, 1)["last_client"] == host._line.getsockname()


def test_closed_server_frees_its_port_and_takes_nothing_more(
    live: LiveServer,
    came: Queue[LivePoint],
    new_live: Callable[..., LiveServer],
    new_host: Callable[..., Any],
) -> None:
    host = new_host("pc", live.port)
    host.send(a=[1, 1])
    received(live, 1)
    came.get(timeout=10)
    parameter = live.pc.a
    live.close()
    host.send(a=[2, 2])
    again = new_live("again", host.live_server[1])
    host.send(a=[3, 3])
    received(again, 1)
    assert parameter() == 1
    assert came.empty()
    assert again.pc.a() == 3


def test_failed_constructor_leaves_nothing(live: LiveServer, new_live: Callable[..., LiveServer]) -> None:
    threads = threading.active_count()
    with pytest.raises(PortStillReserved):
        LiveServer("other", live.port, LOCAL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCAL, 0))
        free = other.getsockname()[1]
    with pytest.raises(KeyError, match="Another instrument has the name: live"):
        LiveServer("live", free, LOCAL)
    with pytest.raises(ValueError, match="most_streams is 0"):
        LiveServer("other", free, LOCAL, most_streams=0)
    with pytest.raises(OSError):
        LiveServer("other", free, "192.0.2.1")
    assert threading.active_count() == threads
    assert not Instrument.exist("other")
    assert Instrument.find_instrument("live") is live
    assert new_live("other", free).port == free
