"""The streams of all hosts: named, valued, timed, reset, and bounded."""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from sockets.live.hosts import received, refused

from instrumentserver.sockets import LivePoint, LiveServer

# Hosts, codenames, values


def test_each_stream_is_a_parameter_of_its_host(live: LiveServer, new_host: Callable[..., Any]) -> None:
    new_host("lab-pc1", live.port).send(temperature=[1, 4.2], **{"giant laser": [1, "on"]})
    new_host("10.0.0.5", live.port).send(temperature=[1, [1, 2]])
    received(live, 2)
    assert list(live.submodules) == ["lab_pc1", "host_10_0_0_5"]
    assert (live.lab_pc1.host, live.lab_pc1.label) == ("lab-pc1", "lab-pc1")
    assert list(live.lab_pc1.parameters) == ["temperature", "giant_laser"]
    assert live.lab_pc1.temperature() == 4.2
    assert live.lab_pc1.giant_laser() == "on"
    assert (live.lab_pc1.giant_laser.label, live.lab_pc1.giant_laser.codename) == (
        "giant laser",
        "giant laser",
    )
    assert live.host_10_0_0_5.temperature.cache() == [1, 2]
    assert live.host_10_0_0_5.temperature.full_name == "live_host_10_0_0_5_temperature"
    assert live.points() == {
        "lab-pc1": {"temperature": [1, 4.2], "giant laser": [1, "on"]},
        "10.0.0.5": {"temperature": [1, [1, 2]]},
    }


@pytest.mark.parametrize(
    "name", ["parameters", "name", "get_idn", "snapshot", "host", "restart", "update", "class"]
)
def test_name_that_means_something_else_evades(
    name: str, live: LiveServer, new_host: Callable[..., Any]
) -> None:
    new_host(name, live.port).send(**{name: [1, 2]})
    received(live, 1)
    module = live.submodules[f"{name}_"]
    assert getattr(live, f"{name}_") is module
    assert getattr(module, f"{name}_")() == 2


@pytest.mark.parametrize("name", ["IDN", "port", "subscribe", "points"])
def test_host_cannot_hide_what_the_live_server_has(
    name: str, live: LiveServer, new_host: Callable[..., Any]
) -> None:
    new_host(name, live.port).send(**{name: [1, 2]})
    received(live, 1)
    assert list(live.submodules) == [f"{name}_"]
    assert live.submodules[f"{name}_"].parameters


@pytest.mark.parametrize("y", [0, -1.5, True, None, "text", "", [1, [2]], {"a": 1}, 2**70])
def test_value_is_what_was_sent(y: Any, live: LiveServer, new_host: Callable[..., Any]) -> None:
    new_host("pc", live.port).send(a=[1, y])
    received(live, 1)
    assert live.pc.a() == y
    assert type(live.pc.a()) is type(y)


def test_nobody_can_set_a_stream(live: LiveServer, new_host: Callable[..., Any]) -> None:
    new_host("pc", live.port).send(a=[1, 2])
    received(live, 1)
    assert live.pc.a.gettable
    assert not live.pc.a.settable
    with pytest.raises(NotImplementedError):
        live.pc.a(5)
    assert live.pc.a() == 2


@pytest.mark.parametrize("ago", [0.0, 3600.0, -3600.0])
def test_time_is_x_where_x_is_the_time_of_day(
    ago: float, live: LiveServer, new_host: Callable[..., Any]
) -> None:
    x = time.time() - ago
    new_host("pc", live.port).send(a=[x, 1])
    received(live, 1)
    assert live.pc.a.cache.timestamp.timestamp() == pytest.approx(x, abs=1e-5)
    assert live.pc.a.latest == (x, 1)


@pytest.mark.parametrize("x", [0, 7, -1.5, 1e9, 1e300, math.nan, math.inf])
def test_time_is_that_of_arrival_where_x_is_something_else(
    x: float, live: LiveServer, new_host: Callable[..., Any]
) -> None:
    before = time.time()
    new_host("pc", live.port).send(a=[x, 1])
    received(live, 1)
    assert before - 1e-3 <= live.pc.a.cache.timestamp.timestamp() <= time.time() + 1e-3
    assert live.pc.a.latest == pytest.approx((x, 1), nan_ok=True)


def test_reading_does_not_change_the_time(live: LiveServer, new_host: Callable[..., Any]) -> None:
    x = time.time() - 1000
    new_host("pc", live.port).send(a=[x, 1])
    received(live, 1)
    assert live.pc.a() == 1
    live.snapshot(update=True)
    assert live.pc.a.cache.timestamp.timestamp() == pytest.approx(x, abs=1e-5)


def test_snapshot_has_all_streams(live: LiveServer, new_host: Callable[..., Any]) -> None:
    new_host("pc", live.port).send(a=[1, 2], b=[1, "x"])
    received(live, 1)
    parameters = live.snapshot()["submodules"]["pc"]["parameters"]
    assert {name: found["value"] for name, found in parameters.items()} == {"a": 2, "b": "x"}


# Resets


def test_reset_leaves_the_stream_without_a_value(
    live: LiveServer, came: Queue[LivePoint], new_host: Any
) -> None:
    host, anonymous = new_host("pc", live.port), new_host(None, live.port)
    host.send(a=[1, 2], b=[1, 3])
    host.name = None
    host.send(a="RESET")
    assert received(live, 2)["refused"] == 0
    assert (live.pc.a(), live.pc.b()) == (None, 3)
    assert live.points() == {"pc": {"a": [None, None], "b": [1, 3]}}
    assert [came.get(timeout=10)[:4] for _ in range(3)][-1] == ("pc", "a", None, None)
    host.name = "pc"
    host.send(a=[5, 6])
    received(live, 3)
    assert live.pc.a() == 6
    anonymous.send(a="RESET")
    received(live, 4)
    assert live.pc.a() is None


def test_reset_belongs_to_the_host_of_its_sender(live: LiveServer, new_host: Callable[..., Any]) -> None:
    first, second = new_host("first", live.port), new_host("second", live.port)
    first.send(a=[1, 1])
    received(live, 1)
    second.send(a=[1, 2])
    received(live, 2)
    second.name = None
    second.send(a="RESET")
    received(live, 3)
    assert (live.first.a(), live.second.a()) == (1, None)


def test_reset_of_an_unknown_port_is_for_all_hosts_of_its_address(
    live: LiveServer, new_host: Callable[..., Any]
) -> None:
    new_host("first", live.port).send(a=[1, 1], b=[1, 1])
    new_host("second", live.port).send(a=[1, 2])
    received(live, 2)
    new_host(None, live.port).send(a="RESET")
    assert refused(live, 3) == 0
    assert (live.first.a(), live.first.b(), live.second.a()) == (None, 1, None)


def test_reset_of_what_has_not_come_is_refused(live: LiveServer, new_host: Callable[..., Any]) -> None:
    new_host(None, live.port).send(a="RESET")
    assert refused(live, 1) == 1
    new_host("pc", live.port).send(a=[1, 1])
    received(live, 2)
    new_host(None, live.port).send(b="RESET")
    assert refused(live, 3) == 2
    assert live.pc.a() == 1


@pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="elsewhere 127.0.0.1 may be the only local address"
)
def test_reset_of_another_address_is_refused(live: LiveServer, new_host: Callable[..., Any]) -> None:
    new_host("pc", live.port).send(a=[1, 1])
    received(live, 1)
    try:
        other = new_host(None, live.port, "127.0.0.2")
    except OSError:
        pytest.skip("127.0.0.2 is no address of this computer")
    other.send(a="RESET")
    assert refused(live, 2) == 1
    assert live.pc.a() == 1


# Bounds


def test_further_streams_than_most_are_left_out(
    new_live: Callable[..., LiveServer], new_host: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    live = new_live(most_streams=3)
    host = new_host("pc", live.port)
    host.send(a=[1, 1], b=[1, 1])
    received(live, 1)
    host.send(b=[2, 2], c=[2, 2], d=[2, 2])
    new_host("other", live.port).send(a=[3, 3])
    for number in range(50):
        new_host("flood", live.port).send(**{f"c{number}": [1, 1]})
        received(live, number + 4)
    assert live.points() == {"pc": {"a": [1, 1], "b": [2, 2], "c": [2, 2]}}
    assert list(live.submodules) == ["pc"]
    counted = live.statistics()
    assert (counted["streams"], counted["left_out"], counted["refused"]) == (3, 52, 0)
    told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "higher most_streams" in told[0]


def test_of_two_names_with_one_identifier_the_first_counts(
    live: LiveServer, new_host: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    host = new_host("pc-1", live.port)
    host.send(**{"a b": [1, 1]})
    received(live, 1)
    for _ in range(3):
        host.send(**{"a.b": [2, 2], "c": [2, 2]})
        new_host("pc.1", live.port).send(c=[3, 3])
    counted = received(live, 7)
    assert live.points() == {"pc-1": {"a b": [1, 1], "c": [2, 2]}}
    assert (counted["left_out"], counted["points"]) == (6, 4)
    told = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2
    assert "'a.b' of 'pc-1' would be called a_b" in caplog.text
    assert "'pc.1' would be called pc_1" in caplog.text
