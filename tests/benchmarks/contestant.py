"""What the benchmark measures: a contestant, and the server process behind it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LOCAL: Final = "unix" if hasattr(socket, "AF_UNIX") else "tcp"
"""How processes of one machine talk here: over a socket file, or loopback where there are none."""

CAN_PIN: Final = hasattr(os, "sched_setaffinity")

START_LIMIT: Final = 30.0
"""Longest wait for a server process to tell its address, seconds."""

STOP_LIMIT: Final = 5.0
"""Longest wait for a server process to end by itself before it is killed, seconds."""


@dataclass(frozen=True)
class Contestant:
    """One kind of call, ready to be timed."""

    name: str
    over: str
    """What the call crosses: 'unix', 'tcp' or '-' for nothing."""
    call: Callable[[], Any]
    check: Callable[[Any], bool]
    """Says whether the call returned what it must: a fast wrong answer is no result."""
    share: int = 1
    """A slow call runs 1/share as often as the others, dimensionless."""


def get_and_set(
    name: str, over: str, get: Callable[[], float], set_: Callable[[float], Any]
) -> list[Contestant]:
    """Return the two contestants of anything that holds one float; set it to 1.5, which both use."""
    set_(1.5)
    return [
        Contestant(f"{name} get".strip(), over, get, lambda value: value == 1.5),
        Contestant(f"{name} set".strip(), over, lambda: set_(1.5), lambda value: value is None),
    ]


@contextmanager
def on_one_core(server: int) -> Iterator[None]:
    """Hold this thread, the processes it starts, and a running server on one core; CAN_PIN must be true.

    Left alone, the scheduler puts the two ends of a call on one core in one round and on two in the next: the
    raw echo takes 11 us or 40 us on the same machine, and a ratio across rounds means nothing.
    """
    threads = [int(thread) for thread in os.listdir(f"/proc/{server}/task")]
    allowed = os.sched_getaffinity(0)
    for thread in (0, *threads):
        os.sched_setaffinity(thread, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def server_process(script: Path, *arguments: str) -> Iterator[str]:
    """Run a server script and yield the address that it prints as its first line.

    The script must end when its standard input does: so no server outlives this process, however it ends.

    Raises:
        RuntimeError: No address within START_LIMIT. The process has been killed.
    """
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C is the benchmark's; the server ends with its standard input, without a traceback.
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    overdue = threading.Timer(START_LIMIT, process.kill)
    overdue.start()
    try:
        address = process.stdout.readline().strip()
        overdue.cancel()
        if not address:
            command = " ".join((script.name, *arguments))
            raise RuntimeError(
                f"{command} told no address within {START_LIMIT:g} s; see its error output above"
            )
        yield address
    finally:
        overdue.cancel()
        process.stdin.close()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
