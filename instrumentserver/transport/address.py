"""Addresses: how a server, and anything on it, is named anywhere.

``unix:foo`` is the server foo of this user on this computer, ``unix:foo/dac.ch1.v`` a parameter
on it; ``tcp://127.0.0.1:5900/dac`` is an instrument of a server that listens on TCP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from instrumentserver.errors import UsageError

__all__ = ["Address", "check_server_name", "is_server_address", "loopback_endpoint"]

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_TCP: Final = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:]+\]|[^/:\[\]]+):(?P<port>\d{1,5})")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Address:
    """Where something lives.

    Attributes:
        server: The server's own address, ``unix:NAME`` or ``tcp://HOST:PORT``.
        path: Names from the instrument down, joined by dots; "" is the server itself.
    """

    server: str
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that ``text`` spells.

        Raises:
            UsageError: The text spells no address.
        """
        scheme, separator, rest = text.partition(":")
        if scheme == "unix" and separator:
            server, _, path = rest.partition("/")
            return cls(f"unix:{check_server_name(server)}", path)
        match = _TCP.match(text)
        if match:
            path = text[match.end() :]
            if not path or path.startswith("/"):
                return cls(match.group(), path[1:])
        raise UsageError(
            f"{text!r} is not an address; write unix:NAME or tcp://127.0.0.1:PORT, then /INSTRUMENT if one is meant"
        )

    def __str__(self) -> str:
        return f"{self.server}/{self.path}" if self.path else self.server


def check_server_name(name: str) -> str:
    """Return ``name`` after making sure that a server may bear it.

    Raises:
        UsageError: It is not 1 to 64 letters, digits, ``_``, ``-`` and ``.``, beginning with
            a letter, a digit or ``_``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a server; use 1 to 64 letters, digits, '_', '-' and '.', such as 'magnet_1'"
        )
    return name


def is_server_address(text: str) -> bool:
    """Return whether ``text`` is meant as an address rather than as a server's name."""
    return ":" in text


def loopback_endpoint(address: str) -> tuple[str, int]:
    """Return host and port of a TCP address of this computer.

    Raises:
        UsageError: It is no TCP address, or of another computer.
    """
    match = _TCP.fullmatch(address)
    if not match or int(match["port"]) > 65535:
        raise UsageError(
            f"{address!r} is not a TCP address; write tcp://127.0.0.1:PORT, PORT 0 for any free one"
        )
    host = match["host"].strip("[]")
    if host not in _LOOPBACK:
        raise UsageError(
            f"{address!r} is not on this computer; plain TCP is for 127.0.0.1 only, where nobody can listen in"
        )
    return host, int(match["port"])
