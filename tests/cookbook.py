"""TimeTaggerRPC's cookbook, run as its readers run it: each block of code a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["CREATOR", "NATIVE", "THREADS", "USER", "Reader", "reader"]

_BLOCKS: Final = [
    textwrap.dedent(block)
    for block in re.findall(
        r"^\.\. code(?:-block)?::.*\n\n((?:(?: {4}.*)?\n)+)",
        Path(__file__).with_suffix(".rst").read_text(),
        re.MULTILINE,
    )
]
CREATOR, USER, _FREE, THREADS = _BLOCKS

NATIVE: Final = {
    "from TimeTaggerRPC import client": "from instrumentserver import time_tagger_rpc as client",
    "from Pyro5.api import Proxy": "from instrumentserver import Proxy",
}
"""The lines that change for those who leave Pyro, and what they become."""

_PLACEHOLDER: Final = "PYRO:obj_b2d2c3cc61b8460d921dccededff8274@localhost:23000"
_STAY: Final = "import sys; print(end='', flush=True); sys.stdin.readline()"


class Reader:
    """A process that runs a block of the cookbook and stays afterwards, until it is told to end."""

    def __init__(
        self, code: str, *, replace: dict[str, str], uri: str = "", port: int | None = None, more: str = ""
    ) -> None:
        for line, other in replace.items():
            code = code.replace(line, other)
        if port is not None:
            # Who reads the cookbook has the default port; a test has a free one.
            defaults = ("localhost", port, "TimeTaggerRPC")
            code = f"from TimeTaggerRPC import client; client.createProxy.__defaults__ = {defaults}\n{code}"
        script = "\n".join([code.replace(_PLACEHOLDER, uri), more, _STAY])
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Return the next line that it prints; "" when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def end(self) -> str:
        """Let it end by itself; return what else it printed.

        Raises:
            AssertionError: It failed; the message is what it wrote to standard error.
        """
        out, errors = self.process.communicate("\n", timeout=20)
        assert self.process.returncode == 0, errors
        return out


@contextmanager
def reader(
    code: str,
    *,
    replace: dict[str, str] | None = None,
    uri: str = "",
    port: int | None = None,
    more: str = "",
) -> Iterator[Reader]:
    """Run a block of the cookbook.

    Args:
        code: The block.
        replace: Lines that become others.
        uri: What to write in place of the URI of the cookbook.
        port: The default port of the stock client's `createProxy`; None leaves it as it is.
        more: Code to run after it.
    """
    found = Reader(code, replace=replace or {}, uri=uri, port=port, more=more)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.communicate()
