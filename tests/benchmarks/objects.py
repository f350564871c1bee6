"""Time what users do with objects of a server: instrumentserver and its peers, all in one run.

    python tests/benchmarks/objects.py --rounds 5 --json objects.json

Every round times a short batch of each peer, in rotating order, and ratios are taken within a round: a neighbour on
the machine slows both sides. What a peer does, and over what, is in `object_peers`: each at its best.

    call         a method that returns a small integer, us
    attribute    a property that is a small integer, us
    4 MB array   a method that returns a float64 array of 500,000 points, ms; asked of ours was a tenth of what
                 Pyro5 takes with msgpack, reached is an eighth (tcp) and a fifth (unix): one copy is 0.27 ms of 0.39
    1000 objects made by calls and dropped at once, until the server has none of them any more, ms
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from unittest import mock

import bench_sdk
import numpy as np
from contestant import CAN_PIN, LOCAL, on_one_core
from object_peers import PEERS, Subject, connect

from instrumentserver import Server, start_server
from instrumentserver import connect as connect_server
from instrumentserver.transport.keys import ServerKeys

OBJECTS: Final = 1000

TIME_LIMIT: Final = 600.0
"""A script that takes longer is ended with a traceback, and its servers with it, seconds."""

_WARM_UP: Final = 3
_PATIENCE: Final = 30.0


@dataclass(frozen=True)
class Kind:
    """One thing that is timed."""

    name: str
    calls: int
    """Timed calls in each round."""
    slow_calls: int
    """The same, of a peer that is slow at it."""
    begin: Callable[[Subject], Callable[[], Any]]
    """Returns what is timed."""
    check: Callable[[Any], bool]
    """Says whether it returned what it must: a fast wrong answer is no result."""


@dataclass(frozen=True)
class Row:
    """How long one peer takes for one thing."""

    name: str
    over: str
    kind: str
    best: float
    """Microseconds."""
    median: float
    """Microseconds."""
    ratio: float
    """Median over the rounds of (median of this / median of the first peer in the same round), dimensionless."""


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

    def table(self) -> str:
        """Return the results as lines of text, at most 110 characters wide."""
        versions = ", ".join(f"{package} {version}" for package, version in self.versions.items())
        kinds = list(dict.fromkeys(row.kind for row in self.rows))
        lines = [
            versions,
            f"{self.cores} cores ({'one' if self.one_core else 'any'} used per call), {self.platform}",
            *(f"skipped: {note}" for note in self.skipped),
            "",
            f"{'median, x the first':<24}{'over':<6}" + "".join(f"{kind:>20}" for kind in kinds),
        ]
        for name, over in dict.fromkeys((row.name, row.over) for row in self.rows):
            cells = {row.kind: row for row in self.rows if (row.name, row.over) == (name, over)}
            lines.append(f"{name:<24}{over:<6}" + "".join(_cell(cells[kind]) for kind in kinds))
        return "\n".join(lines)


def run(rounds: int, *, peers: Sequence[str], one_core: bool = True) -> Results:
    """Measure all, blocking for about rounds * 2 s plus 5 s.

    Processes, sockets and files of the run are gone when it returns or raises.

    Args:
        rounds: Rounds to measure, at least 1.
        peers: Which of `PEERS` to measure, too, those that are installed.
        one_core: Run both ends of every call on one core (Linux only), which makes ratios repeatable.

    Raises:
        RuntimeError: A server did not start, or a call returned a wrong value.
    """
    one_core = one_core and CAN_PIN
    missing = {name: [each for each in PEERS[name].packages if not _version(each)] for name in peers}
    with ExitStack() as stack:
        # Servers that have just been told to stop may still write to their logs.
        directory = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(directory))
        stack.enter_context(mock.patch.dict(os.environ, INSTRUMENTSERVER_DIR=str(folder)))
        server = start_server("bench", linger=0, listen="tls://127.0.0.1:0")
        stack.callback(server.stop)
        server.serve("bench_sdk", "sdk")
        (address,) = (each for each in server.addresses if each.startswith("tls:"))
        afar = connect_server(address, token=ServerKeys("bench").token("admin"))
        if one_core:
            stack.enter_context(on_one_core(server.pid))
        subjects = [_served(server, LOCAL), _served(afar, "tls")]
        subjects += [connect(name, folder, stack) for name in peers if not missing[name]]
        rows = [row for kind in KINDS for row in _rows(kind, subjects, rounds)]
    packages = ("numpy", *dict.fromkeys(each for name in peers for each in PEERS[name].packages))
    return Results(
        platform=platform.platform(),
        cores=os.cpu_count(),
        versions={"Python": platform.python_version()}
        | {each: _version(each) for each in packages if _version(each)},
        one_core=one_core,
        rounds=rounds,
        rows=tuple(rows),
        skipped=tuple(f"{name} needs {', '.join(lacks)}" for name, lacks in missing.items() if lacks),
    )


def _served(server: Server, over: str) -> Subject:
    """Return what to time of a server of ours."""
    library: Any = server.objects["sdk"]
    tagger = library.createTimeTagger()
    counter = library.Counter(tagger)
    make, living = library.Counter, tagger.getLiving
    return Subject(
        name="instrumentserver",
        over=over,
        call=counter.getBins,
        attribute=lambda: counter.size,
        array=tagger.getTrace,
        create=lambda: make(tagger),
        drop=list.clear,
        living=living,
    )


def _objects(subject: Subject) -> Callable[[], int]:
    """Return what makes and drops objects, and returns how many were there in between."""

    def make_and_drop() -> int:
        before = subject.living()
        made = [subject.create() for _ in range(OBJECTS)]
        most = subject.living() - before
        subject.drop(made)
        made.clear()
        give_up = time.monotonic() + _PATIENCE
        while (left := subject.living() - before) > 0:
            if time.monotonic() > give_up:
                raise RuntimeError(f"{subject.name} still has {left} objects that were dropped")
            time.sleep(0.0005)
        return most

    return make_and_drop


def _is_trace(array: np.ndarray) -> bool:
    return array.dtype == np.float64 and np.array_equal(array, bench_sdk.trace())


KINDS: Final = (
    Kind("call", 300, 300, lambda subject: subject.call, lambda value: value == bench_sdk.ANSWER),
    Kind("attribute", 300, 300, lambda subject: subject.attribute, lambda value: value == bench_sdk.ANSWER),
    Kind("4 MB array", 20, 3, lambda subject: subject.array, _is_trace),
    Kind("1000 objects", 1, 1, _objects, lambda most: most == OBJECTS),
)


def _rows(kind: Kind, subjects: Sequence[Subject], rounds: int) -> list[Row]:
    """Return how long each peer takes, relative to the first one."""
    calls = [kind.begin(subject) for subject in subjects]
    for subject, call in zip(subjects, calls, strict=True):
        answer = call()
        if not kind.check(answer):
            raise RuntimeError(f"{subject.name}: {kind.name} returned {answer!r:.200}; nothing was measured")
    spans: list[list[list[float]]] = [[] for _ in subjects]
    for turn in range(rounds):
        for place in range(len(subjects)):
            index = (turn + place) % len(subjects)
            number = kind.slow_calls if subjects[index].is_slow else kind.calls
            spans[index].append(_batch(calls[index], number))
    medians = [[statistics.median(batch) for batch in batches] for batches in spans]
    return [
        Row(
            subject.name,
            subject.over,
            kind.name,
            min(map(min, batches)),
            statistics.median([span for batch in batches for span in batch]),
            statistics.median(mine / first for mine, first in zip(each, medians[0], strict=True)),
        )
        for subject, batches, each in zip(subjects, spans, medians, strict=True)
    ]


def _batch(call: Callable[[], Any], number: int) -> list[float]:
    """Return the microseconds of each call; about 0.1 us of each is the clock's own."""
    for _ in range(min(number - 1, _WARM_UP)):
        call()
    clock = time.perf_counter_ns
    spans = []
    for _ in range(number):
        begin = clock()
        call()
        spans.append((clock() - begin) / 1000)
    return spans


def _cell(row: Row) -> str:
    is_short = row.kind in ("call", "attribute")
    time_ = f"{row.median:.1f} us" if is_short else f"{row.median / 1000:.2f} ms"
    return f"{time_:>12}{f'{row.ratio:.2f}x':>8}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def main(arguments: Sequence[str] | None = None) -> Results:
    """Run the benchmark as the command line asks, print its table, and return the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds to measure (default: %(default)s)")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=list(PEERS),
        default=list(PEERS),
        help="which to measure, too (default: all)",
    )
    parser.add_argument("--any-core", action="store_true", help="let the system place the two ends of a call")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
    try:
        results = run(options.rounds, peers=options.peers, one_core=not options.any_core)
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(results.table())
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
