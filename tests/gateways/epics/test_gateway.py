"""What is the gateway's own: refusals, alarms, slow instruments, and servers that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caproto import AccessRights, AlarmSeverity, AlarmStatus, CAStatus, ChannelType, ErrorResponseReceived
from caproto.sync import client as sync_client
from qcodes.instrument import Instrument
from qcodes.parameters import ManualParameter
from qcodes.validators import Numbers
from served import Bench, Clients, Received, ca_environment, wait_until

from instrumentserver import Server, UsageError, start_server
from instrumentserver.gateways.epics import Gateway, channel_access, feed, follower

PORTS: dict[str, Any] = {"ca_port": 0, "pva_port": 0, "pva_search_port": 0, "interfaces": ["127.0.0.1"]}


@pytest.fixture
def pv(gateway: Gateway, bench: Bench, clients: Clients) -> Callable[..., Any]:
    """Return what gives process variables of the module's gateway."""
    return lambda name, number=0: clients.pv(gateway.ca_port or 0, f"x:t:{name}", number)


@pytest.fixture
def server(new_name: Callable[[], str]) -> Iterator[Server]:
    """Return a server of this test's own."""
    server = start_server(new_name(), linger=5)
    yield server
    server.stop()


@pytest.fixture
def gate(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    """Return a file that holds up whoever reads or sets the slow parameter, while it exists."""
    gate = tmp_path / "gate"
    gate.touch()
    bench.gate = str(gate)
    yield gate
    gate.unlink(missing_ok=True)


class Small(Instrument):
    """An instrument with two parameters."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("x", ManualParameter, unit="V", initial_value=0.0, vals=Numbers(-5, 5))
        self.add_parameter("guess", ManualParameter)

    def grow(self) -> None:
        """Get one more parameter."""
        self.add_parameter("y", ManualParameter, initial_value=2.0, vals=Numbers())


class Stepping(Instrument):
    """An instrument whose parameter has the time that it is told, which may step back as a computer's clock does."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter("x", get_cmd=None, set_cmd=False, initial_cache_value=0.0, vals=Numbers())
        self.x.is_stream = True

    def take(self, value: float, moment: float) -> None:
        """Have a value of a time, seconds since 1970."""
        self.x.cache._update_with(value=value, raw_value=value, timestamp=datetime.fromtimestamp(moment))


# Refusals


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("d", 11.0, CAStatus.ECA_PUTFAIL), ("ro", 1.0, CAStatus.ECA_NOWTACCESS), ("e", 3, CAStatus.ECA_PUTFAIL)],
)
def test_refused_write_ends_at_once(
    pv: Callable[..., Any], name: str, value: float, status: CAStatus
) -> None:
    began = time.monotonic()
    answer = pv(name).write(value, timeout=5)
    assert answer.status == status.value
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("d", 11.0, "11.0 is invalid: must be between -10 and 10"),
        ("ro", 1.0, "x:t:ro can only be read"),
        ("w", [1.0, 2.0], "does not have expected shape"),
    ],
)
def test_refused_write_says_why(
    gateway: Gateway, bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, words: str
) -> None:
    for variable, text in ca_environment(gateway.ca_port or 0).items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(ErrorResponseReceived) as caught:
        sync_client.write(f"x:t:{name}", value, notify=True, repeater=False)
    assert words in caught.value.args[0].error_message.decode()


def test_refused_write_leaves_no_alarm(pv: Callable[..., Any]) -> None:
    pv("d").write(11)
    assert pv("d").read(data_type="time").metadata.severity == AlarmSeverity.NO_ALARM


# Slow instruments


def test_slow_read_delays_only_its_instrument(
    server: Server, gateway: Gateway, bench: Bench, gate: Path, pv: Callable[..., Any], own_clients: Clients
) -> None:
    server.create(Small, "quick")
    answered = threading.Event()
    slow, same = pv("slow"), pv("d")
    with Gateway([server.name], **PORTS) as other:
        quick = own_clients.pv(other.ca_port or 0, "quick:x")
        slow.read(wait=False, callback=lambda response: answered.set())
        assert quick.read().data[0] == 0
    assert not answered.is_set()
    gate.unlink()
    assert answered.wait(5)
    assert same.read().data[0] == 1.5


def test_slow_write_is_answered_when_it_has_been_done(
    bench: Bench, gate: Path, pv: Callable[..., Any]
) -> None:
    slow = pv("slow")
    answered = threading.Event()
    slow.write(1, wait=False, callback=lambda response: answered.set())
    assert not answered.wait(0.1)
    gate.unlink()
    assert answered.wait(5)


def test_what_is_known_is_shown_when_an_instrument_is_busy_for_long(
    bench: Bench, gate: Path, pv: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_PATIENCE_SECONDS", 0.1)
    written = threading.Event()
    pv("slow").write(1, wait=False, callback=lambda response: written.set())
    assert Received(pv("i").subscribe()).values(1) == [3]
    assert not written.is_set()


# Alarms


def test_failed_read_is_an_alarm_until_the_next_good_one(bench: Bench, pv: Callable[..., Any]) -> None:
    weak = pv("weak")
    received = Received(weak.subscribe(data_type="time"))
    assert received.next().metadata.severity == AlarmSeverity.NO_ALARM
    bench.is_broken = True
    failed = received.next()
    assert (failed.metadata.severity, failed.metadata.status) == (
        AlarmSeverity.INVALID_ALARM,
        AlarmStatus.READ,
    )
    assert failed.data[0] == 1
    assert weak.read(data_type="time").metadata.severity == AlarmSeverity.INVALID_ALARM
    bench.is_broken = False
    assert received.next().metadata.severity == AlarmSeverity.NO_ALARM
    assert weak.read(data_type="time").metadata.severity == AlarmSeverity.NO_ALARM


def test_monitor_that_begins_while_reading_fails_is_in_alarm_until_it_does_not(
    bench: Bench, pv: Callable[..., Any]
) -> None:
    bench.is_broken = True
    received = Received(pv("weak").subscribe(data_type="time"))
    assert received.next().metadata.severity == AlarmSeverity.INVALID_ALARM
    bench.is_broken = False
    assert received.next().metadata.severity == AlarmSeverity.NO_ALARM


def test_no_value_is_an_alarm(pv: Callable[..., Any]) -> None:
    read = pv("empty").read(data_type="time")
    assert np.isnan(read.data[0])
    assert (read.metadata.status, read.metadata.severity) == (AlarmStatus.UDF, AlarmSeverity.INVALID_ALARM)


def test_number_that_channel_access_does_not_have_is_an_alarm(bench: Bench, pv: Callable[..., Any]) -> None:
    bench.big.set(2**40)
    read = pv("big").read(data_type="time")
    assert read.data[0] == 2**31 - 1
    assert read.metadata.severity == AlarmSeverity.INVALID_ALARM


# What parameters are


def test_what_can_only_be_read_says_so(pv: Callable[..., Any]) -> None:
    assert pv("ro").access_rights == AccessRights.READ


def test_what_can_only_be_set_has_what_it_was_set_to(pv: Callable[..., Any]) -> None:
    only_set = pv("wo")
    only_set.write(2.5)
    read = only_set.read(data_type="time")
    assert (read.data[0], read.metadata.severity) == (2.5, AlarmSeverity.NO_ALARM)


def test_reading_asks_the_hardware(bench: Bench, pv: Callable[..., Any]) -> None:
    bench.drift(4.5)
    assert pv("d").read().data[0] == 4.5


def test_watched_parameter_that_changes_by_itself_is_told(bench: Bench, pv: Callable[..., Any]) -> None:
    received = Received(pv("d").subscribe())
    assert received.values(1) == [1.5]
    bench.drift(5.5)
    assert received.values(1) == [5.5]


def test_what_others_set_is_told(bench: Bench, pv: Callable[..., Any]) -> None:
    received = Received(pv("mode").subscribe(data_type=ChannelType.STRING))
    received.next()
    bench.mode.set("ac")
    assert received.next().data == [b"ac"]


def test_picture_is_an_array_of_bytes(pv: Callable[..., Any]) -> None:
    image = pv("image")
    assert (image.channel.native_data_type, image.channel.native_data_count) == (ChannelType.CHAR, 6)
    assert list(image.read().data) == [0, 1, 2, 3, 4, 5]
    received = Received(image.subscribe(data_type="time"))
    assert list(received.next().data) == [0, 1, 2, 3, 4, 5]


def test_long_text_is_cut_or_read_in_full(pv: Callable[..., Any]) -> None:
    assert pv("text").read().data == [("µ" * 20).encode()]
    assert bytes(pv("text.$").read().data).decode() == "µ" * 60


def test_fields_say_what_a_parameter_is(pv: Callable[..., Any]) -> None:
    assert pv("d.DESC").read().data == [b"A number"]
    assert pv("d.EGU").read().data == [b"V"]
    assert pv("d.VAL").read().data[0] == 1.5


# What comes and goes


def test_instruments_appear_and_disappear(
    server: Server, own_clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(channel_access, "_SEARCH_SECONDS", 0.1)
    with Gateway([server.name], prefix="y:", **PORTS) as gateway:
        assert gateway.names == []
        small = server.create(Small, "small")
        wait_until(lambda: "y:small:x" in gateway.names)
        pv = own_clients.pv(gateway.ca_port or 0, "y:small:x")
        small.close()
        wait_until(lambda: not pv.connected)
        assert gateway.names == []
        server.create(Small, "small")
        wait_until(lambda: pv.connected)
        assert pv.read().data[0] == 0


def test_parameters_appear(server: Server) -> None:
    small: Any = server.create(Small, "small")
    with Gateway([server.name], **PORTS) as gateway:
        assert gateway.names == ["small:IDN", "small:guess", "small:x"]
        small.grow()
        wait_until(lambda: "small:y" in gateway.names)


def test_parameter_gets_the_type_of_its_value(
    server: Server, own_clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_access, "_SEARCH_SECONDS", 0.1)
    small: Any = server.create(Small, "small")
    with Gateway([server.name], **PORTS) as gateway:
        pv = own_clients.pv(gateway.ca_port or 0, "small:guess")
        assert pv.channel.native_data_type == ChannelType.DOUBLE
        received = Received(pv.subscribe(data_type="time"))
        received.next()
        small.guess.set("now a text")
        wait_until(lambda: pv.connected and pv.channel.native_data_type == ChannelType.STRING)
        assert pv.read().data == [b"now a text"]


def test_arrays_may_become_longer(
    server: Server, own_clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_access, "_SEARCH_SECONDS", 0.1)
    small: Any = server.create(Small, "small")
    small.guess.set(np.zeros(2))
    with Gateway([server.name], **PORTS) as gateway:
        pv = own_clients.pv(gateway.ca_port or 0, "small:guess")
        assert pv.channel.native_data_count == 2
        small.guess.set(np.arange(5.0))
        pv.read()
        wait_until(lambda: pv.connected and pv.channel.native_data_count == 5)
        assert list(pv.read().data) == [0, 1, 2, 3, 4]
        small.guess.set(np.arange(3.0))
        assert list(pv.read().data) == [0, 1, 2]


def test_monitors_are_in_alarm_while_the_server_is_gone_and_then_go_on(
    new_name: Callable[[], str], own_clients: Clients
) -> None:
    name = new_name()
    server = start_server(name, linger=5)
    server.create(Small, "small")
    with Gateway([name], **PORTS) as gateway:
        pv = own_clients.pv(gateway.ca_port or 0, "small:x")
        received = Received(pv.subscribe(data_type="time"))
        assert received.next().metadata.severity == AlarmSeverity.NO_ALARM
        server.kill()
        lost = received.next()
        assert (lost.metadata.severity, lost.metadata.status) == (
            AlarmSeverity.INVALID_ALARM,
            AlarmStatus.COMM,
        )
        assert pv.read(data_type="time").metadata.status == AlarmStatus.COMM
        assert pv.write(1, timeout=5).status == CAStatus.ECA_PUTFAIL.value
        server = start_server(name, linger=5)
        small: Any = server.create(Small, "small")
        received.until(lambda update: update.metadata.severity == AlarmSeverity.NO_ALARM)
        small.x.set(3)
        # The value before may be told twice: by the event, and as the reading that ends the alarm.
        received.until(lambda update: update.data[0] == 3)
        assert pv.connected
    server.stop()


def test_server_may_come_later(new_name: Callable[[], str], own_clients: Clients) -> None:
    name = new_name()
    with Gateway([name], **PORTS) as gateway:
        server = start_server(name, linger=5)
        server.create(Small, "small")
        wait_until(lambda: "small:x" in gateway.names)
        assert own_clients.pv(gateway.ca_port or 0, "small:x").read().data[0] == 0
    server.stop()


# How it is asked for


def test_changes_are_told_although_the_time_steps_back(server: Server, own_clients: Clients) -> None:
    stepping: Any = server.create(Stepping, "stepping")
    stepping.take(1.0, 2000.0)
    with Gateway([server.name], pva=False, **PORTS) as gateway:
        received = Received(own_clients.pv(gateway.ca_port or 0, "stepping:x").subscribe())
        assert received.values(1) == [1.0]
        for value in (2.0, 3.0):
            stepping.take(value, 1000.0 + value)
            assert received.values(1) == [value]


def test_read_only_gateway_takes_no_write(server: Server, own_clients: Clients) -> None:
    server.create(Small, "small")
    with Gateway([server.name], read_only=True, **PORTS) as gateway:
        pv = own_clients.pv(gateway.ca_port or 0, "small:x")
        assert pv.access_rights == AccessRights.READ
        assert pv.write(1).status == CAStatus.ECA_NOWTACCESS.value
        assert pv.read().data[0] == 0


def test_single_instruments_are_served(server: Server) -> None:
    server.create(Small, "one")
    server.create(Small, "two")
    with Gateway([f"{server.name}/two"], **PORTS) as gateway:
        assert {row.instrument for row in gateway.rows} == {"two"}


def test_names_that_cannot_be_are_refused_and_the_others_served(server: Server) -> None:
    server.create(Small, "small")
    prefix = "p" * 51
    with Gateway([server.name], prefix=prefix, **PORTS) as gateway:
        assert gateway.names == [prefix + "small:x"]
        assert gateway.refused[prefix + "small:IDN"] == (
            f"the name has 60 characters, and Channel Access takes 59 at most; choose a shorter prefix than "
            f"{prefix!r}, or a shorter name for the instrument"
        )


def test_names_may_be_long_without_channel_access(server: Server) -> None:
    server.create(Small, "small")
    with Gateway([server.name], prefix="p" * 60, ca=False, **PORTS) as gateway:
        assert gateway.refused == {}
        assert gateway.ca_port is None


def test_neither_protocol_is_refused() -> None:
    with pytest.raises(UsageError, match="leave one of them in"):
        Gateway(["foo"], ca=False, pva=False)


def test_address_that_is_not_of_this_computer_is_refused() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        Gateway(["foo"], interfaces=["192.0.2.1"], ca_port=0, pva=False)


def test_writes_are_logged_with_who_wrote(pv: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "instrumentserver.gateways"):
        pv("d").write(2.5)
    assert any(
        "x:t:d was set to 2.5 by " in record.message and "@" in record.message for record in caplog.records
    )
