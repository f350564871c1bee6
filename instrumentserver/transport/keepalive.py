"""Watching the line to another computer: a pulled cable, or a computer without power, says nothing by itself.

The system asks the other end for a sign of life while nothing is said, and gives up what is not acknowledged. Both
ends notice within the same time, also in the middle of a call, and a long call of which nothing is heard meanwhile
ends nothing: the other system answers for its process.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import sys
from contextlib import suppress
from typing import Final

from instrumentserver.errors import UsageError

__all__ = ["LINE_ERRORS", "checked_silence", "silence_from_environment", "watch_line"]

_LEAST: Final = 2.0
_LONGEST: Final = 3600.0
_USUAL_SILENCE: Final = 5.0
LINE_ERRORS: Final = frozenset(
    (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
)
"""How the system calls a line over which nothing comes any more."""
_VARIABLE: Final = "INSTRUMENTSERVER_LINE_TIMEOUT"


def silence_from_environment() -> float:
    """Return after how many seconds of silence a line counts as cut: ``$INSTRUMENTSERVER_LINE_TIMEOUT``, else 5.

    Raises:
        UsageError: The variable says no time from 2 s to 3600 s.
    """
    text = os.environ.get(_VARIABLE, "")
    try:
        return checked_silence(float(text)) if text else _USUAL_SILENCE
    except ValueError as error:
        raise UsageError(f"{_VARIABLE}={text!r} is no time; give seconds, 2 to 3600") from error


def checked_silence(seconds: float) -> float:
    """Return ``seconds`` after making sure that a line can be watched with them.

    Raises:
        UsageError: They are not from 2 s to 3600 s.
    """
    if not _LEAST <= seconds <= _LONGEST:
        raise UsageError(f"a line cannot count as cut after {seconds:g} s; give {_LEAST:g} to {_LONGEST:g} s")
    return float(seconds)


def watch_line(sock: socket.socket, silence: float) -> None:
    """Have a TCP connection end with an error once the other computer has been silent for a time.

    Args:
        sock: A connected TCP socket.
        silence: The time, seconds, 2 to 3600. Systems other than Linux may take up to twice as long.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Asked so often that an answer may be lost once.
    pause = max(1, int(silence // 5))
    if sys.platform == "win32":  # pragma: no cover
        sock.ioctl(socket.SIO_KEEPALIVE_VALS, (1, pause * 1000, pause * 1000))
        _set(sock, "TCP_MAXRT", math.ceil(silence), 5)
        return
    _set(sock, "TCP_KEEPIDLE", pause)
    _set(sock, "TCP_KEEPALIVE", pause)
    _set(sock, "TCP_KEEPINTVL", pause)
    _set(sock, "TCP_KEEPCNT", max(1, math.floor(silence / pause) - 1))
    # Linux: what was sent and is not acknowledged; it also takes the place of the count above. It is looked at only
    # when a question or a repetition is due: with 3.5 s a pulled cable was noticed after 4.9 s, with 3 s after 3.4 s.
    _set(sock, "TCP_USER_TIMEOUT", int(max(silence - 2 * pause, silence / 2) * 1000))
    if sys.platform == "darwin":  # pragma: no cover
        _set(sock, "TCP_RXT_CONNDROPTIME", math.ceil(silence), 0x80)


def _set(sock: socket.socket, name: str, value: int, number: int | None = None) -> None:
    """Set an option of TCP where the system has it."""
    option = getattr(socket, name, number)
    if option is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
