"""What a driver prints during a call goes to the caller, as well as into the log file.

QCoDeS's ``connect_message`` and many drivers tell their user things with `print`; the user sits at the client.
"""

from __future__ import annotations

import io
import threading
from typing import Any, Final, TextIO

__all__ = ["CallOutput", "Collected", "collect_printed", "collected"]

_MOST_CHARACTERS: Final = 1 << 18
"""What one call may tell its caller beside its result."""


class Collected(list[list[Any]]):
    """What a call prints, logs and warns of: pairs of kind and content.

    The kind is False for text that was printed, True for text that was printed to stderr; others
    are given in `instrumentserver.server.forwarding`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._characters = 0
        self._lost = 0

    def add(self, kind: bool | str, content: Any, size: int) -> None:
        """Keep something of about ``size`` characters, unless there is too much already."""
        self._characters += size
        if self._characters > _MOST_CHARACTERS:
            # What was lost is told at the end.
            if self._lost:
                self.pop()
            self._lost += 1
            self.append([True, f"... and {self._lost} more lines, which are in the server's log\n"])
        else:
            self.append([kind, content])

    def forget(self) -> None:
        """Be empty."""
        self.clear()
        self._characters = self._lost = 0

    def take(self) -> list[list[Any]] | None:
        """Return everything, None for nothing, and be empty."""
        taken = list(self) or None
        self.forget()
        return taken


class _Thread(threading.local):
    collected: Collected | None = None


_thread: Final = _Thread()


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
        kept = _thread.collected
        if kept is not None:
            kept.add(self._to_error, text, len(text))
        return self._log.write(text)

    def flush(self) -> None:
        """Flush the log file's stream."""
        self._log.flush()

    def fileno(self) -> int:
        """Return the descriptor of the log file's stream."""
        return self._log.fileno()


def collect_printed() -> Collected:
    """Begin to keep what this thread prints, logs and warns of, in the list that is returned."""
    _thread.collected = Collected()
    return _thread.collected


def collected() -> Collected | None:
    """Return what this thread keeps, None for a thread that works for nobody."""
    return _thread.collected
