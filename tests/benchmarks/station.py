"""Time the snapshot of a station whose instruments live on servers of their own.

    python tests/benchmarks/station.py --servers 10 --rounds 30 --json station.json

Every round takes one snapshot of each station, in turn, without reading hardware: instrumentserver's, which asks all
servers at once; QCoDeS's own, which asks for one instrument after the other; and one of local instruments.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from contenders import BANK_SIZE, BenchBank
from qcodes.station import Station as QcodesStation

from instrumentserver import Station, start_server


@dataclass(frozen=True)
class Row:
    """The figures of one station."""

    name: str
    best: float
    """Milliseconds."""
    median: float
    """Milliseconds."""


@dataclass(frozen=True)
class Results:
    """What one run measured, and on what."""

    platform: str
    cores: int | None
    versions: dict[str, str]
    servers: int
    """Each with one instrument of BANK_SIZE parameters."""
    rounds: int
    rows: tuple[Row, ...]

    def table(self) -> str:
        """Return the results as lines of text, at most 100 characters wide."""
        versions = ", ".join(f"{package} {version}" for package, version in self.versions.items())
        lines = [
            f"{versions}, {self.cores} cores, {self.platform}",
            f"{self.servers} instruments of {BANK_SIZE} parameters each, {self.rounds} rounds",
            "",
            f"{'snapshot of':<40}{'best ms':>12}{'median ms':>12}",
            *(f"{row.name:<40}{row.best:>12.2f}{row.median:>12.2f}" for row in self.rows),
        ]
        return "\n".join(lines)


def run(servers: int, rounds: int) -> Results:
    """Measure every station, blocking for about rounds * servers * 4 ms plus 2 s.

    Processes, sockets and files of the run are gone when it returns or raises.

    Args:
        servers: Servers with one instrument each, at least 1.
        rounds: Snapshots of each station, at least 1.

    Raises:
        RuntimeError: A snapshot is not complete.
    """
    with ExitStack() as stack:
        # Servers that have just been told to stop may still write to their logs.
        directory = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        folder = stack.enter_context(directory)
        stack.enter_context(mock.patch.dict(os.environ, INSTRUMENTSERVER_DIR=folder))
        local, remote = [], []
        for number in range(servers):
            server = start_server(f"bench{number}", linger=0)
            stack.callback(server.stop)
            remote.append(server.create(BenchBank, f"bank{number}"))
            local.append(BenchBank(f"local{number}"))
            stack.callback(local[-1].close)
        stations: dict[str, Any] = {
            "instrumentserver's station": Station(*remote, default=False),
            "QCoDeS's station, same instruments": QcodesStation(*remote, default=False),
            "QCoDeS's station, local instruments": QcodesStation(*local, default=False),
        }
        spans: dict[str, list[float]] = {name: [] for name in stations}
        for _ in range(rounds):
            for name, station in stations.items():
                begin = time.perf_counter()
                snapshot = station.snapshot(update=False)
                spans[name].append(1000 * (time.perf_counter() - begin))
                _check(name, snapshot, servers)
    return Results(
        platform=platform.platform(),
        cores=os.cpu_count(),
        versions={"Python": platform.python_version(), "qcodes": metadata.version("qcodes")},
        servers=servers,
        rounds=rounds,
        rows=tuple(Row(name, min(times), float(np.median(times))) for name, times in spans.items()),
    )


def _check(name: str, snapshot: dict[str, Any], servers: int) -> None:
    """Make sure that everything is there: a fast snapshot with holes is no result."""
    found = [len(instrument["parameters"]) for instrument in snapshot["instruments"].values()]
    # The identity that every instrument has comes on top.
    if found != [BANK_SIZE + 1] * servers:
        raise RuntimeError(f"the snapshot of {name} has {found} parameters; nothing was measured")


def main(arguments: Sequence[str] | None = None) -> Results:
    """Run the benchmark as the command line asks, print its table, and return the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=10, help="servers to start (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="rounds to measure (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args(arguments)
    if options.servers < 1 or options.rounds < 1:
        parser.error("--servers and --rounds must be at least 1")
    results = run(options.servers, options.rounds)
    print(results.table())
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
