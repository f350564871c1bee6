"""What a live socket sends, as bytes, and what a live server reads in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from instrumentserver.errors import ProtocolError

__all__ = ["Message", "decode", "encode_points", "encode_reset"]

_RESET: Final = "RESET"
_LONGEST_NAME: Final = 200
_DEEPEST: Final = 16
"""How many lists and dicts a value may have inside one another."""
_NUMBERS: Final = frozenset((int, float))
_SIMPLE: Final = frozenset((int, float, bool, type(None)))


@dataclass(frozen=True)
class Message:
    """What one datagram says.

    Attributes:
        host: The computer that it names, None if it names none.
        points: Points ``(x, y)`` by codename.
        resets: Codenames whose points are to be forgotten.
    """

    host: str | None
    points: dict[str, tuple[float, Any]]
    resets: list[str]


def encode_points(host: str, points: Mapping[str, Sequence[Any]]) -> bytes:
    """Return the datagram with points ``(x, y)`` by codename, from the computer ``host``."""
    return json.dumps({"host": host, "data": points}).encode("utf-8")


def encode_reset(codenames: Iterable[str]) -> bytes:
    """Return the datagram that has the points of these codenames forgotten."""
    return json.dumps({"data": dict.fromkeys(codenames, _RESET)}).encode("utf-8")


def decode(datagram: bytes) -> Message:
    """Return what a datagram says, all of it or nothing.

    Raises:
        ProtocolError: It is none that a live socket sends, or has a name or a value that nobody could use: names are
            printable and at most 200 characters long, x is a number, and lists in y are at most 16 deep.
    """
    try:
        content = json.loads(datagram.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # With 64 kB of it the text would be of no use to anybody.
        raise ProtocolError(f"{datagram[:80]!r} is no JSON: {type(error).__name__}: {error!s:.80}") from None
    data = content.get("data") if type(content) is dict else None
    if type(data) is not dict:
        raise ProtocolError(f'{datagram[:80]!r} is no object with "data" that is an object')
    host = content.get("host")
    if host is not None:
        _check_name("host", host)
    points: dict[str, tuple[float, Any]] = {}
    resets: list[str] = []
    for codename, point in data.items():
        _check_name("codename", codename)
        if point == _RESET:
            resets.append(codename)
        else:
            points[codename] = _point(codename, point)
    if points and host is None:
        raise ProtocolError(f'{datagram[:80]!r} has points, but no "host" from which they are')
    return Message(host, points, resets)


def _check_name(kind: str, name: object) -> None:
    if not (type(name) is str and 0 < len(name) <= _LONGEST_NAME and name.isprintable()):
        raise ProtocolError(
            f"the {kind} {str(name)[:80]!r} is no printable text of 1 to {_LONGEST_NAME} characters"
        )


def _point(codename: str, point: Any) -> tuple[float, Any]:
    if type(point) is not list or len(point) != 2:
        raise ProtocolError(f"{codename!r} has {str(point)[:80]!r}, which is neither [x, y] nor {_RESET!r}")
    x, y = point
    if type(x) not in _NUMBERS or (type(x) is int and not _is_within_float(x)):
        raise ProtocolError(f"{codename!r} has the x {str(x)[:80]!r}, which is no number")
    if type(y) not in _SIMPLE and not _can_travel(y, _DEEPEST):
        raise ProtocolError(
            f"{codename!r} has a y that is nested deeper than {_DEEPEST}, or text that is no Unicode"
        )
    return x, y


def _is_within_float(number: int) -> bool:
    try:
        float(number)
    except OverflowError:
        return False
    return True


def _can_travel(value: Any, depth: int) -> bool:
    """Return whether a value of JSON can be sent on: JSON lets halves of surrogate pairs pass, which UTF-8 does not."""
    if type(value) is str:
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if type(value) is list:
        return depth > 0 and all(_can_travel(item, depth - 1) for item in value)
    if type(value) is dict:
        return depth > 0 and all(
            _can_travel(key, depth) and _can_travel(item, depth - 1) for key, item in value.items()
        )
    return True
