"""A Jupyter kernel as a user at a notebook has it: cells, their output, Ctrl-C, restart, completion."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.manager import KernelManager

__all__ = ["CellFailed", "Kernel"]

_CELL_SECONDS = 40.0


class CellFailed(Exception):
    """A cell raised.

    Attributes:
        name: The exception's class name.
        shown: The traceback that the notebook shows.
    """

    def __init__(self, name: str, text: str, shown: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.shown = shown


class Kernel:
    """A running kernel and the notebook at it.

    Args:
        folder: Its working directory; its connection and its IPython profile live there too.
    """

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(folder / "kernel.json")
        )
        env = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        self.manager.start_kernel(cwd=str(folder), env=env)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=_CELL_SECONDS)

    @property
    def process(self) -> psutil.Process:
        """The kernel's process."""
        return psutil.Process(self.manager.provisioner.pid)

    def run(self, code: str) -> str:
        """Run a cell and return what it shows: what it prints, then its result.

        Raises:
            CellFailed: The cell raised.
        """
        return self.finish(self.begin(code))

    def begin(self, code: str) -> str:
        """Run a cell without waiting for its end; `finish` takes what is returned."""
        return str(self.client.execute(textwrap.dedent(code).strip()))

    def finish(self, cell: str) -> str:
        """Wait for the end of a cell and return what it shows; see `run`."""
        reply: dict[str, Any] = {}
        while reply.get("parent_header", {}).get("msg_id") != cell:
            reply = self.client.get_shell_msg(timeout=_CELL_SECONDS)
        shown = self._shown(cell)
        content = reply["content"]
        if content["status"] != "ok":
            traceback = "\n".join(content.get("traceback", []))
            raise CellFailed(content.get("ename", "aborted"), content.get("evalue", ""), _plain(traceback))
        return shown

    def value(self, expression: str) -> Any:
        """Return the value of an expression of plain Python values."""
        return eval(self.run(expression), {"nan": float("nan")})

    def complete(self, code: str) -> list[str]:
        """Return what the Tab key offers at the end of ``code``."""
        reply = self.client.complete(code, reply=True, timeout=_CELL_SECONDS)
        return list(reply["content"]["matches"])

    def inspect(self, code: str) -> str:
        """Return what ``code?`` shows, as plain text."""
        reply = self.client.inspect(code, reply=True, timeout=_CELL_SECONDS)
        return _plain(reply["content"]["data"].get("text/plain", ""))

    def interrupt(self) -> None:
        """Press Ctrl-C, or the stop button."""
        self.manager.interrupt_kernel()

    def restart(self, *, now: bool) -> None:
        """Restart the kernel: in order, or by killing it at once."""
        self.manager.restart_kernel(now=now)
        self.client.wait_for_ready(timeout=_CELL_SECONDS)

    def close(self) -> None:
        """Shut the kernel down, as closing the notebook does."""
        self.manager.shutdown_kernel()
        self.client.stop_channels()

    def _shown(self, cell: str) -> str:
        shown = []
        while True:
            message = self.client.get_iopub_msg(timeout=_CELL_SECONDS)
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind == "execute_result":
                shown.append(content["data"]["text/plain"])
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(shown)


def _plain(text: str) -> str:
    """Return a text without its colours."""
    return re.sub("\x1b\\[[0-9;]*m", "", text)
