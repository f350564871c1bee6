"""Errors and answers as text that fits into a datagram."""

from __future__ import annotations

from typing import Final

__all__ = ["ascii_text", "one_line"]

_LONGEST: Final = 900
"""Clients of the field read 1024 bytes."""


def one_line(what: BaseException | str) -> str:
    """Return what an error says, or a text, as one line of ASCII of at most 900 characters."""
    try:
        text = what if isinstance(what, str) else _said(what)
    except Exception as broken:  # noqa: BLE001 - a driver's __str__ may fail in any way
        text = f"{type(what).__name__} whose text cannot be shown: {type(broken).__name__}"
    # Clients anywhere need no log of the server's.
    text = text.partition("; the end of its log")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = ascii_text(lines[0] if lines else type(what).__name__)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def ascii_text(text: str) -> str:
    """Return a text with escapes in place of what is not ASCII, which has no form in this protocol."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


def _said(error: BaseException) -> str:
    """Return an error's text; one of several texts, as QCoDeS makes them, as these in a row."""
    if type(error).__str__ is not BaseException.__str__ or len(error.args) < 2:
        return str(error)
    if not all(isinstance(part, str) for part in error.args):
        return str(error)
    # QCoDeS adds at last what it was doing, which the reader knows.
    return "; ".join(part for part in error.args if not part.startswith(("getting ", "setting ")))
