"""Time what watching costs and how fast it is: sets, updates and latencies, all in one run.

    python tests/benchmarks/watching.py --rounds 5 --json watching.json

What is compared is measured in turns, a short batch each, and ratios are taken within a turn: a neighbour on the
machine slows both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from qcodes.instrument import Instrument
from qcodes.parameters import Parameter

from instrumentserver import Server, start_server

_UPDATES: Final = 50_000
_PATIENCE: Final = 60.0
_SLEEPER: Final = """
import sys, threading
from instrumentserver import connect
source = connect(sys.argv[1]).instruments['source']

def sleep(update):
    print('asleep', flush=True)
    threading.Event().wait()

subscription = source.slept_on.subscribe(lossless=sys.argv[2] == 'lossless')
subscription.add_callback(sleep)
threading.Event().wait()
"""


class Source(Instrument):
    """An instrument with parameters that are watched, and one that is not."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        for each in ("watched", "slept_on", "unwatched"):
            self.add_parameter(each, get_cmd=None, set_cmd=None, initial_value=0)

    def burst(self, number: int) -> float:
        """Set ``watched`` again and again and return the time that it took, s."""
        watched = self.watched
        begun = time.perf_counter()
        for value in range(1, number + 1):
            watched.set(value)
        return time.perf_counter() - begun

    def added_by_hosting(self, turns: int, sets: int) -> float:
        """Return how much longer a set takes here than of an instrument's parameter that no server knows, s."""
        here = Source("here")
        spans: dict[str, list[float]] = {"here": [], "hosted": []}
        for turn in range(turns):
            pair = [("here", here.unwatched), ("hosted", self.unwatched)]
            for name, parameter in pair if turn % 2 else reversed(pair):
                spans[name].append(_time_sets(parameter, sets))
        here.close()
        # A neighbour on the machine can only slow a batch down.
        return min(spans["hosted"]) - min(spans["here"])

    def ratio_here(self, turns: int, sets: int) -> float:
        """Return how many times longer a driver's own set takes where somebody sleeps, dimensionless."""
        ratios = []
        for _ in range(turns):
            ratios.append(_time_sets(self.slept_on, sets) / _time_sets(self.unwatched, sets))
        return statistics.median(ratios)


def _time_sets(parameter: Parameter, sets: int) -> float:
    begun = time.perf_counter()
    for value in range(sets):
        parameter.set(value)
    return (time.perf_counter() - begun) / sets


@contextmanager
def source_on_server() -> Iterator[tuple[Server, Source]]:
    """Start a server with the instrument, and stop it afterwards."""
    server = start_server(f"watching{time.time_ns() % 10**9}", linger=5)
    try:
        yield server, server.create(Source, "source")  # type: ignore[misc]
    finally:
        server.stop()


@contextmanager
def sleeper(server: Server, kind: str) -> Iterator[None]:
    """Have another process subscribe with a callback that never returns; ``kind`` "newest" or "lossless"."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SLEEPER, server.name, kind], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "asleep\n"
        yield
    finally:
        process.kill()
        process.communicate()


def added_to_unwatched_set(source: Source) -> float:
    """Return how much longer the set of an unwatched parameter takes than of a local one, us."""
    return 1e6 * float(source.added_by_hosting(40, 500))


def ratio_beside_sleeper(source: Source, turns: int = 30, sets: int = 100) -> float:
    """Return how many times longer a remote set takes where somebody sleeps in a callback, dimensionless."""
    for value in range(3_000):
        source.slept_on(value)
    ratios = []
    for turn in range(turns):
        pair = [("slept_on", source.slept_on), ("unwatched", source.unwatched)]
        medians = {
            name: statistics.median(_spans(parameter, sets))
            for name, parameter in (pair if turn % 2 else reversed(pair))
        }
        ratios.append(medians["slept_on"] / medians["unwatched"])
    return statistics.median(ratios)


def _spans(parameter: Callable[..., Any], times: int) -> list[float]:
    spans = []
    for value in range(times):
        begun = time.perf_counter()
        parameter(value)
        spans.append(time.perf_counter() - begun)
    return spans


def updates_per_second(source: Source, *, subscribers: int = 1, updates: int = _UPDATES) -> float:
    """Return how many lossless updates reach each subscriber in a second from a driver's loop, 1/s."""
    done = [threading.Event() for _ in range(subscribers)]
    last: list[float] = []
    lost: list[int] = []
    source.watched(0)

    def receiver(number: int) -> Callable[[Any], None]:
        def receive(update: Any) -> None:
            if update.value == updates:
                last.append(time.perf_counter())
                done[number].set()

        return receive

    receivers = [receiver(number) for number in range(subscribers)]
    subscriptions = [source.watched.subscribe(lossless=True, queue=2 * updates) for _ in receivers]
    for subscription, receive in zip(subscriptions, receivers, strict=True):
        subscription.add_callback(receive)
    begun = time.perf_counter()
    source.burst(updates)
    for each in done:
        assert each.wait(_PATIENCE)
    for subscription in subscriptions:
        lost.append(subscription.dropped)
        subscription.close()
    assert lost == [0] * subscribers
    return updates / (max(last) - begun)


def latency_in_gets(source: Source, turns: int = 20, sets: int = 50) -> tuple[float, float]:
    """Return the time from a set to its callback: in gets of the same turn, dimensionless; and itself, us."""
    arrived = threading.Event()
    times = [0.0]

    def receive(update: Any) -> None:
        times[0] = time.perf_counter()
        arrived.set()

    subscription = source.watched.subscribe(lossless=True)
    subscription.add_callback(receive)
    assert arrived.wait(_PATIENCE)
    ratios, latencies = [], []
    for _ in range(turns):
        gets = statistics.median(_gets(source, sets))
        spans = []
        for value in range(sets):
            arrived.clear()
            begun = time.perf_counter()
            source.watched(value)
            assert arrived.wait(_PATIENCE)
            spans.append(times[0] - begun)
        latencies.append(statistics.median(spans))
        ratios.append(latencies[-1] / gets)
    subscription.close()
    return statistics.median(ratios), 1e6 * statistics.median(latencies)


def _gets(source: Source, times: int) -> list[float]:
    spans = []
    for _ in range(times):
        begun = time.perf_counter()
        source.unwatched()
        spans.append(time.perf_counter() - begun)
    return spans


def measure() -> dict[str, float]:
    """Return what one run finds, by name; blocks for about 10 s."""
    with source_on_server() as (server, source):
        found = {
            "us added to an unwatched set": added_to_unwatched_set(source),
            "updates/s to one subscriber": updates_per_second(source),
            "updates/s to each of ten subscribers": updates_per_second(source, subscribers=10, updates=5_000),
        }
        gets, latency = latency_in_gets(source)
        found |= {"gets from write to callback": gets, "us from write to callback": latency}
        for kind in ("newest", "lossless"):
            with sleeper(server, kind):
                found[f"x set beside a sleeping {kind} subscriber"] = ratio_beside_sleeper(source)
                found[f"x set in the driver beside a sleeping {kind} subscriber"] = float(
                    source.ratio_here(40, 500)
                )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1, help="rounds to measure (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        directory = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        folder = stack.enter_context(directory)
        stack.enter_context(mock.patch.dict(os.environ, INSTRUMENTSERVER_DIR=folder))
        rounds = [measure() for _ in range(options.rounds)]
    for found in rounds:
        print("   ".join(f"{name}: {value:.4g}" for name, value in found.items()))
    if options.json:
        options.json.write_text(json.dumps(rounds))


if __name__ == "__main__":
    main()
