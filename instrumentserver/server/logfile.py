"""The log file of a server: everything that it logs and prints, and its last words."""

from __future__ import annotations

import faulthandler
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Final

from .forwarding import CallLog, forward_warnings
from .output import CallOutput

__all__ = ["open_log"]

_LARGEST: Final = 5_000_000
_KEPT: Final = 3
_FORMAT: Final = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"


class _LogFile(logging.handlers.RotatingFileHandler):
    """A rotating file that also takes what goes to the process's standard output and error.

    C libraries print there, and `faulthandler` writes the stack of a crash there.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, maxBytes=_LARGEST, backupCount=_KEPT, encoding="utf-8", errors="backslashreplace"
        )
        self._redirect()

    def doRollover(self) -> None:
        """Begin a new file."""
        super().doRollover()
        self._redirect()

    def _redirect(self) -> None:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for standard in (1, 2):
            os.dup2(handle, standard)
        os.close(handle)


def open_log(path: Path) -> None:
    """Send everything that this process logs and prints into a file, which is rotated at 5 MB.

    Standard input becomes empty.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    handler = _LogFile(path)
    handler.setFormatter(logging.Formatter(_FORMAT))
    # A client may ask for more, but for itself.
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    root.handlers = [handler, CallLog()]
    root.setLevel(logging.INFO)
    forward_warnings()
    faulthandler.enable(file=2)
    for name, standard in (("stdout", 1), ("stderr", 2)):
        stream = open(  # noqa: SIM115  (open for the life of the process)
            standard, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, CallOutput(stream, to_error=name == "stderr"))
