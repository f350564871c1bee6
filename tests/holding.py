"""What tests of served objects ask for: who holds what, and when."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from instrumentserver import Server

__all__ = ["Scripts", "held", "until"]

TESTS = str(Path(__file__).parent)


def held(server: Server) -> dict[str, int]:
    """Return by how many clients each object is held, but for roots."""
    return {
        entry["path"]: len(entry["holders"]) for entry in server.proxies() if entry["path"].startswith("@")
    }


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what a condition returns as soon as it is true; what is let go of is told a moment later."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.002)
    return found


class Scripts:
    """Runs other processes, each with a script of its own; none is left at the end."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._started:
            self.kill(process)

    def run(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Return a process that runs a script; `Proxy` and `sys` are there."""
        head = f"import sys; sys.path.insert(0, {TESTS!r})\nfrom instrumentserver import Proxy\n"
        process = subprocess.Popen(
            [sys.executable, "-c", head + textwrap.dedent(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def ask(self, process: subprocess.Popen[str], line: str = "") -> str:
        """Say a line to a process, if there is one to say, and return the next line that it says."""
        assert process.stdin is not None and process.stdout is not None
        if line:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        return process.stdout.readline().rstrip("\n")

    def end(self, process: subprocess.Popen[str]) -> None:
        """Say an empty line to a process, and wait for its end."""
        process.communicate("\n", timeout=20)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """End a process at once."""
        process.kill()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
