"""The words and numbers of the protocol, as programs in the field expect them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "BAD_CHARS",
    "MAX_DATAGRAM",
    "MAX_REQUEST",
    "OLD_DATA",
    "PUSH_ACK",
    "PUSH_ERROR",
    "PUSH_EXCEP",
    "PUSH_RET",
    "TYPE_FROM_STRING",
    "UNKNOWN_COMMAND",
]

BAD_CHARS: Final = ["#", ",", ";", ":", "&"]
# Three M: clients compare replies with this.
UNKNOWN_COMMAND: Final = "UNKNOWN_COMMMAND"
OLD_DATA: Final = "OLD_DATA"
PUSH_ERROR: Final = "ERROR"
PUSH_ACK: Final = "ACK"
PUSH_EXCEP: Final = "EXCEP"
PUSH_RET: Final = "RET"

MAX_REQUEST: Final = 8192
MAX_DATAGRAM: Final = 65507


def _bool(text: str) -> bool:
    """Return what ``True`` or ``False`` means; any other text is a ValueError."""
    if text not in ("True", "False"):
        raise ValueError(f"{text!r} is neither 'True' nor 'False'")
    return text == "True"


TYPE_FROM_STRING: Final[dict[str, Callable[[str], Any]]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": _bool,
}
