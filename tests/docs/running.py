"""Running pages: as users' scripts, or typed into a Jupyter notebook."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from kernels import CellFailed, Kernel

from instrumentserver import list_servers

from .pages import MARK, Block, Page, PageFailed, compare

__all__ = ["run_in_kernel", "run_page", "run_together"]

_SCRIPT_SECONDS: Final = 55.0
_CALL_SECONDS: Final = 20.0
_END: Final = "\x1d"
"""Printed at the end of each script of several."""

_ONE_AFTER_THE_OTHER: Final = f"""
import gc, os, runpy, sys
for script in sys.argv[1:]:
    os.chdir(os.path.dirname(script))
    runpy.run_path(script, run_name="__main__")
    gc.collect()  # frees the names of its instruments
    print({_END!r}, flush=True)
"""


def run_page(page: Page, folder: Path) -> None:
    """Run the blocks of a page in order in a fresh process.

    Args:
        page: The page.
        folder: An empty folder, the working directory of the process.

    Raises:
        PageFailed: A block failed, or printed something else than the page says.
    """
    if page.in_kernel:
        run_in_kernel(page, folder)
        return
    script = _write_script(page, folder)
    code, printed = _run([script.name], folder)
    _check(page, printed, code)


def run_together(pages: Sequence[Page], folder: Path) -> dict[str, str]:
    """Run several pages one after the other in one process, each as a script in a folder of its own.

    Returns:
        What is wrong, by the name of the page, "" for nothing; a page after one that failed did not run.
    """
    scripts = []
    for number, page in enumerate(pages):
        own = folder / str(number)
        own.mkdir()
        scripts.append(str(_write_script(page, own)))
    code, printed = _run(["-c", _ONE_AFTER_THE_OTHER, *scripts], folder)
    texts = printed.split(f"{_END}\n")[: len(pages)]
    outcomes = {page.name: f"{page.name}: a page before this one failed" for page in pages}
    for page, text in zip(pages, texts, strict=False):
        try:
            _check(page, text, code if text is texts[-1] else 0)
            outcomes[page.name] = ""
        except PageFailed as failure:
            outcomes[page.name] = str(failure)
    return outcomes


def _write_script(page: Page, folder: Path) -> Path:
    script = folder / f"{Path(page.name).stem}.py"
    script.write_text(page.script(), "utf-8")
    return script


def _run(arguments: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run Python; return its exit code, and what it printed on both streams."""
    done = subprocess.run(
        [sys.executable, "-u", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"},
        timeout=_SCRIPT_SECONDS,
    )
    return done.returncode, done.stdout


def _check(page: Page, printed: str, code: int) -> None:
    """Make sure that a script printed what its page says, to the end.

    Raises:
        PageFailed: It did not.
    """
    blocks = [block for block in page.blocks if block.runs]
    *texts, rest = printed.split(f"{MARK}\n")
    for block, text in zip(blocks, texts, strict=False):
        compare(page, block, text)
    if len(texts) < len(blocks):
        raise PageFailed(f"{page.name}:{blocks[len(texts)].line}: this block failed\n{rest}")
    if code:
        raise PageFailed(f"{page.name}: the script ended with exit code {code}\n{rest}")


def run_in_kernel(page: Page, folder: Path) -> None:
    """Run a page as cells of a notebook; see `run_page`."""
    names = sorted({_notebook(block) for block in page.blocks})
    with ExitStack() as stack:
        kernels = {}
        for number, name in enumerate(names):
            own = folder / f"kernel{number}"
            own.mkdir()
            kernels[name] = kernel = Kernel(own)
            stack.callback(_end, kernel)
        for block in page.blocks:
            kernel = kernels[_notebook(block)]
            if block.flag == "restart":
                kernel.restart(now=False)
            elif block.runs:
                compare(page, block, _run_cell(page, block, kernel))


def _end(kernel: Kernel) -> None:
    """End a kernel at once: in order, it would take a second."""
    kernel.manager.shutdown_kernel(now=True)
    kernel.client.stop_channels()


def _notebook(block: Block) -> str:
    """Return the name of the notebook that a block is typed into, "" for the first."""
    return block.flag.partition("notebook=")[2]


def _run_cell(page: Page, block: Block, kernel: Kernel) -> str:
    try:
        cell = kernel.begin(block.code)
        if block.flag == "interrupt":
            _wait_for_a_call(page, block)
            kernel.interrupt()
        shown = kernel.finish(cell)
    except CellFailed as error:
        if block.flag == "raises":
            return error.shown
        if block.flag == "interrupt" and error.name == "KeyboardInterrupt":
            return "KeyboardInterrupt"
        raise PageFailed(f"{page.name}:{block.line}: this block failed\n{error.shown}") from None
    if block.flag in ("raises", "interrupt"):
        raise PageFailed(f"{page.name}:{block.line}: this block ended without an error\n{shown}")
    return shown


def _wait_for_a_call(page: Page, block: Block) -> None:
    """Wait until a server is at work for a notebook."""
    event, give_up = threading.Event(), time.monotonic() + _CALL_SECONDS
    while not any(_works(server.status()) for server in list_servers()):
        if time.monotonic() > give_up:
            raise PageFailed(f"{page.name}:{block.line}: no server began to work for this block")
        event.wait(0.01)


def _works(status: dict[str, list[dict[str, object]]]) -> bool:
    return any(call["state"] == "running" for call in status["calls"])
