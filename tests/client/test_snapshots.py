"""Snapshots of a station: one message for each server, all servers at once, equal to QCoDeS's own."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drivers import Holder, Plain
from qcodes.dataset import LinSweep, dond, initialise_or_create_database_at, load_or_create_experiment
from qcodes.instrument import Instrument
from qcodes.metadatable import Metadatable
from qcodes.parameters import ManualParameter
from qcodes.station import Station as QcodesStation
from qcodes.utils import NumpyJSONEncoder

from instrumentserver import CallTimeout, Server, Station, start_server, time_limit
from instrumentserver.client import Session
from instrumentserver.wire.messages import Op


class Counting(Instrument):
    """An instrument that counts how often its values are read from the hardware."""

    def __init__(self, name: str, seconds: float = 0.0, folder: str = "") -> None:
        super().__init__(name)
        self.reads = 0
        self._seconds = seconds
        self._folder = folder
        self.add_parameter("known", get_cmd=self._read, set_cmd=lambda value: None, initial_value=0)
        self.add_parameter("unknown", get_cmd=self._read)

    def get_idn(self) -> dict[str, str | None]:
        """Return nothing about the instrument."""
        return dict.fromkeys(("vendor", "model", "serial", "firmware"))

    def _read(self) -> int:
        self.reads += 1
        if self._folder and self.reads == 1:
            folder = Path(self._folder)
            (folder / self.name).touch()
            give_up = time.monotonic() + 30
            while not (folder / "open").exists() and time.monotonic() < give_up:
                time.sleep(0.005)
        time.sleep(self._seconds)
        return self.reads


class Broken(Instrument):
    """An instrument whose snapshot fails."""

    def snapshot_base(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Raise an error."""
        raise ZeroDivisionError(f"{self.name} has no snapshot")


class Note(Metadatable):
    """A component that is no instrument."""

    def snapshot_base(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Return what is noted."""
        return {"note": "cold"}


@pytest.fixture
def servers(new_name: Callable[[], str]) -> tuple[Server, Server]:
    """Return two servers."""
    return start_server(new_name()), start_server(new_name())


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Return the requests that this process sends from now on, as they are sent."""
    sent: list[list[Any]] = []
    request = Session.request

    def recorded(session: Session, message: list[Any], frame: bytes | None = None) -> list[Any]:
        sent.append(message)
        return request(session, message, frame)

    monkeypatch.setattr(Session, "request", recorded)
    return sent


@pytest.fixture
def here() -> Iterator[Plain]:
    """Yield an instrument of this process."""
    instrument = Plain("here")
    yield instrument
    instrument.close()


def text(snapshot: dict[str, Any]) -> str:
    """Return a snapshot as QCoDeS stores it with a run, order of keys included."""
    return json.dumps(snapshot, cls=NumpyJSONEncoder)


def without_times(snapshot: str) -> str:
    """Return a stored snapshot without the seconds in which values were read."""
    return re.sub(r'"ts": "[^"]*"', '"ts"', snapshot)


@pytest.mark.parametrize("update", [False, None, True])
def test_a_snapshot_equals_that_of_qcodes_own_station(
    servers: tuple[Server, Server], here: Plain, update: bool | None
) -> None:
    one, two = (server.create(Plain, f"plain{number}") for number, server in enumerate(servers))
    again = servers[0].create(Holder, "holder", two)
    kept = ManualParameter("kept", initial_value=1)
    excluded = ManualParameter("excluded", snapshot_exclude=True)
    components = [two, here, Note(), one, kept, one.ch1, excluded, two.ch1.v, again, one.outs]
    ours, theirs = Station(*components), QcodesStation(*components)
    ours.metadata["cooldown"] = theirs.metadata["cooldown"] = 7
    found, wanted = ours.snapshot(update=update), theirs.snapshot(update=update)
    assert without_times(text(found)) == without_times(text(wanted))
    assert list(found["instruments"]) == ["plain1", "here", "plain0", "holder"]
    assert list(found["parameters"]) == ["kept", "v"]


def test_each_server_gets_one_message(servers: tuple[Server, Server], requests: list[list[Any]]) -> None:
    for number in range(6):
        servers[number % 2].create(Counting, f"c{number}")
    station = Station(*(proxy for server in servers for proxy in server.instruments.values()))
    requests.clear()
    snapshot = station.snapshot(update=True)
    assert [request[0] for request in requests] == [Op.SNAPSHOTS, Op.SNAPSHOTS]
    assert list(snapshot["instruments"]) == ["c0", "c2", "c4", "c1", "c3", "c5"]


def test_update_means_what_it_means_in_qcodes(server: Server, here: Plain) -> None:
    counting = server.create(Counting, "counting")
    station = Station(here)
    station.add_component(counting, update_snapshot=False)
    assert counting.reads == 0
    station.snapshot_base(update=False)
    assert counting.reads == 0
    station.snapshot_base(update=None)
    assert counting.reads == 1
    station.snapshot_base(update=True)
    assert counting.reads == 3
    by_default = QcodesStation(counting, update_snapshot=False)
    reads = counting.reads
    by_default.snapshot_base()
    as_qcodes = counting.reads - reads
    Station(counting, update_snapshot=False).snapshot_base()
    assert counting.reads == reads + 2 * as_qcodes


@pytest.mark.slow
def test_a_snapshot_takes_as_long_as_the_slowest_server(servers: tuple[Server, Server]) -> None:
    # Two parameters of 0.1 s on either server.
    station = Station(
        *(server.create(Counting, f"slow{number}", 0.1) for number, server in enumerate(servers)),
        update_snapshot=False,
    )
    begin = time.perf_counter()
    snapshot = station.snapshot(update=True)
    assert 0.2 <= time.perf_counter() - begin < 0.38
    values = [found["parameters"]["unknown"]["value"] for found in snapshot["instruments"].values()]
    assert values == [2, 2]


def test_closed_instruments_leave_the_station(
    servers: tuple[Server, Server], here: Plain, caplog: pytest.LogCaptureFixture
) -> None:
    closed, gone = servers[0].create(Plain, "closed"), servers[0].create(Plain, "gone")
    lost = servers[1].create(Plain, "lost")
    station = Station(closed, gone, gone.ch1, here, lost)
    # This process closes one itself, somebody else another, and a server dies.
    closed.close()
    gone._link.session.request([Op.CLOSE, "gone"])
    servers[1].kill()
    caplog.set_level(logging.WARNING, "instrumentserver.station")
    assert list(station.snapshot()["instruments"]) == ["here"]
    assert list(station.components) == ["here"]
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in told] == [
        f"{name} is no longer part of the station" for name in ("gone", "gone_ch1", "lost")
    ]
    assert "has been closed" in told[0]
    assert "SIGKILL" in told[2]
    assert "\n" not in told[2]
    station.snapshot()
    assert len(caplog.records) == len(told)


@pytest.mark.slow
def test_two_instruments_of_one_name_on_two_servers_are_both_there(servers: tuple[Server, Server]) -> None:
    one, two = servers
    code = f"import drivers, instrumentserver as i; i.connect({two.name!r}).create(drivers.Plain, 'dac')"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True, timeout=50)
    station = Station(one.create(Plain, "dac"))
    station.add_component(two.instruments["dac"], "other")
    station.other.x(3.0)
    found = station.snapshot()["instruments"]
    assert [found[name]["parameters"]["x"]["value"] for name in ("dac", "other")] == [0.0, 3.0]


def test_a_snapshot_that_fails_raises_what_the_driver_raised(servers: tuple[Server, Server]) -> None:
    good, bad = servers[0].create(Counting, "good"), servers[0].create(Broken, "bad")
    far = servers[1].create(Counting, "far")
    components = [good, bad, far]
    for station in (QcodesStation(*components), Station(*components)):
        with pytest.raises(ZeroDivisionError, match="bad has no snapshot") as caught:
            station.snapshot()
        assert list(station.components) == ["good", "bad", "far"]
    assert any(f"server {servers[0].name!r}" in note for note in caught.value.__notes__)
    station.remove_component("bad")
    assert list(station.snapshot()["instruments"]) == ["good", "far"]


@pytest.mark.slow
def test_a_measurement_stores_the_snapshot(servers: tuple[Server, Server], tmp_path: Path) -> None:
    one, two = (server.create(Plain, f"plain{number}") for number, server in enumerate(servers))
    station = Station(one, two)
    assert QcodesStation.default is Station.default is station
    initialise_or_create_database_at(tmp_path / "runs.db")
    load_or_create_experiment("station", "sample")
    dataset, _, _ = dond(LinSweep(one.x, 0, 1, 2), two.readonly, show_progress=False)
    stored = dataset.snapshot["station"]["instruments"]
    assert {name: found["parameters"]["readonly"]["value"] for name, found in stored.items()} == {
        "plain0": 42.0,
        "plain1": 42.0,
    }


def test_what_this_process_added_to_an_instrument_is_in_the_snapshot(server: Server) -> None:
    plain = server.create(Plain, "plain")
    plain.add_parameter("mine", get_cmd=lambda: 5)
    plain.ch1.add_parameter("mine", get_cmd=lambda: 6)
    found = Station(plain).snapshot(update=True)["instruments"]["plain"]
    assert found["parameters"]["mine"]["value"] == 5
    assert found["submodules"]["ch1"]["parameters"]["mine"]["value"] == 6


def test_a_snapshot_notices_parameters_that_came_meanwhile(server: Server) -> None:
    plain = server.create(Plain, "plain")
    station = Station(plain)
    plain._link.session.request([Op.CALL, "plain", "grow", ["new"], {}])
    assert "new" in station.snapshot()["instruments"]["plain"]["parameters"]
    assert "new" in plain.parameters


def test_a_time_limit_holds_for_every_server(servers: tuple[Server, Server], tmp_path: Path) -> None:
    station = Station(
        *(server.create(Counting, f"c{number}", 0, str(tmp_path)) for number, server in enumerate(servers)),
        update_snapshot=False,
    )
    with pytest.raises(CallTimeout), time_limit(0.05):
        station.snapshot(update=True)
    (tmp_path / "open").touch()
    assert len(station.snapshot(update=True)["instruments"]) == 2


@pytest.mark.slow
def test_an_interrupt_ends_the_waiting_at_once(servers: tuple[Server, Server], tmp_path: Path) -> None:
    names = ("c0", "c1")
    station = Station(
        *(
            server.create(Counting, name, 0, str(tmp_path))
            for name, server in zip(names, servers, strict=True)
        ),
        update_snapshot=False,
    )

    def interrupt() -> None:
        give_up = time.monotonic() + 20
        while not all((tmp_path / name).exists() for name in names) and time.monotonic() < give_up:
            time.sleep(0.005)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        station.snapshot(update=True)
    thread.join()
    (tmp_path / "open").touch()
    # The next one is in order.
    found = station.snapshot(update=True)["instruments"]
    assert [found[name]["parameters"]["known"]["value"] for name in names] == [3, 3]
