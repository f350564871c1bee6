"""What a driver prints during a call goes to the caller, as well as into the log file.

QCoDeS's ``connect_message`` and many drivers tell their user things with `print`; the user sits at the client.
"""

from __future__ import annotations

import io
import threading
from typing import Final, TextIO

__all__ = ["CallOutput", "collect_printed", "take_printed"]

_MOST_CHARACTERS: Final = 1 << 16


class _Printed(threading.local):
    parts: list[list[object]] | None = None


_printed: Final = _Printed()


class CallOutput(io.TextIOBase):
    """Stands for ``sys.stdout`` or ``sys.stderr`` in a server process.

    Args:
        log: The stream that goes into the log file.
        to_error: Whether this is ``sys.stderr``.
    """

    def __init__(self, log: TextIO, *, to_error: bool) -> None:
        super().__init__()
        self._log = log
        self._to_error = to_error

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write to the log file, and keep the text for the caller if a call is under way in this thread."""
        parts = _printed.parts
        if parts is not None and sum(len(str(part[1])) for part in parts) < _MOST_CHARACTERS:
            parts.append([self._to_error, text])
        return self._log.write(text)

    def flush(self) -> None:
        """Flush the log file's stream."""
        self._log.flush()

    def fileno(self) -> int:
        """Return the descriptor of the log file's stream."""
        return self._log.fileno()


def collect_printed() -> list[list[object]]:
    """Begin to keep what this thread prints, in the list that is returned."""
    parts: list[list[object]] = []
    _printed.parts = parts
    return parts


def take_printed(parts: list[list[object]]) -> list[list[object]] | None:
    """Empty the list of `collect_printed`; return pairs of "is it for stderr" and text, None for nothing."""
    if not parts:
        return None
    taken = parts[:]
    parts.clear()
    return taken
