"""What clients of PVAccess see: p4p's."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from p4p.client.thread import Context, Disconnected, RemoteError
from p4p.nt import NTURI
from served import Bench

from instrumentserver.gateways.epics import Gateway


@pytest.fixture
def client(gateway: Gateway, bench: Bench) -> Iterator[Context]:
    """Return a client of the gateway."""
    with Context("pva", conf=gateway.pva_conf, useenv=False) as client:
        yield client


@pytest.fixture
def monitor(client: Context) -> Iterator[Callable[[str], queue.SimpleQueue[Any]]]:
    """Return what monitors a process variable."""
    monitors = []

    def begin(name: str) -> queue.SimpleQueue[Any]:
        arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        monitors.append(client.monitor(name, arrived.put, notify_disconnect=True))
        return arrived

    yield begin
    for each in monitors:
        each.close()


def call(client: Context, name: str, *arguments: Any, **named: Any) -> Any:
    """Call a function with numbers."""
    names = [f"arg{number}" for number, _ in enumerate(arguments, 1)] + list(named)
    request = NTURI([(each, "d") for each in names]).wrap(name, arguments, named)
    return client.rpc(name, request)


def plain(value: Any) -> Any:
    """Return a value of p4p's without what it knows besides."""
    return list(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("d", "epics:nt/NTScalar:1.0", 1.5),
        ("i", "epics:nt/NTScalar:1.0", 3),
        ("s", "epics:nt/NTScalar:1.0", "hello"),
        ("e", "epics:nt/NTEnum:1.0", 0),
        ("b", "epics:nt/NTEnum:1.0", 1),
        ("w", "epics:nt/NTScalarArray:1.0", [1, 2, 3]),
        ("image", "epics:nt/NTScalarArray:1.0", [0, 1, 2, 3, 4, 5]),
        ("text", "epics:nt/NTScalar:1.0", "µ" * 60),
    ],
)
def test_value_and_type(client: Context, name: str, kind: str, value: Any) -> None:
    got = client.get(f"x:t:{name}")
    assert got.raw.getID() == kind
    assert plain(got) == value
    assert got.severity == 0
    assert abs(got.timestamp - time.time()) < 60


def test_numbers_come_with_unit_limits_and_precision(client: Context) -> None:
    told = client.get("x:t:d").raw
    assert (told.display.units, told.display.description, told.display.precision) == ("V", "A number", 6)
    assert (told.display.limitLow, told.display.limitHigh) == (-10, 10)
    assert (told.control.limitLow, told.control.limitHigh) == (-10, 10)


def test_whole_numbers_are_whole(client: Context) -> None:
    assert client.get("x:t:i").raw.type()["value"] == "l"


def test_choices_come_by_name(client: Context) -> None:
    assert client.get("x:t:e").raw.value.choices == ["low", "mid", "high"]


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("d", 2.5, 2.5),
        ("d", "2.5", 2.5),
        ("i", 7, 7),
        ("e", 2, 2),
        ("e", "mid", 1),
        ("b", False, 0),
        ("mode", "ac", 1),
        ("s", "x" * 300, "x" * 300),
        ("w", [4, 5, 6], [4, 5, 6]),
    ],
)
def test_what_is_written_is_read(client: Context, bench: Bench, name: str, written: Any, read: Any) -> None:
    client.put(f"x:t:{name}", written)
    assert plain(client.get(f"x:t:{name}")) == read


def test_parameter_has_been_set_when_a_write_is_answered(client: Context, bench: Bench) -> None:
    client.put("x:t:mode", "ac")
    assert bench.mode.cache() == "ac"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("d", 11, "11.0 is invalid: must be between -10 and 10"),
        ("ro", 1, "x:t:ro can only be read"),
        ("e", 5, "none of its"),
    ],
)
def test_refused_write_says_why_at_once(client: Context, name: str, value: Any, words: str) -> None:
    began = time.monotonic()
    with pytest.raises(RemoteError, match=words):
        client.put(f"x:t:{name}", value)
    assert time.monotonic() - began < 1


def test_monitor_brings_the_present_value_then_each_write_once_in_order(
    client: Context, monitor: Callable[[str], queue.SimpleQueue[Any]]
) -> None:
    arrived = monitor("x:t:d")
    assert isinstance(arrived.get(timeout=5), Disconnected)
    assert arrived.get(timeout=5) == 1.5
    for number in range(10):
        client.put("x:t:d", number)
        assert arrived.get(timeout=5) == number
    with pytest.raises(queue.Empty):
        arrived.get(timeout=0.1)


def test_first_reading_of_a_client_is_a_fresh_one(gateway: Gateway, bench: Bench) -> None:
    for number in (4.0, 5.0):
        bench.drift(number)
        with Context("pva", conf=gateway.pva_conf, useenv=False) as client:
            assert client.get("x:t:d") == number


def test_parameter_that_changes_by_itself_is_told(
    bench: Bench, monitor: Callable[[str], queue.SimpleQueue[Any]]
) -> None:
    arrived = monitor("x:t:d")
    arrived.get(timeout=5), arrived.get(timeout=5)
    bench.drift(5.5)
    assert arrived.get(timeout=5) == 5.5


def test_failed_read_is_an_alarm_until_the_next_good_one(
    bench: Bench, monitor: Callable[[str], queue.SimpleQueue[Any]]
) -> None:
    arrived = monitor("x:t:weak")
    arrived.get(timeout=5)
    assert arrived.get(timeout=5).severity == 0
    bench.is_broken = True
    failed = arrived.get(timeout=5)
    assert (failed, failed.severity) == (1, 3)
    assert "the fuse has blown" in failed.raw.alarm.message
    bench.is_broken = False
    assert arrived.get(timeout=5).severity == 0


def test_no_value_is_an_alarm(client: Context) -> None:
    got = client.get("x:t:empty")
    assert np.isnan(got)
    assert got.severity == 3


def test_slow_read_delays_only_its_instrument_and_is_waited_for(
    client: Context, bench: Bench, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    bench.gate = str(gate)
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.append(client.get("x:t:slow")))
    reader.start()
    reader.join(0.1)
    assert got == []
    gate.unlink()
    reader.join(5)
    assert got == [7.0]


# Functions


def test_function_is_called(client: Context, bench: Bench) -> None:
    bench.drift(3.0)
    assert len(call(client, "x:t:reset").items()) == 0
    assert bench.d() == 0


def test_arguments_are_in_the_order_of_their_numbers_or_as_they_were_given(client: Context) -> None:
    assert call(client, "x:t:scale", 3.0, 2.0) == 6.0
    assert call(client, "x:t:scale", arg2=2.0, arg1=3.0) == 6.0
    assert call(client, "x:t:scale", value=3.0, factor=2.0) == 6.0


def test_function_returns_an_array(client: Context) -> None:
    request = NTURI([("arg1", "i")]).wrap("x:t:trace", (4,))
    assert list(client.rpc("x:t:trace", request)) == [0, 1, 2, 3]


def test_call_that_fails_says_why(client: Context) -> None:
    with pytest.raises(RemoteError, match="must be between 0 and 10"):
        call(client, "x:t:scale", 1.0, 99.0)


def test_function_cannot_be_written(client: Context) -> None:
    with pytest.raises(RemoteError):
        client.put("x:t:reset", {})
