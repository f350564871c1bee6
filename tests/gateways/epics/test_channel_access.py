"""What clients of Channel Access see; an IOC made with caproto itself passes the same tests."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from caproto import AccessRights, ChannelType
from served import Clients, Received

NATIVE = {
    "d": (ChannelType.DOUBLE, 1),
    "i": (ChannelType.LONG, 1),
    "e": (ChannelType.ENUM, 1),
    "mode": (ChannelType.ENUM, 1),
    "b": (ChannelType.ENUM, 1),
    "s": (ChannelType.STRING, 1),
    "w": (ChannelType.DOUBLE, 3),
}


@pytest.fixture(autouse=True)
def restored(request: pytest.FixtureRequest, port: int) -> None:
    """Begin with the values of the beginning."""
    if request.node.callspec.params["port"] == "gateway":
        request.getfixturevalue("bench")
    else:
        request.getfixturevalue("twin").restore()


@pytest.mark.parametrize("name", NATIVE)
def test_type_count_and_rights(port: int, clients: Clients, name: str) -> None:
    pv = clients.pv(port, f"x:t:{name}")
    assert (pv.channel.native_data_type, pv.channel.native_data_count) == NATIVE[name]
    assert pv.access_rights == AccessRights.READ | AccessRights.WRITE


def test_numbers_come_with_unit_limits_and_precision(port: int, clients: Clients) -> None:
    told = clients.pv(port, "x:t:d").read(data_type="control").metadata
    assert (told.units, told.precision) == (b"V", 6)
    assert (told.lower_disp_limit, told.upper_disp_limit) == (-10, 10)
    assert (told.lower_ctrl_limit, told.upper_ctrl_limit) == (-10, 10)
    assert (told.lower_alarm_limit, told.upper_warning_limit) == (0, 0)
    assert (told.status, told.severity) == (0, 0)


def test_whole_numbers_come_with_their_limits(port: int, clients: Clients) -> None:
    told = clients.pv(port, "x:t:i").read(data_type="graphic").metadata
    assert (told.lower_disp_limit, told.upper_disp_limit, told.units) == (-5, 100, b"")


@pytest.mark.parametrize(
    ("name", "choices"), [("e", ["low", "mid", "high"]), ("mode", ["dc", "ac"]), ("b", ["Off", "On"])]
)
def test_choices_come_by_name(port: int, clients: Clients, name: str, choices: list[str]) -> None:
    told = clients.pv(port, f"x:t:{name}").read(data_type="control").metadata
    assert [choice.decode() for choice in told.enum_strings] == choices


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("d", 2.5, [2.5]),
        ("d", [-10], [-10]),
        ("i", 7, [7]),
        ("e", 2, [2]),
        ("mode", 1, [1]),
        ("b", 0, [0]),
        ("s", "another text", [b"another text"]),
        ("s", "x" * 39, [b"x" * 39]),
        ("w", [4.0, 5.0, 6.0], [4, 5, 6]),
        ("w", (1, 2, 3), [1, 2, 3]),
        ("w", np.array([7.0, 8.0, 9.0]), [7, 8, 9]),
    ],
)
def test_what_is_written_is_read(
    port: int, clients: Clients, name: str, written: Any, read: list[Any]
) -> None:
    pv = clients.pv(port, f"x:t:{name}")
    answer = pv.write(written)
    assert (answer.status.name, answer.data_count) == ("ECA_NORMAL", len(read))
    assert list(pv.read().data) == read


@pytest.mark.parametrize(
    ("name", "text", "read"), [("d", b"3.25", 3.25), ("i", b"12", 12), ("e", b"mid", 1), ("b", b"Off", 0)]
)
def test_text_is_converted(port: int, clients: Clients, name: str, text: bytes, read: float) -> None:
    pv = clients.pv(port, f"x:t:{name}")
    pv.write([text], data_type=ChannelType.STRING)
    assert pv.read().data[0] == read


@pytest.mark.parametrize(
    ("name", "text"), [("d", b"1.5"), ("i", b"3"), ("e", b"low"), ("b", b"On"), ("s", b"hello")]
)
def test_everything_is_read_as_text(port: int, clients: Clients, name: str, text: bytes) -> None:
    assert clients.pv(port, f"x:t:{name}").read(data_type=ChannelType.STRING).data == [text]


@pytest.mark.parametrize("kind", [ChannelType.INT, ChannelType.LONG, ChannelType.FLOAT, ChannelType.DOUBLE])
@pytest.mark.parametrize(("name", "number"), [("i", 3), ("e", 0), ("b", 1)])
def test_numbers_are_converted(
    port: int, clients: Clients, name: str, number: int, kind: ChannelType
) -> None:
    assert clients.pv(port, f"x:t:{name}").read(data_type=kind).data[0] == number


def test_part_of_an_array_is_read(port: int, clients: Clients) -> None:
    assert list(clients.pv(port, "x:t:w").read(data_count=2).data) == [1, 2]


def test_readings_have_the_time_of_now(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:d")
    pv.write(1)
    assert abs(pv.read(data_type="time").metadata.timestamp - time.time()) < 2


def test_monitor_brings_the_present_value_then_each_write_once_in_order(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:d")
    received = Received(pv.subscribe(data_type="time"))
    assert received.values(1) == [1.5]
    written = [float(number) for number in range(-10, 10)]
    for number in written:
        pv.write(number)
    assert received.values(20) == written
    assert not received.has_more(0.1)


def test_writing_the_same_value_is_told_each_time(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:i")
    received = Received(pv.subscribe())
    assert received.values(1) == [3]
    for _ in range(3):
        pv.write(5)
    assert received.values(3) == [5, 5, 5]


@pytest.mark.parametrize(
    ("name", "data_type", "written", "read"),
    [
        ("e", None, 2, 2),
        ("s", None, "new", b"new"),
        ("e", ChannelType.TIME_STRING, 1, b"mid"),
        ("i", ChannelType.GR_DOUBLE, 9, 9.0),
    ],
)
def test_monitors_of_all_types(
    port: int, clients: Clients, name: str, data_type: Any, written: Any, read: Any
) -> None:
    pv = clients.pv(port, f"x:t:{name}")
    received = Received(pv.subscribe(data_type=data_type))
    received.next()
    pv.write(written)
    assert received.next().data[0] == read


def test_monitor_of_an_array_brings_the_elements_that_were_asked_for(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:w")
    whole, part = Received(pv.subscribe()), Received(pv.subscribe(data_count=2))
    whole.next(), part.next()
    pv.write([7, 8, 9])
    assert list(whole.next().data) == [7, 8, 9]
    assert list(part.next().data) == [7, 8]


def test_second_client_begins_with_the_present_value(port: int, clients: Clients) -> None:
    first = Received(clients.pv(port, "x:t:d").subscribe())
    first.next()
    writer = clients.pv(port, "x:t:d", number=1)
    writer.write(3)
    assert first.values(1) == [3]
    second = Received(writer.subscribe())
    assert second.values(1) == [3]
    writer.write(4)
    assert (first.values(1), second.values(1)) == ([4], [4])


def test_ended_monitor_brings_nothing_more(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:d")
    received = Received(pv.subscribe())
    received.next()
    received.end()
    pv.write(2)
    pv.read()
    assert not received.has_more(0.1)


def test_monitor_that_begins_anew_begins_with_the_present_value(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:d")
    received = Received(pv.subscribe())
    received.next()
    received.end()
    pv.write(2)
    assert Received(pv.subscribe()).values(1) == [2]


def test_updates_wait_while_a_client_wants_none(port: int, clients: Clients) -> None:
    pv, other = clients.pv(port, "x:t:d"), clients.pv(port, "x:t:d", number=1)
    received = Received(pv.subscribe())
    assert received.values(1) == [1.5]
    pv.circuit_manager.events_off()
    pv.read()
    for number in (2, 3, 4):
        other.write(number)
    assert not received.has_more(0.1)
    pv.circuit_manager.events_on()
    assert received.values(1) == [4]
    other.write(5)
    assert received.values(1) == [5]


def test_write_that_nobody_waits_for(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:d")
    received = Received(pv.subscribe())
    received.next()
    assert pv.write(6, wait=False, notify=False) is None
    assert received.values(1) == [6]


def test_idle_client_comes_back(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:d")
    pv.go_idle()
    assert pv.read().data[0] == 1.5


def test_text_longer_than_channel_access_has_it_is_read_in_full(port: int, clients: Clients) -> None:
    pv = clients.pv(port, "x:t:s.$")
    assert pv.channel.native_data_type == ChannelType.CHAR
    pv.write(b"y" * 70)
    assert bytes(pv.read().data).rstrip(b"\x00") == b"y" * 70


def test_deadband_of_a_monitor(port: int, clients: Clients) -> None:
    pv, writer = clients.pvs(port, 'x:t:d.{"dbnd":{"abs":0.5}}', "x:t:d")
    received = Received(pv.subscribe())
    assert received.values(1) == [1.5]
    for number in (1.6, 1.7, 3.0):
        writer.write(number)
    assert received.values(1) == [3.0]
