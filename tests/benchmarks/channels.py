"""Time channels: our Context, caproto's client and p4p's, each with its own server, and our gateway; in one run.

    python tests/benchmarks/channels.py --channels 1000 --calls 300 --json channels.json

Every figure is the best of a few short rounds in which the contestants take turns: a neighbour on the machine slows
all of them. Compare within a column, not with another day's.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

PATIENCE: Final = 60.0
_LOOPBACK: Final = {
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
}


class Counter:
    """Counts updates; keeps the time of the latest."""

    def __init__(self) -> None:
        self.count = 0
        self.latest = 0.0
        self.value = None
        self._news = threading.Condition()

    def take(self, value: Any) -> None:
        """Count one."""
        with self._news:
            self.latest = time.perf_counter()
            self.count += 1
            self.value = value
            self._news.notify_all()

    def wait_for_any(self) -> None:
        """Wait until anything has come."""
        with self._news:
            if not self._news.wait_for(lambda: self.count, PATIENCE):
                raise TimeoutError("no update came")

    def wait_for(self, value: Any) -> None:
        """Wait until a value has come."""
        with self._news:
            if not self._news.wait_for(lambda: self.value == value, PATIENCE):
                raise TimeoutError(f"{value} did not come; {self.count} updates, the last {self.value}")


class Ours:
    """Our Context, our server."""

    name = "ours"

    def __init__(self, channels: int, stack: ExitStack) -> None:
        from bench_instrument import Bench

        from instrumentserver import start_server
        from instrumentserver.context import Context

        self._start, self._bench, self._context = start_server, Bench, Context
        self._channels = channels
        self.server = start_server("bench", linger=None)
        self.instrument = self.server.create(Bench, "bench", channels)
        stack.callback(lambda: self.server.stop())
        self._open()
        stack.callback(lambda: self.context.disconnect())

    def _open(self) -> None:
        self.context = self._context()
        self.x, self.burst = self.context.get_pvs("bench:x", "bench:burst", timeout=None)
        self.x.wait_for_connection(timeout=PATIENCE)

    def read(self) -> None:
        self.x.read()

    def write(self, value: float) -> None:
        self.x.write(value)

    def start_burst(self, number: int) -> None:
        self.burst.write(number, timeout=None)

    @contextmanager
    def watch(self, counter: Counter, index: int) -> Iterator[None]:
        """Have the counter count the updates of x, each subscriber by a subscription of its own."""

        def take(subscription: Any, response: Any) -> None:
            counter.take(float(response.data[0]))

        subscription = self.x.subscribe(queue=100_000 + index)
        subscription.add_callback(lambda_of(take))
        yield
        subscription.clear()

    def connect(self, number: int) -> float:
        """Return the time to connect so many channels with a new client, s."""
        context = self._context()
        begun = time.perf_counter()
        pvs = context.get_pvs(*[f"bench:c{index}" for index in range(number)])
        for pv in pvs:
            pv.wait_for_connection(timeout=PATIENCE)
        took = time.perf_counter() - begun
        context.disconnect()
        return took

    def reconnect(self) -> float:
        """Return the time from the start of a new server to the first update of a subscription, s."""
        counter = Counter()
        with self.watch(counter, 0):
            self.server.kill()
            self.server = self._start("bench", linger=None)
            self.instrument = self.server.create(self._bench, "bench", self._channels)
            begun = time.perf_counter()
            self.instrument.x(4711.0)
            counter.wait_for(4711.0)
            return counter.latest - begun


class Caproto:
    """Caproto's client; its own server or our gateway."""

    def __init__(self, channels: int, stack: ExitStack, gateway_of: str = "") -> None:
        from caproto.threading.client import Context, SharedBroadcaster

        self.name = "caproto to our gateway" if gateway_of else "caproto"
        self._kinds = Context, SharedBroadcaster
        self._arguments = [channels, free_port(), *([gateway_of] if gateway_of else [])]
        self._kind = "gateway" if gateway_of else "caproto"
        self.process, said = started(self._kind, *self._arguments)
        stack.callback(lambda: ended(self.process))
        os.environ["EPICS_CA_SERVER_PORT"] = str(said["port"])
        self.context = Context(SharedBroadcaster())
        stack.callback(lambda: self.context.disconnect())
        self.x, self.burst = self.context.get_pvs("bench:x", "bench:burst", timeout=PATIENCE)
        self.x.wait_for_connection(timeout=PATIENCE)
        self.burst.wait_for_connection(timeout=PATIENCE)

    def read(self) -> None:
        self.x.read()

    def write(self, value: float) -> None:
        self.x.write([value])

    def start_burst(self, number: int) -> None:
        self.burst.write([number], timeout=PATIENCE)

    @contextmanager
    def watch(self, counter: Counter, index: int) -> Iterator[None]:
        """Have the counter count the updates of x."""

        def take(subscription: Any, response: Any) -> None:
            counter.take(float(response.data[0]))

        subscription = self.x.subscribe(data_count=1 if index == 0 else None, low=index)
        subscription.add_callback(lambda_of(take))
        yield
        subscription.clear()

    def connect(self, number: int) -> float:
        """Return the time to connect so many channels with a new client, s."""
        kind, broadcaster = self._kinds
        os.environ["EPICS_CA_SERVER_PORT"] = str(self._arguments[1])
        context = kind(broadcaster())
        begun = time.perf_counter()
        pvs = context.get_pvs(*[f"bench:c{index}" for index in range(number)], timeout=PATIENCE)
        for pv in pvs:
            pv.wait_for_connection(timeout=PATIENCE)
        took = time.perf_counter() - begun
        context.disconnect()
        return took

    def reconnect(self) -> float:
        """Return the time from the start of a new server to the first update of a subscription, s."""
        if self._kind == "gateway":
            return float("nan")
        counter = Counter()
        with self.watch(counter, 0):
            counter.wait_for(counter.value)
            count = counter.count
            ended(self.process)
            self.process, _ = started(self._kind, *self._arguments)
            begun = time.perf_counter()
            while counter.count == count and time.perf_counter() < begun + PATIENCE:
                time.sleep(0.001)
            return max(0.0, counter.latest - begun)


class P4p:
    """p4p's client; its own server or our gateway."""

    def __init__(self, channels: int, stack: ExitStack, gateway_of: str = "") -> None:
        from p4p.client.thread import Context

        self.name = "p4p to our gateway" if gateway_of else "p4p"
        self._kind = Context
        self._what = "gateway" if gateway_of else "p4p"
        self._arguments = [channels, free_port(), *([gateway_of] if gateway_of else [])]
        self.process, said = started(self._what, *self._arguments)
        stack.callback(lambda: ended(self.process))
        self.conf = said["conf"]
        if not gateway_of:
            port = self.conf["EPICS_PVAS_BROADCAST_PORT"]
            self.conf = {
                "EPICS_PVA_ADDR_LIST": f"127.0.0.1:{port}",
                "EPICS_PVA_AUTO_ADDR_LIST": "NO",
                "EPICS_PVA_BROADCAST_PORT": port,
            }
        self.context = Context("pva", conf=self.conf, useenv=False)
        stack.callback(self.context.close)
        self.context.get("bench:x", timeout=PATIENCE)

    def read(self) -> None:
        self.context.get("bench:x")

    def write(self, value: float) -> None:
        self.context.put("bench:x", value)

    def start_burst(self, number: int) -> None:
        self.context.put("bench:burst", number, timeout=PATIENCE)

    @contextmanager
    def watch(self, counter: Counter, index: int) -> Iterator[None]:
        """Have the counter count the updates of x."""
        request = f"record[queueSize={50_000 + index}]field()"
        subscription = self.context.monitor(
            "bench:x", lambda value: counter.take(float(value)), request=request
        )
        yield
        subscription.close()

    def connect(self, number: int) -> float:
        """Return the time to connect so many channels with a new client, s."""
        with self._kind("pva", conf=self.conf, useenv=False) as context:
            begun = time.perf_counter()
            context.get([f"bench:c{index}" for index in range(number)], timeout=PATIENCE)
            return time.perf_counter() - begun

    def reconnect(self) -> float:
        """Return the time from the start of a new server to the first update of a subscription, s."""
        if self._what == "gateway":
            return float("nan")
        counter = Counter()
        with self.watch(counter, 0):
            while not counter.count:
                time.sleep(0.001)
            count = counter.count
            ended(self.process)
            self.process, _ = started(self._what, *self._arguments)
            begun = time.perf_counter()
            while counter.count == count and time.perf_counter() < begun + PATIENCE:
                time.sleep(0.001)
            return counter.latest - begun


_kept: list[Callable[..., None]] = []


def lambda_of(function: Callable[..., None]) -> Callable[..., None]:
    """Return a callback that somebody keeps: subscriptions hold them weakly."""
    _kept.append(function)
    return function


def free_port() -> int:
    """Return a port of which the next is free, too."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def started(kind: str, *arguments: object) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start a server of channels; return it and what it says of itself."""
    script = Path(__file__).with_name("channel_peers.py")
    process = subprocess.Popen(
        [sys.executable, str(script), kind, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return process, json.loads(line)
    raise RuntimeError(f"the server of {kind} did not start")


def ended(process: subprocess.Popen[str]) -> None:
    """End a server of channels."""
    process.kill()
    process.communicate()


def median_time(call: Callable[[], object], calls: int) -> float:
    """Return the median time of a call, s."""
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def rate(contestant: Any, subscribers: int, updates: int) -> tuple[float, float]:
    """Return updates per second that all subscribers got together, and the share of updates that arrived."""
    counters = [Counter() for _ in range(subscribers)]
    with ExitStack() as stack:
        for index, counter in enumerate(counters):
            stack.enter_context(contestant.watch(counter, index))
        for counter in counters:
            # A client may return from subscribing before its server knows of it.
            counter.wait_for_any()
        first = [counter.count for counter in counters]
        begun = time.perf_counter()
        contestant.start_burst(updates)
        for counter in counters:
            counter.wait_for(float(updates))
        took = max(counter.latest for counter in counters) - begun
        got = sum(counter.count - before for counter, before in zip(counters, first, strict=True))
    return got / took, got / (updates * subscribers)


def latency(contestant: Any, calls: int) -> float:
    """Return the median time from the call of write to that of the callback, s."""
    counter = Counter()
    times = []
    with contestant.watch(counter, 0):
        for index in range(1, calls + 1):
            value = -float(index)
            begun = time.perf_counter()
            contestant.write(value)
            counter.wait_for(value)
            times.append(counter.latest - begun)
    return statistics.median(times)


def measure(channels: int, calls: int, updates: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the figures of each contestant, by name: times in s, rates in 1/s."""
    with ExitStack() as stack:
        ours = Ours(channels, stack)
        contestants: list[Any] = [
            ours,
            Caproto(channels, stack),
            P4p(channels, stack),
            Caproto(channels, stack, "bench"),
            P4p(channels, stack, "bench"),
        ]
        found: dict[str, dict[str, list[float]]] = {each.name: {} for each in contestants}

        def note(contestant: Any, figure: str, value: float) -> None:
            found[contestant.name].setdefault(figure, []).append(value)

        for _ in range(rounds):
            for each in contestants:
                note(each, "read", median_time(each.read, calls))
                note(each, "write", median_time(lambda each=each: each.write(1.0), calls))
                note(each, "write_to_callback", latency(each, calls))
                note(each, "connect_1", each.connect(1))
                note(each, f"connect_{channels}", each.connect(channels))
                small = updates if each is ours or each.name == "p4p" else max(1, updates // 10)
                for number in (1, 10):
                    speed, share = rate(each, number, small)
                    note(each, f"updates_to_{number}", speed)
                    note(each, f"arrived_of_{number}", share)
        for each in contestants:
            note(each, "reconnect", each.reconnect())
        best = {True: max, False: min}
        return {
            name: {
                key: best[key.startswith(("updates", "arrived"))](values) for key, values in figures.items()
            }
            for name, figures in found.items()
        }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--updates", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.update(_LOOPBACK)
    with tempfile.TemporaryDirectory(prefix="i") as folder:
        os.environ["INSTRUMENTSERVER_DIR"] = folder
        results = measure(options.channels, options.calls, options.updates, options.rounds)
    figures = list(next(iter(results.values())))
    print(f"{'':<24}" + "".join(f"{figure:>19}" for figure in figures))
    for name, row in results.items():
        print(f"{name:<24}" + "".join(f"{shown(figure, row[figure]):>19}" for figure in figures))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))


def shown(figure: str, value: float) -> str:
    """Return a figure with its unit."""
    if figure.startswith("updates"):
        return f"{value:.0f}/s"
    if figure.startswith("arrived"):
        return f"{100 * value:.0f} %"
    return f"{1e3 * value:.1f} ms" if value > 1e-3 else f"{1e6 * value:.0f} us"


if __name__ == "__main__":
    main()
