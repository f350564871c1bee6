"""How the processes ended that this process started, and what they said last."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["describe_exit", "last_lines", "tail", "wait_for_exit", "watch_exit"]

_LAST_LINES: Final = 15
_CRASH_LINES: Final = 30
_MOST_LINES: Final = 200
_exit_codes: Final[dict[int, Callable[[], int | None]]] = {}


def watch_exit(pid: int, exit_code: Callable[[], int | None]) -> None:
    """Remember how to learn the exit code of a process, negative for the signal that killed it."""
    _exit_codes[pid] = exit_code


def describe_exit(pid: int) -> str:
    """Return how a process ended, "" if only another process could know."""
    read = _exit_codes.get(pid)
    code = read() if read is not None else None
    if code is None:
        return ""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def wait_for_exit(pid: int, timeout: float) -> bool:
    """Wait until a process of this user has ended; return whether it has within ``timeout`` seconds."""
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            # `select` would refuse descriptors over 1023.
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(max(0.0, timeout) * 1000))
        finally:
            os.close(handle)
    give_up = time.monotonic() + timeout
    while time.monotonic() < give_up:
        try:
            os.kill(pid, 0)
        except OSError:
            return True
        time.sleep(0.005)
    return False


def last_lines(log: Path) -> str:
    """Return the end of a log, from the beginning of a crash report on if there is one."""
    lines = tail(log, _MOST_LINES).splitlines()
    crashes = [number for number, line in enumerate(lines) if line.startswith("Fatal Python error")]
    shown = lines[crashes[-1] :][:_CRASH_LINES] if crashes else lines[-_LAST_LINES:]
    return "\n".join(shown)


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a file, "" if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 1_000 * max(0, lines)))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:]) if lines > 0 else ""
