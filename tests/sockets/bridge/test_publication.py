"""Parameters shown in sockets: what clients are answered."""

from __future__ import annotations

import gc
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from lamps import Lamp
from qcodes.instrument import Instrument
from qcodes.parameters import DelegateParameter
from received import eventually
from watched import Source

from instrumentserver import Server, UsageError, start_server
from instrumentserver.sockets import (
    DATA,
    OLD_DATA,
    DataPullSocket,
    DataPushSocket,
    DateDataPullClient,
    DateDataPullSocket,
    LiveSocket,
    PortStillReserved,
    Publication,
    publish,
)
from instrumentserver.sockets.bridge import readings
from instrumentserver.sockets.bridge.feed import Feed

HOST = "127.0.0.1"
TIMEOUT = 0.3


@pytest.fixture
def source(server: Server) -> Source:
    return server.create(Source, "source")


@pytest.fixture
def ask(line) -> Callable[[Publication], dict[str, Any]]:
    """Return what asks for all points of a publication."""
    lines: dict[int, Any] = {}

    def asked(publication: Publication) -> dict[str, Any]:
        port = publication.port
        assert port is not None
        client = lines.setdefault(port, line(port))
        points: dict[str, Any] = json.loads(client.ask(b"json_wn"))
        return points

    return asked


@pytest.fixture
def wait(ask) -> Callable[..., None]:
    """Return what waits until a codename has a value."""

    def waited(publication: Publication, codename: str, value: Any) -> None:
        eventually(lambda: value_of(ask(publication)[codename]) == value)

    return waited


def value_of(point: Any) -> Any:
    """Return the value of a point, or that it is old."""
    return point if point == OLD_DATA else point[1]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as lost."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "sockets.bridge" in record.name
    ]


def bridge_threads() -> list[threading.Thread]:
    """Return the threads of publications."""
    return [each for each in threading.enumerate() if each.name.startswith(("socket", "date"))]


# Events


def test_changes_arrive_at_clients(source: Source, ask, wait, line) -> None:
    parameters = {"laser_power": source.x, "count": "count", "voltage": "a.v", "mode": source.mode}
    with publish(source, parameters, port=0) as publication:
        assert publication.is_connected
        assert line(publication.port).ask(b"name") == b"source"
        assert line(publication.port).ask(b"codenames_raw") == b"laser_power,count,voltage,mode"
        before = time.time()
        source.x(1.5)
        source.set_here("count", 7)
        source.a.v(2)
        source.mode("high")
        for codename, value in {"laser_power": 1.5, "count": 7, "voltage": 2, "mode": "high"}.items():
            wait(publication, codename, value)
        assert before - 1 < ask(publication)["laser_power"][0] < time.time() + 1
        raw = line(publication.port).ask(b"raw").decode()
        assert [point.split(",")[1] for point in raw.split(";")] == ["1.5", "7", "2", "high"]
        with DateDataPullClient(HOST, "source", publication.port, timeout=10) as client:
            assert client.laser_power[1] == 1.5


def test_list_of_paths_and_parameters_gives_the_codenames(source: Source, ask, wait) -> None:
    with publish(source, ["x", source.b.v, "taps.2.v"], port=0, name="three") as publication:
        assert list(ask(publication)) == ["x", "b.v", "taps.2.v"]
        source.c.v(3)
        wait(publication, "taps.2.v", 3)
    with publish(source.b, ["v"], port=0) as publication:
        source.b.v(4)
        wait(publication, "v", 4)


def test_present_value_is_shown_at_once_and_a_parameter_without_one_is_read(
    server: Server, ask, wait
) -> None:
    lamp = server.create(Lamp, "lamp")
    lamp.target("moon")
    with publish(lamp, ["target", "temperature", "power", "shade"], port=0) as publication:
        wait(publication, "target", "moon")
        wait(publication, "temperature", 4.2)
        wait(publication, "shade", "WARM")
        assert ask(publication)["power"][1] is None


def test_newest_of_many_changes_is_shown(source: Source, wait) -> None:
    with publish(source, ["count"], port=0) as publication:
        source.raise_count(5000)
        wait(publication, "count", 5000)


def test_arrays_become_lists(source: Source, wait) -> None:
    with publish(source, ["trace", "pair"], port=0, period=0.05) as publication:
        source.fill(2.0)
        wait(publication, "trace", [2.0] * 1000)
        wait(publication, "pair", [[0.0] * 3, [1.0] * 3])


def test_publication_goes_on_if_nobody_keeps_it(source: Source, line) -> None:
    publish(source, ["count"], port=0)
    gc.collect()
    [port] = DATA
    source.count(5)
    eventually(lambda: line(port).ask(b"count#json").endswith(b", 5]"))
    sockets = [each for each in threading.enumerate() if isinstance(each, DateDataPullSocket)]
    for each in [*(each for each in gc.get_objects() if type(each) is Feed), *sockets]:
        each.stop()


def test_several_publications_feed_themselves(source: Source, wait) -> None:
    with publish(source, ["x"], port=0) as one, publish(source, {"x": "count"}, port=0) as two:
        with publish(source, ["x", "count"], port=0, period=0.05) as three:
            source.x(1)
            source.count(2)
            wait(one, "x", 1)
            wait(two, "x", 2)
            wait(three, "x", 1)
            wait(three, "count", 2)
        source.x(3)
        wait(one, "x", 3)


# Age


def is_fresh_again(source: Source, ask: Callable[[], dict[str, Any]]) -> None:
    """Set ``count`` until a client sees it: it is old soon, and this program may be slow."""

    def is_seen() -> bool:
        source.count(6)
        return bool(value_of(ask()["count"]) == 6)

    eventually(is_seen)


@pytest.mark.slow
def test_constant_value_becomes_old_without_a_period(source: Source, ask, wait) -> None:
    source.count(5)
    with publish(source, ["count", "other"], {"count": TIMEOUT}, port=0) as publication:
        wait(publication, "count", OLD_DATA)
        wait(publication, "other", 0)
        is_fresh_again(source, lambda: ask(publication))


@pytest.mark.slow
def test_constant_value_is_confirmed_by_a_period(source: Source, ask) -> None:
    source.count(5)
    with publish(source, ["count"], [10], port=0, period=0.02) as publication:
        eventually(lambda: ask(publication)["count"][1] == 5)
        first = ask(publication)["count"][0]
        eventually(lambda: ask(publication)["count"][0] > first + TIMEOUT)
        assert ask(publication)["count"][1] == 5


def test_value_that_changes_by_itself_is_read(source: Source, wait) -> None:
    with publish(source, ["drifting"], port=0, period=0.02) as publication:
        source.change("drifting", 3.5)
        wait(publication, "drifting", 3.5)


@pytest.mark.slow
@pytest.mark.parametrize("period", [None, 0.05])
def test_server_that_ends_makes_values_old_and_comes_back(
    period: float | None, new_name: Callable[[], str], ask, wait, caplog
) -> None:
    caplog.set_level(logging.INFO)
    name = new_name()
    source = start_server(name).create(Source, "source")
    with publish(source, ["count", "other"], TIMEOUT, port=0, period=period) as publication:
        is_fresh_again(source, lambda: ask(publication))
        start_server(name).stop()
        wait(publication, "count", OLD_DATA)
        wait(publication, "other", OLD_DATA)
        eventually(lambda: not publication.is_connected)
        eventually(lambda: len(warnings_of(caplog)) == 1)
        start_server(name).create(Source, "source")
        eventually(lambda: publication.is_connected)
        is_fresh_again(source, lambda: ask(publication))
        told = "read" if period else "followed"
        eventually(lambda: f"can be {told} again" in caplog.text)
        assert len(warnings_of(caplog)) == 1


def test_reading_that_fails_is_told_once_and_disturbs_no_other(source: Source, ask, wait, caplog) -> None:
    caplog.set_level(logging.INFO)
    source.fail_with_numbers()
    with publish(source, ["failing", "drifting"], port=0, period=0.02) as publication:
        for value in (1.0, 2.0, 3.0):
            source.change("drifting", value)
            wait(publication, "drifting", value)
        assert ask(publication)["failing"] == [0.0, None]
        [told] = warnings_of(caplog)
        assert told.startswith("source: failing cannot be read: ")
        source.fail_from_now_on("")
        wait(publication, "failing", 0.0)
        eventually(lambda: "source: failing can be read again" in caplog.text)


def test_failure_of_the_first_reading_is_told(source: Source, ask, caplog) -> None:
    source.fail_from_now_on("no answer")
    with publish(source, ["failing"], port=0) as publication:
        eventually(lambda: "failing cannot be read: OSError: [Errno 5] no answer" in caplog.text)
        assert ask(publication)["failing"] == [0.0, None]


def test_parameter_that_is_removed_and_added_again_is_followed(source: Source, wait) -> None:
    source.grow("extra")
    source.update()
    with publish(source, ["extra", "count"], port=0) as publication:
        source.shrink("extra")
        eventually(lambda: not publication.is_connected)
        source.count(3)
        wait(publication, "count", 3)
        source.grow("extra")
        eventually(lambda: publication.is_connected)
        source.set_here("extra", 4)
        wait(publication, "extra", 4)


# Sockets that are given


@pytest.mark.parametrize("kind", [DateDataPullSocket, DataPullSocket])
def test_pull_socket_that_is_given_shows_the_points(kind: Any, source: Source, line) -> None:
    with kind("mine", ["x", "hand"], 0, host=HOST) as given:
        with publish(source, ["x"], socket=given) as publication:
            assert publication.socket is given
            assert publication.port == given.port
            given.set_point("hand", (1, 2))
            source.x(4)
            eventually(lambda: json.loads(line(given.port).ask(b"x#json"))[1] == 4)
        assert line(given.port).ask(b"hand#json") == b"[1, 2]"
        source.x(5)
        assert json.loads(line(given.port).ask(b"x#json"))[1] == 4


def test_socket_that_publish_starts_is_stopped_with_it(source: Source) -> None:
    given = DateDataPullSocket("mine", ["x"], 0, host=HOST)
    with publish(source, ["x"], socket=given):
        assert given.is_alive()
    assert not given.is_alive()
    assert DATA == {}
    with pytest.raises(UsageError, match="has been stopped"):
        publish(source, ["x"], socket=given)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return where the datagrams of a live socket arrive."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listener:
        listener.bind((HOST, 0))
        listener.settimeout(10)
        yield listener


@pytest.mark.parametrize("has_pull_socket", [True, False])
def test_live_socket_sends_the_points(
    has_pull_socket: bool, source: Source, listener: socket.socket, line
) -> None:
    live = LiveSocket(
        "live",
        ["x"],
        listener.getsockname(),
        not has_pull_socket,
        internal_data_pull_socket_port=0,
        host=HOST,
    )
    source.x(1)
    with live, publish(source, ["x"], socket=live) as publication:
        assert (publication.port is not None) == has_pull_socket
        source.x(2)
        while (points := json.loads(listener.recv(65536)))["data"]["x"][1] != 2:
            assert points["host"] == socket.gethostname()
        if has_pull_socket:
            eventually(lambda: json.loads(line(publication.port).ask(b"x#json"))[1] == 2)


def test_socket_that_shows_nothing_any_more_is_told_once(source: Source, listener, caplog) -> None:
    live = LiveSocket("live", ["count"], listener.getsockname(), True)
    with publish(source, ["count"], socket=live):
        live.stop()
        for value in (1, 2, 3):
            source.count(value)
        eventually(lambda: len(warnings_of(caplog)) == 1)
        source.count(4)
        assert warnings_of(caplog)[0].startswith("source: count cannot be shown: ")


# Local instruments


def test_local_instrument_shows_what_the_program_sets_and_reads(ask, wait) -> None:
    source = Source("local")
    reads = source.reads["x"]
    with publish(source, ["x", "drifting", "a.v", "count"], port=0) as publication:
        assert publication.is_connected
        assert value_of(ask(publication)["x"]) == 0.0
        assert source.reads["x"] == reads
        assert value_of(ask(publication)["drifting"]) == 0.0  # Read once, as it was never before.
        source.x(2)
        source.a.v(3)
        source.change("drifting", 7.0)
        assert value_of(ask(publication)["x"]) == 2
        assert value_of(ask(publication)["a.v"]) == 3
        assert value_of(ask(publication)["drifting"]) == 0.0
        source.drifting()
        assert value_of(ask(publication)["drifting"]) == 7.0
    looks = source.looks("x")
    assert "_update_with" not in looks[3]
    source.x(5)


def test_local_instrument_is_read_with_a_period(wait) -> None:
    source = Source("local")
    with publish(source, ["drifting"], port=0, period=0.02) as publication:
        source.change("drifting", 7.0)
        wait(publication, "drifting", 7.0)


def test_local_delegates_follow_their_sources(source: Source, wait) -> None:
    local = Source("local")
    meta = Instrument("meta")
    meta.add_parameter("here", DelegateParameter, source=local.x, scale=2)
    meta.add_parameter("there", DelegateParameter, source=source.x, scale=4)
    with publish(meta, ["here", "there"], port=0) as publication:
        local.x(6)
        source.x(8)
        wait(publication, "here", 3)
        wait(publication, "there", 2)


def test_local_reading_that_fails_leaves_the_publication_running(ask, caplog) -> None:
    source = Source("local")
    source.fail_from_now_on("no answer")
    with publish(source, ["failing", "x"], port=0) as publication:
        assert ask(publication)["failing"] == [0.0, None]
        assert not publication.is_connected
        assert warnings_of(caplog) == ["local: failing cannot be read: [Errno 5] no answer"]


@pytest.mark.slow
def test_reading_that_hangs_is_told_once_and_ends_nothing(wait, caplog, monkeypatch) -> None:
    monkeypatch.setattr(readings, "_HANG_SECONDS", 0.05)
    gate, is_reading = threading.Event(), threading.Event()
    instrument = Instrument("stuck")

    def read() -> int:
        is_reading.set()
        assert gate.wait(20)
        return 9

    instrument.add_parameter("slow", get_cmd=read)
    instrument.add_parameter("other", set_cmd=None, get_cmd=None, initial_value=0)
    try:
        with publish(instrument, ["slow", "other"], port=0, period=0.01) as publication:
            eventually(lambda: "stuck: slow cannot be read: its reading has not come back" in caplog.text)
            instrument.other(4)
            wait(publication, "other", 4)
            assert len(warnings_of(caplog)) == 1
            assert not publication.is_connected
            gate.set()
            wait(publication, "slow", 9)
            eventually(lambda: publication.is_connected)
            gate.clear()
            is_reading.clear()
            assert is_reading.wait(20)
            monkeypatch.setattr(readings, "_END_SECONDS", 0.05)
        assert "its thread ends when it does" in caplog.text
    finally:
        gate.set()


# What cannot be


@pytest.mark.parametrize(
    ("parameters", "arguments", "words"),
    [
        (["nothing"], {}, "source has no parameter 'nothing'; there is: IDN, x, drifting"),
        (["a.nothing"], {}, "source has no parameter 'a.nothing'"),
        (["z.v"], {}, "source has no parameter 'z.v'"),
        (["writeonly"], {}, "source_writeonly cannot be read; what can be read: IDN, x"),
        (["x", "x"], {}, "'x' is in parameters= more than once"),
        ([], {}, "nothing is to be published; of source can be read: IDN, x"),
        ("x", {}, "parameters='x' is one text"),
        ({"a,b": "x"}, {}, "The character ',' is not allowed"),
        ({"\xb5": "x"}, {}, "is not ASCII"),
        ({"a": 3}, {}, "3 is no parameter"),
        ({3: "x"}, {}, "3 in parameters= is no name"),
        (["x"], {"period": 0}, "period=0 is no time"),
        (["x"], {"period": True}, "period=True is no time"),
        (["x"], {"period": float("nan")}, "period=nan is no time"),
        (["x"], {"timeouts": [1, 2]}, "as many items as there are in codenames"),
        (["x"], {"timeouts": {"y": 1}}, "timeouts= names 'y', which is not published: x"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_published_is_refused_and_leaves_nothing(
    parameters: Any, arguments: dict[str, Any], words: str, source: Source
) -> None:
    with pytest.raises(UsageError) as error:
        publish(source, parameters, port=0, **arguments)
    assert words in str(error.value)
    assert DATA == {}
    assert not bridge_threads()


def test_parameters_of_other_instruments_are_refused(source: Source, server: Server) -> None:
    other = server.create(Lamp, "lamp")
    here = Lamp("here")
    for instrument, parameter in [(source, other.power), (source, here.power), (here, source.x)]:
        with pytest.raises(UsageError, match="is no parameter of"):
            publish(instrument, {"a": parameter}, port=0)
    with pytest.raises(UsageError, match="is no parameter of source_a, but of source"):
        publish(source.a, {"a": source.x}, port=0)
    with pytest.raises(UsageError, match="is no QCoDeS instrument"):
        publish(object(), {"a": source.x}, port=0)  # type: ignore[arg-type]


def test_socket_that_does_not_fit_is_refused(source: Source) -> None:
    with DateDataPullSocket("mine", ["y"], 0, host=HOST) as given:
        with pytest.raises(UsageError, match="has no codename x, but: y"):
            publish(source, ["x"], socket=given)
        with pytest.raises(UsageError, match="has its name, port, host and timeouts"):
            publish(source, {"y": "x"}, 3, socket=given)
    with DataPushSocket("mine", 0, host=HOST) as push:
        with pytest.raises(UsageError, match="shows no points"):
            publish(source, ["x"], socket=push)


def test_failed_publish_leaves_nothing(source: Source, server: Server) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind((HOST, 0))
        with pytest.raises(PortStillReserved):
            publish(source, ["x"], port=other.getsockname()[1], period=0.1)
    with publish(source, ["x"], port=0) as publication:
        assert publication.port is not None
        with pytest.raises(UsageError, match="already exists on port"):
            publish(source, ["count"], port=publication.port)
        eventually(lambda: server.status()["watched"] == {"source.x": 1})
    eventually(lambda: not server.status()["watched"])


def test_socket_that_was_given_survives_a_publish_that_fails(source: Source, monkeypatch) -> None:
    given = DateDataPullSocket("mine", ["x"], 0, host=HOST)
    monkeypatch.setattr(given, "start", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(source, ["x"], socket=given, period=0.05)
    monkeypatch.undo()
    with given:
        assert given.is_alive()


def test_stop_leaves_no_port_no_thread_and_no_subscription(source: Source, server: Server) -> None:
    publication = publish(source, ["x", "count"], port=0, period=0.05)
    port = publication.port
    assert port is not None
    eventually(lambda: len(server.status()["watched"]) == 2)
    publication.stop()
    publication.stop()
    assert DATA == {}
    assert not bridge_threads()
    eventually(lambda: not server.status()["watched"])
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind((HOST, port))
