"""QCoDeS's Monitor shows remote parameters as it shows local ones."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from drivers import Gate
from measuring.bench import Alike, Bench
from measuring.rack import Channels, Meter, Source
from qcodes.monitor import monitor
from qcodes.parameters import Parameter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from instrumentserver import connect as connect_server

pytestmark = pytest.mark.slow

Watch = Callable[..., "Watched"]

INTERVAL = 0.02
"""Time between two messages of the monitor, seconds."""


class Watched:
    """What a browser gets of a monitor.

    Args:
        parameters: What is monitored.
        options: For the monitor.
    """

    def __init__(self, *parameters: Parameter, **options: Any) -> None:
        self.monitor = monitor.Monitor(*parameters, interval=INTERVAL, **options)
        self._stack = ExitStack()
        self._stack.callback(self.monitor.stop)
        self.open()

    def open(self) -> None:
        """Open the page, again if it was open before."""
        self._browser = self._stack.enter_context(connect(f"ws://localhost:{monitor.WEBSOCKET_PORT}"))

    def next(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the next message: by instrument and label what is shown of each parameter."""
        message = json.loads(self._browser.recv(timeout=10))
        return {
            shown["instrument"]: {each["name"]: each for each in shown["parameters"]}
            for shown in message["parameters"]
        }

    def wait_for(self, instrument: str, label: str, value: str) -> None:
        """Return when a parameter shows a value."""
        for _ in range(200):
            if self.next()[instrument][label]["value"] == value:
                return
        raise AssertionError(f"{instrument} {label} never showed {value}")

    def close(self) -> None:
        """Close the browser, and stop the monitor."""
        self._stack.close()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Yield what starts a monitor on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(monitor, "WEBSOCKET_PORT", free.getsockname()[1])
    started: list[Watched] = []

    def start(*parameters: Parameter, **options: Any) -> Watched:
        started.append(Watched(*parameters, **options))
        return started[-1]

    yield start
    for watched in started:
        watched.close()
    assert monitor.Monitor.running is None


def test_it_shows_what_it_shows_of_local_parameters(alike: Alike, watch: Watch) -> None:
    def act(bench: Bench) -> Any:
        source = bench.make(Source, "source")
        meter = bench.make(Meter, "meter", source, server="two")
        loose = Parameter("loose", unit="K", label="Loose", set_cmd=None, initial_value=1.0)
        source.v1(1.25)
        watched = watch(source.v1, source.millivolt, meter.i, source.mode, loose)
        first = watched.next()
        source.v1(2.5)
        watched.wait_for(str(source), "Voltage v1", "2.5")
        watched.close()
        return first

    shown = alike(act, stores=False)["<Source: source>"]["Voltage v1"]
    assert shown == {"value": "1.25", "ts": "<time>", "name": "Voltage v1", "unit": "V"}


@pytest.mark.parametrize("use_root_instrument", [True, False])
def test_channels_are_shown_under_their_instrument_or_alone(
    alike: Alike, watch: Watch, use_root_instrument: bool
) -> None:
    def act(bench: Bench) -> Any:
        rack = bench.make(Channels, "rack")
        watched = watch(
            rack.A.temperature, rack.channels[1].temperature, use_root_instrument=use_root_instrument
        )
        shown = watched.next()
        watched.close()
        return {instrument: list(parameters) for instrument, parameters in shown.items()}

    assert len(alike(act, stores=False)) == (1 if use_root_instrument else 2)


def test_what_another_client_sets_is_shown(bench: Bench, watch: Watch) -> None:
    source = bench.make(Source, "source")
    watched = watch(source.v1)
    # The server's own parameter, set without this client's proxy.
    source.callattr("v1.set", 3.5)
    watched.wait_for(str(source), "Voltage v1", "3.5")


def test_a_call_that_blocks_one_instrument_does_not_stop_it(
    bench: Bench, watch: Watch, tmp_path: Path
) -> None:
    gate = bench.make(Gate, "gate", str(tmp_path))
    source = bench.make(Source, "source", server="two")
    watched = watch(gate.value, source.v1)
    waiting = threading.Thread(target=gate.wait)
    waiting.start()
    try:
        for volts in ("1.5", "2.5", "3.5"):
            source.v1(float(volts))
            watched.wait_for(str(source), "Voltage v1", volts)
        assert watched.next()[str(gate)]["value"]["value"] == "1"
        assert connect_server("one").status()["calls"][0]["path"] == "gate.wait"
    finally:
        (tmp_path / "open").touch()
        waiting.join(10)


def test_update_all_reads_the_hardware(bench: Bench, watch: Watch) -> None:
    source = bench.make(Source, "source")
    meter = bench.make(Meter, "meter", source, server="two")
    watched = watch(meter.i)
    watched.wait_for(str(meter), "Current", "0.0")
    source.v1(1.0)
    watched.monitor.update_all()
    watched.wait_for(str(meter), "Current", "0.001")


def test_it_shows_an_instrument_again_that_was_made_anew_after_its_server_died(
    bench: Bench, watch: Watch
) -> None:
    source = bench.make(Source, "source")
    watched = watch(source.v1)
    watched.next()
    connect_server("one").kill()
    with pytest.raises(ConnectionClosed):
        while True:
            watched.next()
    bench.make(Source, "source").v1(4.5)
    watched.open()
    watched.wait_for(str(source), "Voltage v1", "4.5")


def test_only_parameters_are_taken(bench: Bench) -> None:
    rack = bench.make(Channels, "rack")
    for refused in (rack, rack.A, rack.A.dummy_array_parameter, rack.A.log_my_name):
        with pytest.raises(TypeError, match="We can only monitor QCodes Parameters"):
            monitor.Monitor(refused)
