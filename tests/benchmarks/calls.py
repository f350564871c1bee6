"""Time single calls: instrumentserver, plain QCoDeS, and peers, all in one run.

    python tests/benchmarks/calls.py --rounds 20 --calls 200 --json calls.json

The speed of a machine drifts by more than the differences of interest. So every round times a short batch of
every contestant, in rotating order, and ratios are taken within a round: compare ratios, not microseconds.

Rows without a name in front are instrumentserver's. Its get and set go through the whole of QCoDeS (limits,
cache, timestamp), over a socket file where the system has them. Peers call a bare method that keeps a float,
over loopback TCP. "local" is QCoDeS in this process.
"""

import argparse
import faulthandler
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from contenders import local_contestants, served_contestants
from contestant import CAN_PIN, Contestant, on_one_core
from peers import PEERS, RAW, connect

WARM_UP: Final = 10
"""Untimed calls before each batch, at most: the contestant's server has slept since its last one."""

TIME_LIMIT: Final = 900.0
"""A script that takes longer is ended with a traceback, and its servers with it, seconds."""


@dataclass(frozen=True)
class Row:
    """The figures of one contestant."""

    name: str
    over: str
    """What the call crosses: 'unix', 'tcp' or '-' for nothing."""
    median: float
    """Microseconds, over all timed calls."""
    p99: float
    """Microseconds, over all timed calls."""
    ratio: float
    """Median over the rounds of (median call / median raw echo of the same round), dimensionless."""
    calls: int
    """Timed calls in all rounds."""


@dataclass(frozen=True)
class Results:
    """What one run measured, and on what."""

    platform: str
    cores: int | None
    versions: dict[str, str]
    one_core: bool
    """Both ends of every call ran on one core."""
    rounds: int
    rows: tuple[Row, ...]
    skipped: tuple[str, ...]
    """One note per peer that could not be measured."""

    def ratio(self, name: str) -> float:
        """Return how many raw echoes one call takes, dimensionless; `name` as in the table, e.g. 'Pyro5 set'.

        Raises:
            KeyError: It was not measured; the message lists what was.
        """
        ratios = {row.name: row.ratio for row in self.rows}
        if name not in ratios:
            raise KeyError(f"{name!r} was not measured; choose one of {', '.join(ratios)}")
        return ratios[name]

    def table(self) -> str:
        """Return the results as lines of text, at most 100 characters wide."""
        versions = [f"{package} {version}" for package, version in self.versions.items()]
        lines = [
            ", ".join(versions[:3]),
            f"{self.cores} cores ({'one' if self.one_core else 'any'} used per call), {self.platform}",
            *([", ".join(versions[3:])] if versions[3:] else []),
            *(f"skipped: {note}" for note in self.skipped),
            "",
            f"{'call':<16}{'over':<6}{'median us':>12}{'p99 us':>12}{'x raw echo':>12}{'calls':>9}",
        ]
        for row in self.rows:
            lines.append(
                f"{row.name:<16}{row.over:<6}{row.median:>12.1f}{row.p99:>12.1f}{row.ratio:>12.2f}{row.calls:>9}"
            )
        return "\n".join(lines)


def run(rounds: int, calls: int, *, peers: bool, one_core: bool = True) -> Results:
    """Measure every contestant, blocking for about rounds * calls * 2 ms plus 10 s.

    Processes, sockets and files of the run are gone when it returns or raises.

    Args:
        rounds: Rounds to measure, at least 1.
        calls: Timed calls per round and contestant, at least 1; slow calls run less often.
        peers: Measure other packages too, whichever are installed.
        one_core: Run both ends of every call on one core (Linux only), which makes ratios repeatable.

    Raises:
        RuntimeError: A server did not start, or a call returned a wrong value.
    """
    one_core = one_core and CAN_PIN
    packages = [package for package in PEERS if peers and _is_installed(package)]
    with ExitStack() as stack:
        # Servers that have just been told to stop may still write to their logs.
        directory = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(directory))
        server, served = served_contestants(folder, stack)
        if one_core:
            stack.enter_context(on_one_core(server))
        # Served calls next to the echo: little time passes between the two sides of the ratios that matter.
        contestants = [*connect(RAW, folder, stack), *served, *local_contestants(stack)]
        for package in packages:
            contestants += connect(package, folder, stack)
        rows = _rows(contestants, _measure(contestants, rounds, calls))
    return Results(
        platform=platform.platform(),
        cores=os.cpu_count(),
        versions={"Python": platform.python_version()}
        | {package: metadata.version(package) for package in ("qcodes", "numpy", *packages)},
        one_core=one_core,
        rounds=rounds,
        rows=rows,
        skipped=tuple(f"{name} is not installed" for name in PEERS if peers and name not in packages),
    )


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _measure(contestants: Sequence[Contestant], rounds: int, calls: int) -> list[list[list[int]]]:
    """Return nanoseconds by contestant, round and call."""
    for contestant in contestants:
        answer = contestant.call()
        if not contestant.check(answer):
            raise RuntimeError(f"{contestant.name}: wrong answer {answer!r:.200}; nothing was measured")
    spans: list[list[list[int]]] = [[] for _ in contestants]
    for turn in range(rounds):
        for place in range(len(contestants)):
            index = (turn + place) % len(contestants)
            contestant = contestants[index]
            spans[index].append(_batch(contestant.call, max(1, calls // contestant.share)))
    return spans


def _batch(call: Callable[[], object], calls: int) -> list[int]:
    """Return the nanoseconds of each call; about 0.1 us of each is the clock's own."""
    for _ in range(min(calls, WARM_UP)):
        call()
    clock = time.perf_counter_ns
    spans = []
    for _ in range(calls):
        begin = clock()
        call()
        spans.append(clock() - begin)
    return spans


def _rows(contestants: Sequence[Contestant], spans: list[list[list[int]]]) -> tuple[Row, ...]:
    """Return the figures of each contestant; the first one is the raw echo."""
    medians = np.array([[np.median(batch) for batch in batches] for batches in spans])
    ratios = np.median(medians / medians[0], axis=1)
    rows = []
    for contestant, batches, ratio in zip(contestants, spans, ratios, strict=True):
        every = np.concatenate(batches) / 1000
        median, p99 = np.percentile(every, (50, 99))
        rows.append(
            Row(contestant.name, contestant.over, float(median), float(p99), float(ratio), every.size)
        )
    return tuple(rows)


def main(arguments: Sequence[str] | None = None) -> Results:
    """Run the benchmark as the command line asks, print its table, and return the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="rounds to measure (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=200, help="calls per batch (default: %(default)s)")
    parser.add_argument("--no-peers", action="store_true", help="leave the other packages out")
    parser.add_argument("--any-core", action="store_true", help="let the system place the two ends of a call")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.calls < 1:
        parser.error("--rounds and --calls must be at least 1")
    faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
    try:
        results = run(
            options.rounds, options.calls, peers=not options.no_peers, one_core=not options.any_core
        )
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(results.table())
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
