"""Requests and replies of pull sockets, as bytes.

A point is what was set, usually ``(x, y)``; an old one is given as `OLD_DATA` itself.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ..constants import OLD_DATA, UNKNOWN_COMMAND
from ..failures import Refused

__all__ = ["COMMANDS", "FORMATS", "decode_request", "encode_json", "encode_raw"]

COMMANDS: Final = frozenset(
    {"raw", "json", "raw_wn", "json_wn", "codenames_raw", "codenames_json", "name", "status"}
)
FORMATS: Final = frozenset({"raw", "json"})


def decode_request(request: bytes) -> tuple[str, str | None]:
    """Return the command, and of which codename it wants the value; None for all of them.

    Raises:
        Refused: There is no such command.
        UnicodeDecodeError: It is not ASCII.
    """
    text = request.decode("ascii")
    codename, sign, form = text.rpartition("#")
    if not sign:
        if text in COMMANDS:
            return text, None
    elif form in FORMATS and "#" not in codename:
        return form, codename
    raise Refused(UNKNOWN_COMMAND)


def encode_json(value: Any) -> bytes:
    """Return a point, or whatever else is asked for, as JSON.

    Raises:
        TypeError: JSON has no form for it, as for an integer of numpy.
    """
    return json.dumps(value).encode("ascii")


def encode_raw(point: Any) -> bytes:
    """Return the first two items of a point, as Python prints them.

    Raises:
        IndexError: It has less than two.
        TypeError: It has no items.
        UnicodeEncodeError: It is not ASCII.
    """
    return (OLD_DATA if point is OLD_DATA else "{},{}".format(*point)).encode("ascii")
